//! The second sink: every leaf and every checkpoint of this node's log once more, in a file on another volume.
//! The committer brings it up to the store after each commit, before anybody hears that something is recorded.
//!
//! Its lines are those of an export without payloads (`core::ledger::export`), so that nothing has to be erased from
//! it. They are read back from the store: what the file lacks, after a crash or an outage, is written the same way.

mod file;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use countersign_core::ledger::export::{Header, LeafLine, Line, Payload};
use countersign_core::ledger::{Hash, Leaf, leaf_hash};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::timeout;

use self::file::Opened;
use super::committer::BATCH;
use super::export::header;
use super::insert::integer;
use super::log::Log;
use super::logs::Known;
use crate::store::{Keys, Row, Store, StoreError, Value};

pub(super) use self::file::{End, rehearse};

#[cfg(test)]
mod tests;

/// The second sink of a log. The committer owns it.
#[derive(Debug)]
pub(super) struct Sink {
    path: PathBuf,
    log: i64,
    header: Header,
    opened: Option<Opened>,
    /// How long the file was when it was last known to be on disk.
    durable: Option<u64>,
    /// What a volume that gives no answer was asked.
    busy: Option<JoinHandle<Result<Opened, SinkError>>>,
}

impl Sink {
    /// Opens the sink that a log has, if it has one, and brings it up to `size` leaves.
    ///
    /// # Errors
    /// When it cannot be opened or written, or is the file of something else.
    pub(super) async fn open(
        store: &Store,
        keys: &Keys,
        log: &Log,
        size: u64,
    ) -> Result<Option<Self>, StoreError> {
        let Some(path) = log.sink.clone() else { return Ok(None) };
        let known = Known::all(store).await?.into_iter().find(|known| known.number == log.number);
        let known = known.ok_or_else(|| StoreError::Ledger(format!("log `{}` is missing", log.origin)))?;
        let header = header(&known, keys)?;
        let opened = begin(&path, &header)?;
        let missing = size.saturating_sub(opened.leaves);
        if missing > 0 {
            tracing::warn!(file = %path.display(), leaves = missing, "the second sink lacks leaves: they are written now");
        }
        let durable = Some(opened.length);
        let mut sink = Self { path, log: log.number, header, opened: Some(opened), durable, busy: None };
        sink.stands_in(store).await?;
        sink.advance(store, size, size).await?;
        Ok(Some(sink))
    }

    /// Whether the file is there, is whole and has room for a batch. Asked before a batch is committed: what cannot
    /// be in both places is in neither.
    pub(super) async fn is_ready(&mut self) -> Result<(), StoreError> {
        let opened = self.opened.take();
        let (path, header, durable) = (self.path.clone(), self.header.clone(), self.durable);
        self.ask(move || {
            let mut opened = match opened.filter(Opened::is_there) {
                Some(opened) => opened,
                None => Opened::again(&path, &header, durable)?,
            };
            opened.take_room()?;
            Ok(opened)
        })
        .await
    }

    /// Brings the file up to `size` leaves of the store, and to the last checkpoint of at most `signed`.
    pub(super) async fn advance(&mut self, store: &Store, size: u64, signed: u64) -> Result<(), StoreError> {
        loop {
            let Some(opened) = self.opened.as_ref() else {
                self.is_ready().await?;
                continue;
            };
            let mut grown = Grown { leaves: opened.leaves, last: opened.last, signed: opened.signed };
            if grown.leaves > size {
                let leaves = grown.leaves;
                return Err(SinkError::Ahead { file: self.path.clone(), leaves, size }.into());
            }
            let mut lines = Vec::new();
            self.leaves(store, size, &mut grown, &mut lines).await?;
            if signed > grown.signed {
                self.checkpoint(store, &mut grown, &mut lines).await?;
            }
            let leaves = grown.leaves;
            if !lines.is_empty() {
                self.append(lines, grown).await?;
            }
            if leaves == size {
                return Ok(());
            }
        }
    }

