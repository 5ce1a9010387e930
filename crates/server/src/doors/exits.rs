//! Exits: the ways out of the house, and which one an account takes.

use std::sync::Arc;

use countersign_wire::smtp::capabilities::Capabilities;

use crate::accounts::Account;
use crate::net::Upstream;
use crate::probes::Way;

/// A way out: the upstream, and from where it sends.
#[derive(Clone)]
pub struct Exit {
    pub name: String,
    pub upstream: Arc<Upstream>,
    pub way: Arc<Way>,
}

/// All of them, in the order of the configuration.
#[derive(Clone, Default)]
pub struct Exits(pub Vec<Exit>);

impl Exits {
    /// The exit of an account: the one that it names, else the first.
    #[must_use]
    pub fn of(&self, account: &Account) -> Option<&Exit> {
        match &account.upstream {
            Some(name) => self.0.iter().find(|exit| exit.name == *name),
            None => self.0.first(),
        }
    }

    /// What those offer of whom it is known. The others are asked meanwhile: one that does not answer keeps nobody
    /// waiting but who would have no other.
    pub(super) async fn offers(&self) -> Vec<Capabilities> {
        let (known, unknown): (Vec<_>, Vec<_>) = self
            .0
            .iter()
            .map(|exit| (exit, exit.upstream.capabilities()))
            .partition(|(_, seen)| seen.is_some());
        if known.is_empty() {
            let asked = unknown.iter().map(|(exit, _)| exit.upstream.offers());
            return futures_util::future::join_all(asked).await.into_iter().flatten().collect();
        }
        for (exit, _) in unknown {
            let upstream = Arc::clone(&exit.upstream);
            tokio::spawn(async move { upstream.offers().await });
        }
        known.into_iter().filter_map(|(_, seen)| seen).collect()
    }

    /// Whether one of them takes a single recipient at a time.
    #[must_use]
    pub fn have_lmtp(&self) -> bool {
        self.0.iter().any(|exit| exit.upstream.is_lmtp())
    }
}
