//! /healthz, /readyz, /metrics: whether it lives, whether it can work, what it has done.
//! Boot opens it on `[metrics] listen`.

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use metrics::gauge;
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::custody;
use crate::store::{Ledger, Store, StoreError, jobs, outbox};

use super::clock::Clockwork;
use super::cosign::{self, Cosigner, Standing};

/// What the door shows.
#[derive(Clone)]
pub struct Health {
    pub store: Store,
    /// Whether it writes, and what it is owed.
    pub ledger: Ledger,
    /// Who watches our log.
    pub cosigner: Cosigner,
    /// What sends our own mail.
    pub clockwork: watch::Receiver<Clockwork>,
    pub metrics: PrometheusHandle,
}

/// Serves until told to stop.
pub async fn serve(listener: TcpListener, health: Health, mut stop: watch::Receiver<bool>) {
    let routes = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(health);
    let stopped = async move {
        // The sender is gone only when the process ends.
        let _ended = stop.changed().await;
    };
    if let Err(error) = axum::serve(listener, routes).with_graceful_shutdown(stopped).await {
        tracing::error!(%error, "the health door ended");
    }
}

/// Ready when the store answers and the ledger writes; what is owed or waits is told, it does not stop the work. Nor
/// does what a witness says against our log: nobody else has a say in whether mail is judged.
async fn ready(State(health): State<Health>) -> (StatusCode, Json<Value>) {
    let (owed, lost) = (health.ledger.owed(), health.ledger.forgotten());
    let not = |why: &str| {
        let body = json!({ "ready": false, "owed": owed, "lost": lost, "why": why });
        (StatusCode::SERVICE_UNAVAILABLE, Json(body))
    };
    let counted = counted(&health).await;
    if let (Ok(_), Some(why)) = (&counted, health.ledger.trouble()) {
        return not(&format!("the ledger cannot write, and mail is answered with 451 or 452: {why}"));
    }
    match counted {
        Ok([held, jobs, notices]) => {
            let body = json!({
                "ready": true, "held": held, "owed": owed, "lost": lost, "jobs": jobs, "notices": notices,
                "disputed": health.cosigner.is_disputed(), "witnesses": witnesses(&health.cosigner),
            });
            (StatusCode::OK, Json(body))
        }
        Err(error) => not(&error.to_string()),
    }
}

fn witnesses(cosigner: &Cosigner) -> Vec<Value> {
    let told = |one: &Standing| {
        json!({ "name": one.name, "state": one.state.word(), "cosigned": one.cosigned, "behind": one.behind,
                "why": one.state.why() })
    };
    cosigner.standings().iter().map(told).collect()
}

/// What is held, what waits for its time, and whether our own mail leaves.
async fn counted(health: &Health) -> Result<[Value; 3], StoreError> {
    let held = custody::count(&health.store).await?;
    let backlog = jobs::backlog(&health.store).await?;
    let outbox = outbox::fullness(&health.store).await?;
    let jobs = json!({ "waiting": backlog.waiting, "failing": backlog.failing });
    let post = health.clockwork.borrow().post.clone();
    let why = post.obstacle().await;
    let notices = json!({ "waiting": outbox.waiting, "failed": outbox.failed, "why": why });
    Ok([held.into(), jobs, notices])
}

async fn metrics(State(health): State<Health>) -> String {
    if let Ok(held) = custody::count(&health.store).await {
        gauge!("countersign_held", "gate" => "send", "how" => "custody").set(f64::from(held));
    }
    gauge!("countersign_ledger_disputed").set(f64::from(u8::from(health.cosigner.is_disputed())));
    for one in health.cosigner.standings() {
        // A gauge is a float anyway.
        let behind = one.behind as f64;
        let up = u8::from(one.state == cosign::State::Cosigns);
        gauge!("countersign_ledger_witness_behind_leaves", "witness" => one.name.clone()).set(behind);
        gauge!("countersign_ledger_witness_up", "witness" => one.name).set(f64::from(up));
    }
    health.metrics.render()
}
