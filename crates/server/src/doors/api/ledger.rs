//! The ledger over HTTP: its entries, newest first, and those of one ref.

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use countersign_core::ids::Ref;
use serde_json::{Value, json};

use super::caller::Caller;
use super::page::Page;
use super::problem::Problem;
use super::query::Query;
use crate::doors::control::Control;
use crate::store::{self, Entry};

pub(super) async fn list(
    State(control): State<Control>,
    Extension(caller): Extension<Caller>,
    Extension(query): Extension<Query>,
) -> Result<Response, Problem> {
    let page = Page::of(&query);
    let after = match page.after {
        None => None,
        Some(text) => Some(store::Place::parse(text).ok_or_else(|| Problem::bad_request(WRONG_PLACE))?),
    };
    let (store, keys, only) = (&control.store, &control.keys, caller.only.as_ref());
    let found = store::page(store, keys, only, after, page.limit).await.map_err(Problem::of)?;
    let next = found.next.map(|next| next.to_string());
    let link = page.link("/v1/ledger/entries", next.as_deref());
    let entries: Vec<Value> = found.entries.iter().map(Entry::to_json).collect();
    Ok((link.map(|link| [link]), Json(json!({ "entries": entries, "next": next }))).into_response())
}

pub(super) async fn show(
    State(control): State<Control>,
    Extension(caller): Extension<Caller>,
    Path(reference): Path<String>,
) -> Result<Json<Value>, Problem> {
    let entries = entries(&control, &caller, &reference).await?;
    Ok(Json(json!({ "entries": entries.iter().map(Entry::to_json).collect::<Vec<_>>() })))
}

/// The entries of a ref that a caller sees, oldest first.
pub(in crate::doors) async fn entries(
    control: &Control,
    caller: &Caller,
    reference: &str,
) -> Result<Vec<Entry>, Problem> {
    let reference = Ref::parse(reference).map_err(|error| Problem::bad_request(error.to_string()))?;
    let mut entries = store::find(&control.store, &control.keys, reference).await.map_err(Problem::of)?;
    entries.retain(|entry| caller.sees(&entry.account));
    match entries.is_empty() {
        true => Err(Problem::not_found(format!("no ruling has the ref `{reference}`"))),
        false => Ok(entries),
    }
}

const WRONG_PLACE: &str = "query parameter `after` is no place in this list: take `next` of the page before";
