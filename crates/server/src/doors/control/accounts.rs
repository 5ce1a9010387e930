//! Accounts: applied from a file, shown, blocked; modes set. Each change is a request with an actor.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::{Extension, Json};
use countersign_core::address::Domain;
use countersign_core::ids::AccountId;
use countersign_core::request::{Actor, Gate, Mode, Verb};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Control, Order, answer, platform};
use crate::accounts::file::{AccountsFile, CredentialKind};
use crate::accounts::{
    self, Account, Blocked, DirectoryError, Kept, PLATFORM, Reach, Secrets, Target, secret,
};
use crate::acts::{Change, Means, Reply};
use crate::doors::api::caller::Caller;
use crate::doors::api::json as read;
use crate::doors::api::problem::Problem;

/// An accounts file with the secrets that it names, as the CLI sends it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Apply {
    pub file: String,
    pub text: String,
    /// By login.
    pub secrets: BTreeMap<String, String>,
    /// By address.
    #[serde(default)]
    pub staff_secrets: BTreeMap<String, String>,
    pub trust_proof: bool,
    pub prune: bool,
}

/// What is to be blocked, or to act again: with neither a domain nor a credential the whole account.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::doors) struct Block {
    reason: Option<String>,
    domain: Option<String>,
    credential: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(in crate::doors) struct SetMode {
    gate: Gate,
    mode: Mode,
    account: Option<AccountId>,
}

pub(in crate::doors) async fn apply(
    State(control): State<Control>,
    Extension(caller): Extension<Caller>,
    body: Bytes,
) -> Result<Json<Value>, Problem> {
    let reply = control.load(caller.actor, read(&body, APPLY)?).await?;
    answer(&reply)
}

impl Control {
    /// Loads accounts without a door: the caller owns the data directory and is the local user.
    ///
    /// # Errors
    /// A sentence: what is wrong with the file, or why it may not be loaded.
    pub async fn apply_here(&self, asked: Apply) -> Result<(), String> {
        let actor = Actor::Local(rustix::process::getuid().as_raw());
        let reply = self.load(actor, asked).await.map_err(|problem| problem.detail())?;
        answer(&reply).map(|_| ()).map_err(|problem| problem.detail())
    }

    /// Blocks an account without a door, as [`Control::apply_here`] loads one.
    ///
    /// # Errors
    /// A sentence: why it is not blocked.
    pub async fn block_here(&self, id: &str, reason: &str) -> Result<(), String> {
        let account = AccountId::parse(id).map_err(|error| error.to_string())?;
        let actor = Actor::Local(rustix::process::getuid().as_raw());
        let target = Target { account, reach: Reach::Account };
        self.change(actor, target, Some(reason)).await.map(|_| ()).map_err(|problem| problem.detail())
    }

    async fn load(&self, actor: Actor, asked: Apply) -> Result<Reply, Problem> {
        let file = AccountsFile::parse(&asked.text, std::path::Path::new(&asked.file), asked.trust_proof)
            .map_err(|error| Problem::bad_request(error.to_string()))?;
        if file.accounts.iter().any(|account| account.id.as_str() == PLATFORM) {
            return Err(Problem::bad_request(
                "`platform` is the platform itself: give the account another id",
            ));
        }
        if let Some((account, name)) = self.unknown_upstream(&file) {
            let known: Vec<String> = self.exits.0.iter().map(|exit| format!("`{}`", exit.name)).collect();
            return Err(Problem::bad_request(format!(
                "account `{account}` names the upstream `{name}`, which the configuration does not have: there is {}",
                known.join(", ")
            )));
        }
        if let Some(login) = accounts::taken_login(&self.store, &file).await.map_err(Problem::of)? {
            let why = format!("login `{login}` belongs to another account: give each login one owner");
            return Err(Problem::bad_request(why));
        }
        let secrets = self.kept(&file, asked.secrets, asked.staff_secrets).await?;
        let shared = accounts::shared_secret(&self.store, &file, &secrets, asked.prune).await;
        if let Some([one, other]) = shared.map_err(Problem::of)? {
            return Err(Problem::bad_request(format!(
                "`{one}` and `{other}` have the same secret, and a key is its secret: give each API key one of its own"
            )));
        }
        let at = self.clock.now();
        let planned = accounts::plan_apply(&self.store, &file, &secrets, at, asked.prune).await;
        let writes = planned.map_err(Problem::of)?;
        let names: Vec<&str> = file.accounts.iter().map(|account| account.id.as_str()).collect();
        let arguments = json!({
            "file": asked.file, "accounts": names, "trust_proof": asked.trust_proof, "prune": asked.prune,
        });
        let (object, account) = (asked.file, platform()?);
        let order = Order { actor, verb: Verb::Apply, object, arguments, message: None, account };
        self.order(order, Means::Rows(writes)).await
    }
}

