//! The outbox: mail that we write ourselves, until the upstream has taken it. Acts plan rows as `Write`s
//! that ride with a leaf; `doors::clock` sends what is due through our own send gate.

use countersign_core::address::EmailAddress;
use countersign_core::ids::{AccountId, Ref};
use jiff::{SignedDuration, Timestamp};

use super::lease::{Lease, later};
use crate::store::{Row, Store, StoreError, Value, Write};

/// A mail to be put into the outbox.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// Whom it is about.
    pub account: AccountId,
    /// What it is about: one mail for one thing and recipient.
    pub id: String,
    pub kind: MailKind,
    /// What [`enclosed`] made, sealed.
    pub sealed: Vec<u8>,
    pub at: Timestamp,
    /// Until when it is remembered that it was sent, so that no second one of this id is written.
    pub remember_until: Timestamp,
    /// Not when there are as many already whose id begins so.
    pub at_most: Option<(String, u32)>,
}

/// What kind of mail of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailKind {
    /// A delivery status notification (RFC 3464).
    Dsn,
    /// A notice to the owner of an account.
    Notice,
}

/// A mail that somebody sends.
#[derive(Debug, Clone)]
pub struct Letter {
    pub account: AccountId,
    pub id: String,
    /// Only of one that an earlier version wrote; else it is sealed with the rest.
    pub to: Option<EmailAddress>,
    pub sealed: Vec<u8>,
    /// How often it was begun, this time included.
    pub attempts: u32,
    lease: Lease,
}

/// How full it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fullness {
    pub waiting: u32,
    /// Given up: refused for good, or too old.
    pub failed: u32,
}

impl Outgoing {
    /// The row. A second one of the same id is not written.
    #[must_use]
    pub fn put(self) -> Write {
        // RFC 3464 and RFC 3834: the reverse path is empty, so that nothing answers.
        let (prefix, most) = match self.at_most {
            Some((prefix, most)) => (prefix, i64::from(most)),
            None => (self.id.clone(), i64::MAX),
        };
        let kind = match self.kind {
            MailKind::Dsn => "dsn",
            MailKind::Notice => "notice",
        };
        Write::new(
            "INSERT INTO outbox (account_id, id, kind, state, mail_from, rcpt, sealed, at_us, keep_us, due_us, attempts) \
             SELECT $1, $2, $3, 'waiting', '', '', $4, $5, $6, $5, 0 WHERE \
             (SELECT COUNT(*) FROM outbox WHERE account_id = $1 AND id >= $7 AND id < $8) < $9 \
             ON CONFLICT (account_id, id) DO NOTHING",
            vec![
                Value::text(self.account.as_str()),
                Value::text(self.id),
                Value::text(kind),
                Value::blob(self.sealed),
                Value::time(self.at),
                Value::time(self.remember_until),
                Value::text(prefix.clone()),
                Value::text(format!("{prefix}\u{10ffff}")),
                Value::int(most),
            ],
        )
    }
}

/// Takes mails that are due, at most `limit`, for a process of this name; see [`super::jobs::due`].
///
/// # Errors
/// When the store cannot be read or written.
pub async fn due(store: &Store, by: &str, now: Timestamp, limit: u32) -> Result<Vec<Letter>, StoreError> {
    if next(store).await?.is_none_or(|next| next > now) {
        return Ok(vec![]);
    }
    let lease = Lease::of(by, later(now, LEASE));
    let mut transaction = store.begin().await?;
    let values =
        vec![Value::time(now), Value::time(lease.until), Value::text(by), Value::int(i64::from(limit))];
    let rows = transaction.rows(TAKE, values).await?;
    transaction.commit().await?;
    rows.iter().map(|row| letter(row, &lease)).collect()
}

