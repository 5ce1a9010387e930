//! The rows of API keys: those of accounts stand with their credentials, those of staff in the table `staff`.

use std::collections::BTreeMap;

use countersign_core::ids::AccountId;
use jiff::Timestamp;

use super::file::{AccountsFile, CredentialKind, StaffSpec};
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

/// Two API keys that would have the same secret once a file is loaded: none of them would open anything.
///
/// # Errors
/// When the store cannot be read.
pub async fn shared_secret(
    store: &Store,
    file: &AccountsFile,
    secrets: &Secrets,
    prune: bool,
) -> Result<Option<[String; 2]>, StoreError> {
    let mut seen: BTreeMap<[u8; 32], &str> = BTreeMap::new();
    let new = secrets.credentials.iter().chain(&secrets.staff);
    for (name, tag) in new.filter_map(|(name, kept)| Some((name.as_str(), kept.tag?))) {
        if let Some(first) = seen.insert(tag, name) {
            return Ok(Some([first.to_owned(), name.to_owned()]));
        }
    }
    for (tag, name) in seen {
        for key in keys(store, &tag).await? {
            if let Some(other) = staying(&key.holder, file, secrets, prune) {
                return Ok(Some([other.to_owned(), name.to_owned()]));
            }
        }
    }
    Ok(None)
}

/// The name of a key of the store that keeps its secret when a file is loaded.
fn staying<'k>(holder: &'k Holder, file: &AccountsFile, secrets: &Secrets, prune: bool) -> Option<&'k str> {
    let (name, replaced, named) = match holder {
        Holder::Account { login, .. } => {
            let mut specs = file.accounts.iter().flat_map(|account| &account.credentials);
            let spec = specs.find(|spec| spec.login == *login);
            let turned = spec.is_some_and(|spec| spec.kind != CredentialKind::Api);
            (login, turned || secrets.credentials.contains_key(login), spec.is_some())
        }
        Holder::Staff(email) => {
            let named = file.staff.iter().any(|spec| spec.email.to_string() == *email);
            (email, secrets.staff.contains_key(email), named)
        }
    };
    Some(name.as_str()).filter(|_| !replaced && (named || !prune))
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
