//! What can be seen of a log from outside its server: how its second sink stands to the store, and what a witness would
//! be asked about it. `doctor` looks; nothing is changed.

use std::path::Path;

use countersign_core::ledger::Note;
use countersign_core::ledger::witness::Request;

use super::cosigned::own;
use super::logs::{Known, LogError};
use super::sink::{End, has_leaf};
use crate::store::{Store, StoreError, Value};

/// How the second sink stands to the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sight {
    /// Its log; `None` when its first line is not whole.
    pub origin: Option<String>,
    /// How many leaves it has.
    pub leaves: u64,
    /// How many the store has of that log.
    pub stored: u64,
    /// Whether the store has the last leaf of the file.
    pub stands: bool,
}

/// Looks at a second sink; `None` when there is no file.
///
/// # Errors
/// When file or store cannot be read.
pub async fn sight(store: &Store, file: &Path) -> Result<Option<Sight>, StoreError> {
    // The file first: the store has whatever it has, and goes on meanwhile.
    let Some(end) = End::of(file)? else { return Ok(None) };
    let (origin, leaves) = (end.origin().map(str::to_owned), end.leaves);
    let Some(log) = Known::all(store).await?.into_iter().find(|log| Some(&log.origin) == origin.as_ref())
    else {
        return Ok(Some(Sight { stands: origin.is_none(), origin, leaves, stored: 0 }));
    };
    let row = store.row(SIZE, vec![Value::Int(log.number)]).await?;
    let stored = row.map(|row| row.get::<i64>("size")).transpose()?.unwrap_or(0);
    let stands = match &end.last {
        Some(hash) => has_leaf(store, log.number, leaves, hash).await?,
        None => true,
    };
    Ok(Some(Sight { origin, leaves, stored: u64::try_from(stored).unwrap_or(0), stands }))
}

/// What asks a witness whether it has cosigned the last checkpoint of a log; one that has not says what it has, and
/// remembers nothing new.
///
/// # Errors
/// When there is no checkpoint yet, or the store cannot be read.
pub async fn question(store: &Store, log: &Known) -> Result<Request, LogError> {
    let wrong = |error: &dyn std::fmt::Display| LogError::Unreadable(error.to_string());
    let note = Note::parse(&log.head(store).await?).map_err(|error| wrong(&error))?;
    let note = own(&note, |signature| log.key.claims(signature))?;
    let asked = Request::of(0, Vec::new(), note).map_err(|error| wrong(&error))?;
    Ok(Request { old: asked.checkpoint.size, ..asked })
}

const SIZE: &str = "SELECT size FROM heads WHERE log = $1 ORDER BY size DESC LIMIT 1";
