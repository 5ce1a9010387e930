//! The logs of a store, as whoever reads them asks for them: by name, or the only one, or that of this node.
//! `ledger head`, `export` and `verify --head` call it.

use std::path::Path;

use countersign_core::ledger::export::Header;
use countersign_core::ledger::{Checkpoint, Hash, Note, VerifierKey};

use super::nodes::Nodes;
use crate::store::{Row, Store, StoreError, Transaction, Value};

/// A log, to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    pub(super) number: i64,
    /// Its name in checkpoints.
    pub origin: String,
    /// What its checkpoints are verified with.
    pub key: VerifierKey,
    /// The last checkpoint of the log that it goes on from.
    pub continues: Option<String>,
}

impl Known {
    /// All logs, in the order of their beginning.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn all(store: &Store) -> Result<Vec<Self>, StoreError> {
        store.rows(ALL, vec![]).await?.iter().map(Self::of).collect()
    }

    /// The log with this name; without one the only log there is, or that of the node with this directory.
    ///
    /// # Errors
    /// When there is none or it is not clear which.
    pub async fn named(store: &Store, origin: Option<&str>, dir: &Path) -> Result<Self, LogError> {
        let mut logs = Self::all(store).await?;
        let own = || {
            let note = std::fs::read_to_string(dir.join("checkpoint")).ok()?;
            Some(Checkpoint::parse(Note::parse(&note).ok()?.text()).ok()?.origin)
        };
        let wanted = match (origin, logs.len()) {
            (Some(origin), _) => Some(origin.to_owned()),
            (None, 0 | 1) => None,
            (None, _) => Some(own().ok_or_else(|| LogError::Which(names(&logs)))?),
        };
        let place = match &wanted {
            Some(origin) => logs.iter().position(|log| log.origin == *origin),
            None => logs.len().checked_sub(1),
        };
        match (place, wanted) {
            (Some(place), _) => Ok(logs.swap_remove(place)),
            (None, Some(origin)) => Err(LogError::Unknown { origin, known: names(&logs) }),
            (None, None) => Err(LogError::Empty),
        }
    }

    /// Its number, as entries name it.
    #[must_use]
    pub fn number(&self) -> i64 {
        self.number
    }

    fn of(row: &Row) -> Result<Self, StoreError> {
        let key = VerifierKey::parse(&row.get::<String>("verifier")?);
        let key = key.map_err(|error| StoreError::Ledger(error.to_string()))?;
        let (number, origin) = (row.get("log")?, row.get("origin")?);
        Ok(Self { number, origin, key, continues: row.get("continues")? })
    }

    /// Its last checkpoint, as it was signed.
    ///
    /// # Errors
    /// When there is none yet, or the store cannot be read.
    pub async fn head(&self, store: &Store) -> Result<String, LogError> {
        let row = store.row(HEAD, vec![Value::Int(self.number)]).await?;
        let note = row.map(|row| row.get::<String>("note")).transpose()?;
        note.ok_or_else(|| LogError::NoCheckpoint(self.origin.clone()))
    }

    pub(super) async fn head_in(&self, snapshot: &mut Transaction) -> Result<Option<Checkpoint>, StoreError> {
        let Some(row) = snapshot.row(HEAD, vec![Value::Int(self.number)]).await? else { return Ok(None) };
        let opened = Checkpoint::open(&row.get::<String>("note")?, &self.key);
        opened.map(|(checkpoint, _)| Some(checkpoint)).map_err(|error| StoreError::Ledger(error.to_string()))
    }
}

/// Holds a checkpoint that was kept elsewhere against the store: the size of it, if the store begins with it.
///
/// # Errors
/// When it is of none of its logs or not signed by it, or when the log has another tree or ends before.
pub async fn hold_against(store: &Store, note: &str) -> Result<u64, LogError> {
    let unreadable = |error: &dyn std::fmt::Display| LogError::Unreadable(error.to_string());
    let text = Note::parse(note).map_err(|error| unreadable(&error))?;
    let claimed = Checkpoint::parse(text.text()).map_err(|error| unreadable(&error))?;
    let logs = Known::all(store).await?;
    let Some(log) = logs.iter().find(|log| log.origin == claimed.origin) else {
        return Err(LogError::Gone { origin: claimed.origin, known: names(&logs) });
    };
    let (kept, _) = Checkpoint::open(note, &log.key).map_err(|error| LogError::NotOurs(error.to_string()))?;
    let mut snapshot = store.snapshot().await?;
    let leaves = snapshot.row(SIZE, vec![Value::Int(log.number)]).await?;
    let leaves = leaves.map_or(Ok(0), |row| row.get::<i64>("size"))?;
    if i64::try_from(kept.size).is_ok_and(|size| size > leaves) {
        return Err(LogError::Short { origin: log.origin.clone(), leaves, kept: kept.size });
    }
    let root: Hash = Nodes::of(&mut snapshot, log.number, kept.size).root().await?;
    match root == kept.root {
        true => Ok(kept.size),
        false => Err(LogError::Other { origin: log.origin.clone(), kept: kept.size }),
    }
}

