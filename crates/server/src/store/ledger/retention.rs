//! Retention: payloads whose days are over, some thousands at a time, oldest first. Their leaves stay.
//! The clock asks and makes each batch a command of its own.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

use super::insert::integer;
use super::log::Log;
use crate::store::lease::later;
use crate::store::{Store, StoreError, Value, Write};

/// Finds what is over in the logs that this node sees to. Cloning shares how far it has come.
#[derive(Clone)]
pub struct Retention {
    store: Store,
    own: i64,
    /// Of each log, before which leaf nothing is left.
    marks: Arc<Mutex<HashMap<i64, u64>>>,
}

/// Payloads that are over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expired {
    /// The name of their log.
    pub origin: String,
    /// Of which leaves, `to` not counted.
    pub from: u64,
    /// The leaf after the last.
    pub to: u64,
    /// How many there are.
    pub payloads: u64,
    /// What takes them away.
    pub writes: Vec<Write>,
}

impl Retention {
    /// For a node with this log.
    #[must_use]
    pub fn of(store: Store, log: &Log) -> Self {
        Self { store, own: log.number, marks: Arc::default() }
    }

    /// The next payloads of leaves from before a time.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn next(&self, before: Timestamp) -> Result<Option<Expired>, StoreError> {
        for row in self.store.rows("SELECT log, origin FROM logs ORDER BY log", vec![]).await? {
            let (log, origin): (i64, String) = (row.get("log")?, row.get("origin")?);
            if !self.sees_to(log, before).await? {
                continue;
            }
            let end = size_before(&self.store, log, before).await?;
            let mut from = self.marked().get(&log).copied().unwrap_or(0);
            while from < end {
                let to = end.min(from + BATCH);
                let range = [log, integer(from), integer(to)].map(Value::Int).to_vec();
                let row = self.store.row(COUNT, range.clone()).await?;
                let payloads = row.map_or(Ok(0), |row| row.get::<i64>("n"))?;
                if payloads > 0 {
                    let payloads = u64::try_from(payloads).unwrap_or(0);
                    return Ok(Some(Expired {
                        origin,
                        from,
                        to,
                        payloads,
                        writes: vec![Write::new(DELETE, range)],
                    }));
                }
                from = to;
                self.marked().insert(log, from);
            }
        }
        Ok(None)
    }

    /// Its own log, every log of a store of its own, and those to which nobody has added for long.
    async fn sees_to(&self, log: i64, before: Timestamp) -> Result<bool, StoreError> {
        if log == self.own || !self.store.is_shared() {
            return Ok(true);
        }
        let last = "SELECT at_us FROM heads WHERE log = $1 ORDER BY size DESC LIMIT 1";
        let last = self.store.row(last, vec![Value::Int(log)]).await?;
        let last = last.map(|row| row.get::<i64>("at_us")).transpose()?;
        Ok(last.is_some_and(|last| last < later(before, ABANDONED).as_microsecond()))
    }

    fn marked(&self) -> std::sync::MutexGuard<'_, HashMap<i64, u64>> {
        self.marks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many leaves of a log were recorded before a time. Heads are searched by halves: their times only rise.
pub(super) async fn size_before(store: &Store, log: i64, before: Timestamp) -> Result<u64, StoreError> {
    const AT: &str = "SELECT size, at_us FROM heads WHERE log = $1 AND size >= $2 ORDER BY size LIMIT 1";
    const LAST: &str = "SELECT size FROM heads WHERE log = $1 ORDER BY size DESC LIMIT 1";
    let Some(last) = store.row(LAST, vec![Value::Int(log)]).await? else { return Ok(0) };
    let (mut known, mut open) = (0, last.get::<i64>("size")?);
    while known < open {
        let middle = known + (open - known + 1) / 2;
        let Some(row) = store.row(AT, vec![Value::Int(log), Value::Int(middle)]).await? else {
            break;
        };
        match row.get::<i64>("at_us")? < before.as_microsecond() {
            true => known = row.get("size")?,
            false => open = middle - 1,
        }
    }
    Ok(u64::try_from(known).unwrap_or(0))
}

const BATCH: u64 = 4096;
/// Counted from the time before which payloads are over.
const ABANDONED: SignedDuration = SignedDuration::from_hours(24);
const COUNT: &str = "SELECT COUNT(*) AS n FROM entries e \
    JOIN payloads p ON p.account_id = e.account_id AND p.log = e.log AND p.idx = e.idx \
    WHERE e.log = $1 AND e.idx >= $2 AND e.idx < $3";
const DELETE: &str = "DELETE FROM payloads WHERE (account_id, log, idx) IN \
    (SELECT account_id, log, idx FROM entries WHERE log = $1 AND idx >= $2 AND idx < $3)";

#[cfg(test)]
mod tests;
