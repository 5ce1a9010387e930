//! Rulings by ref: the ruling as it was recorded, and every entry of its ref.

use axum::extract::{Path, State};
use axum::{Extension, Json};
use serde_json::{Value, json};

use super::Control;
use crate::doors::api::caller::Caller;
use crate::doors::api::entries;
use crate::doors::api::problem::{Kind, Problem};
use crate::store::{Entry, Payload};

pub(in crate::doors) async fn show(
    State(control): State<Control>,
    Extension(caller): Extension<Caller>,
    Path(reference): Path<String>,
) -> Result<Json<Value>, Problem> {
    let entries = entries(&control, &caller, &reference).await?;
    let ruling = entries.iter().find_map(|entry| match &entry.payload {
        Payload::Opened(payload) => payload.get("ruling").cloned(),
        Payload::Erased => None,
    });
    let Some(mut ruling) = ruling else {
        let why =
            format!("what was ruled is erased; /v1/ledger/entries/{reference} says that there was an entry");
        return Err(Problem::new(Kind::Erased, why));
    };
    if let Some(ruling) = ruling.as_object_mut() {
        let entries: Vec<Value> = entries.iter().map(Entry::to_json).collect();
        ruling.insert("entries".to_owned(), json!(entries));
    }
    Ok(Json(ruling))
}