impl Control {
    /// What is kept of the secrets of a file. Those of API keys are found again by a digest.
    async fn kept(
        &self,
        file: &AccountsFile,
        credentials: BTreeMap<String, String>,
        staff: BTreeMap<String, String>,
    ) -> Result<Secrets, Problem> {
        let mut secrets = Secrets::default();
        let specs = file.accounts.iter().flat_map(|account| &account.credentials);
        let api: BTreeSet<&str> =
            specs.filter(|spec| spec.kind == CredentialKind::Api).map(|spec| spec.login.as_str()).collect();
        let keys = credentials.iter().filter(|(login, _)| api.contains(login.as_str())).chain(&staff);
        if let Some((name, _)) = keys.into_iter().find(|(_, secret)| secret.chars().count() < SHORTEST) {
            return Err(Problem::bad_request(format!(
                "the secret of the API key of `{name}` has fewer than {SHORTEST} characters: make one that nobody \
                 guesses (`openssl rand -base64 33`)"
            )));
        }
        for (login, secret) in credentials {
            let tag = api.contains(login.as_str()).then(|| accounts::tag_of(&self.keys, &secret));
            secrets.credentials.insert(login, Kept { hash: hash(secret).await?, tag });
        }
        for (email, secret) in staff {
            let tag = Some(accounts::tag_of(&self.keys, &secret));
            secrets.staff.insert(email, Kept { hash: hash(secret).await?, tag });
        }
        Ok(secrets)
    }

    /// An account of a file whose mail would go nowhere. A configuration without any upstream is not the server's.
    fn unknown_upstream<'f>(&self, file: &'f AccountsFile) -> Option<(&'f AccountId, &'f str)> {
        let names = |name: &str| self.exits.0.is_empty() || self.exits.0.iter().any(|exit| exit.name == name);
        let mut named =
            file.accounts.iter().filter_map(|account| Some((&account.id, account.upstream.as_deref()?)));
        named.find(|(_, name)| !names(name))
    }
}

async fn hash(secret: String) -> Result<String, Problem> {
    let hash = tokio::task::spawn_blocking(move || secret::hash(&secret)).await.map_err(Problem::of)?;
    hash.map_err(Problem::of)
}

