//! The file of the second sink: looked at, opened, mended at its end, written and synced. All of it blocks.
//! `sink` calls it on a thread for such work; boot looks at it before it decides which log is ours.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use countersign_core::ledger::export::{Header, Line};
use countersign_core::ledger::{Checkpoint, Hash, Note, leaf_hash};
use rustix::fs::{
    AtFlags, FallocateFlags, FlockOperation, StatxAttributes, StatxFlags, fallocate, flock, statx,
};
use rustix::io::Errno;

use super::SinkError;

/// What a file says at its end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in super::super) struct End {
    /// Its first line, which names its log; `None` when not even that is whole.
    pub(in super::super) header: Option<Header>,
    /// How many leaves it has.
    pub(in super::super) leaves: u64,
    /// The hash of the last of them.
    pub(in super::super) last: Option<Hash>,
    /// The last checkpoint among its last lines.
    pub(in super::super) checkpoint: Option<String>,
    /// Its length in octets, up to the end of the last line that is one.
    whole: u64,
    /// What stands after that.
    torn: u64,
}

/// An open file, ready for what comes next. Nobody else writes to it.
#[derive(Debug)]
pub(super) struct Opened {
    file: File,
    path: PathBuf,
    /// How long it is. All of it is durable.
    pub(super) length: u64,
    /// Up to where room on its volume is taken.
    room: u64,
    pub(super) leaves: u64,
    pub(super) last: Option<Hash>,
    /// The size of its last checkpoint; 0 when that is not known.
    pub(super) signed: u64,
}

impl End {
    /// Reads the first line and the last ones; `None` when there is no file.
    ///
    /// # Errors
    /// When it cannot be read or is something else.
    pub(in super::super) fn of(path: &Path) -> Result<Option<Self>, SinkError> {
        match File::open(path) {
            Ok(file) => Self::read(&file, path).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(SinkError::file(path, "read", error)),
        }
    }

    fn read(file: &File, path: &Path) -> Result<Self, SinkError> {
        let failed = |error| SinkError::file(path, "read", error);
        let foreign = |why: &str| SinkError::Foreign { file: path.to_owned(), why: why.to_owned() };
        let metadata = file.metadata().map_err(failed)?;
        if !metadata.is_file() {
            return Err(foreign("it is no regular file"));
        }
        let mut reader = BufReader::new(file);
        reader.seek(SeekFrom::Start(0)).map_err(failed)?;
        let mut first = Vec::new();
        reader.by_ref().take(LONGEST_HEADER).read_until(b'\n', &mut first).map_err(failed)?;
        let header = match Line::parse(&first) {
            Ok(Line::Sink(header)) if (header.v, header.from) == (1, 0) => header,
            // Made, and then something went wrong before its first line was there.
            _ if !first.ends_with(b"\n") && is_begun(&first) => {
                return Ok(Self { torn: metadata.len(), ..Self::default() });
            }
            _ => return Err(foreign("its first line is not that of one")),
        };
        let begin = first.len() as u64;
        let from = metadata.len().saturating_sub(TAIL).max(begin);
        reader.seek(SeekFrom::Start(from)).map_err(failed)?;
        let mut tail = Vec::new();
        reader.take(TAIL).read_to_end(&mut tail).map_err(failed)?;
        let mut end = Self { header: Some(header), whole: from, ..Self::default() };
        end.lines(&tail, from > begin);
        if from > begin && end.last.is_none() {
            return Err(foreign("its last lines are none of a ledger"));
        }
        end.torn = (from + tail.len() as u64).saturating_sub(end.whole);
        Ok(end)
    }

    /// Of which log it is.
    pub(in super::super) fn origin(&self) -> Option<&str> {
        self.header.as_ref().map(|header| header.origin.as_str())
    }

    /// Goes through the last lines, the first of which may be the rest of one, up to one that is none.
    fn lines(&mut self, tail: &[u8], cut: bool) {
        let mut lines = tail.split_inclusive(|octet| *octet == b'\n');
        if cut {
            self.whole += lines.next().map_or(0, <[u8]>::len) as u64;
        }
        for octets in lines {
            match Line::parse(octets) {
                Ok(Line::Leaf(leaf))
                    if self.follows(leaf.index, cut) && leaf_hash(&leaf.leaf) == leaf.hash =>
                {
                    self.leaves = leaf.index.saturating_add(1);
                    self.last = Some(leaf.hash);
                }
                Ok(Line::Checkpoint(note)) => self.checkpoint = Some(note.into_owned()),
                _ => return,
            }
            self.whole += octets.len() as u64;
        }
    }

