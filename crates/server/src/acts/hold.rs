//! Hold: the message waits, with us (custody) or with the client (defer).
//! Custody is sealed and durable in the same transaction as its leaf, before the 250.

use countersign_core::policy::{How, Ruling};
use countersign_core::request::Submission;
use countersign_wire::smtp::reply::{Enhanced, Reply as SmtpReply};
use jiff::SignedDuration;

use crate::acts::{Around, Ending, Reply};
use crate::custody::{self, HeldMail, Parameters, Sealed};
use crate::seal::SealError;
use crate::store::{Hold, Keys, Permit, Write};
use crate::transit::Attempt;

/// What sealing needs.
#[derive(Clone)]
pub struct Sealer {
    pub keys: Keys,
    pub custody_days: u32,
}

impl Sealer {
    /// The data that is tied to sealed mail: it opens for this account and this ref only.
    #[must_use]
    pub fn tie(ruling: &Ruling) -> Vec<u8> {
        Self::tie_of(ruling.account().as_str(), ruling.reference().as_str())
    }

    /// As [`Sealer::tie`], from names.
    #[must_use]
    pub fn tie_of(account: &str, reference: &str) -> Vec<u8> {
        format!("held\0{account}\0{reference}").into_bytes()
    }
}

/// The rows of mail that we keep.
pub(super) async fn plan(
    ruling: &Ruling,
    submission: &Submission,
    parameters: &Parameters,
    sealer: &Sealer,
    attempt: &Attempt,
) -> Result<Vec<Write>, SealError> {
    let key = sealer.keys.of(ruling.account()).await?;
    let bytes = submission.message.bytes();
    let plain = HeldMail::encode(&submission.envelope, parameters, &submission.credential, bytes);
    let (account, reference) = (ruling.account(), ruling.reference());
    let sealed = Sealed {
        mail: key.seal(&Sealer::tie(ruling), &plain)?,
        sender: custody::seal_sender(&key, account, reference, &submission.envelope)?,
    };
    let kept = SignedDuration::from_hours(24 * i64::from(sealer.custody_days));
    let until = ruling.at().checked_add(kept).unwrap_or_else(|_| ruling.at());
    let rows = custody::insert(ruling, &submission.envelope, bytes.len(), sealed, until);
    // A message that the upstream may have already says so if it is released.
    let second = matches!(attempt, Attempt::Doubtful(..));
    let second = second.then(|| custody::may_be_second(ruling.account(), ruling.reference()));
    Ok(rows.into_iter().chain(second).chain(attempt.kept()).collect())
}

/// Says that it waits. The transaction with the upstream ends with the means, unused.
#[expect(clippy::needless_pass_by_value, reason = "an act uses its permit up")]
pub(super) fn perform(permit: Permit<Hold>, around: &Around<'_>) -> Reply {
    let ruling = permit.ruling();
    let codes: Vec<&str> = ruling.reasons().iter().map(|cause| cause.code).collect();
    let how = ruling.how().unwrap_or(How::Defer);
    tracing::info!("account.id" = %ruling.account(), "ledger.ref" = %ruling.reference(), how = how.word(), ?codes, "held");
    let mut reply = Reply::of_ruling(ruling, Ending::Stopped);
    if let Attempt::Repeated(earlier) = &around.attempt {
        return Reply::repeated(ruling, earlier);
    }
    if how == How::Custody {
        reply.passage = around.attempt.passage();
        reply.passage.iter().for_each(|passage| around.transit.accepted(passage));
        let text = format!("held ref={}", ruling.reference());
        reply.smtp = SmtpReply::new(250, Some(Enhanced::new(2, 0, 0)), &text);
    }
    reply
}
