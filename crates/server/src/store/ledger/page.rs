//! Pages of the ledger, newest first, each beginning before a place in it.
//! The API shows them.

use countersign_core::ids::AccountId;

use super::read::{Entry, ReadError, entries};
use crate::store::{Keys, Store, Value};

/// Entries of everybody, or of one account, before an index.
///
/// # Errors
/// When the store cannot be read.
pub async fn page(
    store: &Store,
    keys: &Keys,
    only: Option<&AccountId>,
    before: Option<u64>,
    limit: u32,
) -> Result<Vec<Entry>, ReadError> {
    let before = before.and_then(|before| i64::try_from(before).ok()).unwrap_or(i64::MAX);
    let mut values = vec![Value::int(before), Value::int(i64::from(limit))];
    values.extend(only.map(|only| Value::text(only.as_str())));
    let rows = store.rows(if only.is_some() { OF_ONE } else { OF_ALL }, values).await?;
    entries(keys, rows).await
}

const OF_ALL: &str = "SELECT e.account_id, e.ref, e.idx, l.leaf, p.salt, p.sealed FROM leaves l \
    JOIN entries e ON e.idx = l.idx \
    LEFT JOIN payloads p ON p.account_id = e.account_id AND p.idx = e.idx \
    WHERE l.idx < $1 ORDER BY l.idx DESC LIMIT $2";
const OF_ONE: &str = "SELECT e.account_id, e.ref, e.idx, l.leaf, p.salt, p.sealed FROM entries e \
    JOIN leaves l ON l.idx = e.idx \
    LEFT JOIN payloads p ON p.account_id = e.account_id AND p.idx = e.idx \
    WHERE e.idx < $1 AND e.account_id = $3 ORDER BY e.idx DESC LIMIT $2";
