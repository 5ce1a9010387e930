//! The heads of the ledger over HTTP: what the logs have signed, and that the entries of a ref are under it.

use std::collections::BTreeSet;

use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use countersign_core::ids::Ref;
use countersign_core::ledger::{Checkpoint, Note};
use serde_json::{Value, json};

use super::caller::Caller;
use super::ledger::entries;
use super::problem::Problem;
use super::query::{Parameter, ParameterKind, Query, shown};
use crate::doors::control::Control;
use crate::store::{self, Known, LogError, ProveError, Proved};

/// The last checkpoint of each log, with the key that verifies it. A log that has signed nothing yet is not there.
pub(super) async fn head(State(control): State<Control>) -> Result<Json<Value>, Problem> {
    let mut logs = Vec::new();
    for log in Known::all(&control.store).await.map_err(Problem::of)? {
        let note = match log.head(&control.store).await {
            Ok(note) => note,
            Err(LogError::NoCheckpoint(_)) => continue,
            Err(error) => return Err(Problem::of(error)),
        };
        let text = Note::parse(&note).map_err(Problem::of)?;
        let checkpoint = Checkpoint::parse(text.text()).map_err(Problem::of)?;
        logs.push(json!({
            "origin": log.origin, "key": log.key.to_string(), "size": checkpoint.size,
            "root": STANDARD.encode(checkpoint.root), "checkpoint": note,
        }));
    }
    Ok(Json(json!({ "logs": logs })))
}

/// The last checkpoint of one log, as it was signed: a note.
pub(super) async fn checkpoint(
    State(control): State<Control>,
    Extension(query): Extension<Query>,
) -> Result<Response, Problem> {
    let logs = Known::all(&control.store).await.map_err(Problem::of)?;
    let log = match (query.one("log"), logs.as_slice()) {
        (Some(origin), logs) => logs.iter().find(|log| log.origin == origin),
        (None, [only]) => Some(only),
        (None, []) => None,
        (None, logs) => {
            let names: Vec<String> = logs.iter().map(|log| format!("`{}`", log.origin)).collect();
            let why =
                format!("there are several logs: name one as query parameter `log` ({})", names.join(", "));
            return Err(Problem::bad_request(why));
        }
    };
    let gone =
        || Problem::not_found(format!("there is no log `{}`", shown(query.one("log").unwrap_or_default())));
    let note = match log.ok_or_else(gone)?.head(&control.store).await {
        Ok(note) => note,
        Err(LogError::NoCheckpoint(_)) => return Err(not_yet()),
        Err(error) => return Err(Problem::of(error)),
    };
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], note).into_response())
}

/// The proofs of the entries of a ref that a caller sees.
pub(super) async fn proof(
    State(control): State<Control>,
    Extension(caller): Extension<Caller>,
    Path(reference): Path<String>,
) -> Result<Json<Value>, Problem> {
    let own = entries(&control, &caller, &reference).await?;
    let own: BTreeSet<(i64, u64)> = own.iter().map(|entry| (entry.log, entry.index)).collect();
    let reference = Ref::parse(&reference).map_err(|error| Problem::bad_request(error.to_string()))?;
    let logs = Known::all(&control.store).await.map_err(Problem::of)?;
    let proofs = store::prove(&control.store, reference).await.map_err(|error| match error {
        ProveError::NotYet { .. } => not_yet(),
        other => Problem::of(other),
    })?;
    // Two accounts may have the same ref.
    let is_own = |proved: &&Proved| {
        let log = logs.iter().find(|log| log.origin == proved.origin);
        log.is_some_and(|log| own.contains(&(log.number(), proved.proof.index)))
    };
    let proofs: Vec<Value> = proofs.iter().filter(is_own).map(|proved| told(reference, proved)).collect();
    Ok(Json(json!({ "proofs": proofs })))
}

/// As `ledger prove --json` prints it, and the proof as one text, which `ledger verify --file` and others read.
fn told(reference: Ref, proved: &Proved) -> Value {
    let path: Vec<String> = proved.proof.path.iter().map(|hash| STANDARD.encode(hash)).collect();
    json!({
        "v": 1, "ref": reference, "kind": proved.kind, "origin": proved.origin, "key": proved.key.to_string(),
        "idx": proved.proof.index, "leaf": STANDARD.encode(&proved.proof.leaf), "size": proved.size, "path": path,
        "checkpoint": proved.proof.checkpoint.to_string(), "proof": proved.proof.to_string(),
    })
}

fn not_yet() -> Problem {
    Problem::unavailable(
        "not-signed-yet",
        "no checkpoint covers it yet: one is signed each second; ask again",
    )
}

pub(super) const LOG: &[Parameter] = &[Parameter {
    name: "log",
    kind: ParameterKind::Text,
    says: "which log, by its origin; needed when there are several",
}];
