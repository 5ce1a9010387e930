//! A log: one for each node, in a store that they share. It has a number in the tables and an origin in the world.
//! Boot finds that of its node; a node whose log was lost or set back begins a new one that says so.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use countersign_core::ids::Ref;
use countersign_core::ledger::{Algorithm, Checkpoint, Frontier, KeyName, Note, Signer};

use super::dispute::Dispute;
use super::insert::integer;
use super::sink::{End, has_leaf, rehearse};
use super::whose::is_of_node;
use crate::store::{Keys, Store, StoreError, Value};

/// The log of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// Its number in the tables.
    pub(super) number: i64,
    /// Its name in checkpoints: `HOSTNAME/ID`.
    pub(super) origin: String,
    /// Where the node keeps the last checkpoint, beside the store and not in it.
    pub(super) kept: PathBuf,
    /// The file that gets every leaf once more.
    pub(super) sink: Option<PathBuf>,
}

/// A node, as it finds its log.
#[derive(Debug, Clone, Copy)]
pub struct Node<'a> {
    /// The first part of the name of a log that begins.
    pub hostname: &'a str,
    /// Its data directory.
    pub dir: &'a Path,
    /// `[ledger] second_sink`
    pub sink: Option<&'a Path>,
}

impl Log {
    /// The log that this node writes. One that the store does not have as the node knows it from its directory or
    /// its second sink, because the store was restored from a backup or is another one, is not continued, nor is one
    /// that a witness knows otherwise: a new one begins where the last checkpoint that we know of ended.
    ///
    /// # Errors
    /// When store, directory or second sink cannot be read or written.
    pub async fn of_node(
        store: &Store,
        keys: &Keys,
        node: Node<'_>,
        now: jiff::Timestamp,
    ) -> Result<Self, StoreError> {
        let kept = node.dir.join("checkpoint");
        let seen = Seen::by(node, &kept, keys)?;
        let found = match &seen.known {
            Some(checkpoint) => Self::found(store, &checkpoint.origin, &kept).await?,
            None if !store.is_shared() => Self::newest(store, &kept).await?,
            None => None,
        };
        let own = found.as_ref().map(|log| &log.origin);
        let own = seen.known.as_ref().map(|known| &known.origin).or(own).map(String::as_str);
        is_of_node(store, keys, node, own, seen.sink.as_ref()).await?;
        let sink = node.sink.map(Path::to_owned);
        let unsettled = |error| StoreError::Ledger(format!("a dispute in `{}`: {error}", node.dir.display()));
        let dispute = Dispute::in_dir(node.dir).map_err(unsettled)?;
        if let Some(log) = found
            && (seen.known.is_none() || dispute.is_none())
            && seen.stands_in(store, &log).await?
        {
            return Ok(Self { sink, ..log });
        }
        // What can fail with the file fails before a log has begun.
        if let Some(path) = node.sink {
            rehearse(path, seen.sink.as_ref())?;
        }
        if let Some((Checkpoint { origin, size, .. }, _)) = &seen.last {
            let why = "the store does not have it as this node knows it".to_owned();
            let why = dispute.map_or(why, |dispute| dispute.says);
            tracing::warn!(
                origin,
                size,
                why,
                "the log is not gone on with: a new one begins that continues it"
            );
        }
        let continues = seen.last.map(|(_, note)| note);
        let log = Self::begin(store, keys, node.hostname, kept, continues, now).await?;
        Dispute::settle(node.dir).map_err(unsettled)?;
        Ok(Self { sink, ..log })
    }

    async fn found(store: &Store, origin: &str, kept: &Path) -> Result<Option<Self>, StoreError> {
        let row = store.row("SELECT log FROM logs WHERE origin = $1", vec![Value::text(origin)]).await?;
        let number = row.map(|row| row.get("log")).transpose()?;
        Ok(number.map(|number| Self { number, origin: origin.to_owned(), kept: kept.to_owned(), sink: None }))
    }

