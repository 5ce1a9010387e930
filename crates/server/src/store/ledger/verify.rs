//! Verifying: every leaf, chain, root, tile, checkpoint and commitment computed anew and held against the store.
//! `ledger verify` calls it; it reads one snapshot in pages and keeps only the ends of the chains.

mod opening;
mod walk;

use std::fmt;

use countersign_core::ledger::Hash;

use self::walk::{Walk, count};
use crate::seal::SealError;
use crate::store::Keys;
use crate::store::{Store, StoreError, Transaction, Value};

#[cfg(test)]
mod tests;

/// What was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Each log; all of its leaves are as they were recorded.
    pub logs: Vec<LogReport>,
    /// How many payloads were opened and held against their leaf.
    pub payloads_checked: u64,
    /// How many payloads were erased.
    pub payloads_erased: u64,
}

/// What was verified of one log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogReport {
    /// Its name.
    pub origin: String,
    /// How many leaves it has.
    pub leaves: u64,
    /// The root over them. Only against one that was kept elsewhere is a log seen to be cut short.
    pub root: Hash,
    /// How many stored roots were computed anew.
    pub heads: u64,
    /// How many checkpoints were held against them.
    pub checkpoints: u64,
}

impl Report {
    /// How many leaves there are in all logs.
    #[must_use]
    pub fn leaves(&self) -> u64 {
        self.logs.iter().map(|log| log.leaves).sum()
    }

    /// How many stored roots of all logs were computed anew.
    #[must_use]
    pub fn heads(&self) -> u64 {
        self.logs.iter().map(|log| log.heads).sum()
    }
}

/// Verifies every log of a store; without keys, all but the payloads and what only they tell. `progress` is
/// told how many leaves of how many are done.
pub async fn verify(
    store: &Store,
    keys: Option<&Keys>,
    mut progress: impl FnMut(u64, u64),
) -> Result<Report, VerifyError> {
    if let Some(keys) = keys {
        keys.check().await?;
    }
    let mut snapshot = store.snapshot().await?;
    // For who watches; whether it is so is what is found out.
    let sizes = snapshot.rows("SELECT MAX(size) AS size FROM heads GROUP BY log", vec![]).await?;
    let sizes = sizes.iter().filter_map(|row| u64::try_from(row.get::<i64>("size").ok()?).ok());
    let total = sizes.fold(0, u64::saturating_add);
    let mut numbers = Vec::new();
    let mut report = Report { logs: Vec::new(), payloads_checked: 0, payloads_erased: 0 };
    for row in snapshot.rows("SELECT log, origin, verifier FROM logs ORDER BY log", vec![]).await? {
        let before = report.leaves();
        numbers.extend(row.get::<i64>("log").ok());
        let mut walk = Walk::of(&row, keys)?;
        walk.all(&mut snapshot, |done| progress(before + done, total)).await?;
        report.payloads_checked += walk.checked;
        report.payloads_erased += walk.erased;
        report.logs.push(walk.report());
    }
    nothing_else(&mut snapshot, &numbers).await?;
    Ok(report)
}

/// Rows of a log that is not there hide something. They are looked for between those that are, so that no table is
/// read as a whole.
async fn nothing_else(snapshot: &mut Transaction, numbers: &[i64]) -> Result<(), VerifyError> {
    let first = std::iter::once(Some(i64::MIN)).chain(numbers.iter().map(|number| number.checked_add(1)));
    let last = numbers.iter().map(|number| number.checked_sub(1)).chain(std::iter::once(Some(i64::MAX)));
    for (first, last) in first.zip(last).filter_map(|(first, last)| first.zip(last)) {
        for (statement, what) in BETWEEN {
            let between = vec![Value::Int(first), Value::Int(last)];
            if snapshot.row(*statement, between).await?.is_some() {
                return Err(Broken::whole(*what).into());
            }
        }
    }
    match count(snapshot, CHAINS, vec![]).await? {
        0 => Ok(()),
        _ => Err(Broken::whole("chains stand in no log").into()),
    }
}

/// Why a ledger does not verify.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// It is not what was recorded.
    #[error(transparent)]
    Broken(#[from] Broken),
    /// It cannot be read, so nothing is said about it.
    #[error(transparent)]
    Unreadable(#[from] StoreError),
    /// A key is not to be had, so nothing is said about it.
    #[error(transparent)]
    Key(SealError),
}

/// What is wrong with a ledger, and where first.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Broken {
    /// The origin of the log.
    pub log: Option<String>,
    /// The first bad leaf; `None` when it is no leaf that is bad.
    pub index: Option<u64>,
    /// What is wrong with it.
    pub what: String,
}

impl Broken {
    fn whole(what: impl Into<String>) -> Self {
        Self { log: None, index: None, what: what.into() }
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.index {
            Some(index) => write!(f, "the ledger is broken at leaf {index}: {}", self.what)?,
            None => write!(f, "the ledger is broken: {}", self.what)?,
        }
        self.log.iter().try_for_each(|log| write!(f, " (log `{log}`)"))
    }
}

impl From<SealError> for VerifyError {
    fn from(error: SealError) -> Self {
        match error {
            SealError::Store { .. } | SealError::Random => Self::Key(error),
            SealError::Broken | SealError::Root { .. } => Self::Broken(Broken::whole(error.to_string())),
        }
    }
}

const BETWEEN: &[(&str, &str)] = &[
    ("SELECT log FROM leaves WHERE log >= $1 AND log <= $2 LIMIT 1", "leaves stand in no log"),
    ("SELECT log FROM entries WHERE log >= $1 AND log <= $2 LIMIT 1", "entries stand in no log"),
    ("SELECT log FROM payloads WHERE log >= $1 AND log <= $2 LIMIT 1", "payloads stand in no log"),
    ("SELECT log FROM heads WHERE log >= $1 AND log <= $2 LIMIT 1", "heads stand in no log"),
    ("SELECT log FROM tiles WHERE log >= $1 AND log <= $2 LIMIT 1", "tiles stand in no log"),
    ("SELECT log FROM checkpoints WHERE log >= $1 AND log <= $2 LIMIT 1", "checkpoints stand in no log"),
];
const CHAINS: &str = "SELECT COUNT(*) AS n FROM chains WHERE log NOT IN (SELECT log FROM logs)";
