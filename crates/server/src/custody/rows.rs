//! The table `held`. State moves by compare-and-swap: two who release the same mail cannot both win.

use countersign_core::ids::{AccountId, Ref};
use countersign_core::policy::{How, Ruling};
use countersign_core::request::Envelope;
use jiff::Timestamp;
use serde_json::json;

use super::held::{Held, State};
use super::sender::opened;
use crate::store::jobs;
use crate::store::{Keys, Ledger, Left, Row, Store, StoreError, Value, Write};

/// What is sealed of held mail.
#[derive(Debug)]
pub struct Sealed {
    /// Envelope and message.
    pub mail: Vec<u8>,
    /// The reverse path by itself, for lists.
    pub sender: Vec<u8>,
}

/// The rows of mail that is to be held: durable in the same transaction as its leaf. One is the job that
/// ends the custody.
#[must_use]
pub fn insert(
    ruling: &Ruling,
    envelope: &Envelope,
    size: usize,
    sealed: Sealed,
    until: Timestamp,
) -> Vec<Write> {
    let job = jobs::put(ruling.account(), EXPIRE, ruling.reference().as_str(), until);
    vec![row(ruling, envelope, size, sealed, until), job]
}

fn row(ruling: &Ruling, envelope: &Envelope, size: usize, sealed: Sealed, until: Timestamp) -> Write {
    let codes: Vec<&str> = ruling.reasons().iter().map(|cause| cause.code).collect();
    Write::new(
        "INSERT INTO held (account_id, ref, gate, state, mail_from, sender, recipients, size, reasons, sealed, at_us, until_us) \
         VALUES ($1, $2, $3, 'held', '', $4, $5, $6, $7, $8, $9, $10)",
        vec![
            Value::text(ruling.account().as_str()),
            Value::text(ruling.reference().as_str()),
            Value::text(ruling.gate().name()),
            Value::blob(sealed.sender),
            Value::int(i64::try_from(envelope.recipients.len()).unwrap_or(i64::MAX)),
            Value::int(i64::try_from(size).unwrap_or(i64::MAX)),
            Value::text(serde_json::to_string(&codes).unwrap_or_default()),
            Value::blob(sealed.mail),
            Value::int(ruling.at().as_microsecond()),
            Value::int(until.as_microsecond()),
        ],
    )
}

/// Moves held mail from one state to the next; fails when somebody else did.
#[must_use]
pub fn claim(account: &AccountId, reference: Ref, from: State, to: State) -> Write {
    let statement = "UPDATE held SET state = $3, log = $5 WHERE account_id = $1 AND ref = $2 AND state = $4";
    let mut claim = moved(statement, account, reference, from, to);
    claim.values.push(Value::Log);
    claim
}

/// Ends custody: the state is final and the message is gone.
#[must_use]
pub fn end(account: &AccountId, reference: Ref, from: State, to: State) -> Write {
    let statement =
        "UPDATE held SET state = $3, sealed = NULL WHERE account_id = $1 AND ref = $2 AND state = $4";
    moved(statement, account, reference, from, to)
}

/// Takes off the recipients who have been served while held mail is being released: sealed for those who are left.
#[must_use]
pub fn keep_for(account: &AccountId, reference: Ref, sealed: Vec<u8>, recipients: usize) -> Write {
    let statement = "UPDATE held SET sealed = $3, recipients = $4 \
                     WHERE account_id = $1 AND ref = $2 AND state = 'releasing'";
    let count = Value::int(i64::try_from(recipients).unwrap_or(i64::MAX));
    let values =
        vec![Value::text(account.as_str()), Value::text(reference.as_str()), Value::blob(sealed), count];
    Write::new(statement, values).rows(1)
}

/// Custody has ended: the job that would end it has nothing left to do.
#[must_use]
pub fn over(account: &AccountId, reference: Ref) -> Write {
    jobs::done(account, EXPIRE, reference.as_str())
}

/// No custody of an account ends before a time; of the platform's account, none of any account.
#[must_use]
pub fn keep_until(account: &AccountId, time: Timestamp) -> Vec<Write> {
    let statement =
        "UPDATE held SET until_us = $2 WHERE account_id = $1 AND state = 'held' AND until_us < $2";
    let everybodys = "UPDATE held SET until_us = $1 WHERE state = 'held' AND until_us < $1";
    match *account == AccountId::platform() {
        false => vec![
            Write::new(statement, vec![Value::text(account.as_str()), Value::time(time)]),
            jobs::not_before(account, EXPIRE, time),
        ],
        true => {
            vec![Write::new(everybodys, vec![Value::time(time)]), jobs::none_before(EXPIRE, time)]
        }
    }
}

