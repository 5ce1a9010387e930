//! The clock's door: rows whose time has come become requests like any other, with the clock as their actor.
//! Boot opens it. It sleeps until the next row is due, or until somebody rings.

mod custody;
mod post;
mod retention;

use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;

use super::control::Control;
use crate::clock::draw_jitter;
use crate::counts::{self, Day};
use crate::store::StoreError;
use crate::store::jobs::{self, Job};
use crate::store::lease::{back_off, later};

pub use post::Post;
pub use retention::Days;

/// What the clock needs.
#[derive(Clone)]
pub struct Clockwork {
    pub control: Control,
    pub post: Post,
    pub days: Days,
    /// The name of this node in leases: the origin of its log.
    pub name: String,
}

/// The two hands: a slow upstream must not keep jobs waiting.
#[derive(Clone, Copy)]
enum Hand {
    Jobs,
    Post,
}

/// Does what is due until told to stop.
pub async fn serve(clockwork: watch::Receiver<Clockwork>, stop: watch::Receiver<bool>) {
    tokio::join!(
        turn(clockwork.clone(), Hand::Jobs, stop.clone()),
        turn(clockwork.clone(), Hand::Post, stop.clone())
    );
}

/// One hand, round by round, each with the settings that count then.
async fn turn(clockwork: watch::Receiver<Clockwork>, hand: Hand, mut stop: watch::Receiver<bool>) {
    let mut bell = clockwork.borrow().post.gate.bell.listen();
    let mut stopping = stop.clone();
    loop {
        let now = clockwork.borrow().clone();
        let done = tokio::select! {
            done = now.half_round(hand) => done,
            // What is under way has a while to end; what is cut off is taken up again.
            () = long_after(&mut stopping) => return,
        };
        let rest = done.map_or_else(|error| after(&error), |next| now.until(next));
        tokio::select! {
            _ = stop.changed() => return,
            () = bell.rung() => {}
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
    /// Does everything that is due, once.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub async fn round(&self) -> Result<(), StoreError> {
        self.jobs().await?;
        self.post.round(&self.name).await?;
        Ok(())
    }

    async fn half_round(&self, hand: Hand) -> Result<Option<Timestamp>, StoreError> {
        match hand {
            Hand::Jobs => self.jobs().await,
            Hand::Post => self.post.round(&self.name).await,
        }
    }

    /// Does the jobs that are due, and says when the next one is.
    async fn jobs(&self) -> Result<Option<Timestamp>, StoreError> {
        let store = &self.control.store;
        let today = Day::of(self.control.clock.now());
        if counts::has_before(store, today).await? {
            store.change(&[counts::forget_before(today)]).await?;
        }
        self.forget_payloads().await?;
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

fn after(error: &StoreError) -> Duration {
    tracing::error!(%error, "what is due cannot be read");
    AFTER_ERROR
}

async fn long_after(stop: &mut watch::Receiver<bool>) {
    // The sender is gone only when the process ends, which is an end too.
    let _told = stop.wait_for(|stop| *stop).await.is_ok();
    tokio::time::sleep(DRAIN).await;
}

const AT_ONCE: u32 = 64;
const DRAIN: Duration = Duration::from_secs(30);
const AFTER_ERROR: Duration = Duration::from_secs(1);
const SHORTEST: Duration = Duration::from_millis(20);
const LONGEST: Duration = Duration::from_secs(60);
