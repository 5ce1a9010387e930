//! The API: `/v1` over HTTP/1.1. One router for programs with keys (over TCP) and for the commands of the CLI
//! (`data_dir/control.sock`, mode 0600); what is asked becomes a Request for the gate. Boot opens both listeners.

mod bearer;
mod body;
pub(super) mod caller;
mod connection;
mod evaluate;
mod guard;
mod ledger;
mod once;
mod openapi;
pub(super) mod page;
pub(super) mod problem;
mod proofs;
pub(super) mod query;
mod routes;
mod shapes;

use std::sync::Arc;

use axum::extract::FromRef;
use countersign_core::request::Mode;
use countersign_wire::limits::Limits;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use super::control::Control;
use super::smtp::Capacity;
use crate::accounts::secret::Verifier;

pub(super) use body::json;
pub(super) use ledger::entries;

/// What requests are answered with. Another one takes its place when the configuration is read again, and counts
/// from the next request on.
pub struct Api {
    pub control: Control,
    pub verifier: Verifier,
    pub capacity: Capacity,
    pub settings: ApiSettings,
}

/// What the configuration says of the API.
pub struct ApiSettings {
    pub limits: Limits,
    /// The send gate's mode of the configuration file.
    pub mode: Mode,
    /// Octets a second below which a body is given up; 0 is never.
    pub min_data_rate: u64,
    /// TLS from the first octet of programs.
    pub tls: Option<TlsAcceptor>,
}

/// The API of the configuration that counts now.
#[derive(Clone)]
struct Current(watch::Receiver<Arc<Api>>);

impl Current {
    fn api(&self) -> Arc<Api> {
        Arc::clone(&self.0.borrow())
    }
}

impl FromRef<Current> for Control {
    fn from_ref(current: &Current) -> Self {
        current.0.borrow().control.clone()
    }
}
