//! Verifies an export line by line, in constant memory but for the ends of the accounts' chains, and in a second sink
//! the leaves that no checkpoint covers yet.
//! `ledger verify` calls it.

use std::collections::{HashMap, VecDeque};
use std::fmt;

use aws_lc_rs::digest::{Context, SHA256};

use super::line::{Header, LeafLine, Line, LineError, Payload};
use super::writer::covering;
use crate::ledger::tree::sha256;
use crate::ledger::{Checkpoint, Frontier, Hash, Leaf, Note, VerifierKey, leaf_hash};

/// What somebody who verifies knows from elsewhere.
#[derive(Debug, Clone, Default)]
pub struct Expected {
    /// The verifier key of the log. Without it, the file's own is believed.
    pub key: Option<VerifierKey>,
    /// A checkpoint that was kept, as the note it was. Only with one a file that was cut at its end and closed again
    /// by the log itself, or a second history, is seen.
    pub head: Option<String>,
}

/// The way through a file.
pub struct Verifier {
    expected: Expected,
    log: Option<Log>,
    digest: Option<Context>,
    frontier: Frontier,
    time_us: i64,
    chains: HashMap<[u8; 16], (u64, Hash)>,
    covered: u64,
    /// Of a second sink: the tree up to the last checkpoint, and the leaves after it.
    signed: Frontier,
    unsigned: VecDeque<Hash>,
    checkpoints: u64,
    opened: u64,
    erased: u64,
    withheld: u64,
    closed: bool,
}

/// What the header says.
struct Log {
    header: Header,
    is_sink: bool,
    key: VerifierKey,
    head: Option<Checkpoint>,
}

/// What was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The header of the file.
    pub header: Header,
    /// Whether it is a second sink: it has no closing line, and what stands after its last checkpoint is signed by
    /// nobody.
    pub is_sink: bool,
    /// How many leaves it has.
    pub leaves: u64,
    /// The root over them.
    pub root: Hash,
    /// How many accounts have a chain in it, each from its first leaf in this log without a gap.
    pub accounts: u64,
    /// How many signed checkpoints stand between the leaves.
    pub checkpoints: u64,
    /// How many leaves are covered by a signature: in an export, all.
    pub covered: u64,
    /// How many payloads are the ones that were recorded.
    pub opened: u64,
    /// How many payloads were erased.
    pub erased: u64,
    /// How many payloads are not in the file.
    pub withheld: u64,
    /// The size of the checkpoint that was kept elsewhere; the file holds it.
    pub head: Option<u64>,
}

impl Verifier {
    /// At the beginning of a file.
    #[must_use]
    pub fn new(expected: Expected) -> Self {
        Self {
            expected,
            log: None,
            digest: Some(Context::new(&SHA256)),
            frontier: Frontier::default(),
            time_us: i64::MIN,
            chains: HashMap::new(),
            covered: 0,
            signed: Frontier::default(),
            unsigned: VecDeque::new(),
            checkpoints: 0,
            opened: 0,
            erased: 0,
            withheld: 0,
            closed: false,
        }
    }

    /// How many leaves have been verified.
    #[must_use]
    pub fn leaves(&self) -> u64 {
        self.frontier.size()
    }

    /// Whether it is a second sink, as its first line says.
    #[must_use]
    pub fn is_sink(&self) -> bool {
        self.log.as_ref().is_some_and(|log| log.is_sink)
    }

    /// The next line, with its line feed.
    ///
    /// # Errors
    /// When the file is broken; nothing after that counts.
    pub fn line(&mut self, octets: &[u8]) -> Result<(), Broken> {
        if self.closed {
            return Err(Broken::file("something stands after the closing line"));
        }
        let line = Line::parse(octets).map_err(|error| self.no_line(octets, error))?;
        if let (Some(digest), false) = (&mut self.digest, matches!(line, Line::Closing(_))) {
            digest.update(octets);
        }
        match (line, self.log.is_some()) {
            (Line::Header(header), false) => self.header(header, false),
            (Line::Sink(header), false) => self.header(header, true),
            (Line::Header(_) | Line::Sink(_), true) => Err(self.here("a header stands in its place")),
            (_, false) => Err(Broken::file("the first line is no header")),
            (Line::Leaf(leaf), true) => self.leaf(&leaf),
            (Line::Checkpoint(note), true) if self.is_sink() => self.late_checkpoint(&note),
            (Line::Checkpoint(note), true) => self.checkpoint(&note),
            (Line::Closing(_), true) if self.is_sink() => Err(self.here("a second sink is never closed")),
            (Line::Closing(note), true) => self.closing(&note),
        }
    }

