//! The tables of accounts. Reading gives words; changing gives `Write`s that ride with a leaf.

use std::collections::{BTreeMap, BTreeSet};

use countersign_core::address::{Domain, EmailAddress};
use countersign_core::ids::AccountId;
use countersign_core::request::{Gate, Mode};
use ipnet::IpNet;
use jiff::Timestamp;

use super::account::{Account, Credential, OwnedDomain};
use super::directory::NamedUpstream;
use super::file::{AccountSpec, AccountsFile, CredentialKind, Scope};
use super::key::{Kept, Secrets};
use super::key_rows;
use super::passes::Passes;
use super::pattern::Pattern;
use super::scope::KeyScope;
use super::target::{Blocked, PLATFORM, Reach, Target};
use crate::store::{Row, Store, StoreError, Value, Write};

/// An account with its domains.
pub(super) async fn load(store: &Store, id: &AccountId) -> Result<Option<Account>, StoreError> {
    let of = || vec![Value::text(id.as_str())];
    let Some(row) = store.row(ACCOUNT, of()).await? else { return Ok(None) };
    let domains = store.rows(DOMAINS, of()).await?;
    let spf_passed = Passes::default();
    for passed in store.rows(SPF, of()).await? {
        if let Ok(domain) = Domain::parse(&passed.get::<String>("domain")?) {
            spf_passed.note(&domain, time(passed.get("passed_at")?));
        }
    }
    let reason: Option<String> = row.get("blocked_reason")?;
    let at: Option<i64> = row.get("blocked_at")?;
    let owner: Option<String> = row.get("owner_email")?;
    let own = at.map(|at| Blocked { reason: reason.unwrap_or_default(), at: time(at) });
    let parts = blocked_parts(store, id).await?;
    let whole = parts.iter().find(|(reach, _)| *reach == Reach::Account).map(|(_, blocked)| blocked.clone());
    Ok(Some(Account {
        id: id.clone(),
        name: row.get("name")?,
        tier: row.get("tier")?,
        mode: mode(row.get::<Option<String>>("mode")?.as_deref()),
        mode_set: mode(row.get::<Option<String>>("mode_set")?.as_deref()),
        upstream: row.get("upstream")?,
        networks: networks(&row)?,
        domains: domains.iter().map(domain).collect::<Result<_, _>>()?,
        blocked_parts: parts.into_iter().filter(|(reach, _)| *reach != Reach::Account).collect(),
        blocked: own.or(whole),
        owner_email: owner.and_then(|owner| EmailAddress::parse(&owner).ok()),
        spf_passed,
    }))
}

/// What is blocked of an account, and what is blocked for everybody.
async fn blocked_parts(store: &Store, id: &AccountId) -> Result<Vec<(Reach, Blocked)>, StoreError> {
    let rows = store.rows(BLOCKS, [id.as_str(), PLATFORM].map(Value::text).to_vec()).await?;
    let part = |row: &Row| {
        let subject: String = row.get("subject")?;
        let reach = match row.get::<String>("scope")?.as_str() {
            "domain" => Reach::Domain(Domain::parse(&subject).map_err(|error| damaged(&error))?),
            "account" => Reach::Account,
            _ => Reach::Credential(subject),
        };
        Ok((reach, Blocked { reason: row.get("reason")?, at: time(row.get("at_us")?) }))
    };
    rows.iter().map(part).collect()
}

/// A credential by its login.
pub(super) async fn credential(store: &Store, login: &str) -> Result<Option<Credential>, StoreError> {
    let Some(row) = store.row(CREDENTIAL, vec![Value::text(login)]).await? else { return Ok(None) };
    let account: String = row.get("account_id")?;
    Ok(Some(Credential {
        login: row.get("login")?,
        account: AccountId::parse(&account).map_err(|error| damaged(&error))?,
        hash: row.get("hash")?,
        networks: networks(&row)?,
        expires: row.get::<Option<i64>>("expires_at")?.map(time),
        daily_cap: cap(row.get("daily_cap")?),
    }))
}

