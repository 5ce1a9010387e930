//! Trouble: whether the ledger could write when it last tried, for those who ask how we are.
//! The committer says it; `Ledger::is_well` tells.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// When a commit failed last, if none has gone well since.
#[derive(Debug, Default)]
pub(super) struct Trouble(Mutex<Option<Instant>>);

impl Trouble {
    pub(super) fn is_here(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    pub(super) fn is_over(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Not lately: when nobody has tried for a while, the next one may find the disk writing again, and who
    /// says no for ever is never tried.
    pub(super) fn is_recent(&self) -> bool {
        let failed = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        failed.is_some_and(|at| at.elapsed() < RECENT)
    }
}

const RECENT: Duration = Duration::from_secs(5);
