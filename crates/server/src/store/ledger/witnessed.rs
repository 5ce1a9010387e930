//! What was cosigned, a row for each log: in the store of a witness the last checkpoint that it cosigned, in the
//! store of a log the last one that a witness cosigned. The door of `ledger witness` and the cosigner write it.

use countersign_core::ledger::witness::{Known, Refusal, Request, judge};
use countersign_core::ledger::{Checkpoint, Hash, VerifierKey};
use jiff::Timestamp;

use super::insert::integer;
use crate::store::{Row, Store, StoreError, Transaction, Value, Write};

/// Judges what a log asks of a witness and, if it is to be cosigned, keeps size and root: in one step, so that of
/// two requests that go on from the same checkpoint one finds it gone. What is kept is durable when this returns.
/// The inner error is a refusal; after an outer one nothing may be cosigned.
///
/// # Errors
/// When the store cannot be read or written.
pub async fn witness(
    store: &Store,
    keys: &[VerifierKey],
    request: &Request,
    now: Timestamp,
) -> Result<Result<(), Refusal>, StoreError> {
    let origin = &request.checkpoint.origin;
    // Most refusals need no lock, and whoever sends nothing that a log has signed gets none.
    let latest = of_row(store.row(LATEST, vec![Value::text(origin)]).await?)?;
    if let Err(refusal) = judge(request, Some(&known(keys, latest))) {
        return Ok(Err(refusal));
    }
    // INVARIANT: the store of a witness is a file, in which one transaction writes at a time: nobody else is between
    // what is read here and what is kept.
    let mut transaction = store.begin().await?;
    let latest = of_row(transaction.row(LATEST, vec![Value::text(origin)]).await?)?;
    if let Err(refusal) = judge(request, Some(&known(keys, latest))) {
        return Ok(Err(refusal));
    }
    keep(&mut transaction, &request.checkpoint, now).await?;
    transaction.commit().await?;
    Ok(Ok(()))
}

/// Writes down that a checkpoint is cosigned, unless a larger one of its log is.
pub(super) async fn keep(
    transaction: &mut Transaction,
    checkpoint: &Checkpoint,
    now: Timestamp,
) -> Result<(), StoreError> {
    let values = vec![
        Value::text(&checkpoint.origin),
        Value::Int(integer(checkpoint.size)),
        Value::blob(checkpoint.root),
        Value::time(now),
    ];
    transaction.execute(&Write::new(KEEP, values)).await.map(drop)
}

fn known(keys: &[VerifierKey], latest: Option<(u64, Hash)>) -> Known {
    Known { keys: keys.to_vec(), latest }
}

fn of_row(row: Option<Row>) -> Result<Option<(u64, Hash)>, StoreError> {
    let Some(row) = row else { return Ok(None) };
    let damaged = || StoreError::Damaged("what was cosigned last cannot be read".to_owned());
    let size = u64::try_from(row.get::<i64>("size")?).map_err(|_| damaged())?;
    let root = Hash::try_from(row.get::<Vec<u8>>("root")?).map_err(|_| damaged())?;
    Ok(Some((size, root)))
}

const LATEST: &str = "SELECT size, root FROM witnessed WHERE origin = $1";
const KEEP: &str = "INSERT INTO witnessed (origin, size, root, at_us) VALUES ($1, $2, $3, $4) \
    ON CONFLICT (origin) DO UPDATE SET size = excluded.size, root = excluded.root, at_us = excluded.at_us \
    WHERE witnessed.size <= excluded.size";
