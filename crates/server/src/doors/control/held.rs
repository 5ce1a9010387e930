//! Held mail: shown, released, refused. Release and refusal are requests with an actor and a leaf.

use std::sync::Arc;

use axum::Json;
use axum::extract::{ConnectInfo, Path, Query, State};
use bytes::Bytes;
use countersign_core::ids::Ref;
use countersign_core::message::Message;
use countersign_core::request::{Actor, Client, Submission, Verb};
use countersign_wire::limits::Limits;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Control, Order, Peer, Problem, answer};
use crate::acts::{Means, Sealer};
use crate::custody::{self, Held, HeldMail, Parameters, Which};

#[derive(Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    all: bool,
}

pub(super) async fn list(
    State(control): State<Control>,
    Query(asked): Query<Asked>,
) -> Result<Json<Value>, Problem> {
    let which = if asked.all { Which::All } else { Which::Open };
    let held = custody::list(&control.store, which, MOST).await.map_err(Problem::of)?;
    Ok(Json(json!({ "held": held })))
}

pub(super) async fn show(
    State(control): State<Control>,
    Path(reference): Path<String>,
) -> Result<Json<Value>, Problem> {
    let (held, _) = find(&control, &reference).await?;
    Ok(Json(json!(held)))
}

pub(super) async fn release(
    State(control): State<Control>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Path(reference): Path<String>,
) -> Result<Json<Value>, Problem> {
    let (held, sealed) = find(&control, &reference).await?;
    let mail = unseal(&control, &held, sealed).await?;
    let parameters = mail.parameters.clone();
    let account = control.directory.account(&held.account).await.map_err(Problem::of)?;
    let upstream = control.exits.of(&account).map(|exit| Arc::clone(&exit.upstream));
    let order = order(peer.0, Verb::HeldRelease, &held, Some(Box::new(submission(mail))));
    let reply = control.order(order, Means::Held { held, upstream, parameters, mail: None }).await?;
    answer(&reply)
}

pub(super) async fn refuse(
    State(control): State<Control>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Path(reference): Path<String>,
) -> Result<Json<Value>, Problem> {
    let (held, sealed) = find(&control, &reference).await?;
    let order = order(peer.0, Verb::HeldRefuse, &held, None);
    let means = control.means_of(held, sealed).await;
    let reply = control.order(order, means).await?;
    answer(&reply)
}

impl Control {
    /// What ending a custody needs beside its row.
    pub(in crate::doors) async fn means_of(&self, held: Held, sealed: Option<Vec<u8>>) -> Means {
        let mail = match unseal(self, &held, sealed).await {
            Ok(mail) => Some(Box::new(mail)),
            Err(problem) => {
                tracing::warn!(why = problem.detail(), "ledger.ref" = %held.reference, "nobody can be told");
                None
            }
        };
        Means::Held { held, upstream: None, parameters: Parameters::default(), mail }
    }
}

/// A command about held mail.
pub(in crate::doors) fn order(
    actor: Actor,
    verb: Verb,
    held: &Held,
    message: Option<Box<Submission>>,
) -> Order {
    let object = held.reference.to_string();
    Order { actor, verb, object, arguments: Value::Null, message, account: held.account.clone() }
}

async fn find(control: &Control, reference: &str) -> Result<(Held, Option<Vec<u8>>), Problem> {
    let reference = Ref::parse(reference).map_err(|error| Problem::bad_request(&error.to_string()))?;
    let found = custody::load(&control.store, reference).await.map_err(Problem::of)?;
    found.ok_or_else(|| Problem::not_found(&format!("no mail is held under `{reference}`")))
}

/// Held mail as it was submitted.
pub(in crate::doors) fn submission(mail: HeldMail) -> Submission {
    Submission {
        credential: mail.credential,
        client: Client::default(),
        envelope: mail.envelope,
        // It was within the limits when it came; they may have changed since.
        message: Arc::new(Message::read(Bytes::from(mail.bytes), &Limits::default())),
    }
}

async fn unseal(control: &Control, held: &Held, sealed: Option<Vec<u8>>) -> Result<HeldMail, Problem> {
    let gone = || {
        Problem::over(&format!(
            "the mail of `{}` is no longer here: it is {}",
            held.reference,
            held.state.word()
        ))
    };
    let sealed = sealed.ok_or_else(gone)?;
    let key = control.keys.of(&held.account).await.map_err(Problem::of)?;
    let tie = Sealer::tie_of(held.account.as_str(), held.reference.as_str());
    let plain = key.open(&tie, &sealed).map_err(Problem::of)?;
    HeldMail::decode(&plain).ok_or_else(|| Problem::of("the sealed mail is damaged"))
}

const MOST: u32 = 10_000;
