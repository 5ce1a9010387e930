//! The tables of counts. A count changes only together with the leaf of an allowed message, and only up to
//! its cap: that is exact however many write at once.

use std::collections::HashSet;

use countersign_core::ids::AccountId;

use super::{Day, Pseudonym};
use crate::store::{Store, StoreError, Value, Write};

/// How many messages of a login were allowed in a day.
///
/// # Errors
/// When the store cannot be read.
pub async fn sent_today(
    store: &Store,
    account: &AccountId,
    login: &str,
    day: Day,
) -> Result<u64, StoreError> {
    count(store, account, &of_login(login), day).await
}

/// To how many recipients an account wrote for the first time in a day.
///
/// # Errors
/// When the store cannot be read.
pub async fn new_today(store: &Store, account: &AccountId, day: Day) -> Result<u64, StoreError> {
    count(store, account, NEW_RECIPIENTS, day).await
}

/// Which of these an account has never written to: their places, each person once.
///
/// # Errors
/// When the store cannot be read.
pub async fn strangers(
    store: &Store,
    account: &AccountId,
    people: &[Pseudonym],
) -> Result<Vec<usize>, StoreError> {
    let mut seen: HashSet<Pseudonym> = HashSet::new();
    for some in people.chunks(AT_ONCE) {
        let known = "SELECT who FROM known_recipients WHERE account_id = $1 AND who IN";
        let some = some.iter().map(|who| Value::blob(who.to_vec())).collect();
        for row in store.rows_in(known, vec![Value::text(account.as_str())], some).await? {
            let who: Vec<u8> = row.get("who")?;
            seen.extend(Pseudonym::try_from(who));
        }
    }
    Ok(people.iter().enumerate().filter(|(_, who)| seen.insert(**who)).map(|(place, _)| place).collect())
}

async fn count(store: &Store, account: &AccountId, what: &str, day: Day) -> Result<u64, StoreError> {
    let count = "SELECT n FROM day_counts WHERE account_id = $1 AND day = $2 AND what = $3";
    let of = vec![Value::text(account.as_str()), Value::int(day.0), Value::text(what)];
    let n: i64 = store.row(count, of).await?.map_or(Ok(0), |row| row.get("n"))?;
    Ok(u64::try_from(n).unwrap_or(0))
}

/// Takes a message of a login off the count of its day: the upstream did not take it.
#[must_use]
pub fn give_back(account: &AccountId, login: &str, day: Day) -> Write {
    Write::new(
        "UPDATE day_counts SET n = n - 1 WHERE account_id = $1 AND day = $2 AND what = $3 AND n > 0",
        vec![Value::text(account.as_str()), Value::int(day.0), Value::text(of_login(login))],
    )
}

/// Counts a message of a login. With a cap it fails when the cap is reached.
#[must_use]
pub fn count_message(account: &AccountId, login: &str, day: Day, cap: Option<u64>) -> Write {
    let write = Write::new(
        "INSERT INTO day_counts (account_id, day, what, n) VALUES ($1, $2, $3, 1) \
         ON CONFLICT (account_id, day, what) DO UPDATE SET n = day_counts.n + 1 WHERE day_counts.n < $4",
        vec![
            Value::text(account.as_str()),
            Value::int(day.0),
            Value::text(of_login(login)),
            Value::int(cap.map_or(i64::MAX, number)),
        ],
    );
    if cap.is_some() { write.rows(1) } else { write }
}

/// Counts people to whom an account writes for the first time, and knows them from now on. With a cap it
/// fails when that is exceeded.
#[must_use]
pub fn count_recipients(account: &AccountId, people: &[Pseudonym], day: Day, cap: Option<u64>) -> Vec<Write> {
    if people.is_empty() {
        return vec![];
    }
    let row = || vec![Value::text(account.as_str()), Value::int(day.0), Value::text(NEW_RECIPIENTS)];
    let with = |value: Value| row().into_iter().chain([value]).collect::<Vec<_>>();
    // The first one locks the row where several nodes write.
    let mut writes = vec![Write::new(
        "INSERT INTO day_counts (account_id, day, what, n) VALUES ($1, $2, $3, 0) \
         ON CONFLICT (account_id, day, what) DO UPDATE SET n = day_counts.n",
        row(),
    )];
    for who in people {
        writes.push(Write::new(
            "UPDATE day_counts SET n = n + 1 WHERE account_id = $1 AND day = $2 AND what = $3 AND NOT EXISTS \
             (SELECT 1 FROM known_recipients WHERE account_id = $1 AND who = $4)",
            with(Value::blob(who.to_vec())),
        ));
        writes.push(Write::new(
            "INSERT INTO known_recipients (account_id, who, day) VALUES ($1, $2, $3) \
             ON CONFLICT (account_id, who) DO NOTHING",
            vec![Value::text(account.as_str()), Value::blob(who.to_vec()), Value::int(day.0)],
        ));
    }
    if let Some(cap) = cap {
        let within =
            "UPDATE day_counts SET n = n WHERE account_id = $1 AND day = $2 AND what = $3 AND n <= $4";
        writes.push(Write::new(within, with(Value::int(number(cap)))).rows(1));
    }
    writes
}

/// Whether there are counts of days before this one.
///
/// # Errors
/// When the store cannot be read.
pub async fn has_before(store: &Store, day: Day) -> Result<bool, StoreError> {
    let any = "SELECT day FROM day_counts WHERE day < $1 LIMIT 1";
    Ok(store.row(any, vec![Value::int(day.0 - KEPT)]).await?.is_some())
}

/// Forgets counts of days before this one.
#[must_use]
pub fn forget_before(day: Day) -> Write {
    Write::new("DELETE FROM day_counts WHERE day < $1", vec![Value::int(day.0 - KEPT)])
}

fn of_login(login: &str) -> String {
    format!("login:{login}")
}

fn number(cap: u64) -> i64 {
    i64::try_from(cap).unwrap_or(i64::MAX)
}

const NEW_RECIPIENTS: &str = "new-recipients";
/// As many values in one question.
const AT_ONCE: usize = 500;
/// So many days before today are kept: clocks of nodes differ.
const KEPT: i64 = 2;

#[cfg(test)]
mod tests;
