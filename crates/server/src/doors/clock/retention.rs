//! Payloads end: what was said is kept for some days beside its leaf, then the clock commands that it goes.

use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

use super::Clockwork;
use crate::acts::{Ending, Means};
use crate::doors::control::ledger;
use crate::store::lease::later;
use crate::store::{Retention, StoreError};

/// How long payloads stay, and when it was last looked for those that are over.
#[derive(Clone)]
pub struct Days {
    retention: Retention,
    days: u32,
    next: Arc<Mutex<Option<Timestamp>>>,
}

impl Days {
    /// `days` is `[ledger] payload_days`.
    #[must_use]
    pub fn of(retention: Retention, days: u32) -> Self {
        Self { retention, days, next: Arc::default() }
    }

    /// The same with another number of days.
    #[must_use]
    pub fn with(&self, days: u32) -> Self {
        Self { days, next: Arc::default(), ..self.clone() }
    }

    /// Whether it is time to look; then the next time is a while later.
    fn is_time(&self, now: Timestamp) -> bool {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let time = next.is_none_or(|next| next <= now);
        if time {
            *next = Some(later(now, EVERY));
        }
        time
    }
}

impl Clockwork {
    /// Takes away what is over, some batches of it.
    pub(super) async fn forget_payloads(&self) -> Result<(), StoreError> {
        let now = self.control.clock.now();
        if !self.days.is_time(now) {
            return Ok(());
        }
        let before = later(now, -SignedDuration::from_hours(24 * i64::from(self.days.days)));
        for _ in 0..MOST_BATCHES {
            let Some(expired) = self.days.retention.next(before).await? else { break };
            let order = ledger::expire(&expired);
            let done = self.control.order(order, Means::Rows(expired.writes)).await;
            let why = match done {
                Ok(reply) if reply.ending == Ending::Done => continue,
                Ok(reply) => format!("{:?}", reply.ending),
                Err(problem) => problem.detail(),
            };
            tracing::error!(
                why,
                log = expired.origin,
                from = expired.from,
                "payloads whose days are over stay"
            );
            break;
        }
        Ok(())
    }
}

const EVERY: SignedDuration = SignedDuration::from_mins(10);
const MOST_BATCHES: u32 = 256;
