//! The reply: what the peer hears, what became of the request, and what is still to be written.
//! Acts make it; doors put it into their own form.

use countersign_core::ids::{AccountId, Ref};
use countersign_core::policy::{Cause, Ruling};
use countersign_wire::smtp::reply::{Enhanced, Reply as SmtpReply};
use serde_json::{Value, json};

use crate::clock::Pace;
use crate::store::Write;
use crate::transit::Passage;

/// The last of the five words.
#[derive(Debug, Clone)]
pub struct Reply {
    pub ruling: Ruling,
    pub ending: Ending,
    pub smtp: SmtpReply,
    /// To be recorded after the peer has heard the reply.
    pub outcome: Option<Outcome>,
    /// What is accepted, until the peer's next command shows that it heard so.
    pub passage: Option<Passage>,
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// The act was carried out.
    Done,
    /// It was carried out, and the ledger is owed its entry and rows.
    Owed,
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
        Self::new(ruling, ending, spoken(ruling))
    }

    /// Nothing was done because it could not be recorded: the peer keeps what it has.
    #[must_use]
    pub fn unrecorded(ruling: &Ruling, why: &dyn std::fmt::Display) -> Self {
        if let Some(unsaid) = UNDONE.turn() {
            tracing::error!(%why, unsaid, "ledger.ref" = %ruling.reference(), "nothing is done that is not recorded");
        }
        let smtp = SmtpReply::new(451, Some(Enhanced::new(4, 3, 0)), UNRECORDED);
        Self::new(ruling, Ending::Unrecorded(why.to_string()), smtp)
    }

    /// As [`Reply::unrecorded`], because the disk is full (RFC 5321 4.2.3: "452 Requested action not taken:
    /// insufficient system storage").
    #[must_use]
    pub fn full(ruling: &Ruling, why: &dyn std::fmt::Display) -> Self {
        let smtp = SmtpReply::new(452, Some(Enhanced::new(4, 3, 1)), FULL);
        Self { smtp, ..Self::unrecorded(ruling, why) }
    }

    /// The message was accepted before, and the peer has lost our answer: it hears it again.
    #[must_use]
    pub fn repeated(ruling: &Ruling, earlier: &Passage) -> Self {
        let smtp = accepted_before(earlier.reference());
        let value =
            json!({ "ref": ruling.reference(), "result": "repeated", "accepted_as": earlier.reference() });
        let (reference, account) = (ruling.reference(), ruling.account().clone());
        let outcome = Outcome { reference, account, value, writes: vec![] };
        let passage = Some(earlier.clone());
        Self { outcome: Some(outcome), passage, ..Self::new(ruling, Ending::Done, smtp) }
    }

    /// Somebody else did it first.
    #[must_use]
    pub fn conflict(ruling: &Ruling) -> Self {
        let smtp = SmtpReply::new(451, Some(Enhanced::new(4, 3, 0)), "somebody else changed this meanwhile");
        Self::new(ruling, Ending::Conflict, smtp)
    }

    /// Words of an act's own.
    #[must_use]
    pub fn new(ruling: &Ruling, ending: Ending, smtp: SmtpReply) -> Self {
        Self { smtp, ruling: ruling.clone(), ending, outcome: None, passage: None }
    }
}

/// What a client hears again that lost our answer.
#[must_use]
pub fn accepted_before(reference: Ref) -> SmtpReply {
    SmtpReply::new(250, Some(Enhanced::new(2, 0, 0)), &format!("accepted before ref={reference}"))
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

static UNDONE: Pace = Pace::new();
const UNRECORDED: &str = "this cannot be recorded now, so it is not accepted; try again later";
const FULL: &str = "no room on the disk to keep this, so it is not accepted; try again later";
const MOST_REASONS: usize = 5;