    /// In a store of our own the last log is ours, with a checkpoint or without one.
    async fn newest(store: &Store, kept: &Path) -> Result<Option<Self>, StoreError> {
        let row = store.row("SELECT log, origin FROM logs ORDER BY log DESC LIMIT 1", vec![]).await?;
        let Some(row) = row else { return Ok(None) };
        let (number, origin) = (row.get("log")?, row.get("origin")?);
        Ok(Some(Self { number, origin, kept: kept.to_owned(), sink: None }))
    }

    /// Whether the store has what a checkpoint says.
    async fn has(&self, store: &Store, checkpoint: &Checkpoint) -> Result<bool, StoreError> {
        if checkpoint.size == 0 {
            return Ok(true);
        }
        let head = "SELECT root FROM heads WHERE log = $1 AND size = $2";
        let row =
            store.row(head, vec![Value::Int(self.number), Value::Int(integer(checkpoint.size))]).await?;
        Ok(row.map(|row| row.get::<Vec<u8>>("root")).transpose()?.is_some_and(|root| root == checkpoint.root))
    }

    async fn begin(
        store: &Store,
        keys: &Keys,
        hostname: &str,
        kept: PathBuf,
        continues: Option<String>,
        now: jiff::Timestamp,
    ) -> Result<Self, StoreError> {
        let mut id = [0_u8; 8];
        aws_lc_rs::rand::fill(&mut id)
            .map_err(|_| StoreError::Ledger("no randomness is to be had".to_owned()))?;
        let id = Ref::from_random(u64::from_be_bytes(id)).as_str().to_lowercase();
        let log = Self { number: 0, origin: format!("{hostname}/{id}"), kept, sink: None };
        let verifier = log.signer(keys)?.verifier().to_string();
        let values = vec![
            Value::text(&log.origin),
            Value::Text(verifier),
            Value::or_null(continues.map(Value::Text)),
            Value::time(now),
        ];
        // Nodes that begin together want the same number: one of them gets it, the other the next.
        for _ in 0..TRIES {
            let mut transaction = store.begin().await?;
            match transaction.row(BEGIN, values.clone()).await {
                Ok(Some(row)) => {
                    let number = row.get("log")?;
                    transaction.commit().await?;
                    let log = Self { number, ..log };
                    log.keep_first(keys)?;
                    return Ok(log);
                }
                Ok(None) => {}
                Err(error) if error.is_unique_violation() || error.is_collision() => {}
                Err(error) => return Err(error),
            }
        }
        Err(StoreError::Ledger("no number is free for a new log".to_owned()))
    }

    /// From the first moment the node knows which log is its own, also when it is killed before anything is in it.
    fn keep_first(&self, keys: &Keys) -> Result<(), StoreError> {
        let wrong = |error: &dyn std::fmt::Display| {
            StoreError::Ledger(format!(
                "the checkpoint in `{}` cannot be written: {error}",
                self.kept.display()
            ))
        };
        let root = Frontier::default().root();
        let empty = Checkpoint { origin: self.origin.clone(), size: 0, root, extensions: vec![] };
        let note = empty.signed(&self.signer(keys)?).map_err(|error| wrong(&error))?;
        self.keep(&note.to_string()).map_err(|error| wrong(&error))
    }

    /// What signs its checkpoints.
    ///
    /// # Errors
    /// When its origin cannot be the name of a key.
    pub fn signer(&self, keys: &Keys) -> Result<Signer, StoreError> {
        signer_of(&self.origin, keys)
    }

    /// The checkpoint that was kept last, of whichever log.
    pub(super) fn kept_checkpoint(&self) -> Result<Option<Checkpoint>, StoreError> {
        Ok(read(&self.kept)?.and_then(|note| Checkpoint::parse(note.text()).ok()))
    }

    /// Where the node keeps what belongs to it.
    pub(super) fn dir(&self) -> &Path {
        self.kept.parent().unwrap_or_else(|| Path::new("."))
    }

