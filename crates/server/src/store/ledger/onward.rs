//! Onward through the ledger: the entries of a log from a time on, oldest first, in pieces.
//! `policy whatif` reads so: what it has seen it need not keep.

use jiff::Timestamp;

use super::insert::integer;
use super::logs::Known;
use super::read::{Entry, ReadError, entries};
use super::retention::size_before;
use crate::store::{Keys, Store, Value};

/// A place in a log from which to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Start {
    log: i64,
    index: i64,
}

impl Start {
    /// At the first entry of a log.
    #[must_use]
    pub fn of(log: &Known) -> Self {
        Self { log: log.number(), index: 0 }
    }
}

/// Where to begin in each log to meet every entry from a time on; the first ones may be earlier. A log whose
/// entries are all earlier is left out.
///
/// # Errors
/// When the store cannot be read.
pub async fn starts(store: &Store, since: Timestamp) -> Result<Vec<Start>, ReadError> {
    let mut starts = Vec::new();
    for row in store.rows(LOGS, vec![]).await? {
        let (log, size): (i64, i64) = (row.get("log")?, row.get("size")?);
        let index = integer(size_before(store, log, since).await?);
        if index < size {
            starts.push(Start { log, index });
        }
    }
    Ok(starts)
}

/// Some entries, oldest first, and where to go on; nowhere at the end.
///
/// # Errors
/// When the store cannot be read, or an entry is damaged.
pub async fn onward(
    store: &Store,
    keys: &Keys,
    start: Start,
    limit: u32,
) -> Result<(Vec<Entry>, Option<Start>), ReadError> {
    let values = [start.log, start.index, i64::from(limit)].map(Value::int).to_vec();
    let some = entries(keys, store.rows(ONWARD, values).await?).await?;
    let next = some.last().and_then(|last| i64::try_from(last.index).ok()?.checked_add(1));
    Ok((some, next.map(|index| Start { index, ..start })))
}

const LOGS: &str = "SELECT l.log, COALESCE((SELECT h.size FROM heads h WHERE h.log = l.log \
    ORDER BY h.size DESC LIMIT 1), 0) AS size FROM logs l ORDER BY l.log";
const ONWARD: &str = "SELECT e.account_id, e.ref, e.log, e.idx, l.leaf, p.salt, p.sealed FROM leaves l \
    JOIN entries e ON e.log = l.log AND e.idx = l.idx \
    LEFT JOIN payloads p ON p.account_id = e.account_id AND p.log = e.log AND p.idx = e.idx \
    WHERE l.log = $1 AND l.idx >= $2 ORDER BY l.idx LIMIT $3";
