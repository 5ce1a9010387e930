//! Custody ends: held mail whose time is over is a request of the clock to expire it.
//! What a block forbids to release does not expire meanwhile: blocking deletes nothing.

use countersign_core::ids::Ref;
use countersign_core::request::{Actor, Verb};
use jiff::SignedDuration;

use super::{Clockwork, Done};
use crate::accounts::{Account, DirectoryError};
use crate::acts::{Ending, Means};
use crate::custody::{self, HeldMail, State};
use crate::doors::control::held;
use crate::probes;
use crate::store::jobs::{self, Job};
use crate::store::lease::later;

impl Clockwork {
    pub(super) async fn expire(&self, job: &Job) -> Done {
        self.try_to_expire(job).await.unwrap_or_else(Done::Failed)
    }

    async fn try_to_expire(&self, job: &Job) -> Result<Done, String> {
        let control = &self.control;
        let reference = Ref::parse(&job.object).map_err(|error| error.to_string())?;
        let found = custody::load(&control.store, &control.keys, reference).await;
        let found = found.map_err(|error| error.to_string())?;
        let waits = |state| matches!(state, State::Held | State::Releasing);
        let Some((held, sealed)) = found.filter(|(held, _)| waits(held.state)) else {
            let gone = jobs::done(&job.account, &job.kind, &job.object);
            control.store.change(&[gone]).await.map_err(|error| error.to_string())?;
            return Ok(Done::Gone);
        };
        let account = match control.directory.account(&held.account).await {
            Ok(account) => Some(account),
            Err(DirectoryError::Unknown(_)) => None,
            Err(error) => return Err(error.to_string()),
        };
        let order = held::order(Actor::Clock, Verb::HeldExpire, &held, None);
        let means = control.means_of(held, sealed).await;
        if account.is_some_and(|account| is_blocked(&account, &means)) {
            return Ok(Done::Later(later(control.clock.now(), LOOK_AGAIN)));
        }
        let reply = control.order(order, means).await.map_err(|problem| problem.detail())?;
        match &reply.ending {
            Ending::Done => Ok(Done::Gone),
            Ending::Stopped | Ending::Owed => {
                Err(reply.ruling.reasons().first().map_or("not permitted", |cause| cause.code).to_owned())
            }
            Ending::Conflict => Err("somebody else acts on it".to_owned()),
            Ending::Unrecorded(why) | Ending::Upstream(why) => Err(why.clone()),
        }
    }
}

/// Whether a block forbids its release: then there was no chance to release it in time.
fn is_blocked(account: &Account, means: &Means) -> bool {
    let Means::Held { mail: Some(mail), .. } = means else { return account.blocked.is_some() };
    probes::block_on(account, &held::submission(HeldMail::clone(mail))).is_some()
}

/// The kind of these jobs.
pub(super) use crate::custody::EXPIRE;

/// How often held mail that is blocked is looked at.
const LOOK_AGAIN: SignedDuration = SignedDuration::from_mins(60);
