//! Jobs: what is to be done at a time. Rooms plan rows as `Write`s that ride with a leaf.
//! `doors::clock` takes those that are due and turns each into a request.

use countersign_core::ids::AccountId;
use jiff::{SignedDuration, Timestamp};

use super::lease::{Lease, later};
use crate::store::{Row, Store, StoreError, Value, Write};

/// A job that somebody works on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    pub account: AccountId,
    id: String,
    pub kind: String,
    /// What it is about.
    pub object: String,
    /// How often it was begun, this time included.
    pub attempts: u32,
    lease: Lease,
}

/// How many jobs there are, and how many of them failed when they were last tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backlog {
    pub waiting: u32,
    pub failing: u32,
}

/// Puts a job up. There is one of a kind for an object: a second one only changes the time.
#[must_use]
pub fn put(account: &AccountId, kind: &str, object: &str, due: Timestamp) -> Write {
    Write::new(
        "INSERT INTO jobs (account_id, id, kind, object, due_us, attempts) VALUES ($1, $2, $3, $4, $5, 0) \
         ON CONFLICT (account_id, id) DO UPDATE SET due_us = $5",
        vec![
            Value::text(account.as_str()),
            Value::text(id(kind, object)),
            Value::text(kind),
            Value::text(object),
            Value::time(due),
        ],
    )
}

/// Takes a job away: it is done, or there is nothing left to do.
#[must_use]
pub fn done(account: &AccountId, kind: &str, object: &str) -> Write {
    Write::new(
        "DELETE FROM jobs WHERE account_id = $1 AND id = $2",
        vec![Value::text(account.as_str()), Value::text(id(kind, object))],
    )
}

/// Has no job of a kind begin before a time.
#[must_use]
pub fn not_before(account: &AccountId, kind: &str, time: Timestamp) -> Write {
    Write::new(
        "UPDATE jobs SET due_us = $3 WHERE account_id = $1 AND kind = $2 AND due_us < $3",
        vec![Value::text(account.as_str()), Value::text(kind), Value::time(time)],
    )
}

/// As [`not_before`], of every account.
#[must_use]
pub fn none_before(kind: &str, time: Timestamp) -> Write {
    Write::new(
        "UPDATE jobs SET due_us = $2 WHERE kind = $1 AND due_us < $2",
        vec![Value::text(kind), Value::time(time)],
    )
}

/// Takes jobs whose time has come, at most `limit`, for a process of this name. Nobody else has them until
/// the lease ends; then whoever asks takes them over.
///
/// # Errors
/// When the store cannot be read or written.
pub async fn due(store: &Store, by: &str, now: Timestamp, limit: u32) -> Result<Vec<Job>, StoreError> {
    // Nothing is written when nothing is due, which is the usual answer.
    if next(store).await?.is_none_or(|next| next > now) {
        return Ok(vec![]);
    }
    let lease = Lease::of(by, later(now, LEASE));
    let mut transaction = store.begin().await?;
    let values =
        vec![Value::time(now), Value::time(lease.until), Value::text(by), Value::int(i64::from(limit))];
    let rows = transaction.rows(TAKE, values).await?;
    transaction.commit().await?;
    rows.iter().map(|row| job(row, &lease)).collect()
}

/// Has a job wait without counting the attempt: its time has not come after all.
///
/// # Errors
/// When the store cannot be written.
pub async fn put_off(store: &Store, job: &Job, until: Timestamp) -> Result<(), StoreError> {
    let statement = "UPDATE jobs SET due_us = $4, attempts = attempts - 1, lease_us = NULL, lease_by = NULL \
         WHERE account_id = $1 AND id = $2 AND lease_by = $3 AND lease_us = $5";
    store.change(&[Write::new(statement, job.leased(until))]).await
}

/// Has a job that failed wait for its next attempt.
///
/// # Errors
/// When the store cannot be written.
pub async fn failed(store: &Store, job: &Job, error: &str, again: Timestamp) -> Result<(), StoreError> {
    let statement = "UPDATE jobs SET due_us = $4, last_error = $6, lease_us = NULL, lease_by = NULL \
         WHERE account_id = $1 AND id = $2 AND lease_by = $3 AND lease_us = $5";
    let mut values = job.leased(again);
    values.push(Value::text(error));
    store.change(&[Write::new(statement, values)]).await
}

/// When the next job is due, or the lease of one ends.
///
/// # Errors
/// When the store cannot be read.
pub async fn next(store: &Store) -> Result<Option<Timestamp>, StoreError> {
    let row = store.row("SELECT MIN(due_us) AS next FROM jobs", vec![]).await?;
    let next: Option<i64> = row.map(|row| row.get("next")).transpose()?.flatten();
    Ok(next.map(|us| Timestamp::from_microsecond(us).unwrap_or_default()))
}

/// How many there are.
///
/// # Errors
/// When the store cannot be read.
pub async fn backlog(store: &Store) -> Result<Backlog, StoreError> {
    let counts = "SELECT COUNT(*) AS waiting, COUNT(last_error) AS failing FROM jobs";
    let row = store.row(counts, vec![]).await?;
    let count = |name: &str| {
        row.as_ref().map_or(Ok(0), |row| row.get::<i64>(name)).map(|n| u32::try_from(n).unwrap_or(u32::MAX))
    };
    Ok(Backlog { waiting: count("waiting")?, failing: count("failing")? })
}

/// What an earlier run of this process left, or of any process: whoever owns the store alone knows that there
/// is no other.
///
/// # Errors
/// When the store cannot be written.
pub async fn reconcile(store: &Store, by: &str, now: Timestamp) -> Result<(), StoreError> {
    let statement = "UPDATE jobs SET due_us = $1, lease_us = NULL, lease_by = NULL WHERE lease_us IS NOT NULL AND ($2 = '' OR lease_by = $2)";
    let whose = if store.is_shared() { by } else { "" };
    store.change(&[Write::new(statement, vec![Value::time(now), Value::text(whose)])]).await
}

impl Job {
    /// Which row, whose lease, until when it waits from now on.
    fn leased(&self, due: Timestamp) -> Vec<Value> {
        vec![
            Value::text(self.account.as_str()),
            Value::text(&self.id),
            Value::text(&self.lease.by),
            Value::time(due),
            Value::time(self.lease.until),
        ]
    }
}

fn job(row: &Row, lease: &Lease) -> Result<Job, StoreError> {
    let account: String = row.get("account_id")?;
    Ok(Job {
        account: AccountId::parse(&account).map_err(|error| StoreError::Damaged(error.to_string()))?,
        id: row.get("id")?,
        kind: row.get("kind")?,
        object: row.get("object")?,
        attempts: u32::try_from(row.get::<i64>("attempts")?).unwrap_or(u32::MAX),
        lease: lease.clone(),
    })
}

/// The condition stands twice: a node that waited for the row looks again at the outer one.
const TAKE: &str = "UPDATE jobs SET lease_us = $2, due_us = $2, lease_by = $3, attempts = attempts + 1 \
     WHERE due_us <= $1 AND (account_id, id) IN \
     (SELECT account_id, id FROM jobs WHERE due_us <= $1 ORDER BY due_us LIMIT $4) \
     RETURNING account_id, id, kind, object, attempts";

fn id(kind: &str, object: &str) -> String {
    format!("{kind}:{object}")
}

const LEASE: SignedDuration = SignedDuration::from_secs(60);

#[cfg(test)]
mod tests;