    fn follows(&self, index: u64, cut: bool) -> bool {
        match self.last {
            Some(_) => index == self.leaves,
            None => index == 0 || cut,
        }
    }

    /// The size of its last checkpoint; 0 when there is none among its last lines.
    fn signed(&self) -> u64 {
        let note = self.checkpoint.as_ref().and_then(|note| Note::parse(note).ok());
        note.and_then(|note| Checkpoint::parse(note.text()).ok()).map_or(0, |checkpoint| checkpoint.size)
    }
}

fn is_begun(first: &[u8]) -> bool {
    first.iter().zip(b"{\"sink\":1,").all(|(octet, expected)| octet == expected)
}

impl Opened {
    /// Opens the file of a log, and writes the header of an empty one. What is cut off at its end is mended; `durable`
    /// is what is known to have been on disk: what was written after it and not synced is written anew.
    pub(super) fn again(path: &Path, header: &Header, durable: Option<u64>) -> Result<Self, SinkError> {
        let failed = |error| SinkError::file(path, "opened", error);
        let file = OpenOptions::new().read(true).append(true).open(path).map_err(failed)?;
        lock(&file, path)?;
        let length = file.metadata().map_err(failed)?.len();
        match durable {
            Some(durable) if durable < length => cut(&file, path, durable)?,
            Some(durable) if durable > length => {
                tracing::warn!(file = %path.display(), length, was = durable, "the second sink is shorter than it was");
            }
            _ => {}
        }
        let end = End::read(&file, path)?;
        if let Some(other) = end.origin().filter(|found| *found != header.origin) {
            let why = format!("it is of log `{other}`, not of `{}`", header.origin);
            return Err(SinkError::Foreign { file: path.to_owned(), why });
        }
        if end.torn > 0 {
            tracing::warn!(
                file = %path.display(), octets = end.torn, leaves = end.leaves,
                "the second sink ends in the midst of a line: its end is cut off and written anew"
            );
            cut(&file, path, end.whole)?;
        }
        let (signed, path) = (end.signed(), path.to_owned());
        let mut opened =
            Self { file, path, length: end.whole, room: 0, leaves: end.leaves, last: end.last, signed };
        if opened.length == 0 {
            let mut line = Vec::new();
            Line::Sink(header.clone()).print(&mut line);
            opened.append(&line)?;
        }
        Ok(opened)
    }