/// Whose login it is, of whatever kind.
pub(super) async fn owner(store: &Store, login: &str) -> Result<Option<AccountId>, StoreError> {
    let owner = "SELECT account_id FROM account_credentials WHERE login = $1";
    let Some(row) = store.row(owner, vec![Value::text(login)]).await? else { return Ok(None) };
    AccountId::parse(&row.get::<String>("account_id")?).map(Some).map_err(|error| damaged(&error))
}

/// Who has proved a domain: it itself, else the nearest one above it whose proof reaches down.
pub(super) async fn proved_by(store: &Store, domain: &Domain) -> Result<Vec<AccountId>, StoreError> {
    let mut looked_at = Some(domain.clone());
    while let Some(name) = looked_at {
        let depth = Value::int(i64::from(name != *domain));
        let rows = store.rows(PROVED, vec![Value::text(name.as_str()), depth]).await?;
        if !rows.is_empty() {
            let id = |row: &Row| {
                AccountId::parse(&row.get::<String>("account_id")?).map_err(|error| damaged(&error))
            };
            return rows.iter().map(id).collect();
        }
        looked_at = name.parent();
    }
    Ok(vec![])
}

/// The upstreams that accounts name.
pub(super) async fn upstreams(store: &Store) -> Result<Vec<NamedUpstream>, StoreError> {
    let named = |row: &Row| {
        let (name, account) = (row.get("name")?, row.get("account_id")?);
        Ok(NamedUpstream { name, account, accounts: row.get("accounts")? })
    };
    store.rows(UPSTREAMS, vec![]).await?.iter().map(named).collect()
}

/// All ids, in order.
pub(super) async fn ids(store: &Store) -> Result<Vec<AccountId>, StoreError> {
    let id = |row: &Row| AccountId::parse(&row.get::<String>("account_id")?).map_err(|error| damaged(&error));
    let rows = store.rows("SELECT account_id FROM accounts ORDER BY account_id", vec![]).await?;
    rows.iter().map(id).collect()
}

/// The mode that was set for a gate.
pub(super) async fn gate_mode(store: &Store, gate: Gate) -> Result<Option<Mode>, StoreError> {
    let row =
        store.row("SELECT mode FROM gate_modes WHERE gate = $1", vec![Value::text(gate.name())]).await?;
    Ok(row.map(|row| row.get("mode")).transpose()?.and_then(|word: String| mode(Some(&word))))
}

/// A number that grows with every change.
pub(super) async fn version(store: &Store) -> Result<i64, StoreError> {
    let row = store.row("SELECT version FROM changes WHERE scope = 'accounts'", vec![]).await?;
    row.map_or(Ok(0), |row| row.get("version"))
}

/// A login of a file that belongs to an account that the file does not move it from.
///
/// # Errors
/// When the store cannot be read.
pub async fn taken_login(store: &Store, file: &AccountsFile) -> Result<Option<String>, StoreError> {
    for account in &file.accounts {
        for credential in &account.credentials {
            if owner(store, &credential.login).await?.is_some_and(|owner| owner != account.id) {
                return Ok(Some(credential.login.clone()));
            }
        }
    }
    Ok(None)
}

/// What a file of accounts changes. Nothing is deleted unless `prune`: then what it does not name.
/// `secrets` are what the store keeps of those that it names.
///
/// # Errors
/// When the store cannot be read.
pub async fn plan_apply(
    store: &Store,
    file: &AccountsFile,
    secrets: &Secrets,
    at: Timestamp,
    prune: bool,
) -> Result<Vec<Write>, StoreError> {
    let mut writes = if prune { pruned(store, file).await? } else { vec![] };
    if prune {
        writes.extend(key_rows::pruned(store, &file.staff).await?);
    }
    for account in &file.accounts {
        writes.push(upsert(account, at));
        writes.extend(account.domains.iter().map(|domain| upsert_domain(account, domain, at)));
        writes.extend(account.credentials.iter().map(|credential| {
            upsert_credential(account, credential, secrets.credentials.get(&credential.login))
        }));
    }
    writes.extend(file.staff.iter().map(|staff| key_rows::upsert(staff, secrets, at)));
    writes.push(changed());
    Ok(writes)
}