/// The upstream may have this mail from an earlier attempt of its client.
#[must_use]
pub fn may_be_second(account: &AccountId, reference: Ref) -> Write {
    let statement = "UPDATE held SET in_doubt = 1 WHERE account_id = $1 AND ref = $2";
    Write::new(statement, [account.as_str(), reference.as_str()].map(Value::text).to_vec())
}

/// A release that was interrupted: the mail is held again, and may have been sent.
#[must_use]
pub fn doubt(account: &AccountId, reference: Ref) -> Write {
    let statement =
        "UPDATE held SET state = $3, in_doubt = 1 WHERE account_id = $1 AND ref = $2 AND state = $4";
    moved(statement, account, reference, State::Releasing, State::Held)
}

fn moved(statement: &'static str, account: &AccountId, reference: Ref, from: State, to: State) -> Write {
    let words = [account.as_str(), reference.as_str(), to.word(), from.word()];
    Write::new(statement, words.map(Value::text).to_vec()).rows(1)
}

/// How many are held now, also while they are being released.
///
/// # Errors
/// When the store cannot be read.
pub async fn count(store: &Store) -> Result<u32, StoreError> {
    let open = "SELECT COUNT(*) AS n FROM held WHERE state IN ('held', 'releasing')";
    let count: i64 = store.row(open, vec![]).await?.map_or(Ok(0), |row| row.get("n"))?;
    Ok(u32::try_from(count).unwrap_or(u32::MAX))
}

/// Releases that were interrupted: the mail is held again, and the ledger says that it may have been sent.
///
/// # Errors
/// When the store cannot be read.
pub async fn reconcile(store: &Store, ledger: &Ledger, left: Left) -> Result<(), StoreError> {
    let interrupted = "SELECT account_id, ref, gate, state, mail_from, recipients, size, reasons, in_doubt, at_us, until_us FROM held \
         WHERE state = 'releasing' AND (log IS NULL OR log = $1 OR log NOT IN (SELECT log FROM nodes WHERE seen_us >= $2))";
    for held in store.rows(interrupted, left.values()).await?.iter().map(held) {
        let held = held?;
        let value = json!({ "ref": held.reference, "result": "held-again", "upstream": "the release was interrupted: it may have been sent" });
        let back = doubt(&held.account, held.reference);
        if let Err(error) = ledger.outcome(held.reference, &held.account, value, vec![back]).await {
            tracing::error!(%error, "ledger.ref" = %held.reference, "an interrupted release is not reconciled");
        }
    }
    Ok(())
}

/// One held mail with its sealed octets, which are gone when the custody has ended.
///
/// # Errors
/// When the store cannot be read.
pub async fn load(
    store: &Store,
    keys: &Keys,
    reference: Ref,
) -> Result<Option<(Held, Option<Vec<u8>>)>, StoreError> {
    let by_ref = "SELECT account_id, ref, gate, state, mail_from, sender, recipients, size, reasons, in_doubt, at_us, until_us, sealed \
         FROM held WHERE ref = $1";
    let rows = store.rows(by_ref, vec![Value::text(reference.as_str())]).await?;
    let held = opened(keys, &rows).await?.into_iter().next();
    held.zip(rows.first()).map(|(held, row)| Ok((held, row.get("sealed")?))).transpose()
}

pub(super) fn held(row: &Row) -> Result<Held, StoreError> {
    let text = |name: &str| row.get::<String>(name);
    let time =
        |name: &str| row.get::<i64>(name).map(|us| Timestamp::from_microsecond(us).unwrap_or_default());
    Ok(Held {
        reference: Ref::parse(&text("ref")?).map_err(|e| StoreError::Damaged(e.to_string()))?,
        gate: text("gate")?,
        account: AccountId::parse(&text("account_id")?).map_err(|e| StoreError::Damaged(e.to_string()))?,
        how: How::Custody.word().to_owned(),
        state: State::parse(&text("state")?),
        mail_from: text("mail_from")?,
        rcpts: row.get("recipients")?,
        size: row.get("size")?,
        at: time("at_us")?,
        until: time("until_us")?,
        reasons: serde_json::from_str(&text("reasons")?).unwrap_or_default(),
        in_doubt: row.get::<i64>("in_doubt")? != 0,
    })
}

/// The kind of the jobs that end custody.
pub const EXPIRE: &str = "held-expire";
