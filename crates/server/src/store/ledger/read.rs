//! Reading the ledger: the entries of a ref, or the latest ones, with their payloads opened.
//! `explain`, `ledger tail` and the pages of rulings call it.

use countersign_core::ids::{AccountId, Ref};
use countersign_core::ledger::{Kind, Leaf};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::payload;
use crate::seal::SealError;
use crate::store::Keys;
use crate::store::{Row, Store, StoreError, Value as Cell};

/// One entry of the ledger.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The account it is about.
    pub account: AccountId,
    /// The id of its ruling.
    pub reference: Ref,
    /// What kind of entry.
    pub kind: Kind,
    /// The number of its log.
    pub log: i64,
    /// Its place in the log, from 0.
    pub index: u64,
    /// When it was recorded.
    pub at: Timestamp,
    /// What it says.
    pub payload: Payload,
}

/// What an entry says.
#[derive(Debug, Clone, PartialEq)]
pub enum Payload {
    /// The JSON that was recorded.
    Opened(Value),
    /// It was erased; that there was an entry stays.
    Erased,
}

impl Entry {
    /// The entry as `explain --json` prints it; an erased payload is null.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let kind = match self.kind {
            Kind::Ruling => "ruling",
            Kind::Outcome => "outcome",
            Kind::Command => "command",
        };
        let payload = match &self.payload {
            Payload::Opened(value) => value.clone(),
            Payload::Erased => Value::Null,
        };
        json!({
            "ref": self.reference, "account": self.account, "kind": kind, "log": self.log, "idx": self.index, "at": self.at, "payload": payload,
        })
    }
}

/// Every entry of a ref, oldest first: the ruling, then what became of it. Refs are unique within an
/// account; if two accounts have the same, the entries of both are found.
pub async fn find(store: &Store, keys: &Keys, reference: Ref) -> Result<Vec<Entry>, ReadError> {
    let rows = store.rows(BY_REF, vec![Cell::text(reference.as_str())]).await?;
    entries(keys, rows).await
}

/// The latest entries of all logs, newest first.
pub async fn recent(store: &Store, keys: &Keys, limit: u32) -> Result<Vec<Entry>, ReadError> {
    let mut latest = Vec::new();
    for log in store.rows("SELECT log FROM logs ORDER BY log", vec![]).await? {
        let rows = store.rows(RECENT, vec![Cell::Int(log.get("log")?), Cell::int(i64::from(limit))]).await?;
        latest.extend(entries(keys, rows).await?);
    }
    // Each log is newest first already; those of several are merged by time.
    latest.sort_by_key(|entry: &Entry| std::cmp::Reverse((entry.at, entry.index)));
    latest.truncate(limit.try_into().unwrap_or(usize::MAX));
    Ok(latest)
}

pub(super) async fn entries(keys: &Keys, rows: Vec<Row>) -> Result<Vec<Entry>, ReadError> {
    let mut entries = Vec::with_capacity(rows.len());
    for row in rows {
        entries.push(entry(keys, &row).await?);
    }
    Ok(entries)
}

async fn entry(keys: &Keys, row: &Row) -> Result<Entry, ReadError> {
    let (log, index): (i64, i64) = (row.get("log")?, row.get("idx")?);
    let damaged = |what| ReadError::Damaged { index, what };
    let account: String = row.get("account_id")?;
    let account = AccountId::parse(&account).map_err(|_| damaged("its account is none"))?;
    let reference: String = row.get("ref")?;
    let reference = Ref::parse(&reference).map_err(|_| damaged("its ref is none"))?;
    let leaf: Vec<u8> = row.get("leaf")?;
    let leaf = Leaf::decode(&leaf).map_err(|_| damaged("its leaf cannot be read"))?;
    let salt: Option<Vec<u8>> = row.get("salt")?;
    let sealed: Option<Vec<u8>> = row.get("sealed")?;
    let payload = match (salt, sealed, keys.by_id(&account, &leaf.key_id).await?) {
        (Some(salt), Some(sealed), Some(key)) => {
            Payload::Opened(payload::open(&key, &account, &leaf, &salt, &sealed).map_err(damaged)?)
        }
        _ => Payload::Erased,
    };
    let at = Timestamp::from_microsecond(leaf.time_us).map_err(|_| damaged("its time is none"))?;
    let index = u64::try_from(index).map_err(|_| damaged("its index is none"))?;
    Ok(Entry { account, reference, kind: leaf.kind, log, index, at, payload })
}

/// Why entries are not read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A key is not to be had.
    #[error(transparent)]
    Key(#[from] SealError),
    /// An entry is not what was recorded.
    #[error(
        "entry {index} of the ledger is damaged: {what} (`countersign ledger verify` looks at all of them)"
    )]
    Damaged {
        /// Which.
        index: i64,
        /// What is wrong.
        what: &'static str,
    },
}

const BY_REF: &str = "SELECT e.account_id, e.ref, e.log, e.idx, l.leaf, p.salt, p.sealed FROM entries e \
    JOIN leaves l ON l.log = e.log AND l.idx = e.idx \
    LEFT JOIN payloads p ON p.account_id = e.account_id AND p.log = e.log AND p.idx = e.idx \
    WHERE e.ref = $1 ORDER BY e.at_us, e.log, e.idx";
const RECENT: &str = "SELECT e.account_id, e.ref, e.log, e.idx, l.leaf, p.salt, p.sealed FROM leaves l \
    JOIN entries e ON e.log = l.log AND e.idx = l.idx \
    LEFT JOIN payloads p ON p.account_id = e.account_id AND p.log = e.log AND p.idx = e.idx \
    WHERE l.log = $1 ORDER BY l.idx DESC LIMIT $2";
