//! Block and unblock: a target stops at once, in memory, and its rows come with the ruling.
//! A block goes ahead when the ledger cannot write: then the ruling and its rows are owed.

use jiff::{SignedDuration, Timestamp};

use crate::accounts::{self, Blocked, Directory, Target};
use crate::acts::{Ending, Reply, command};
use crate::custody;
use crate::store::lease::later;
use crate::store::{Block, Command, Permit, Write};

/// What a block or its end changes.
pub struct Change {
    pub target: Target,
    /// Why and since when; `None` lets it act again.
    pub blocked: Option<Blocked>,
    /// When that is asked.
    pub at: Timestamp,
    pub directory: Directory,
}

pub(super) fn plan(change: &Change) -> Vec<Write> {
    match &change.blocked {
        Some(blocked) => accounts::block(&change.target, blocked),
        None => accounts::unblock(&change.target).into_iter().chain(kept(change)).collect(),
    }
}

/// Blocking deletes nothing: what was held meanwhile does not expire the moment it ends.
fn kept(change: &Change) -> Vec<Write> {
    custody::keep_until(&change.target.account, later(change.at, AFTER_BLOCK))
}

/// Stops the target. Sessions, held mail and jobs ask the directory before anything passes.
#[expect(clippy::needless_pass_by_value, reason = "an act uses its permit up")]
pub(super) fn perform(permit: Permit<Block>, change: Change, ending: Ending) -> Reply {
    match (change.blocked, &ending) {
        // Its rows are not there yet: until they are, only this process knows.
        (Some(blocked), Ending::Owed) => change.directory.stop(change.target, blocked),
        (Some(_), _) => change.directory.stopped_in_store(&change.target),
        (None, _) => {}
    }
    Reply { ending, ..command::done(permit.ruling()) }
}

/// Lets it act again.
#[expect(clippy::needless_pass_by_value, reason = "an act uses its permit up")]
pub(super) fn lift(permit: Permit<Command>, change: &Change) -> Reply {
    change.directory.resume(&change.target);
    command::done(permit.ruling())
}

/// How long held mail of an account is kept at least once it is unblocked.
const AFTER_BLOCK: SignedDuration = SignedDuration::from_hours(24);
