//! Nodes: who works on a store that several share. Each says every few seconds that it is there.
//! Boot beats and asks what a node left that is gone; limits that are shared ask how many there are.

use jiff::{SignedDuration, Timestamp};

use super::lease::later;
use super::{Store, StoreError, Value, Write};

/// Whose unfinished work is to be put right: that of a log's own node, and of nodes that are gone.
#[derive(Debug, Clone, Copy)]
pub struct Left {
    log: i64,
    alive_since: i64,
}

impl Left {
    /// What the node of a log finds when it starts, or looks again: whoever was not seen lately is gone. Of a
    /// store that nobody shares everything is ours.
    #[must_use]
    pub fn to(store: &Store, log: i64, now: Timestamp) -> Self {
        let alive_since = match store.is_shared() {
            true => later(now, -GONE).as_microsecond(),
            false => i64::MAX,
        };
        Self { log, alive_since }
    }

    /// What only nodes left that are gone.
    #[must_use]
    pub fn by_others(self) -> Self {
        Self { log: -1, ..self }
    }

    /// The log of the node that looks.
    pub(crate) fn log(self) -> i64 {
        self.log
    }

    pub(crate) fn values(self) -> Vec<Value> {
        vec![Value::Int(self.log), Value::Int(self.alive_since)]
    }
}

/// Says that the node of a log is there.
///
/// # Errors
/// When the store cannot be written.
pub async fn beat(store: &Store, log: i64, now: Timestamp) -> Result<(), StoreError> {
    let statement = "INSERT INTO nodes (log, started_us, seen_us) VALUES ($1, $2, $2) \
         ON CONFLICT (log) DO UPDATE SET seen_us = $2";
    store.change(&[Write::new(statement, vec![Value::Int(log), Value::time(now)])]).await
}

/// Says that the node of a log is gone: others need not wait until they miss it.
///
/// # Errors
/// When the store cannot be written.
pub async fn leave(store: &Store, log: i64) -> Result<(), StoreError> {
    store.change(&[Write::new("DELETE FROM nodes WHERE log = $1", vec![Value::Int(log)])]).await
}

/// How many nodes were seen lately, at least one: whoever asks.
///
/// # Errors
/// When the store cannot be read.
pub async fn alive(store: &Store, now: Timestamp) -> Result<u32, StoreError> {
    let seen = vec![Value::time(later(now, -GONE))];
    let row = store.row("SELECT COUNT(*) AS n FROM nodes WHERE seen_us >= $1", seen).await?;
    let count: i64 = row.map_or(Ok(0), |row| row.get("n"))?;
    Ok(u32::try_from(count).unwrap_or(u32::MAX).max(1))
}

/// How often a node says so.
pub const BEAT: SignedDuration = SignedDuration::from_secs(5);
/// Who was not seen for so long is gone. Longer than clocks of nodes may differ.
const GONE: SignedDuration = SignedDuration::from_secs(30);
