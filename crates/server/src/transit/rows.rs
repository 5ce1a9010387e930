//! The table `transit`. A row is named by its ref too: a late word about an earlier attempt changes nothing.

use countersign_core::ids::{AccountId, Ref};
use jiff::Timestamp;

use super::passage::{Passage, Standing, State};
use crate::store::{self, Left, Store, StoreError, Value, Write};

/// A message that was on its way when the last run ended.
pub(super) struct Row {
    pub(super) account: AccountId,
    pub(super) print: [u8; 16],
    pub(super) accepted: [u8; 16],
    pub(super) reference: Ref,
    pub(super) state: State,
    pub(super) at: Timestamp,
    /// Whether the ledger says already that it is in doubt.
    pub(super) told: bool,
}

impl Row {
    pub(super) fn standing(&self) -> Standing {
        Standing { reference: self.reference, state: self.state, at: self.at, accepted: self.accepted }
    }
}

/// What a run left that is no more.
pub(super) async fn left(store: &Store, left: Left) -> Result<Vec<Row>, StoreError> {
    let rows = "SELECT account_id, print, accepted, ref, state, at_us FROM transit WHERE log IS NULL OR log = $1 \
         OR log NOT IN (SELECT log FROM nodes WHERE seen_us >= $2) ORDER BY at_us";
    store.rows(rows, left.values()).await?.iter().map(row).collect()
}

/// The message of a key that another node has. Of a node's own ones only its memory is the truth: their rows
/// go some time after the client has heard.
pub(super) async fn of_others(
    store: &Store,
    own: i64,
    account: &AccountId,
    print: &[u8; 16],
) -> Result<Option<Row>, StoreError> {
    let one = "SELECT account_id, print, accepted, ref, state, at_us FROM transit \
         WHERE account_id = $1 AND print = $2 AND log <> $3";
    let of = vec![Value::text(account.as_str()), Value::blob(print.to_vec()), Value::Int(own)];
    store.row(one, of).await?.as_ref().map(row).transpose()
}

/// The message of a key, whoever has it.
pub(super) async fn of_anybody(
    store: &Store,
    account: &AccountId,
    print: &[u8; 16],
) -> Result<Option<Row>, StoreError> {
    let one = "SELECT account_id, print, accepted, ref, state, at_us FROM transit WHERE account_id = $1 AND print = $2";
    let of = vec![Value::text(account.as_str()), Value::blob(print.to_vec())];
    store.row(one, of).await?.as_ref().map(row).transpose()
}

pub(super) fn upsert(passage: &Passage, accepted: &[u8; 16], state: State, at: Timestamp) -> Write {
    let word = match state {
        State::Sending | State::Unsure => "sending",
        State::Sent => "sent",
    };
    let mut values = named(passage);
    values.extend([Value::text(word), Value::time(at), Value::blob(accepted.to_vec()), Value::Log]);
    Write::new(
        "INSERT INTO transit (account_id, print, ref, state, at_us, accepted, log) VALUES ($1, $2, $3, $4, $5, $6, $7) \
         ON CONFLICT (account_id, print) DO UPDATE SET ref = $3, state = $4, at_us = $5, accepted = $6, log = $7",
        values,
    )
}

pub(super) fn sent(passage: &Passage) -> Write {
    let set = "UPDATE transit SET state = 'sent' WHERE account_id = $1 AND print = $2 AND ref = $3";
    Write::new(set, named(passage))
}

pub(super) fn doubt(passage: &Passage) -> Write {
    let set = "UPDATE transit SET state = 'doubt' WHERE account_id = $1 AND print = $2 AND ref = $3";
    Write::new(set, named(passage))
}

pub(super) fn delete(passage: &Passage) -> Write {
    let gone = "DELETE FROM transit WHERE account_id = $1 AND print = $2 AND ref = $3";
    Write::new(gone, named(passage))
}

fn named(passage: &Passage) -> Vec<Value> {
    let (account, print, reference) = passage.parts();
    vec![Value::text(account.as_str()), Value::blob(print.to_vec()), Value::text(reference.as_str())]
}

fn row(row: &store::Row) -> Result<Row, StoreError> {
    let damaged = |error: &dyn std::fmt::Display| StoreError::Damaged(error.to_string());
    let digest = |name: &str| {
        let octets: Vec<u8> = row.get(name)?;
        octets.try_into().map_err(|_| damaged(&"a digest of the wrong length"))
    };
    let word: String = row.get("state")?;
    Ok(Row {
        account: AccountId::parse(&row.get::<String>("account_id")?).map_err(|e| damaged(&e))?,
        print: digest("print")?,
        accepted: digest("accepted")?,
        reference: Ref::parse(&row.get::<String>("ref")?).map_err(|e| damaged(&e))?,
        state: if word == "sent" { State::Sent } else { State::Sending },
        at: Timestamp::from_microsecond(row.get("at_us")?).unwrap_or_default(),
        told: word == "doubt",
    })
}
