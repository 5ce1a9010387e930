//! Count: an allowed message is counted together with its leaf, where a cap was compared with.
//! The finding of `limits` says what to count; the count itself is exact, whoever writes at the same time.

use countersign_core::evidence::{Evidence, Kind};
use countersign_core::policy::Ruling;
use countersign_core::request::{Mode, Submission};
use serde_json::Value;

use crate::acts::Reply;
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

/// Takes the message off the count again when the upstream did not take it. Its new recipients stay counted:
/// they are known from now on, and are not counted when the message comes again.
pub(super) fn settled(mut reply: Reply, submission: &Submission) -> Reply {
    let ruling = &reply.ruling;
    let limits = ruling.evidence().iter().find(|evidence| evidence.kind == Kind::Limits);
    let counted = limits.and_then(|limits| number(limits, counts::LOGIN_CAP)).is_some();
    let Some(outcome) = reply.outcome.as_mut().filter(|_| counted) else { return reply };
    if matches!(outcome.value.get("result").and_then(Value::as_str), Some("refused-by-upstream" | "not-sent"))
    {
        let day = Day::of(ruling.at());
        outcome.writes.push(counts::give_back(ruling.account(), &submission.credential, day));
    }
    reply
}

fn number(limits: &Evidence, name: &str) -> Option<u64> {
    limits.value.get(name).and_then(Value::as_u64)
}

fn places(limits: &Evidence) -> impl Iterator<Item = usize> {
    let list = limits.value.get(counts::STRANGERS).and_then(Value::as_array).into_iter().flatten();
    list.filter_map(|place| place.as_u64().and_then(|place| usize::try_from(place).ok()))
}
