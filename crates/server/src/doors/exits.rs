//! Exits: the ways out of the house, and which one an account takes.

use std::sync::Arc;

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
}
