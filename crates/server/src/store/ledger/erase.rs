//! Erasure: the rows that hold what was said, of a ref or of an account. Leaves, and what they promise, stay.
//! The control door plans it; the committer deletes the rows together with the leaf of the command.

use countersign_core::ids::{AccountId, Ref};

use crate::store::{Store, StoreError, Value, Write};

/// What an erasure takes away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erasure {
    /// Whose entries they are.
    pub account: AccountId,
    /// How many payloads.
    pub payloads: u64,
    /// The rows.
    pub writes: Vec<Write>,
}

/// Every payload of a ref that is still there: of its ruling and of what became of it. `None` when there is no such
/// ref. Refs are unique within an account; of two accounts with the same, both are meant.
///
/// # Errors
/// When the store cannot be read.
pub async fn erase_reference(store: &Store, reference: Ref) -> Result<Option<Erasure>, StoreError> {
    let rows = store.rows(OF_REF, vec![Value::text(reference.as_str())]).await?;
    let Some(first) = rows.first() else { return Ok(None) };
    let mut writes = Vec::new();
    for row in &rows {
        if row.get::<Option<i64>>("there")?.is_some() {
            let account = Value::text(row.get::<String>("account_id")?);
            let place = [row.get::<i64>("log")?, row.get::<i64>("idx")?].map(Value::Int);
            // Whoever erases it at the same time was faster: then this one has nothing to record.
            writes.push(Write::new(ONE, [account].into_iter().chain(place).collect()).rows(1));
        }
    }
    let account = first.get::<String>("account_id")?;
    let account = AccountId::parse(&account).map_err(|error| StoreError::Damaged(error.to_string()))?;
    let payloads = writes.len() as u64;
    writes.push(Write::new(SENDER_OF_REF, vec![Value::text(reference.as_str())]));
    Ok(Some(Erasure { account, payloads, writes }))
}

/// Every payload of an account, and with `and_key` what opens them in any copy: then nothing that was sealed for the
/// account opens any more, so nothing of it may be held or on its way.
///
/// # Errors
/// When the store cannot be read.
pub async fn erase_account(store: &Store, account: &AccountId, and_key: bool) -> Result<Erasure, StoreError> {
    let id = || vec![Value::text(account.as_str())];
    let row = store.row("SELECT COUNT(*) AS n FROM payloads WHERE account_id = $1", id()).await?;
    let payloads = row.map_or(Ok(0), |row| row.get::<i64>("n"))?;
    let mut writes = vec![
        Write::new("DELETE FROM payloads WHERE account_id = $1", id()),
        Write::new(SENDERS_OF_ACCOUNT, id()),
    ];
    if and_key {
        writes.push(Write::new("DELETE FROM account_keys WHERE account_id = $1", id()));
    }
    Ok(Erasure { account: account.clone(), payloads: u64::try_from(payloads).unwrap_or(0), writes })
}

/// Whether something is sealed for an account that would be lost with its key.
///
/// # Errors
/// When the store cannot be read.
pub async fn is_sealed_for(store: &Store, account: &AccountId) -> Result<bool, StoreError> {
    let values = vec![Value::text(account.as_str()), Value::text(account.as_str())];
    Ok(store.row(SEALED, values).await?.is_some())
}

const OF_REF: &str = "SELECT e.account_id, e.log, e.idx, p.idx AS there FROM entries e \
    LEFT JOIN payloads p ON p.account_id = e.account_id AND p.log = e.log AND p.idx = e.idx \
    WHERE e.ref = $1 ORDER BY e.at_us, e.log, e.idx";
/// Of held mail that has ended, whose reverse path is shown in lists.
const SENDER_OF_REF: &str =
    "UPDATE held SET sender = NULL, mail_from = '' WHERE ref = $1 AND state NOT IN ('held', 'releasing')";
const SENDERS_OF_ACCOUNT: &str = "UPDATE held SET sender = NULL, mail_from = '' WHERE account_id = $1 AND state NOT IN ('held', 'releasing')";
const ONE: &str = "DELETE FROM payloads WHERE account_id = $1 AND log = $2 AND idx = $3";
const SEALED: &str = "SELECT 1 AS n FROM held WHERE account_id = $1 AND sealed IS NOT NULL \
    UNION ALL SELECT 1 AS n FROM outbox WHERE account_id = $2 AND sealed IS NOT NULL LIMIT 1";
