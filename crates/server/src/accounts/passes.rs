//! When SPF last passed for the domains of an account: as the store had it, and as it was written since.
//! The probe `spf` asks; the act that writes a pass down says so.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use countersign_core::address::Domain;
use jiff::Timestamp;

/// Times by author domain. Cloning shares them.
#[derive(Debug, Clone, Default)]
pub struct Passes(Arc<Mutex<HashMap<Domain, Timestamp>>>);

impl Passes {
    /// When it last passed, if it ever did.
    #[must_use]
    pub fn of(&self, domain: &Domain) -> Option<Timestamp> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(domain).copied()
    }

    /// That it passed then is written down.
    pub fn note(&self, domain: &Domain, at: Timestamp) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(domain.clone(), at);
    }
}
