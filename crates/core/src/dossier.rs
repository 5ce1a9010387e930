//! The dossier: a request, the evidence gathered about it, and what is still missing.
//! The gate opens it, probes add to it, policy rules on it.

use std::collections::BTreeMap;

use crate::evidence::{Evidence, Finding, Kind, Why};
use crate::request::Request;

/// A request and everything known about it.
#[derive(Debug, Clone)]
pub struct Dossier {
    request: Request,
    evidence: BTreeMap<Kind, Evidence>,
}

impl Dossier {
    /// Opens the dossier of a request: nothing is known yet.
    #[must_use]
    pub fn open(request: Request) -> Self {
        Self { request, evidence: BTreeMap::new() }
    }

    /// Adds evidence. Of two findings of one kind the earlier stands: an assumption made by the caller
    /// of `check` is not overwritten by a probe.
    pub fn add(&mut self, evidence: Evidence) {
        self.evidence.entry(evidence.kind).or_insert(evidence);
    }

    /// What is asked.
    #[must_use]
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// The evidence of a kind, if anybody looked.
    #[must_use]
    pub fn evidence(&self, kind: Kind) -> Option<&Evidence> {
        self.evidence.get(&kind)
    }

    /// The finding of a kind. What nobody looked at is unknown, never a pass.
    #[must_use]
    pub fn finding(&self, kind: Kind) -> Finding {
        self.evidence.get(&kind).map_or(Finding::Unknown(Why::NotAsked), |e| e.finding)
    }

    /// Whether somebody looked.
    #[must_use]
    pub fn has(&self, kind: Kind) -> bool {
        self.evidence.contains_key(&kind)
    }

    /// Everything known, in the order in which people read it.
    pub fn all(&self) -> impl Iterator<Item = &Evidence> {
        Kind::ALL.into_iter().filter_map(|kind| self.evidence.get(&kind))
    }
}
