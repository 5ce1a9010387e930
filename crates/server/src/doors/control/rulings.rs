//! Rulings by ref: what `explain` shows.

use axum::Json;
use axum::extract::{Path, State};
use countersign_core::ids::Ref;
use serde_json::{Value, json};

use super::{Control, Problem};
use crate::store;

pub(super) async fn show(State(control): State<Control>, Path(reference): Path<String>) -> Result<Json<Value>, Problem> {
    let reference = Ref::parse(&reference).map_err(|error| Problem::bad_request(&error.to_string()))?;
    let entries = store::find(&control.store, &control.keys, reference).await.map_err(Problem::of)?;
    match entries.is_empty() {
        true => Err(Problem::not_found(&format!("no ruling has the ref `{reference}`"))),
        false => Ok(Json(json!({ "entries": entries }))),
    }
}
