//! An outage of Postgres: once it gave no answer in time, nobody waits for it, but one now and then who looks
//! whether it is back. A message asks the store several times; so it waits once at most.
//! Whoever takes a connection or waits for an answer goes through it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::StoreError;

/// Until when nobody asks; `None` while it answers.
#[derive(Debug, Clone, Default)]
pub(super) struct Outage(Arc<Mutex<Option<Instant>>>);

impl Outage {
    /// Whether somebody may ask now. During an outage that is one at a time, after a pause.
    pub(super) fn may_ask(&self, now: Instant) -> Result<(), StoreError> {
        let mut until = self.until();
        match *until {
            None => Ok(()),
            Some(later) if now < later => Err(StoreError::Silent(PATIENCE.as_secs())),
            Some(_) => {
                // The others wait until this one knows.
                *until = Some(now + PATIENCE + PAUSE);
                Ok(())
            }
        }
    }

    /// Waits for an answer over the network, but not for ever.
    pub(super) async fn answer<T>(
        &self,
        work: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> Result<T, StoreError> {
        let Ok(done) = timeout(PATIENCE, work).await else {
            self.begin(Instant::now());
            return Err(StoreError::Silent(PATIENCE.as_secs()));
        };
        match done {
            Err(error @ sqlx::Error::PoolTimedOut) => {
                self.begin(Instant::now());
                Err(error.into())
            }
            // A connection of before broke: another one may hold.
            Err(error @ sqlx::Error::Io(_)) => Err(error.into()),
            done => {
                *self.until() = None;
                Ok(done?)
            }
        }
    }

    fn begin(&self, now: Instant) {
        *self.until() = Some(now + PAUSE);
    }

    fn until(&self) -> MutexGuard<'_, Option<Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A client hears 451 within 5 seconds when the store is cut off.
pub(super) const PATIENCE: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn during_an_outage_one_at_a_time_looks_whether_it_is_over() {
        let (outage, began) = (Outage::default(), Instant::now());
        let may_ask = |after| outage.may_ask(began + after).is_ok();
        assert!(may_ask(Duration::ZERO) && may_ask(Duration::ZERO));
        outage.begin(began);
        assert!(!may_ask(Duration::ZERO), "nobody waits again");
        assert!(may_ask(PAUSE) && !may_ask(PAUSE), "one looks");
        assert!(
            !may_ask(PAUSE + PATIENCE) && may_ask(PAUSE * 2 + PATIENCE),
            "who looked said nothing: the next"
        );
        assert!(outage.answer(async { Ok(()) }).await.is_ok());
        assert!(may_ask(Duration::ZERO) && may_ask(Duration::ZERO), "it is over");
    }

    #[tokio::test]
    async fn a_statement_that_is_refused_is_an_answer() {
        let outage = Outage::default();
        assert!(outage.answer(async { Err::<(), _>(sqlx::Error::RowNotFound) }).await.is_err());
        assert!(outage.may_ask(Instant::now()).is_ok());
        assert!(outage.answer(async { Err::<(), _>(sqlx::Error::PoolTimedOut) }).await.is_err());
        assert!(outage.may_ask(Instant::now()).is_err());
    }
}
