//! The rows of API keys: those of accounts stand with their credentials, those of staff in the table `staff`.

use countersign_core::ids::AccountId;
use jiff::Timestamp;

use super::file::StaffSpec;
use super::key::{ApiKey, Holder, Secrets};
use super::rows::{damaged, networks, time};
use super::scope::KeyScope;
use super::target::PLATFORM;
use crate::store::{Row, Store, StoreError, Value, Write};

/// The keys that have this digest.
pub(super) async fn keys(store: &Store, tag: &[u8; 32]) -> Result<Vec<ApiKey>, StoreError> {
    let with = || vec![Value::blob(*tag)];
    let mut keys =
        store.rows(OF_ACCOUNTS, with()).await?.iter().map(of_account).collect::<Result<Vec<_>, _>>()?;
    for row in store.rows(OF_STAFF, with()).await? {
        keys.push(of_staff(&row)?);
    }
    Ok(keys)
}

fn of_account(row: &Row) -> Result<ApiKey, StoreError> {
    let account = AccountId::parse(&row.get::<String>("account_id")?).map_err(|error| damaged(&error))?;
    Ok(ApiKey {
        holder: Holder::Account { account, login: row.get("login")? },
        hash: row.get("hash")?,
        networks: networks(row)?,
        expires: row.get::<Option<i64>>("expires_at")?.map(time),
        scopes: scopes(row)?,
    })
}

fn of_staff(row: &Row) -> Result<ApiKey, StoreError> {
    Ok(ApiKey {
        holder: Holder::Staff(row.get("email")?),
        hash: row.get("hash")?,
        networks: vec![],
        expires: None,
        scopes: scopes(row)?,
    })
}

fn scopes(row: &Row) -> Result<Vec<KeyScope>, StoreError> {
    KeyScope::read(&row.get::<String>("scopes")?).map_err(|error| damaged(&error))
}

/// The row of a member of staff. A key that the file does not name stays.
pub(super) fn upsert(spec: &StaffSpec, secrets: &Secrets, at: Timestamp) -> Write {
    let email = spec.email.to_string();
    let kept = secrets.staff.get(&email);
    Write::new(
        "INSERT INTO staff (account_id, email, scopes, hash, tag, updated_at) VALUES ($1, $2, $3, $4, $5, $6) \
         ON CONFLICT (account_id, email) DO UPDATE SET scopes = $3, \
         hash = CASE WHEN $4 = '' THEN staff.hash ELSE $4 END, \
         tag = CASE WHEN $4 = '' THEN staff.tag ELSE $5 END, updated_at = $6",
        vec![
            Value::text(PLATFORM),
            Value::text(email),
            Value::text(KeyScope::list(&spec.scopes)),
            Value::text(kept.map_or("", |kept| kept.hash.as_str())),
            Value::or_null(kept.and_then(|kept| kept.tag).map(Value::blob)),
            Value::time(at),
        ],
    )
}

/// Takes away the members of staff that a file does not name.
///
/// # Errors
/// When the store cannot be read.
pub(super) async fn pruned(store: &Store, named: &[StaffSpec]) -> Result<Vec<Write>, StoreError> {
    let named: Vec<String> = named.iter().map(|spec| spec.email.to_string()).collect();
    let mut writes = Vec::new();
    for row in store.rows(STAFF, vec![Value::text(PLATFORM)]).await? {
        let email: String = row.get("email")?;
        if !named.contains(&email) {
            writes.push(Write::new(DELETE, vec![Value::text(PLATFORM), Value::text(email)]));
        }
    }
    Ok(writes)
}

const OF_ACCOUNTS: &str = "SELECT account_id, login, hash, networks, expires_at, scopes FROM account_credentials \
    WHERE tag = $1 AND kind = 'api'";
const OF_STAFF: &str = "SELECT email, hash, scopes FROM staff WHERE tag = $1";
const STAFF: &str = "SELECT email FROM staff WHERE account_id = $1";
const DELETE: &str = "DELETE FROM staff WHERE account_id = $1 AND email = $2";
