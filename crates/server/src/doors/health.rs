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
use crate::store::jobs::{self, Backlog};
use crate::store::{Store, StoreError};

/// What the door shows.
#[derive(Clone)]
pub struct Health {
    pub store: Store,
    /// Rulings that went ahead and are owed to the ledger.
    pub owed: Arc<dyn Fn() -> usize + Send + Sync>,
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

/// Ready when the store answers; what is owed is told, it does not stop the work.
async fn ready(State(health): State<Health>) -> (StatusCode, Json<Value>) {
    let owed = (health.owed)();
    match counted(&health.store).await {
        Ok((held, jobs)) => {
            let jobs = json!({ "waiting": jobs.waiting, "failing": jobs.failing });
            (StatusCode::OK, Json(json!({ "ready": true, "held": held, "owed": owed, "jobs": jobs })))
        }
        Err(error) => {
            let body = json!({ "ready": false, "owed": owed, "why": error.to_string() });
            (StatusCode::SERVICE_UNAVAILABLE, Json(body))
        }
    }
}

async fn counted(store: &Store) -> Result<(u32, Backlog), StoreError> {
    Ok((custody::count(store).await?, jobs::backlog(store).await?))
}

async fn metrics(State(health): State<Health>) -> String {
    if let Ok(held) = custody::count(&health.store).await {
        gauge!("countersign_held", "gate" => "send", "how" => "custody").set(f64::from(held));
    }
    health.metrics.render()
}