impl Letter {
    /// It has left. Whether it must be remembered is known by its row.
    #[must_use]
    pub fn sent(&self, now: Timestamp) -> Vec<Write> {
        let values = || vec![Value::text(self.account.as_str()), Value::text(&self.id), Value::time(now)];
        let forget = "DELETE FROM outbox WHERE account_id = $1 AND id = $2 AND keep_us <= $3";
        let remember = "UPDATE outbox SET state = 'sent', sealed = NULL, last_error = NULL, lease_us = NULL, \
             lease_by = NULL WHERE account_id = $1 AND id = $2 AND keep_us > $3";
        vec![Write::new(forget, values()), Write::new(remember, values())]
    }

    /// It will never leave.
    #[must_use]
    pub fn failed(&self, error: &str) -> Write {
        let statement = "UPDATE outbox SET state = 'failed', last_error = $5, lease_us = NULL, lease_by = NULL \
             WHERE account_id = $1 AND id = $2 AND lease_by = $3 AND lease_us = $4";
        Write::new(statement, self.leased(vec![Value::text(error)]))
    }

    /// It is tried again.
    #[must_use]
    pub fn again(&self, error: &str, due: Timestamp) -> Write {
        let statement = "UPDATE outbox SET due_us = $6, last_error = $5, lease_us = NULL, lease_by = NULL \
             WHERE account_id = $1 AND id = $2 AND lease_by = $3 AND lease_us = $4";
        Write::new(statement, self.leased(vec![Value::text(error), Value::time(due)]))
    }

    /// Recipient and message of what was sealed; `None` when it is damaged.
    #[must_use]
    pub fn disclosed(&self, plain: Vec<u8>) -> Option<(EmailAddress, Vec<u8>)> {
        if let Some(to) = &self.to {
            return Some((to.clone(), plain));
        }
        let end = plain.iter().position(|octet| *octet == b'\n')?;
        let (to, message) = plain.split_at_checked(end)?;
        let to = EmailAddress::parse(std::str::from_utf8(to).ok()?).ok()?;
        Some((to, message.strip_prefix(b"\n")?.to_vec()))
    }

    /// What its sealed octets are tied to.
    #[must_use]
    pub fn tie(&self) -> Vec<u8> {
        tie(&self.account, &self.id)
    }

    fn leased(&self, more: Vec<Value>) -> Vec<Value> {
        let mut values = vec![
            Value::text(self.account.as_str()),
            Value::text(&self.id),
            Value::text(&self.lease.by),
            Value::time(self.lease.until),
        ];
        values.extend(more);
        values
    }
}

/// Recipient and message in one, to be sealed: nobody reads in the store to whom we write.
#[must_use]
pub fn enclosed(to: &EmailAddress, message: &[u8]) -> Vec<u8> {
    [to.to_string().as_bytes(), b"\n", message].concat()
}

/// What the sealed octets of a mail are tied to: they open as this mail only.
#[must_use]
pub fn tie(account: &AccountId, id: &str) -> Vec<u8> {
    format!("outbox\0{account}\0{id}").into_bytes()
}

/// When the next mail is due.
///
/// # Errors
/// When the store cannot be read.
pub async fn next(store: &Store) -> Result<Option<Timestamp>, StoreError> {
    let next = "SELECT MIN(due_us) AS next FROM outbox WHERE state = 'waiting'";
    let next: Option<i64> = store.row(next, vec![]).await?.map(|row| row.get("next")).transpose()?.flatten();
    Ok(next.map(|us| Timestamp::from_microsecond(us).unwrap_or_default()))
}