    /// The end of the file.
    ///
    /// # Errors
    /// When the closing line of an export is missing, or the checkpoint that was kept elsewhere is larger than the file.
    pub fn end(self) -> Result<Report, Broken> {
        let closed = self.closed || self.is_sink();
        let Some(log) = self.log.filter(|_| closed) else {
            return Err(Broken::file("it ends without a closing line: it was cut short"));
        };
        let size = self.frontier.size();
        if let Some(head) = log.head.as_ref().filter(|head| head.size > size) {
            let what = format!("it is missing: the checkpoint that was kept counts {} leaves", head.size);
            return Err(Broken::leaf(size, what));
        }
        Ok(Report {
            header: log.header,
            is_sink: log.is_sink,
            leaves: size,
            root: self.frontier.root(),
            accounts: self.chains.len() as u64,
            checkpoints: self.checkpoints,
            covered: self.covered,
            opened: self.opened,
            erased: self.erased,
            withheld: self.withheld,
            head: log.head.map(|head| head.size),
        })
    }

    fn header(&mut self, header: Header, is_sink: bool) -> Result<(), Broken> {
        let key = VerifierKey::parse(&header.key).map_err(|error| Broken::file(error.to_string()))?;
        if (header.v, header.from) != (1, 0) {
            return Err(Broken::file("its header is not of version 1 and of leaves from 0"));
        }
        if key.name().as_str() != header.origin {
            return Err(Broken::file("its header names a key of another log"));
        }
        if self.expected.key.as_ref().is_some_and(|expected| *expected != key) {
            return Err(Broken::file(format!("it is of the log with key `{key}`, not of the expected one")));
        }
        if let Some(continued) = &header.continues {
            let wrong = |error: String| Broken::file(format!("the checkpoint that it continues: {error}"));
            let key = VerifierKey::parse(&continued.key).map_err(|error| wrong(error.to_string()))?;
            Checkpoint::open(&continued.note, &key).map_err(|error| wrong(error.to_string()))?;
        }
        let open = |note: &String| Checkpoint::open(note, &key).map(|(head, _)| head);
        let head = self.expected.head.as_ref().map(open).transpose();
        let head = head.map_err(|error| {
            Broken::file(format!("the checkpoint that was kept is not of this log: {error}"))
        })?;
        self.log = Some(Log { header, is_sink, key, head });
        self.against_head()
    }

    fn leaf(&mut self, line: &LeafLine<'_>) -> Result<(), Broken> {
        if line.index != self.frontier.size() {
            return Err(self.here(format!("leaf {} stands in its place", line.index)));
        }
        if leaf_hash(&line.leaf) != line.hash {
            return Err(self.here("its hash is not the one beside it"));
        }
        let leaf = Leaf::decode(&line.leaf).map_err(|error| self.here(error.to_string()))?;
        if leaf.time_us < self.time_us {
            return Err(self.here("its time is before that of the leaf before it"));
        }
        let (seq, previous) = self.chains.get(&leaf.account).copied().unwrap_or_default();
        if seq.checked_add(1) != Some(leaf.account_seq) || leaf.previous != previous {
            return Err(self.here("it does not follow the leaf before it in the chain of its account"));
        }
        match &line.payload {
            // As in the leaf: SHA-256(salt + payload).
            Payload::Opened { salt, text } if sha256(&[salt, text.as_bytes()]) == leaf.commitment => {
                self.opened += 1;
            }
            Payload::Opened { .. } => return Err(self.here("its payload is not the one that was recorded")),
            Payload::Erased => self.erased += 1,
            Payload::Withheld => self.withheld += 1,
        }
        self.time_us = leaf.time_us;
        self.chains.insert(leaf.account, (leaf.account_seq, line.hash));
        self.frontier.push(line.hash);
        if self.is_sink() {
            self.unsigned.push_back(line.hash);
        }
        self.against_head()
    }

    /// Holds the checkpoint that was kept elsewhere against the tree, when the tree has its size.
    fn against_head(&self) -> Result<(), Broken> {
        let head = self.log.as_ref().and_then(|log| log.head.as_ref());
        match head.filter(|head| head.size == self.frontier.size()) {
            Some(head) if head.root != self.frontier.root() => {
                Err(self.since_covered("the root over them is not that of the checkpoint that was kept"))
            }
            _ => Ok(()),
        }
    }