async fn pruned(store: &Store, file: &AccountsFile) -> Result<Vec<Write>, StoreError> {
    let named: BTreeMap<&AccountId, &AccountSpec> =
        file.accounts.iter().map(|spec| (&spec.id, spec)).collect();
    let mut writes = Vec::new();
    for id in ids(store).await? {
        let Some(spec) = named.get(&id) else {
            writes.extend(
                DELETE_ACCOUNT.iter().map(|statement| Write::new(statement, vec![Value::text(id.as_str())])),
            );
            continue;
        };
        let domains: BTreeSet<&str> = spec.domains.iter().map(|domain| domain.name.as_str()).collect();
        let logins: BTreeSet<&str> =
            spec.credentials.iter().map(|credential| credential.login.as_str()).collect();
        for (select, delete, kept) in [(NAMES, DELETE_DOMAIN, domains), (LOGINS, DELETE_LOGIN, logins)] {
            for row in store.rows(select, vec![Value::text(id.as_str())]).await? {
                let name: String = row.get("name")?;
                if !kept.contains(name.as_str()) {
                    writes.push(Write::new(delete, vec![Value::text(id.as_str()), Value::text(name)]));
                }
            }
        }
    }
    Ok(writes)
}

fn upsert(spec: &AccountSpec, at: Timestamp) -> Write {
    let text = |value: Option<String>| Value::or_null(value.map(Value::text));
    Write::new(
        "INSERT INTO accounts (account_id, name, tier, mode, upstream, networks, owner_email, spec, updated_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, '{}', $8) ON CONFLICT (account_id) DO UPDATE SET name = $2, tier = $3, \
         mode = $4, upstream = $5, networks = $6, owner_email = $7, updated_at = $8",
        vec![
            Value::text(spec.id.as_str()),
            Value::text(&spec.name),
            text(spec.tier.map(|tier| tier.to_string())),
            text(spec.mode.map(|mode| mode.name().to_owned())),
            text(spec.upstream.clone()),
            Value::text(json_of(&spec.networks)),
            text(spec.owner_email.as_ref().map(ToString::to_string)),
            Value::time(at),
        ],
    )
}

fn upsert_domain(account: &AccountSpec, spec: &super::file::DomainSpec, at: Timestamp) -> Write {
    let text = |value: Option<&Pattern>| Value::or_null(value.map(|pattern| Value::text(pattern.as_str())));
    let proof = |value: Value| Value::or_null(spec.proved.then_some(value));
    Write::new(
        "INSERT INTO account_domains (account_id, domain, subdomains, from_local, from_name, proved_at, proof) \
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (account_id, domain) DO UPDATE SET subdomains = $3, \
         from_local = $4, from_name = $5, proved_at = COALESCE($6, account_domains.proved_at), \
         proof = COALESCE($7, account_domains.proof)",
        vec![
            Value::text(account.id.as_str()),
            Value::text(spec.name.as_str()),
            Value::int(i64::from(spec.scope == Scope::Subdomains)),
            text(spec.from_local.as_ref()),
            text(spec.from_name.as_ref()),
            proof(Value::time(at)),
            proof(Value::text("trusted")),
        ],
    )
}

fn upsert_credential(
    account: &AccountSpec,
    spec: &super::file::CredentialSpec,
    kept: Option<&Kept>,
) -> Write {
    let kind = match spec.kind {
        CredentialKind::Smtp => "smtp",
        CredentialKind::Api => "api",
    };
    Write::new(
        "INSERT INTO account_credentials (account_id, login, kind, hash, networks, expires_at, daily_cap, tag, scopes) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (account_id, login) DO UPDATE SET kind = $3, \
         hash = CASE WHEN $4 = '' THEN account_credentials.hash ELSE $4 END, networks = $5, expires_at = $6, \
         daily_cap = $7, tag = CASE WHEN $4 = '' THEN account_credentials.tag ELSE $8 END, scopes = $9",
        vec![
            Value::text(account.id.as_str()),
            Value::text(&spec.login),
            Value::text(kind),
            Value::text(kept.map_or("", |kept| kept.hash.as_str())),
            Value::text(json_of(&spec.networks)),
            Value::or_null(spec.expires.map(Value::time)),
            Value::or_null(spec.daily_cap.map(|cap| Value::int(i64::try_from(cap).unwrap_or(i64::MAX)))),
            Value::or_null(kept.and_then(|kept| kept.tag).map(Value::blob)),
            Value::text(KeyScope::list(&spec.scopes)),
        ],
    )
}