    /// Makes the file, with nothing in it. Its directory is never made: a volume that is not mounted has none.
    pub(super) fn make(path: &Path) -> Result<(), SinkError> {
        let failed = |error| SinkError::file(path, "made", error);
        OpenOptions::new().append(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
        sync_dir(path)
    }

    /// Whether it is still the file of that name, as long as we left it.
    pub(super) fn is_there(&self) -> bool {
        let same = |ours: &Metadata, theirs: &Metadata| {
            (ours.dev(), ours.ino()) == (theirs.dev(), theirs.ino()) && ours.len() == self.length
        };
        matches!((self.file.metadata(), fs::metadata(&self.path)), (Ok(ours), Ok(theirs)) if same(&ours, &theirs))
    }

    /// Takes room for a batch ahead, so that a full volume is known before anything is recorded.
    pub(super) fn take_room(&mut self) -> Result<(), SinkError> {
        if self.room >= self.length.saturating_add(ROOM / 2) {
            return Ok(());
        }
        let taken = room(&self.file, self.length);
        self.room = taken.map_err(|error| SinkError::file(&self.path, "written", error))?;
        Ok(())
    }

    /// Writes lines at the end, and returns when they are on disk.
    pub(super) fn append(&mut self, lines: &[u8]) -> Result<(), SinkError> {
        let written = self.file.write_all(lines).and_then(|()| self.file.sync_data());
        written.map_err(|error| SinkError::file(&self.path, "written", error))?;
        self.length = self.length.saturating_add(lines.len() as u64);
        Ok(())
    }
}

/// Tries everything that can fail when a log begins in this file, so that it fails before one has: making it or
/// setting aside the one that is there, which nobody else may write, and having room.
pub(in super::super) fn rehearse(path: &Path, end: Option<&End>) -> Result<(), SinkError> {
    if end.is_none() {
        tracing::warn!(file = %path.display(), "there is no second sink yet: it begins");
        Opened::make(path)?;
    }
    let failed = |what| move |error| SinkError::file(path, what, error);
    let file = OpenOptions::new().read(true).append(true).open(path).map_err(failed("opened"))?;
    lock(&file, path)?;
    if end.and_then(End::origin).is_none() {
        return room(&file, 0).map_err(failed("written")).map(drop);
    }
    if is_pinned(&file).map_err(failed("read"))? {
        let cause =
            io::Error::new(io::ErrorKind::PermissionDenied, "it is append-only or immutable (chattr -a)");
        return Err(SinkError::file(path, "set aside", cause));
    }
    let new = free_name(path, "new").map_err(failed("set aside"))?;
    let made = OpenOptions::new().append(true).create_new(true).mode(0o600).open(&new);
    let tried = made.map_err(failed("set aside")).and_then(|made| room(&made, 0).map_err(failed("made")));
    let _never_made = fs::remove_file(&new);
    tried.map(drop)
}

/// Gives a file of another log a name of its own: it is what is left of that log.
pub(super) fn set_aside(path: &Path, origin: &str) -> Result<PathBuf, SinkError> {
    let id = origin.rsplit('/').next().unwrap_or(origin);
    let failed = |error| SinkError::file(path, "set aside", error);
    let aside = free_name(path, id).map_err(failed)?;
    let file = File::open(path).map_err(failed)?;
    lock(&file, path)?;
    fs::rename(path, &aside).map_err(failed)?;
    sync_dir(path)?;
    Ok(aside)
}

/// `PATH.MORE`, or the first of `PATH.MORE.2`, `PATH.MORE.3`, ... that nothing has: neither of two is lost.
fn free_name(path: &Path, more: &str) -> io::Result<PathBuf> {
    for number in 1..=NAMES {
        let mut name = path.as_os_str().to_owned();
        name.push(match number {
            1 => format!(".{more}"),
            _ => format!(".{more}.{number}"),
        });
        match fs::symlink_metadata(&name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(name.into()),
            Err(error) => return Err(error),
            Ok(_) => {}
        }
    }
    Err(io::Error::new(
        io::ErrorKind::AlreadyExists,
        format!("{NAMES} names that begin with `.{more}` are taken"),
    ))
}

/// Whether it may not be given another name.
fn is_pinned(file: &File) -> io::Result<bool> {
    match statx(file, "", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS) {
        Ok(seen) => Ok(seen.stx_attributes.intersects(StatxAttributes::APPEND | StatxAttributes::IMMUTABLE)),
        Err(Errno::NOSYS) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Takes room from an octet on: up to where it is taken. What a volume cannot promise is not asked again.
fn room(file: &File, from: u64) -> io::Result<u64> {
    match fallocate(file, FallocateFlags::KEEP_SIZE, from, ROOM) {
        Ok(()) => Ok(from.saturating_add(ROOM)),
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(u64::MAX),
        Err(error) => Err(error.into()),
    }
}

fn cut(file: &File, path: &Path, length: u64) -> Result<(), SinkError> {
    file.set_len(length)
        .and_then(|()| file.sync_all())
        .map_err(|error| SinkError::file(path, "mended", error))
}

fn lock(file: &File, path: &Path) -> Result<(), SinkError> {
    flock(file, FlockOperation::NonBlockingLockExclusive).map_err(|_| SinkError::Locked(path.to_owned()))
}

fn sync_dir(path: &Path) -> Result<(), SinkError> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    File::open(dir)
        .and_then(|dir| dir.sync_all())
        .map_err(|error| SinkError::file(path, "made durable", error))
}

const LONGEST_HEADER: u64 = 1 << 16;
/// More than the lines of the largest batch.
const TAIL: u64 = 4 << 20;
const ROOM: u64 = 4 << 20;
const NAMES: u32 = 10_000;