    fn checkpoint(&mut self, note: &str) -> Result<(), Broken> {
        let (checkpoint, _) = self.open(note)?;
        let size = self.frontier.size();
        if checkpoint.size != size {
            return Err(self.here(format!("the checkpoint before it is of {} leaves", checkpoint.size)));
        }
        if checkpoint.root != self.frontier.root() {
            return Err(self.since_covered("the root over them is not that of the checkpoint after them"));
        }
        self.covered = size;
        self.checkpoints += 1;
        Ok(())
    }

    /// A checkpoint of a second sink: signed beside the leaves, it stands after the last one that it covers, but
    /// others may stand between.
    fn late_checkpoint(&mut self, note: &str) -> Result<(), Broken> {
        let (checkpoint, _) = self.open(note)?;
        if checkpoint.size < self.covered || checkpoint.size > self.frontier.size() {
            return Err(self.here(format!("the checkpoint before it is of {} leaves", checkpoint.size)));
        }
        while self.signed.size() < checkpoint.size
            && let Some(hash) = self.unsigned.pop_front()
        {
            self.signed.push(hash);
        }
        if checkpoint.root != self.signed.root() {
            let place = Place::Leaves { from: self.covered, to: checkpoint.size };
            let what = "the root over them is not that of the checkpoint after them".to_owned();
            return Err(Broken { place, what });
        }
        self.covered = checkpoint.size;
        self.checkpoints += 1;
        Ok(())
    }

    fn closing(&mut self, note: &str) -> Result<(), Broken> {
        let (checkpoint, note) = self.open(note)?;
        let size = self.frontier.size();
        if checkpoint.size > size {
            let what = format!("it is missing: the closing line counts {} leaves", checkpoint.size);
            return Err(self.here(what));
        }
        if checkpoint.size < size {
            return Err(Broken::leaf(checkpoint.size, "the closing line does not count it"));
        }
        if checkpoint.root != self.frontier.root() {
            return Err(self.since_covered("the root over them is not that of the closing line"));
        }
        let covering = self.digest.take().map(covering);
        if checkpoint.extensions.as_slice() != covering.as_slice() {
            return Err(Broken::file("what stands before the closing line is not what was signed with it"));
        }
        // INVARIANT: nothing in a file is covered by nothing; a signature of somebody else would be.
        if note.signatures().len() != 1 {
            return Err(Broken::file("the closing line has another signature than that of the log"));
        }
        self.closed = true;
        Ok(())
    }

    /// The checkpoint of a note, if this log signed it.
    fn open(&self, note: &str) -> Result<(Checkpoint, Note), Broken> {
        let Some(log) = &self.log else { return Err(Broken::file("the first line is no header")) };
        let wrong = |error| self.since_covered(format!("the checkpoint after them: {error}"));
        Checkpoint::open(note, &log.key).map_err(wrong)
    }

    fn no_line(&self, octets: &[u8], error: LineError) -> Broken {
        match (self.log.is_some(), octets.starts_with(b"{\"c")) {
            (false, _) => Broken::file(format!("the first line: {error}")),
            // `checkpoint` or `closing`: the leaves may be whole.
            (true, true) => self.since_covered(format!("the line after them: {error}")),
            (true, false) => self.here(error.to_string()),
        }
    }

    fn here(&self, what: impl Into<String>) -> Broken {
        Broken::leaf(self.frontier.size(), what)
    }

    fn since_covered(&self, what: impl Into<String>) -> Broken {
        Broken { place: Place::Leaves { from: self.covered, to: self.frontier.size() }, what: what.into() }
    }
}

/// What is wrong with an export, and where first.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Broken {
    /// Where.
    pub place: Place,
    /// What is wrong there.
    pub what: String,
}

/// As narrow as it can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// This leaf.
    Leaf(u64),
    /// One of these leaves, `to` not counted: between two checkpoints.
    Leaves {
        /// The first.
        from: u64,
        /// The one after the last.
        to: u64,
    },
    /// No leaf: the file around them.
    File,
}

impl Broken {
    fn leaf(index: u64, what: impl Into<String>) -> Self {
        Self { place: Place::Leaf(index), what: what.into() }
    }

    fn file(what: impl Into<String>) -> Self {
        Self { place: Place::File, what: what.into() }
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Place::Leaf(index) => write!(f, "the ledger is broken at leaf {index}: {}", self.what),
            Place::Leaves { from, to } => {
                write!(f, "the ledger is broken from leaf {from} to before leaf {to}: {}", self.what)
            }
            Place::File => write!(f, "the file is broken: {}", self.what),
        }
    }
}
