//! A witness (C2SP tlog-witness) for the logs that it is told: `POST /add-checkpoint` over HTTP/1.1, in the clear;
//! what is said is signed on both sides. `ledger witness` opens it. `core::ledger::witness` judges; this keeps first
//! and answers then.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use countersign_core::ledger::witness::{Refusal, Request, SIZE_TYPE};
use countersign_core::ledger::{Signer, VerifierKey};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use super::api::caller::Origin;
use super::api::connection::{BUSY, drain, options, pause, talk};
use crate::clock::Clock;
use crate::store::{self, Store};

#[cfg(test)]
mod tests;

/// What requests are answered with.
pub struct Witness {
    /// The memory: what was cosigned last of each log.
    pub store: Store,
    pub signer: Signer,
    /// The keys of each log, by its origin.
    pub logs: BTreeMap<String, Vec<VerifierKey>>,
    pub clock: Clock,
}

impl Witness {
    /// Serves until told to stop, then waits for the requests that are at work.
    pub async fn serve(self: Arc<Self>, listener: TcpListener, mut stop: watch::Receiver<bool>) {
        let router = Router::new().route("/add-checkpoint", post(add_checkpoint)).with_state(self);
        let (mut talks, places) = (JoinSet::new(), Arc::new(Semaphore::new(CONNECTIONS)));
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((socket, peer)) => match Arc::clone(&places).try_acquire_owned() {
                        Ok(place) => {
                            if let Err(error) = options(&socket) {
                                tracing::debug!(%peer, %error, "a connection has no options");
                            }
                            let (router, stop) = (router.clone(), stop.clone());
                            talks.spawn(async move {
                                talk(socket, Origin::Network(peer.ip()), router, stop).await;
                                drop(place);
                            });
                        }
                        // The peer may be gone already; there is nobody else to tell.
                        Err(_) => drop(socket.try_write(BUSY)),
                    },
                    Err(error) => pause(&error).await,
                },
                Some(_) = talks.join_next(), if !talks.is_empty() => {}
                _ = stop.changed() => break,
            }
        }
        drop(listener);
        drain(talks).await;
    }

    /// The cosignature of what is asked, which is kept by then.
    async fn cosign(&self, request: &Request) -> Result<String, No> {
        let keys = self.logs.get(&request.checkpoint.origin).ok_or(No::Refused(Refusal::UnknownLog))?;
        let now = self.clock.now();
        match store::witness(&self.store, keys, request, now).await {
            Ok(Ok(())) => {
                let seconds = u64::try_from(now.as_second()).unwrap_or(0);
                Ok(self.signer.sign(request.note.text(), seconds).to_string())
            }
            Ok(Err(refusal)) => Err(No::Refused(refusal)),
            Err(error) => {
                tracing::error!(%error, "nothing is cosigned: what would be cannot be kept");
                Err(No::Unavailable)
            }
        }
    }
}

async fn add_checkpoint(State(witness): State<Arc<Witness>>, headers: HeaderMap, body: Body) -> Response {
    let answer = async {
        let request = read(&headers, body).await?;
        let answer = witness.cosign(&request).await;
        told(&request, &answer);
        answer
    };
    match answer.await {
        Ok(cosignature) => ([(header::CONTENT_TYPE, TEXT)], cosignature).into_response(),
        Err(no) => no.into_response(),
    }
}

async fn read(headers: &HeaderMap, body: Body) -> Result<Request, No> {
    let declared = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if declared.is_some_and(|length: usize| length > LARGEST) {
        return Err(No::Large);
    }
    let octets = tokio::time::timeout(PATIENCE, to_bytes(body, LARGEST)).await.map_err(|_| No::Slow)?;
    let octets = octets.map_err(|error| match is_too_large(&error) {
        true => No::Large,
        false => No::Broken,
    })?;
    let wrong = || No::Bad("a request is text in UTF-8".to_owned());
    let text = std::str::from_utf8(&octets).map_err(|_| wrong())?;
    Request::parse(text).map_err(|error| No::Bad(error.to_string()))
}

fn is_too_large(error: &axum::Error) -> bool {
    std::error::Error::source(error).is_some_and(|cause| cause.is::<http_body_util::LengthLimitError>())
}

/// What others must be able to see later stands in the log: above all what shows that a log has two histories.
fn told(request: &Request, answer: &Result<String, No>) {
    let (origin, old, size) = (&request.checkpoint.origin, request.old, request.checkpoint.size);
    match answer {
        Ok(_) => tracing::info!(origin, old, size, "cosigned"),
        Err(No::Refused(refusal @ (Refusal::Inconsistent(_) | Refusal::Conflict { .. }))) if !matches!(refusal, Refusal::Conflict { size } if *size != old) =>
        {
            let note = request.note.to_string();
            tracing::error!(
                origin,
                old,
                size,
                note,
                "a log shows another history than the one it showed before: refused"
            );
        }
        Err(No::Refused(refusal)) => tracing::info!(origin, old, size, %refusal, "refused"),
        Err(_) => {}
    }
}

/// Why nothing is cosigned.
enum No {
    Refused(Refusal),
    Bad(String),
    Large,
    Slow,
    Broken,
    Unavailable,
}

impl IntoResponse for No {
    fn into_response(self) -> Response {
        let plain = |status: StatusCode, says: &str| {
            (status, [(header::CONTENT_TYPE, TEXT)], format!("{says}\n")).into_response()
        };
        match self {
            // tlog-witness: "The response body MUST consist of the tree size of the latest cosigned checkpoint in
            // decimal, followed by a newline (U+000A). The response MUST have a Content-Type of text/x.tlog.size"
            Self::Refused(Refusal::Conflict { size }) => {
                (StatusCode::CONFLICT, [(header::CONTENT_TYPE, SIZE_TYPE)], format!("{size}\n"))
                    .into_response()
            }
            Self::Refused(refusal) => {
                let status = StatusCode::from_u16(refusal.status());
                plain(status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), &refusal.to_string())
            }
            Self::Bad(why) => plain(StatusCode::BAD_REQUEST, &why),
            Self::Large => plain(StatusCode::PAYLOAD_TOO_LARGE, "a request has at most 64 KiB"),
            Self::Slow => plain(StatusCode::REQUEST_TIMEOUT, "the request took too long"),
            Self::Broken => plain(StatusCode::BAD_REQUEST, "the request broke off"),
            Self::Unavailable => plain(StatusCode::SERVICE_UNAVAILABLE, "the witness cannot keep it now"),
        }
    }
}

const TEXT: &str = "text/plain; charset=utf-8";
const LARGEST: usize = 65_536;
const CONNECTIONS: usize = 256;
/// How long a body may take.
const PATIENCE: Duration = Duration::from_secs(10);
