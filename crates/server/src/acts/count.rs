//! Count: an allowed message is counted together with its leaf, where a cap was compared with.
//! The finding of `limits` says what to count; the count itself is exact, whoever writes at the same time.

use countersign_core::evidence::{Evidence, Kind};
use countersign_core::policy::Ruling;
use countersign_core::request::{Mode, Submission};
use serde_json::Value;

use crate::counts::{self, Day, Pseudonym};
use crate::store::{Keys, Write};

/// The counts that change with the message.
pub(super) fn plan(ruling: &Ruling, submission: &Submission, keys: &Keys) -> Vec<Write> {
    let Some(limits) = ruling.evidence().iter().find(|evidence| evidence.kind == Kind::Limits) else {
        return vec![];
    };
    let (account, day) = (ruling.account(), Day::of(ruling.at()));
    // Observe lets pass what exceeds a cap, and counts it all the same.
    let binds = ruling.mode() == Mode::Enforce;
    let mut writes = Vec::new();
    if let Some(cap) = number(limits, counts::LOGIN_CAP) {
        writes.push(counts::count_message(account, &submission.credential, day, binds.then_some(cap)));
    }
    if let Some(cap) = number(limits, counts::NEW_CAP) {
        let strangers: Vec<Pseudonym> = places(limits)
            .filter_map(|place| submission.envelope.recipients.get(place))
            .map(|recipient| counts::pseudonym(keys, account, recipient))
            .collect();
        writes.extend(counts::count_recipients(account, &strangers, day, binds.then_some(cap)));
    }
    writes
}

fn number(limits: &Evidence, name: &str) -> Option<u64> {
    limits.value.get(name).and_then(Value::as_u64)
}

fn places(limits: &Evidence) -> impl Iterator<Item = usize> {
    let list = limits.value.get(counts::STRANGERS).and_then(Value::as_array).into_iter().flatten();
    list.filter_map(|place| place.as_u64().and_then(|place| usize::try_from(place).ok()))
}
