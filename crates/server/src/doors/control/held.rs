//! Held mail: shown, released, refused. Release and refusal are requests with an actor and a leaf.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use bytes::Bytes;
use countersign_core::ids::Ref;
use countersign_core::message::Message;
use countersign_core::request::{Actor, Client, Submission, Verb};
use countersign_wire::limits::Limits;
use serde_json::{Value, json};

use super::{Control, Order, answer};
use crate::acts::{Means, Sealer};
use crate::custody::{self, Held, HeldMail, Parameters, Place, Which};
use crate::doors::api::caller::Caller;
use crate::doors::api::page::Page;
use crate::doors::api::problem::{Kind, Problem};
use crate::doors::api::query::Query;

pub(in crate::doors) async fn list(
    State(control): State<Control>,
    Extension(caller): Extension<Caller>,
    Extension(query): Extension<Query>,
) -> Result<Response, Problem> {
    let page = Page::of(&query);
    let which = if query.flag("all") == Some(true) { Which::All } else { Which::Open };
    let after = match page.after {
        None => None,
        Some(text) => Some(Place::parse(text).ok_or_else(|| Problem::bad_request(WRONG_PLACE))?),
    };
    let held = custody::page(
        &control.store,
        &control.keys,
        which,
        caller.only.as_ref(),
        after.as_ref(),
        page.wanted(),
    )
    .await;
    let mut held = held.map_err(Problem::of)?;
    let next = page.cut(&mut held, |row| Place::of(row).to_string());
    let link = page.link("/v1/held", next.as_deref());
    Ok((link.map(|link| [link]), Json(json!({ "held": held, "next": next }))).into_response())
}

pub(in crate::doors) async fn show(
    State(control): State<Control>,
    Extension(caller): Extension<Caller>,
    Path(reference): Path<String>,
) -> Result<Response, Problem> {
    let (held, _) = find(&control, &caller, &reference).await?;
    Ok(([(header::ETAG, tag_value(&tag(&held)))], Json(held)).into_response())
}

pub(in crate::doors) async fn release(
    State(control): State<Control>,
    Extension(caller): Extension<Caller>,
    Path(reference): Path<String>,
    headers: HeaderMap,
) -> Result<Json<Value>, Problem> {
    let (held, sealed) = find(&control, &caller, &reference).await?;
    is_as_expected(&held, &headers)?;
    let mail = unseal(&control, &held, sealed).await?;
    let parameters = mail.parameters.clone();
    let account = control.directory.account(&held.account).await.map_err(Problem::of)?;
    let upstream = control.exits.of(&account).map(|exit| Arc::clone(&exit.upstream));
    let order = order(caller.actor, Verb::HeldRelease, &held, Some(Box::new(submission(mail))));
    let reply = control.order(order, Means::Held { held, upstream, parameters, mail: None }).await?;
    answer(&reply)
}

pub(in crate::doors) async fn refuse(
    State(control): State<Control>,
    Extension(caller): Extension<Caller>,
    Path(reference): Path<String>,
    headers: HeaderMap,
) -> Result<Json<Value>, Problem> {
    let (held, sealed) = find(&control, &caller, &reference).await?;
    is_as_expected(&held, &headers)?;
    let order = order(caller.actor, Verb::HeldRefuse, &held, None);
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

async fn find(
    control: &Control,
    caller: &Caller,
    reference: &str,
) -> Result<(Held, Option<Vec<u8>>), Problem> {
    let reference = Ref::parse(reference).map_err(|error| Problem::bad_request(error.to_string()))?;
    let found = custody::load(&control.store, &control.keys, reference).await.map_err(Problem::of)?;
    let found = found.filter(|(held, _)| caller.sees(&held.account));
    found.ok_or_else(|| Problem::not_found(format!("no mail is held under `{reference}`")))
}

/// RFC 9110 13.1.1: the origin server "MUST NOT perform the requested method if the condition evaluates to false"
fn is_as_expected(held: &Held, headers: &HeaderMap) -> Result<(), Problem> {
    let now = tag(held);
    let mut fields = headers.get_all(header::IF_MATCH).iter().peekable();
    let listed = |field: &HeaderValue| {
        field
            .to_str()
            .unwrap_or_default()
            .split(',')
            .any(|known| matches!(known.trim(), "*") || known.trim() == now)
    };
    match fields.peek().is_none() || fields.any(listed) {
        true => Ok(()),
        false => {
            let why = format!("`{}` is no longer what `If-Match` says: look at it again", held.reference);
            Err(Problem::new(Kind::Changed, why).header(header::ETAG, tag_value(&now)))
        }
    }
}

fn tag_value(tag: &str) -> HeaderValue {
    HeaderValue::from_str(tag).unwrap_or_else(|_| HeaderValue::from_static("\"\""))
}

/// A strong entity tag: it changes with everything that is shown, and with the state that is not.
fn tag(held: &Held) -> String {
    let shown = format!("{} {}", held.state.word(), json!(held));
    let octets = digest(&SHA256, shown.as_bytes());
    let text: String = octets.as_ref().iter().take(12).map(|octet| format!("{octet:02x}")).collect();
    format!("\"{text}\"")
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
        Problem::over(format!(
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

const WRONG_PLACE: &str = "query parameter `after` is no place in this list: take `next` of the page before";
