//! Trouble: whether the ledger could write when it last tried, for those who ask how we are.
//! The committer says it; `Ledger::is_well` tells.

use std::fmt::Display;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// When a commit failed last, and why, if none has gone well since.
#[derive(Debug, Default)]
pub(super) struct Trouble(Mutex<Option<(Instant, String)>>);

impl Trouble {
    pub(super) fn is_here(&self, why: &dyn Display) {
        let now = (Instant::now(), why.to_string());
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
    }

    pub(super) fn is_over(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Why a commit failed lately. Not before: when nobody has tried for a while, the next one may find the disk writing again, and who
    /// says no for ever is never tried.
    pub(super) fn recent(&self) -> Option<String> {
        let failed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        failed.as_ref().filter(|(at, _)| at.elapsed() < RECENT).map(|(_, why)| why.clone())
    }
}

const RECENT: Duration = Duration::from_secs(5);