/// The rows that change when a target is blocked. They change nothing else, so that they can be written late.
#[must_use]
pub fn block(target: &Target, blocked: &Blocked) -> Vec<Write> {
    let id = Value::text(target.account.as_str());
    let (reason, at) = (Value::text(&blocked.reason), Value::time(blocked.at));
    let row = match part(&target.reach) {
        None => {
            let set = "UPDATE accounts SET blocked_reason = $2, blocked_at = $3 WHERE account_id = $1";
            Write::new(set, vec![id, reason, at])
        }
        Some((scope, subject)) => Write::new(
            "INSERT INTO blocks (account_id, scope, subject, reason, at_us) VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT (account_id, scope, subject) DO UPDATE SET reason = $4, at_us = $5",
            vec![id, Value::text(scope), Value::text(subject), reason, at],
        ),
    };
    vec![row, changed()]
}

/// The rows that change when a target may act again.
#[must_use]
pub fn unblock(target: &Target) -> Vec<Write> {
    let id = Value::text(target.account.as_str());
    let (scope, subject) = part(&target.reach).unwrap_or(("account", ""));
    let gone = "DELETE FROM blocks WHERE account_id = $1 AND scope = $2 AND subject = $3";
    let mut rows = vec![Write::new(gone, vec![id.clone(), Value::text(scope), Value::text(subject)])];
    if target.reach == Reach::Account {
        let set = "UPDATE accounts SET blocked_reason = NULL, blocked_at = NULL WHERE account_id = $1";
        rows.push(Write::new(set, vec![id]));
    }
    rows.push(changed());
    rows
}

/// What of an account a block reaches, if not all of it.
fn part(reach: &Reach) -> Option<(&'static str, &str)> {
    match reach {
        Reach::Account => None,
        Reach::Domain(domain) => Some(("domain", domain.as_str())),
        Reach::Credential(login) => Some(("credential", login)),
    }
}

/// Sets the mode of an account; it wins over what `apply` says.
#[must_use]
pub fn set_account_mode(id: &AccountId, mode: Mode) -> Vec<Write> {
    let set = "UPDATE accounts SET mode_set = $2 WHERE account_id = $1";
    vec![Write::new(set, vec![Value::text(id.as_str()), Value::text(mode.name())]).rows(1), changed()]
}

/// Sets the mode of a gate; it wins over the configuration.
#[must_use]
pub fn set_gate_mode(gate: Gate, mode: Mode) -> Vec<Write> {
    let set =
        "INSERT INTO gate_modes (gate, mode) VALUES ($1, $2) ON CONFLICT (gate) DO UPDATE SET mode = $2";
    vec![Write::new(set, vec![Value::text(gate.name()), Value::text(mode.name())]), changed()]
}

/// Remembers that SPF passed for a domain that an account wrote as.
#[must_use]
pub fn passed_spf(id: &AccountId, domain: &Domain, at: Timestamp) -> Write {
    Write::new(
        "INSERT INTO account_spf (account_id, domain, passed_at) VALUES ($1, $2, $3) \
         ON CONFLICT (account_id, domain) DO UPDATE SET passed_at = $3",
        vec![Value::text(id.as_str()), Value::text(domain.as_str()), Value::time(at)],
    )
}

/// Tells every node that something changed.
#[must_use]
pub(super) fn changed() -> Write {
    Write::new(
        "INSERT INTO changes (scope, version) VALUES ('accounts', 1) \
         ON CONFLICT (scope) DO UPDATE SET version = changes.version + 1",
        vec![],
    )
}

fn domain(row: &Row) -> Result<OwnedDomain, StoreError> {
    let pattern = |name: &str| match row.get::<Option<String>>(name)? {
        Some(text) => Pattern::parse(&text).map(Some).map_err(|error| damaged(&error)),
        None => Ok(None),
    };
    Ok(OwnedDomain {
        domain: Domain::parse(&row.get::<String>("domain")?).map_err(|error| damaged(&error))?,
        subdomains: row.get::<i64>("subdomains")? != 0,
        from_local: pattern("from_local")?,
        from_name: pattern("from_name")?,
        proved: row.get::<Option<i64>>("proved_at")?.is_some(),
    })
}

