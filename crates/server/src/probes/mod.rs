//! Probes: what looks at a request and says what it found. A probe never fails the pipeline.
//! Quick ones need only the request and the account; slow ones ask the network.

mod author;
mod client;
pub mod domain;
pub mod facts;
pub mod limits;
mod shape;
pub mod spf;

pub use client::block_on;

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use countersign_core::address::Domain;
use countersign_core::evidence::{Evidence, Finding, Kind, Why};
use countersign_core::request::{Request, Submission};
use jiff::Timestamp;

use crate::accounts::Account;

/// What a probe may look at.
#[derive(Clone)]
pub struct Case {
    pub request: Request,
    pub account: Arc<Account>,
    pub way: Arc<Way>,
}

/// The way out of our house: from where the upstream sends.
#[derive(Debug, Clone, Default)]
pub struct Way {
    /// The name of the pool; SPF facts are kept under it.
    pub pool: String,
    /// Every address from which mail may leave; empty is not configured.
    pub egress: Vec<IpAddr>,
    /// The name that the upstream gives in HELO.
    pub helo: String,
    /// The platform's own domains for bounces.
    pub return_path_domains: Vec<Domain>,
}

impl Case {
    /// The message that is asked about, if it is about one.
    #[must_use]
    pub fn submission(&self) -> Option<&Submission> {
        self.request.submission()
    }

    /// A time from now, as far as times go.
    fn after(&self, good_for: Duration) -> Timestamp {
        self.at().checked_add(good_for).unwrap_or_else(|_| self.at())
    }

    fn at(&self) -> Timestamp {
        self.request.at
    }
}

/// A quick probe: no I/O.
pub type Quick = fn(&Case) -> Option<Evidence>;

/// The quick probes, in the order in which people read their findings.
pub const QUICK: [Quick; 9] = [
    client::standing,
    client::network,
    shape::headers,
    shape::structure,
    author::from,
    author::from_domain,
    author::mail_from,
    author::sender,
    author::reply_to,
];

/// What a slow probe gives.
pub type Answer<'a> = Pin<Box<dyn Future<Output = Evidence> + Send + 'a>>;

/// A probe that asks the network. It runs beside the others, under one deadline for all.
pub trait Slow: Send + Sync {
    /// The kind of evidence it gives.
    fn kind(&self) -> Kind;
    /// Looks.
    fn look<'a>(&'a self, case: &'a Case) -> Answer<'a>;
}

/// Runs slow probes side by side; what is not there at the deadline is unknown.
pub async fn gather(slow: &[Arc<dyn Slow>], case: &Case, budget: Duration) -> Vec<Evidence> {
    let looks = slow.iter().map(|probe| async move {
        let late = || Evidence::new(probe.kind(), Finding::Unknown(Why::Budget), "deadline", case.at());
        tokio::time::timeout(budget, probe.look(case)).await.unwrap_or_else(|_| late())
    });
    futures_util::future::join_all(looks).await
}
