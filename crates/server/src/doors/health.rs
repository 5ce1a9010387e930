//! /healthz, /readyz, /metrics: whether it lives, whether it can work, what it has done.
//! Boot opens it on `[metrics] listen`.

use std::sync::Arc;

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
use crate::store::{Store, StoreError, jobs, outbox};

use super::clock::Clockwork;

/// What the door shows.
#[derive(Clone)]
pub struct Health {
    pub store: Store,
    /// Rulings that went ahead and are owed to the ledger.
    pub owed: Arc<dyn Fn() -> usize + Send + Sync>,
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

/// Ready when the store answers; what is owed or waits is told, it does not stop the work.
async fn ready(State(health): State<Health>) -> (StatusCode, Json<Value>) {
    let owed = (health.owed)();
    match counted(&health).await {
        Ok([held, jobs, notices]) => {
            let body = json!({ "ready": true, "held": held, "owed": owed, "jobs": jobs, "notices": notices });
            (StatusCode::OK, Json(body))
        }
        Err(error) => {
            let body = json!({ "ready": false, "owed": owed, "why": error.to_string() });
            (StatusCode::SERVICE_UNAVAILABLE, Json(body))
        }
    }
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
    health.metrics.render()
}
