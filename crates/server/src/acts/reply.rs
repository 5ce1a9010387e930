//! The reply: what the peer hears, what became of the request, and what is still to be written.
//! Acts make it; doors put it into their own form.

use countersign_core::ids::{AccountId, Ref};
use countersign_core::policy::{Cause, Ruling};
use countersign_wire::smtp::reply::{Enhanced, Reply as SmtpReply};
use serde_json::Value;

use crate::store::Write;

/// The last of the five words.
#[derive(Debug, Clone)]
pub struct Reply {
    pub ruling: Ruling,
    pub ending: Ending,
    pub smtp: SmtpReply,
    /// To be recorded after the peer has heard the reply.
    pub outcome: Option<Outcome>,
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// The act was carried out.
    Done,
    /// The ruling stops it.
    Stopped,
    /// Somebody else did it first.
    Conflict,
    /// It could not be recorded, so nothing was done.
    Unrecorded(String),
    /// The upstream did not take it.
    Upstream(String),
}

/// What became of an allowed message, for the ledger.
#[derive(Debug, Clone)]
pub struct Outcome {
    pub reference: Ref,
    pub account: AccountId,
    pub value: Value,
    pub writes: Vec<Write>,
}

impl Reply {
    /// A reply of ours that says what the ruling says, with every reason of its weight, and the ref.
    #[must_use]
    pub fn of_ruling(ruling: &Ruling, ending: Ending) -> Self {
        Self { smtp: spoken(ruling), ruling: ruling.clone(), ending, outcome: None }
    }

    /// Nothing was done because it could not be recorded: the peer keeps what it has.
    #[must_use]
    pub fn unrecorded(ruling: &Ruling, why: &str) -> Self {
        tracing::error!(why, "ledger.ref" = %ruling.reference(), "nothing is done that is not recorded");
        let smtp = SmtpReply::new(451, Some(Enhanced::new(4, 3, 0)), UNRECORDED);
        Self { smtp, ruling: ruling.clone(), ending: Ending::Unrecorded(why.to_owned()), outcome: None }
    }

    /// Somebody else did it first.
    #[must_use]
    pub fn conflict(ruling: &Ruling) -> Self {
        let smtp = SmtpReply::new(451, Some(Enhanced::new(4, 3, 0)), "somebody else changed this meanwhile");
        Self { smtp, ruling: ruling.clone(), ending: Ending::Conflict, outcome: None }
    }
}

fn spoken(ruling: &Ruling) -> SmtpReply {
    let first = ruling.reasons().first();
    let (code, enhanced) = first.map_or((451, None), codes);
    let stops = |cause: &&Cause| codes(cause).0 / 100 == code / 100 && !ruling.marks().contains(&cause.code);
    let mut sentences = ruling.reasons().iter().filter(stops);
    let reference = format!("ref={}", ruling.reference());
    let Some(cause) = sentences.next() else { return SmtpReply::new(code, enhanced, &reference) };
    let reply = SmtpReply::new(code, enhanced, sentence(cause));
    sentences
        .take(MOST_REASONS - 1)
        .fold(reply, |reply, cause| reply.with_line(sentence(cause)))
        .with_line(&reference)
}

/// The words after the two codes.
fn sentence(cause: &Cause) -> &str {
    cause.smtp.splitn(3, ' ').nth(2).unwrap_or_default()
}

fn codes(cause: &Cause) -> (u16, Option<Enhanced>) {
    let mut words = cause.smtp.splitn(3, ' ');
    let code = words.next().and_then(|word| word.parse().ok()).unwrap_or(451);
    (code, words.next().and_then(Enhanced::parse))
}

const UNRECORDED: &str = "this cannot be recorded now, so it is not accepted; try again later";
const MOST_REASONS: usize = 5;