    async fn append(&mut self, lines: Vec<u8>, grown: Grown) -> Result<(), StoreError> {
        let Some(mut opened) = self.opened.take() else {
            return Err(SinkError::Gone(self.path.clone()).into());
        };
        self.ask(move || {
            opened.append(&lines)?;
            (opened.leaves, opened.last, opened.signed) = (grown.leaves, grown.last, grown.signed);
            Ok(opened)
        })
        .await
    }

    /// Adds the next leaves of the store, up to `size` of them, and no more than a batch.
    async fn leaves(
        &self,
        store: &Store,
        size: u64,
        grown: &mut Grown,
        lines: &mut Vec<u8>,
    ) -> Result<(), StoreError> {
        let from = grown.leaves;
        if from == size {
            return Ok(());
        }
        let most = i64::try_from(BATCH).unwrap_or(i64::MAX);
        let values = [self.log, integer(from), integer(size), most].map(Value::Int).to_vec();
        for row in store.rows(LEAVES, values).await? {
            grown.last = Some(leaf_line(&row, grown.leaves, lines)?);
            grown.leaves += 1;
        }
        match grown.leaves > from {
            true => Ok(()),
            false => Err(StoreError::Ledger(format!("leaf {from} is missing"))),
        }
    }

    /// Adds the last checkpoint over leaves that the file has, if it does not have it.
    async fn checkpoint(
        &self,
        store: &Store,
        grown: &mut Grown,
        lines: &mut Vec<u8>,
    ) -> Result<(), StoreError> {
        let values = [self.log, integer(grown.signed), integer(grown.leaves)].map(Value::Int).to_vec();
        let Some(row) = store.row(CHECKPOINT, values).await? else { return Ok(()) };
        Line::Checkpoint(row.get::<String>("note")?.into()).print(lines);
        grown.signed = u64::try_from(row.get::<i64>("size")?).unwrap_or(0);
        Ok(())
    }

    /// The store must have the last leaf of the file.
    async fn stands_in(&self, store: &Store) -> Result<(), StoreError> {
        let Some((leaves, Some(last))) = self.opened.as_ref().map(|opened| (opened.leaves, opened.last))
        else {
            return Ok(());
        };
        match has_leaf(store, self.log, leaves, &last).await? {
            true => Ok(()),
            false => Err(SinkError::Other { file: self.path.clone(), leaves }.into()),
        }
    }

    /// Does what blocks on a thread for it, and does not wait for ever. Whatever fails, the file is opened anew the
    /// next time: what a failed sync left behind is not known.
    async fn ask(
        &mut self,
        work: impl FnOnce() -> Result<Opened, SinkError> + Send + 'static,
    ) -> Result<(), StoreError> {
        if self.busy.as_ref().is_some_and(|busy| !busy.is_finished()) {
            return Err(SinkError::Silent(self.path.clone()).into());
        }
        self.busy = None;
        let mut work = spawn_blocking(work);
        let Ok(done) = timeout(PATIENCE, &mut work).await else {
            self.busy = Some(work);
            return Err(SinkError::Silent(self.path.clone()).into());
        };
        let opened = done.unwrap_or_else(|_| Err(SinkError::Gone(self.path.clone())))?;
        self.durable = Some(opened.length);
        self.opened = Some(opened);
        Ok(())
    }
}

/// What a file will have when some lines are written.
#[derive(Debug, Clone, Copy)]
struct Grown {
    leaves: u64,
    last: Option<Hash>,
    signed: u64,
}

/// Opens the file of a log or makes it; that of another log, which is of this node too, is set aside.
fn begin(path: &Path, header: &Header) -> Result<Opened, SinkError> {
    match End::of(path)? {
        Some(End { header: Some(other), leaves, .. }) if other.origin != header.origin => {
            let aside = file::set_aside(path, &other.origin)?;
            tracing::warn!(
                origin = other.origin, leaves, file = %aside.display(),
                "the second sink is of another log: it is set aside and a new one begins"
            );
            Opened::make(path)?;
        }
        Some(_) => {}
        None => {
            tracing::warn!(file = %path.display(), "there is no second sink yet: it begins");
            Opened::make(path)?;
        }
    }
    Opened::again(path, header, None)
}