/// Gives up what could not go for 5 days, and forgets what need not be remembered. Says what was given up.
///
/// # Errors
/// When the store cannot be read or written.
pub async fn tidy(store: &Store, now: Timestamp) -> Result<Vec<(AccountId, String)>, StoreError> {
    let (oldest, forgotten) = (later(now, -GIVE_UP).as_microsecond(), later(now, -FORGET).as_microsecond());
    let any = "SELECT COUNT(*) AS n FROM outbox WHERE (state = 'waiting' AND at_us <= $1) \
         OR (state = 'sent' AND keep_us <= $2) OR (state = 'failed' AND at_us <= $3)";
    let any = store.row(any, [oldest, now.as_microsecond(), forgotten].map(Value::Int).to_vec()).await?;
    if any.map_or(Ok(0), |row| row.get::<i64>("n"))? == 0 {
        return Ok(vec![]);
    }
    let mut transaction = store.begin().await?;
    let give_up = "UPDATE outbox SET state = 'failed', last_error = COALESCE(last_error, 'it could not go for 5 days') \
         WHERE state = 'waiting' AND at_us <= $1 AND (lease_us IS NULL OR lease_us <= $2) RETURNING account_id, id";
    let given_up = transaction.rows(give_up, vec![Value::Int(oldest), Value::time(now)]).await?;
    let forget =
        "DELETE FROM outbox WHERE (state = 'sent' AND keep_us <= $1) OR (state = 'failed' AND at_us <= $2)";
    let forget = Write::new(forget, vec![Value::time(now), Value::Int(forgotten)]);
    transaction.execute(&forget).await?;
    transaction.commit().await?;
    given_up.iter().map(|row| Ok((account(row)?, row.get("id")?))).collect()
}

/// How full it is.
///
/// # Errors
/// When the store cannot be read.
pub async fn fullness(store: &Store) -> Result<Fullness, StoreError> {
    let counts = "SELECT COUNT(CASE state WHEN 'waiting' THEN 1 END) AS waiting, \
         COUNT(CASE state WHEN 'failed' THEN 1 END) AS failed FROM outbox";
    let row = store.row(counts, vec![]).await?;
    let count = |name: &str| {
        row.as_ref().map_or(Ok(0), |row| row.get::<i64>(name)).map(|n| u32::try_from(n).unwrap_or(u32::MAX))
    };
    Ok(Fullness { waiting: count("waiting")?, failed: count("failed")? })
}

/// What processes left that are no more; see [`super::jobs::reconcile`].
///
/// # Errors
/// When the store cannot be written.
pub async fn reconcile(store: &Store, by: &str, now: Timestamp) -> Result<(), StoreError> {
    let statement = "UPDATE outbox SET due_us = $1, lease_us = NULL, lease_by = NULL WHERE lease_us IS NOT NULL AND ($2 = '' OR lease_by = $2)";
    let whose = if store.is_shared() { by } else { "" };
    store.change(&[Write::new(statement, vec![Value::time(now), Value::text(whose)])]).await
}

/// The id of a mail about a ruling.
#[must_use]
pub fn id_about(what: &str, reference: Ref) -> String {
    format!("{what}:{reference}")
}

const TAKE: &str = "UPDATE outbox SET lease_us = $2, due_us = $2, lease_by = $3, attempts = attempts + 1 \
     WHERE state = 'waiting' AND due_us <= $1 AND (account_id, id) IN \
     (SELECT account_id, id FROM outbox WHERE state = 'waiting' AND due_us <= $1 ORDER BY due_us LIMIT $4) \
     RETURNING account_id, id, rcpt, sealed, attempts";

fn letter(row: &Row, lease: &Lease) -> Result<Letter, StoreError> {
    let to: String = row.get("rcpt")?;
    Ok(Letter {
        account: account(row)?,
        id: row.get("id")?,
        to: match to.as_str() {
            "" => None,
            to => Some(EmailAddress::parse(to).map_err(|error| StoreError::Damaged(error.to_string()))?),
        },
        sealed: row.get::<Option<Vec<u8>>>("sealed")?.unwrap_or_default(),
        attempts: u32::try_from(row.get::<i64>("attempts")?).unwrap_or(u32::MAX),
        lease: lease.clone(),
    })
}

fn account(row: &Row) -> Result<AccountId, StoreError> {
    let account: String = row.get("account_id")?;
    AccountId::parse(&account).map_err(|error| StoreError::Damaged(error.to_string()))
}

/// Longer than an upstream may take for a message.
const LEASE: SignedDuration = SignedDuration::from_mins(5);
const GIVE_UP: SignedDuration = SignedDuration::from_hours(5 * 24);
const FORGET: SignedDuration = SignedDuration::from_hours(30 * 24);

#[cfg(test)]
mod tests;
