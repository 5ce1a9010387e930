//! Commands of staff, local operators and the clock, carried out: held mail released or ended, rows changed.

use countersign_core::policy::Ruling;
use countersign_core::request::{Command, Request, Verb};
use countersign_wire::smtp::reply::{Enhanced, Reply as SmtpReply};

use crate::acts::{Around, Ending, Means, Reply, block, release};
use crate::custody::{self, Held, State};
use crate::store::{self, Durable, Mismatch, Recorded, Release, Write};

/// The rows that change together with the leaf.
pub(super) fn plan(command: &Command, means: &Means) -> Vec<Write> {
    match (command.verb, means) {
        (Verb::HeldRelease, Means::Held { held, .. }) => {
            vec![custody::claim(&held.account, held.reference, State::Held, State::Releasing)]
        }
        (Verb::HeldRefuse, Means::Held { held, .. }) => ended(held, State::Held, State::Refused),
        (Verb::HeldExpire, Means::Held { held, .. }) => ended(held, State::Held, State::Expired),
        (_, Means::Block(change)) => block::plan(change),
        (_, Means::Rows(writes)) => writes.clone(),
        (_, Means::Held { .. } | Means::Letter { .. }) => vec![],
    }
}

/// The end of a custody, and of the job that waits for it.
pub(super) fn ended(held: &Held, from: State, to: State) -> Vec<Write> {
    vec![custody::end(&held.account, held.reference, from, to), custody::over(&held.account, held.reference)]
}

/// Carries a command out. What is only rows is done with its leaf; a release goes on to the upstream.
pub(super) async fn perform(
    recorded: Recorded<Durable>,
    request: &Request,
    command: &Command,
    means: Means,
    around: &Around<'_>,
) -> Result<Reply, (Recorded<Durable>, Mismatch)> {
    let about = request.about();
    match (command.verb, &command.message, means) {
        (Verb::HeldRelease, Some(submission), Means::Held { held, upstream, parameters, .. }) => {
            let permit = recorded.permit::<Release>(&about)?;
            // It is rare and long: every letter would carry room for it.
            let upstream = upstream.as_deref();
            let released = release::held::perform(permit, submission, &held, upstream, &parameters, around);
            Ok(Box::pin(released).await)
        }
        (Verb::AccountBlock, _, Means::Block(change)) => {
            recorded.permit(&about).map(|permit| block::perform(permit, change, Ending::Done))
        }
        (Verb::AccountUnblock, _, Means::Block(change)) => {
            recorded.permit(&about).map(|permit| block::lift(permit, &change))
        }
        (_, _, _) => recorded.permit::<store::Command>(&about).map(|permit| done(permit.ruling())),
    }
}

pub(super) fn done(ruling: &Ruling) -> Reply {
    tracing::info!(actor = ruling.actor(), "ledger.ref" = %ruling.reference(), verb = ruling.action().name(), "done");
    let smtp = SmtpReply::new(250, Some(Enhanced::new(2, 0, 0)), "done");
    Reply::new(ruling, Ending::Done, smtp)
}