pub(in crate::doors) async fn list(
    State(control): State<Control>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<Value>, Problem> {
    let mut rows = Vec::new();
    let ids = control.directory.ids().await.map_err(Problem::of)?;
    for id in ids.into_iter().filter(|id| caller.sees(id)) {
        rows.push(control.directory.account(&id).await.map_err(Problem::of)?.summary());
    }
    Ok(Json(json!({ "accounts": rows })))
}

pub(in crate::doors) async fn show(
    State(control): State<Control>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    Ok(Json(known(&control, &caller, &id).await?.summary()))
}

pub(in crate::doors) async fn block(
    State(control): State<Control>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Json<Value>, Problem> {
    let block: Block = read(&body, BLOCK)?;
    let reason = block.reason.as_deref().map(str::trim).unwrap_or_default();
    if reason.is_empty() {
        return Err(Problem::bad_request("a block needs a reason: it is recorded, and somebody will ask"));
    }
    let target = control.target(&caller, &id, &block).await?;
    control.change(caller.actor, target, Some(reason)).await
}

pub(in crate::doors) async fn unblock(
    State(control): State<Control>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Json<Value>, Problem> {
    let block: Block = read(&body, BLOCK)?;
    let target = control.target(&caller, &id, &block).await?;
    let account = control.directory.account(&target.account).await;
    if account.is_ok_and(|account| !account.is_blocked(&target.reach)) {
        return Err(Problem::not_found("nothing of that is blocked: `account show` says what is"));
    }
    control.change(caller.actor, target, None).await
}

impl Control {
    /// What a block names: an account, one of its credentials, a domain; a domain of `platform` is everybody's.
    async fn target(&self, caller: &Caller, id: &str, block: &Block) -> Result<Target, Problem> {
        let reach = match (&block.domain, &block.credential) {
            (None, None) => Reach::Account,
            (Some(domain), None) => {
                Reach::Domain(Domain::parse(domain).map_err(|e| Problem::bad_request(e.to_string()))?)
            }
            (None, Some(login)) => Reach::Credential(login.clone()),
            (Some(_), Some(_)) => {
                return Err(Problem::bad_request("block a domain or a credential, not both at once"));
            }
        };
        let account = match (id, &reach) {
            (PLATFORM, Reach::Domain(_)) if caller.only.is_none() => platform()?,
            (PLATFORM, _) if caller.only.is_none() => {
                return Err(Problem::bad_request("of the whole platform only a domain is blocked"));
            }
            _ => known(self, caller, id).await?.id.clone(),
        };
        if let Reach::Credential(login) = &reach {
            let owner = self.directory.owner(login).await.map_err(Problem::of)?;
            if owner.is_none_or(|owner| owner != account) {
                return Err(Problem::not_found(format!("account `{account}` has no login `{login}`")));
            }
        }
        Ok(Target { account, reach })
    }

    async fn change(
        &self,
        actor: Actor,
        target: Target,
        reason: Option<&str>,
    ) -> Result<Json<Value>, Problem> {
        let verb = if reason.is_some() { Verb::AccountBlock } else { Verb::AccountUnblock };
        let account = target.account.clone();
        let order = order(actor, verb, account.as_str(), target.arguments(reason), account.clone());
        let at = self.clock.now();
        let blocked = reason.map(|reason| Blocked { reason: reason.to_owned(), at });
        let change = Change { target, blocked, at, directory: self.directory.clone() };
        answer(&self.order(order, Means::Block(change)).await?)
    }
}

pub(in crate::doors) async fn set_mode(
    State(control): State<Control>,
    Extension(caller): Extension<Caller>,
    body: Bytes,
) -> Result<Json<Value>, Problem> {
    let set: SetMode = read(&body, SET_MODE)?;
    let arguments = json!({ "gate": set.gate, "mode": set.mode, "account": set.account });
    let (object, account, writes) = match &set.account {
        Some(id) => {
            let id = known(&control, &caller, id.as_str()).await?.id.clone();
            (id.to_string(), id.clone(), accounts::set_account_mode(&id, set.mode))
        }
        None => (set.gate.name().to_owned(), platform()?, accounts::set_gate_mode(set.gate, set.mode)),
    };
    carry(&control, order(caller.actor, Verb::SetMode, &object, arguments, account), writes).await
}

async fn carry(
    control: &Control,
    order: Order,
    writes: Vec<crate::store::Write>,
) -> Result<Json<Value>, Problem> {
    answer(&control.order(order, Means::Rows(writes)).await?)
}

fn order(actor: Actor, verb: Verb, object: &str, arguments: Value, account: AccountId) -> Order {
    Order { actor, verb, object: object.to_owned(), arguments, message: None, account }
}

/// An account that the caller sees.
async fn known(control: &Control, caller: &Caller, id: &str) -> Result<Arc<Account>, Problem> {
    let id = AccountId::parse(id).map_err(|error| Problem::bad_request(error.to_string()))?;
    let gone = || Problem::not_found(DirectoryError::Unknown(id.to_string()).to_string());
    match control.directory.account(&id).await {
        Ok(account) if caller.sees(&id) => Ok(account),
        Ok(_) | Err(DirectoryError::Unknown(_)) => Err(gone()),
        Err(error) => Err(Problem::of(error)),
    }
}

/// Of the secret of an API key, in characters: it stands alone, without a login that would have to be known, too.
const SHORTEST: usize = 16;
/// The fields of what is sent.
pub(in crate::doors) const BLOCK: &[&str] = &["reason", "domain", "credential"];
pub(in crate::doors) const SET_MODE: &[&str] = &["gate", "mode", "account"];
const APPLY: &[&str] = &["file", "text", "secrets", "staff_secrets", "trust_proof", "prune"];
