//! The clock's door: rows whose time has come become requests like any other, with the clock as their actor.
//! Boot opens it. It sleeps until the next row is due, or until somebody rings.

mod custody;

use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;

use super::control::Control;
use crate::clock::draw_jitter;
use crate::store::jobs::{self, Job};
use crate::store::lease::{back_off, later};
use crate::store::{Bell, StoreError};

/// What the clock needs.
#[derive(Clone)]
pub struct Clockwork {
    pub control: Control,
    /// Rings when a row was put up whose time has come already.
    pub bell: Bell,
    /// The name of this process in leases.
    pub name: String,
}

/// Does what is due until told to stop.
pub async fn serve(clockwork: Clockwork, mut stop: watch::Receiver<bool>) {
    loop {
        let rest = match clockwork.round().await {
            Ok(next) => clockwork.until(next),
            Err(error) => {
                tracing::error!(%error, "what is due cannot be read");
                AFTER_ERROR
            }
        };
        tokio::select! {
            _ = stop.changed() => return,
            () = clockwork.bell.rung() => {}
            () = tokio::time::sleep(rest) => {}
        }
    }
}

/// What became of a job.
enum Done {
    /// Its row went with the leaf, or nothing was left to do.
    Gone,
    /// Its time has not come after all.
    Later(Timestamp),
    /// It is tried again.
    Failed(String),
}

impl Clockwork {
    /// Does everything that is due, and says when the next row is.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub async fn round(&self) -> Result<Option<Timestamp>, StoreError> {
        let store = &self.control.store;
        loop {
            let due = jobs::due(store, &self.name, self.control.clock.now(), AT_ONCE).await?;
            if due.is_empty() {
                return jobs::next(store).await;
            }
            // Side by side: their leaves share a commit.
            let ends = due.iter().map(|job| self.carry_out(job));
            for end in futures_util::future::join_all(ends).await {
                end?;
            }
        }
    }

    async fn carry_out(&self, job: &Job) -> Result<(), StoreError> {
        let store = &self.control.store;
        let done = match job.kind.as_str() {
            custody::EXPIRE => self.expire(job).await,
            other => Done::Failed(format!("this version of the program knows no job of kind `{other}`")),
        };
        match done {
            Done::Gone => Ok(()),
            Done::Later(time) => jobs::put_off(store, job, time).await,
            Done::Failed(why) => {
                tracing::error!(why, "account.id" = %job.account, kind = job.kind, object = job.object, attempts = job.attempts, "a job failed");
                let again = later(self.control.clock.now(), back_off(job.attempts, draw_jitter()));
                jobs::failed(store, job, &why, again).await
            }
        }
    }

    /// How long to sleep. Clocks are set, and other nodes put rows up: never long.
    fn until(&self, next: Option<Timestamp>) -> Duration {
        let left = next.map(|next| next.duration_since(self.control.clock.now()));
        let left = left.map_or(LONGEST, |left| Duration::try_from(left).unwrap_or_default());
        left.clamp(SHORTEST, LONGEST)
    }
}

const AT_ONCE: u32 = 64;
const AFTER_ERROR: Duration = Duration::from_secs(1);
const SHORTEST: Duration = Duration::from_millis(20);
const LONGEST: Duration = Duration::from_secs(60);
