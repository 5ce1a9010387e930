//! Accounts: applied from a file, shown, blocked; modes set. Each change is a request with an actor.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{ConnectInfo, Path, State};
use countersign_core::ids::AccountId;
use countersign_core::request::{Gate, Mode, Verb};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Control, Order, Peer, Problem, answer, platform};
use crate::accounts::{self, file::AccountsFile, secret};
use crate::acts::Means;

/// An accounts file with the secrets that it names, as the CLI sends it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Apply {
    pub file: String,
    pub text: String,
    /// By login.
    pub secrets: BTreeMap<String, String>,
    pub trust_proof: bool,
    pub prune: bool,
}

#[derive(Debug, Deserialize)]
pub(super) struct Block {
    reason: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct SetMode {
    gate: Gate,
    mode: Mode,
    account: Option<AccountId>,
}

pub(super) async fn apply(
    State(control): State<Control>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Json(apply): Json<Apply>,
) -> Result<Json<Value>, Problem> {
    let file = AccountsFile::parse(&apply.text, std::path::Path::new(&apply.file), apply.trust_proof)
        .map_err(|error| Problem::bad_request(&error.to_string()))?;
    let mut hashes = BTreeMap::new();
    for (login, secret) in apply.secrets {
        let hash = tokio::task::spawn_blocking(move || secret::hash(&secret)).await.map_err(Problem::of)?;
        hashes.insert(login, hash.map_err(Problem::of)?);
    }
    let at = control.clock.now();
    let existing = control.directory.ids().await.map_err(Problem::of)?;
    let writes = accounts::apply(&file, &hashes, &existing, at, apply.prune);
    let names: Vec<&str> = file.accounts.iter().map(|account| account.id.as_str()).collect();
    let arguments = json!({ "file": apply.file, "accounts": names, "trust_proof": apply.trust_proof, "prune": apply.prune });
    let order = order(peer, Verb::Apply, &apply.file, arguments, platform()?);
    let reply = control.order(order, Means::Rows(writes)).await?;
    control.directory.forget();
    answer(&reply)
}

pub(super) async fn list(State(control): State<Control>) -> Result<Json<Value>, Problem> {
    let mut rows = Vec::new();
    for id in control.directory.ids().await.map_err(Problem::of)? {
        rows.push(control.directory.account(&id).await.map_err(Problem::of)?.summary());
    }
    Ok(Json(json!({ "accounts": rows })))
}

pub(super) async fn show(State(control): State<Control>, Path(id): Path<String>) -> Result<Json<Value>, Problem> {
    let id = AccountId::parse(&id).map_err(|error| Problem::bad_request(&error.to_string()))?;
    match control.directory.account(&id).await {
        Ok(account) => Ok(Json(account.summary())),
        Err(error) => Err(Problem::not_found(&error.to_string())),
    }
}

pub(super) async fn block(
    State(control): State<Control>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Path(id): Path<String>,
    Json(block): Json<Block>,
) -> Result<Json<Value>, Problem> {
    let account = known(&control, &id).await?;
    let writes = accounts::block(&account, &block.reason, control.clock.now());
    let order = order(peer, Verb::AccountBlock, &id, json!({ "reason": block.reason }), account);
    carry(&control, order, writes).await
}

pub(super) async fn unblock(
    State(control): State<Control>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let account = known(&control, &id).await?;
    let writes = accounts::unblock(&account);
    let order = order(peer, Verb::AccountUnblock, &id, Value::Null, account);
    carry(&control, order, writes).await
}

pub(super) async fn set_mode(
    State(control): State<Control>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Json(set): Json<SetMode>,
) -> Result<Json<Value>, Problem> {
    let arguments = json!({ "gate": set.gate, "mode": set.mode, "account": set.account });
    let (object, account, writes) = match &set.account {
        Some(id) => {
            let id = known(&control, id.as_str()).await?;
            (id.to_string(), id.clone(), accounts::set_account_mode(&id, set.mode))
        }
        None => (set.gate.name().to_owned(), platform()?, accounts::set_gate_mode(set.gate, set.mode)),
    };
    carry(&control, order(peer, Verb::SetMode, &object, arguments, account), writes).await
}

async fn carry(
    control: &Control,
    order: Order,
    writes: Vec<crate::store::Write>,
) -> Result<Json<Value>, Problem> {
    let reply = control.order(order, Means::Rows(writes)).await?;
    control.directory.forget();
    answer(&reply)
}

fn order(peer: Peer, verb: Verb, object: &str, arguments: Value, account: AccountId) -> Order {
    Order { actor: peer.0, verb, object: object.to_owned(), arguments, message: None, account }
}

async fn known(control: &Control, id: &str) -> Result<AccountId, Problem> {
    let id = AccountId::parse(id).map_err(|error| Problem::bad_request(&error.to_string()))?;
    match control.directory.account(&id).await {
        Ok(account) => Ok(account.id.clone()),
        Err(error) => Err(Problem::not_found(&error.to_string())),
    }
}
