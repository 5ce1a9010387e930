//! Exports: a log up to its last checkpoint, written as the file that convinces a stranger.
//! `ledger export` calls it and says where the lines go.

use std::borrow::Cow;
use std::io;

use countersign_core::ids::AccountId;
use countersign_core::ledger::export::{Continued, Header, Payload, Writer};
use countersign_core::ledger::{Checkpoint, Leaf, Note};

use super::log::signer_of;
use super::logs::{Known, LogError};
use super::payload;
use crate::seal::SealError;
use crate::store::{Keys, Row, Store, StoreError, Transaction, Value};

/// What was written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Exported {
    /// How many leaves.
    pub leaves: u64,
    /// How many payloads with them.
    pub payloads: u64,
}

/// Writes a log up to its last checkpoint; `withhold` leaves the payloads out. `out` gets some lines at a time.
///
/// # Errors
/// When there is no checkpoint yet, the store cannot be read or does not add up, or `out` fails.
pub async fn export(
    store: &Store,
    keys: &Keys,
    log: &Known,
    withhold: bool,
    out: &mut impl FnMut(&[u8]) -> io::Result<()>,
) -> Result<Exported, ExportError> {
    let mut snapshot = store.snapshot().await?;
    let head = log.head_in(&mut snapshot).await?;
    let head = head.ok_or_else(|| LogError::NoCheckpoint(log.origin.clone()))?;
    let mut lines = Vec::new();
    let mut writer = Writer::begin(header(log, keys)?, &mut lines);
    let mut done = Exported::default();
    let mut signed = 0;
    let cosigned = snapshot.row(COSIGNED, vec![Value::text(&log.origin)]).await?;
    let cosigned = cosigned.map_or(Ok(0), |row| row.get::<i64>("size"))?;
    let cosigned = u64::try_from(cosigned).unwrap_or(0).min(head.size);
    while done.leaves < head.size {
        // Up to the one that a witness has cosigned, which is worth having in the file.
        let to = if done.leaves < cosigned { cosigned } else { head.size };
        let page = page(&mut snapshot, log.number, done.leaves, to).await?;
        if page.is_empty() {
            return Err(ExportError::Broken(done.leaves, "it is missing"));
        }
        for row in &page {
            let (leaf, payload) = entry(row, keys, done.leaves, withhold).await?;
            done.payloads += u64::from(matches!(payload, Payload::Opened { .. }));
            writer.leaf(&leaf, payload, &mut lines);
            done.leaves += 1;
        }
        // Checkpoints stand between pages, so there are never many of them.
        let due = done.leaves >= signed + INTERVAL || done.leaves == cosigned;
        if due && let Some(note) = at(&mut snapshot, log.number, done.leaves).await? {
            writer.checkpoint(&note, &mut lines);
            signed = done.leaves;
        }
        out(&lines)?;
        lines.clear();
    }
    // What is signed now is what was signed and kept then.
    if writer.head() != (head.size, head.root) {
        return Err(ExportError::Broken(
            head.size,
            "the root over the leaves before it is not the signed one",
        ));
    }
    writer
        .close(&signer_of(&log.origin, keys)?, &mut lines)
        .map_err(|error| StoreError::Ledger(error.to_string()))?;
    out(&lines)?;
    Ok(done)
}

/// The header of a file of a log.
pub(super) fn header(log: &Known, keys: &Keys) -> Result<Header, StoreError> {
    let wrong = |error: &dyn std::fmt::Display| StoreError::Ledger(error.to_string());
    let continues = match &log.continues {
        None => None,
        Some(note) => {
            let text = Note::parse(note).map_err(|error| wrong(&error))?;
            let before = Checkpoint::parse(text.text()).map_err(|error| wrong(&error))?;
            let key = signer_of(&before.origin, keys)?.verifier().clone();
            // A log of another root key is not ours to vouch for.
            let ours = text.verify(&key).is_ok();
            ours.then(|| Continued { note: note.clone(), key: key.to_string() })
        }
    };
    Ok(Header { v: 1, origin: log.origin.clone(), key: log.key.to_string(), from: 0, continues })
}