fn leaf_line(row: &Row, index: u64, lines: &mut Vec<u8>) -> Result<Hash, StoreError> {
    let wrong = || StoreError::Ledger(format!("leaf {index} is missing or damaged"));
    let leaf: [u8; Leaf::LENGTH] = row.get::<Vec<u8>>("leaf")?.try_into().map_err(|_| wrong())?;
    if row.get::<i64>("idx")? != integer(index) {
        return Err(wrong());
    }
    let hash = leaf_hash(&leaf);
    Line::Leaf(LeafLine { index, hash, leaf, payload: Payload::Withheld }).print(lines);
    Ok(hash)
}

/// Whether the last of so many leaves of a log has this hash.
pub(super) async fn has_leaf(store: &Store, log: i64, leaves: u64, hash: &Hash) -> Result<bool, StoreError> {
    let Some(index) = leaves.checked_sub(1) else { return Ok(true) };
    let row = store.row(LEAF, [log, integer(index)].map(Value::Int).to_vec()).await?;
    Ok(row.map(|row| row.get::<Vec<u8>>("hash")).transpose()?.is_some_and(|found| found == hash))
}

/// Why the second sink is not written.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// Something is wrong with the file or its volume.
    #[error("the second sink `{}` cannot be {what}: {cause}", .file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// What was tried.
        what: &'static str,
        /// Why not.
        cause: io::Error,
    },
    /// It is the file of something else.
    #[error("`{}` is not the second sink of this log: {why} (name another file in `[ledger] second_sink`)", .file.display())]
    Foreign {
        /// The file.
        file: PathBuf,
        /// What it is.
        why: String,
    },
    /// It is of somebody else.
    #[error(
        "the second sink `{}` is that of log `{origin}`, {whose}: it is left as it is (name another file in `[ledger] \
         second_sink`, or move this one away)",
        .file.display()
    )]
    NotOurs {
        /// The file.
        file: PathBuf,
        /// Its log.
        origin: String,
        /// Of whom.
        whose: &'static str,
    },
    /// Another server writes it.
    #[error("the second sink `{}` is in use by another server: each needs a file of its own", .0.display())]
    Locked(PathBuf),
    /// Its volume gives no answer.
    #[error("the second sink `{}` did not answer within {} seconds", .0.display(), PATIENCE.as_secs())]
    Silent(PathBuf),
    /// It is not open.
    #[error("the second sink `{}` is not open", .0.display())]
    Gone(PathBuf),
    /// The store was set back while the server ran.
    #[error(
        "the second sink `{}` has {leaves} leaves and the store {size}: the store was set back (a restart begins a new log)",
        .file.display()
    )]
    Ahead {
        /// The file.
        file: PathBuf,
        /// How many leaves it has.
        leaves: u64,
        /// How many the store has.
        size: u64,
    },
    /// It has another history.
    #[error("the second sink `{}` has another leaf {} than the store", .file.display(), .leaves.saturating_sub(1))]
    Other {
        /// The file.
        file: PathBuf,
        /// How many leaves it has.
        leaves: u64,
    },
}

impl SinkError {
    fn file(file: &Path, what: &'static str, cause: io::Error) -> Self {
        Self::File { file: file.to_owned(), what, cause }
    }

    /// Whether there is no room on its volume.
    #[must_use]
    pub fn is_full(&self) -> bool {
        let full = [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded, io::ErrorKind::FileTooLarge];
        matches!(self, Self::File { cause, .. } if full.contains(&cause.kind()))
    }
}

/// A client hears 451 within 5 seconds when the volume is cut off.
const PATIENCE: Duration = Duration::from_secs(3);
const LEAVES: &str =
    "SELECT idx, leaf FROM leaves WHERE log = $1 AND idx >= $2 AND idx < $3 ORDER BY idx LIMIT $4";
const LEAF: &str = "SELECT hash FROM leaves WHERE log = $1 AND idx = $2";
const CHECKPOINT: &str = "SELECT size, note FROM checkpoints WHERE log = $1 AND size > $2 AND size <= $3 \
    ORDER BY size DESC LIMIT 1";
