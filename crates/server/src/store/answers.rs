//! Answers: what a POST with an Idempotency-Key was answered, kept for a day, so that a second one hears the same
//! after a restart and from another node, too. The API claims a key before it works and keeps the answer after.

use countersign_core::ids::AccountId;
use jiff::Timestamp;

use crate::store::{Store, StoreError, Value, Write};

/// A request that wants to be carried out once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    pub account: AccountId,
    /// The caller and its key, as a keyed digest.
    pub key: [u8; 32],
    /// The request, as a keyed digest.
    pub request: [u8; 32],
    pub at: Timestamp,
    /// Until when nobody else may work on it: whoever still does then has died.
    pub lease: Timestamp,
    /// Until when the answer is remembered.
    pub until: Timestamp,
}

/// What became of a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claimed {
    /// It is to be carried out now.
    Ours,
    /// The first one is at work.
    InFlight,
    /// It was carried out; the sealed answer.
    Answered(Vec<u8>),
    /// The key was used for something else.
    OtherRequest,
}

/// Claims a key. Of several at once one gets it.
///
/// # Errors
/// When the store cannot be written.
pub async fn claim(store: &Store, claim: &Claim) -> Result<Claimed, StoreError> {
    let mut transaction = store.begin().await?;
    transaction.execute(&Write::new(FORGET_OLD, vec![Value::time(claim.at)])).await?;
    let taken = transaction.execute(&Write::new(CLAIM, values(claim))).await?;
    let row = transaction.row(READ, key(claim)).await?;
    transaction.commit().await?;
    let Some(row) = row else { return Ok(Claimed::InFlight) };
    if row.get::<Vec<u8>>("request")? != claim.request {
        return Ok(Claimed::OtherRequest);
    }
    match (taken, row.get::<Option<Vec<u8>>>("answer")?) {
        (_, Some(answer)) => Ok(Claimed::Answered(answer)),
        (1, None) => Ok(Claimed::Ours),
        (_, None) => Ok(Claimed::InFlight),
    }
}

/// Keeps the sealed answer of a claim that is still ours.
///
/// # Errors
/// When the store cannot be written.
pub async fn keep(store: &Store, claim: &Claim, answer: Vec<u8>) -> Result<(), StoreError> {
    let mut values = key(claim);
    values.extend([Value::time(claim.at), Value::blob(answer)]);
    store.change(&[Write::new(KEEP, values)]).await
}

/// Gives a claim up: the next one may be carried out.
///
/// # Errors
/// When the store cannot be written.
pub async fn forget(store: &Store, claim: &Claim) -> Result<(), StoreError> {
    let mut values = key(claim);
    values.push(Value::time(claim.at));
    store.change(&[Write::new(FORGET, values)]).await
}

fn key(claim: &Claim) -> Vec<Value> {
    vec![Value::text(claim.account.as_str()), Value::blob(claim.key)]
}

fn values(claim: &Claim) -> Vec<Value> {
    let mut values = key(claim);
    values.push(Value::blob(claim.request));
    values.extend([claim.at, claim.lease, claim.until].map(Value::time));
    values
}

const FORGET_OLD: &str = "DELETE FROM answers WHERE until_us <= $1";
/// A claim whose lease is over goes to whoever asks the same again.
const CLAIM: &str = "INSERT INTO answers (account_id, key, request, at_us, lease_us, until_us) \
    VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (account_id, key) DO UPDATE SET at_us = $4, lease_us = $5 \
    WHERE answers.answer IS NULL AND answers.request = $3 AND answers.lease_us <= $4";
const READ: &str = "SELECT request, answer FROM answers WHERE account_id = $1 AND key = $2";
const KEEP: &str =
    "UPDATE answers SET answer = $4 WHERE account_id = $1 AND key = $2 AND at_us = $3 AND answer IS NULL";
const FORGET: &str =
    "DELETE FROM answers WHERE account_id = $1 AND key = $2 AND at_us = $3 AND answer IS NULL";

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::store::fresh::Fresh;
    use crate::store::lease::later;

    fn asked(key: u8, request: u8, seconds: i64) -> Claim {
        let at = later(Timestamp::UNIX_EPOCH, SignedDuration::from_secs(seconds));
        Claim {
            account: AccountId::parse("acme").unwrap(),
            key: [key; 32],
            request: [request; 32],
            at,
            lease: later(at, SignedDuration::from_secs(60)),
            until: later(at, SignedDuration::from_hours(24)),
        }
    }

    #[tokio::test]
    async fn a_key_is_claimed_once_and_answered_the_same_for_a_day() {
        let fresh = Fresh::new().await;
        let store = fresh.store.clone();
        let first = asked(1, 1, 0);
        assert_eq!(claim(&store, &first).await.unwrap(), Claimed::Ours);
        assert_eq!(claim(&store, &asked(1, 1, 59)).await.unwrap(), Claimed::InFlight);
        assert_eq!(claim(&store, &asked(1, 2, 59)).await.unwrap(), Claimed::OtherRequest);
        assert_eq!(claim(&store, &asked(2, 1, 59)).await.unwrap(), Claimed::Ours, "another key");
        keep(&store, &first, b"sealed".to_vec()).await.unwrap();
        let answered = Claimed::Answered(b"sealed".to_vec());
        assert_eq!(claim(&store, &asked(1, 1, 86_399)).await.unwrap(), answered);
        assert_eq!(claim(&store, &asked(1, 2, 86_399)).await.unwrap(), Claimed::OtherRequest);
        assert_eq!(claim(&store, &asked(1, 2, 86_400)).await.unwrap(), Claimed::Ours, "a day is over");
    }

    #[tokio::test]
    async fn who_was_killed_loses_its_claim_and_says_nothing_more() {
        let fresh = Fresh::new().await;
        let store = fresh.store.clone();
        let (dead, second) = (asked(1, 1, 0), asked(1, 1, 60));
        assert_eq!(claim(&store, &dead).await.unwrap(), Claimed::Ours);
        assert_eq!(claim(&store, &second).await.unwrap(), Claimed::Ours);
        keep(&store, &dead, b"late".to_vec()).await.unwrap();
        forget(&store, &dead).await.unwrap();
        assert_eq!(claim(&store, &asked(1, 1, 61)).await.unwrap(), Claimed::InFlight);
        forget(&store, &second).await.unwrap();
        assert_eq!(claim(&store, &asked(1, 2, 62)).await.unwrap(), Claimed::Ours, "given up: free for any");
    }

    #[tokio::test]
    async fn of_many_at_once_one_gets_it() {
        let fresh = Fresh::new().await;
        let (one, two) = (fresh.store.clone(), fresh.again().await);
        let claims = (0..16).map(|n| {
            let store = if n % 2 == 0 { one.clone() } else { two.clone() };
            async move { claim(&store, &asked(1, 1, 0)).await.unwrap() }
        });
        let claimed = futures_util::future::join_all(claims).await;
        assert_eq!(claimed.iter().filter(|claimed| **claimed == Claimed::Ours).count(), 1, "{claimed:?}");
        assert!(claimed.iter().all(|claimed| matches!(claimed, Claimed::Ours | Claimed::InFlight)));
    }
}