/// The leaves from one on, up to a checkpoint at which an interval ends.
async fn page(snapshot: &mut Transaction, log: i64, from: u64, to: u64) -> Result<Vec<Row>, StoreError> {
    let integer = |value: u64| Value::Int(i64::try_from(value).unwrap_or(i64::MAX));
    let end = snapshot.row(NEXT, vec![Value::Int(log), integer(from.saturating_add(INTERVAL))]).await?;
    let end = end.map(|row| row.get::<i64>("size")).transpose()?;
    let end = end.and_then(|end| u64::try_from(end).ok()).map_or(to, |end| end.min(to));
    // A page stays small, however far the next checkpoint is.
    let end = end.min(from.saturating_add(2 * INTERVAL));
    snapshot.rows(PAGE, vec![Value::Int(log), integer(from), integer(end)]).await
}

/// The checkpoint at this size.
async fn at(snapshot: &mut Transaction, log: i64, size: u64) -> Result<Option<Note>, StoreError> {
    let size = i64::try_from(size).unwrap_or(i64::MAX);
    let Some(row) = snapshot.row(AT, vec![Value::Int(log), Value::Int(size)]).await? else { return Ok(None) };
    let note = Note::parse(&row.get::<String>("note")?);
    note.map(Some).map_err(|error| StoreError::Ledger(error.to_string()))
}

async fn entry(
    row: &Row,
    keys: &Keys,
    index: u64,
    withhold: bool,
) -> Result<([u8; Leaf::LENGTH], Payload<'static>), ExportError> {
    let broken = |what| ExportError::Broken(index, what);
    if u64::try_from(row.get::<i64>("idx")?) != Ok(index) {
        return Err(broken("it is missing"));
    }
    let octets: Vec<u8> = row.get("leaf")?;
    let leaf = Leaf::decode(&octets).map_err(|_| broken("it is no leaf"))?;
    let octets = octets.try_into().map_err(|_| broken("it is no leaf"))?;
    let (salt, sealed): (Option<Vec<u8>>, Option<Vec<u8>>) = (row.get("salt")?, row.get("sealed")?);
    let (Some(salt), Some(sealed)) = (salt, sealed) else { return Ok((octets, Payload::Erased)) };
    let account: String =
        row.get::<Option<String>>("account_id")?.ok_or_else(|| broken("it has no entry"))?;
    let account = AccountId::parse(&account).map_err(|_| broken("its entry names no account"))?;
    let Some(key) = keys.by_id(&account, &leaf.key_id).await? else { return Ok((octets, Payload::Erased)) };
    if withhold {
        return Ok((octets, Payload::Withheld));
    }
    let text = payload::text(&key, &account, &leaf, &salt, &sealed).map_err(broken)?;
    let salt = salt.try_into().map_err(|_| broken("its salt has another length"))?;
    Ok((octets, Payload::Opened { salt, text: Cow::Owned(text) }))
}

/// Why there is no export.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The ledger is not what was recorded.
    #[error("the ledger is broken at leaf {0}: {1} (`countersign ledger verify` looks at all of it)")]
    Broken(u64, &'static str),
    /// There is no such log, or nothing was signed yet.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A key is not to be had.
    #[error(transparent)]
    Key(#[from] SealError),
    /// The lines cannot be written.
    #[error("the export cannot be written: {0}")]
    Out(#[from] io::Error),
}

/// Leaves from one checkpoint in a file to the next, at least.
const INTERVAL: u64 = 4096;
const NEXT: &str = "SELECT size FROM checkpoints WHERE log = $1 AND size >= $2 ORDER BY size LIMIT 1";
const COSIGNED: &str = "SELECT size FROM witnessed WHERE origin = $1";
const AT: &str = "SELECT note FROM checkpoints WHERE log = $1 AND size = $2";
const PAGE: &str = "SELECT l.idx, l.leaf, e.account_id, p.salt, p.sealed FROM leaves l \
    LEFT JOIN entries e ON e.log = l.log AND e.idx = l.idx \
    LEFT JOIN payloads p ON p.account_id = e.account_id AND p.log = e.log AND p.idx = e.idx \
    WHERE l.log = $1 AND l.idx >= $2 AND l.idx < $3 ORDER BY l.idx";