    /// Its number in the tables.
    #[must_use]
    pub fn number(&self) -> i64 {
        self.number
    }

    /// Its name in checkpoints.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Keeps a checkpoint beside the store, so that a store that was set back is noticed.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn keep(&self, note: &str) -> io::Result<()> {
        use std::os::unix::fs::OpenOptionsExt;
        let new = self.kept.with_extension("new");
        let mut file =
            fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all(note.as_bytes())?;
        file.sync_data()?;
        fs::rename(new, &self.kept)
    }
}

/// What was seen of the log of this node outside the store.
struct Seen {
    /// The checkpoint in the data directory.
    known: Option<Checkpoint>,
    /// What the second sink says at its end.
    sink: Option<End>,
    /// The largest checkpoint of them, as it was signed.
    last: Option<(Checkpoint, String)>,
}

impl Seen {
    fn by(node: Node<'_>, kept: &Path, keys: &Keys) -> Result<Self, StoreError> {
        let note = read(kept)?;
        let known = note.as_ref().and_then(|note| Checkpoint::parse(note.text()).ok());
        let sink = node.sink.map(End::of).transpose()?.flatten();
        let beyond = sink.as_ref().and_then(|end| signed_by(end, keys)).filter(|(checkpoint, _)| {
            let known = known.as_ref();
            known.is_none_or(|known| known.origin == checkpoint.origin && known.size < checkpoint.size)
        });
        let last = beyond.or_else(|| known.clone().zip(note.map(|note| note.to_string())));
        Ok(Self { known, sink, last })
    }

    /// Whether the store has all of it.
    async fn stands_in(&self, store: &Store, log: &Log) -> Result<bool, StoreError> {
        if let Some(known) = &self.known
            && !log.has(store, known).await?
        {
            return Ok(false);
        }
        let Some((end, hash)) = self.sink.as_ref().and_then(|end| Some((end, end.last?))) else {
            return Ok(true);
        };
        if end.origin() != Some(&log.origin) || has_leaf(store, log.number, end.leaves, &hash).await? {
            return Ok(true);
        }
        tracing::error!(
            origin = log.origin,
            leaves = end.leaves,
            "the second sink has leaves that the store does not have: the store was set back, or the file was changed"
        );
        Ok(false)
    }
}

/// The last checkpoint of a second sink, if its log signed it with a key of ours.
fn signed_by(end: &End, keys: &Keys) -> Option<(Checkpoint, String)> {
    let signer = signer_of(end.origin()?, keys).ok()?;
    let (checkpoint, note) = Checkpoint::open(end.checkpoint.as_ref()?, signer.verifier()).ok()?;
    Some((checkpoint, note.to_string()))
}

pub(super) fn signer_of(origin: &str, keys: &Keys) -> Result<Signer, StoreError> {
    let wrong = |error: &dyn std::fmt::Display| StoreError::Ledger(error.to_string());
    let name = KeyName::parse(origin).map_err(|error| wrong(&error))?;
    let seed = keys.hmac("ledger-checkpoint", origin.as_bytes());
    Signer::of(name, Algorithm::Ed25519, &seed).map_err(|error| wrong(&error))
}

fn read(kept: &Path) -> Result<Option<Note>, StoreError> {
    let wrong = |why: &dyn std::fmt::Display| {
        StoreError::Ledger(format!("the checkpoint in `{}` cannot be read: {why}", kept.display()))
    };
    match fs::read_to_string(kept) {
        Ok(text) => Note::parse(&text).map(Some).map_err(|error| wrong(&error)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(wrong(&error)),
    }
}

const BEGIN: &str = "INSERT INTO logs (log, origin, verifier, continues, began_us) \
    SELECT COALESCE(MAX(log) + 1, 0), $1, $2, $3, $4 FROM logs RETURNING log";
const TRIES: u32 = 20;
