//! Retries: whether a message has come before, and what its client then hears.
//! The gate asks before it records; the SMTP door before it hands a message over, and when a client has heard.

use countersign_core::policy::{Decision, How, Ruling};
use countersign_core::request::{Action, Request};
use countersign_wire::smtp::reply::Reply as SmtpReply;
use serde_json::json;

use super::Gate;
use crate::acts::{self, Means, Outcome, RefusedRecipient};
use crate::transit::{Attempt, Offer, Passage};

/// The answer to a message that was accepted before.
pub struct Repeated {
    pub smtp: SmtpReply,
    pub outcome: Outcome,
    pub passage: Passage,
}

impl Gate {
    /// Whether a message was accepted before and its client does not know: it hears the old answer again, and
    /// nothing is judged anew. The entry is an outcome of the ruling that accepted it.
    pub async fn repeated(&self, request: &Request, means: &Means) -> Option<Repeated> {
        let offer = self.offer(request, means).await?;
        let passage = self.transit.accepted_before(&offer)?;
        let value =
            json!({ "ref": passage.reference(), "result": "repeated", "asked_as": request.reference });
        let (reference, account) = (passage.reference(), request.account.clone());
        let smtp = acts::accepted_before(reference);
        Some(Repeated { smtp, outcome: Outcome { reference, account, value, writes: vec![] }, passage })
    }

    /// Whether a message was tried before; only one that would be accepted now can be a repetition.
    pub(super) async fn attempt(&self, request: &Request, ruling: &Ruling, means: &Means) -> Attempt {
        let accepted = match ruling.binding() {
            Decision::Allow => true,
            Decision::Hold => ruling.how() == Some(How::Custody),
            Decision::Ask | Decision::Refuse => false,
        };
        if !accepted || request.action() != Action::Send {
            return Attempt::Untracked;
        }
        let offer = self.offer(request, means).await;
        offer.map_or(Attempt::Untracked, |offer| self.transit.begin(offer))
    }

    /// The peer's next command came: it has heard what became of its message.
    pub fn heard(&self, passage: &Passage) {
        self.transit.heard(passage);
    }

    async fn offer(&self, request: &Request, means: &Means) -> Option<Offer> {
        let offer = self.transit.offer(request, means.refused().iter().map(RefusedRecipient::address))?;
        Some(self.transit.look(offer).await)
    }
}