/// Holds a file of a log, which was verified, against the store: the store must begin with its leaves.
///
/// # Errors
/// When it is of none of its logs, or when the log has another tree or ends before.
pub async fn begins_with(store: &Store, header: &Header, (size, root): (u64, Hash)) -> Result<(), LogError> {
    let logs = Known::all(store).await?;
    let Some(log) = logs.iter().find(|log| log.origin == header.origin) else {
        return Err(LogError::Gone { origin: header.origin.clone(), known: names(&logs) });
    };
    if log.key.to_string() != header.key {
        return Err(LogError::NotOurs(format!("it names the key `{}`", header.key)));
    }
    let mut snapshot = store.snapshot().await?;
    let leaves = snapshot.row(SIZE, vec![Value::Int(log.number)]).await?;
    let leaves = leaves.map_or(Ok(0), |row| row.get::<i64>("size"))?;
    if i64::try_from(size).is_ok_and(|size| size > leaves) {
        return Err(LogError::Short { origin: log.origin.clone(), leaves, kept: size });
    }
    match size == 0 || Nodes::of(&mut snapshot, log.number, size).root().await? == root {
        true => Ok(()),
        false => Err(LogError::Other { origin: log.origin.clone(), kept: size }),
    }
}

fn names(logs: &[Known]) -> String {
    logs.iter().map(|log| format!("`{}`", log.origin)).collect::<Vec<_>>().join(", ")
}

/// Why a log is not found, or is not the one that it was.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The store has no log.
    #[error("the store has no log yet: one begins when `countersign serve` starts")]
    Empty,
    /// There are several.
    #[error("the store has several logs: name one with --log ({0})")]
    Which(String),
    /// None has this name.
    #[error("the store has no log `{origin}`, but {known}")]
    Unknown {
        /// The name asked for.
        origin: String,
        /// Those there are.
        known: String,
    },
    /// Nothing was signed yet.
    #[error("log `{0}` has no checkpoint yet: one is signed each second while its server runs")]
    NoCheckpoint(String),
    /// No witness has cosigned it.
    #[error("no witness has cosigned a checkpoint of log `{0}` yet ([[ledger.witnesses]] names some)")]
    NotWitnessed(String),
    /// What was kept is no checkpoint.
    #[error("what was kept is no checkpoint: {0}")]
    Unreadable(String),
    /// The log of the checkpoint is not in the store.
    #[error("the checkpoint is of log `{origin}`, which the store does not have (it has {known})")]
    Gone {
        /// The log.
        origin: String,
        /// Those there are.
        known: String,
    },
    /// The log of the checkpoint has another key now, or never signed it.
    #[error("the checkpoint is not signed with the key of its log: {0}")]
    NotOurs(String),
    /// The log was cut, or the store was set back.
    #[error("log `{origin}` has {leaves} leaves, but the checkpoint counts {kept}: its end is missing")]
    Short {
        /// The log.
        origin: String,
        /// How many leaves it has.
        leaves: i64,
        /// How many it had.
        kept: u64,
    },
    /// The log has another history.
    #[error("log `{origin}` does not begin with the {kept} leaves of the checkpoint: it was written anew")]
    Other {
        /// The log.
        origin: String,
        /// How many leaves the checkpoint counts.
        kept: u64,
    },
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl LogError {
    /// Whether it says that the ledger is not what it was.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        matches!(self, Self::Short { .. } | Self::Other { .. } | Self::Gone { .. } | Self::NotOurs(_))
    }
}

const ALL: &str = "SELECT log, origin, verifier, continues FROM logs ORDER BY log";
const HEAD: &str = "SELECT note FROM checkpoints WHERE log = $1 ORDER BY size DESC LIMIT 1";
const SIZE: &str = "SELECT size FROM heads WHERE log = $1 ORDER BY size DESC LIMIT 1";