pub(super) fn networks(row: &Row) -> Result<Vec<IpNet>, StoreError> {
    let text: String = row.get("networks")?;
    // A list that cannot be read must not become "anywhere".
    serde_json::from_str(&text).map_err(|error| damaged(&error))
}

fn json_of(networks: &[IpNet]) -> String {
    serde_json::to_string(networks).unwrap_or_else(|_| "[]".to_owned())
}

fn mode(word: Option<&str>) -> Option<Mode> {
    match word {
        Some("observe") => Some(Mode::Observe),
        Some("enforce") => Some(Mode::Enforce),
        _ => None,
    }
}

pub(super) fn time(us: i64) -> Timestamp {
    Timestamp::from_microsecond(us).unwrap_or_default()
}

/// 0 is no cap.
fn cap(number: Option<i64>) -> Option<u64> {
    number.and_then(|number| u64::try_from(number).ok()).filter(|number| *number > 0)
}

pub(super) fn damaged(error: &dyn std::fmt::Display) -> StoreError {
    StoreError::Damaged(error.to_string())
}

const ACCOUNT: &str = "SELECT name, tier, mode, mode_set, upstream, networks, owner_email, blocked_reason, \
     blocked_at FROM accounts WHERE account_id = $1";
const DOMAINS: &str = "SELECT domain, subdomains, from_local, from_name, proved_at FROM account_domains \
     WHERE account_id = $1 ORDER BY domain";
const SPF: &str = "SELECT domain, passed_at FROM account_spf WHERE account_id = $1";
const BLOCKS: &str = "SELECT scope, subject, reason, at_us FROM blocks WHERE account_id = $1 OR account_id = $2 \
     ORDER BY scope, subject";
const CREDENTIAL: &str = "SELECT login, account_id, hash, networks, expires_at, daily_cap FROM account_credentials \
     WHERE login = $1 AND kind = 'smtp'";
const PROVED: &str = "SELECT account_id FROM account_domains \
     WHERE domain = $1 AND proved_at IS NOT NULL AND ($2 = 0 OR subdomains <> 0) ORDER BY account_id LIMIT 2";
const UPSTREAMS: &str = "SELECT upstream AS name, MIN(account_id) AS account_id, COUNT(*) AS accounts \
     FROM accounts WHERE upstream IS NOT NULL GROUP BY upstream ORDER BY upstream";
const NAMES: &str = "SELECT domain AS name FROM account_domains WHERE account_id = $1";
const DELETE_DOMAIN: &str = "DELETE FROM account_domains WHERE account_id = $1 AND domain = $2";
const LOGINS: &str = "SELECT login AS name FROM account_credentials WHERE account_id = $1";
const DELETE_LOGIN: &str = "DELETE FROM account_credentials WHERE account_id = $1 AND login = $2";
/// What is blocked stays so, also when its account goes and comes again.
const DELETE_ACCOUNT: [&str; 5] = [
    "INSERT INTO blocks (account_id, scope, subject, reason, at_us) \
     SELECT account_id, 'account', '', COALESCE(blocked_reason, ''), blocked_at FROM accounts \
     WHERE account_id = $1 AND blocked_at IS NOT NULL ON CONFLICT (account_id, scope, subject) DO NOTHING",
    "DELETE FROM account_credentials WHERE account_id = $1",
    "DELETE FROM account_domains WHERE account_id = $1",
    "DELETE FROM account_spf WHERE account_id = $1",
    "DELETE FROM accounts WHERE account_id = $1",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::fresh::Fresh;

    #[tokio::test]
    async fn who_has_proved_a_domain_is_looked_up_in_an_index() {
        let fresh = Fresh::in_sqlite().await;
        let explain = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {PROVED}"));
        let values = vec![Value::text("acme.example"), Value::Int(0)];
        let plan = fresh.store.rows(explain, values).await.unwrap();
        let plan: Vec<String> = plan.iter().map(|row| row.get("detail").unwrap()).collect();
        assert!(plan.iter().any(|step| step.contains("account_domains_by_domain (domain=?)")), "{plan:?}");
        assert!(!plan.iter().any(|step| step.starts_with("SCAN")), "{plan:?}");
    }
}
