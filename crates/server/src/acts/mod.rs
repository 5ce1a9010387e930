//! Acts: what carries a ruling out. Each has two halves: `plan` says what must be durable together with
//! the leaf, `perform` takes the permit by value. The gate calls both.

mod command;
mod hold;
mod means;
mod refuse;
mod release;
mod reply;

pub use hold::Sealer;
pub use means::{Means, RefusedRecipient};
pub use reply::{Ending, Outcome, Reply};

use countersign_core::policy::{Decision, How, Ruling};
use countersign_core::request::{Ask, Request};
use serde_json::{Value, json};

use crate::seal::SealError;
use crate::store::{Durable, Ledger, Mismatch, Owed, Recorded, Write};

/// What must be durable together with the leaf.
///
/// # Errors
/// When mail to be held cannot be sealed.
pub async fn plan(
    request: &Request,
    ruling: &Ruling,
    means: &Means,
    sealer: &Sealer,
) -> Result<Vec<Write>, SealError> {
    match (&request.ask, ruling.binding()) {
        (Ask::Send(submission), Decision::Hold) if ruling.how() == Some(How::Custody) => {
            hold::plan(ruling, submission, sealer).await
        }
        (Ask::Send(submission), Decision::Allow) => Ok(release::plan(ruling, submission)),
        (Ask::Command(command), Decision::Allow) => Ok(command::plan(command, means)),
        (_, Decision::Hold | Decision::Ask | Decision::Refuse) => Ok(vec![]),
    }
}

/// What the ledger keeps beside the ruling: who asked, the envelope, recipients that were refused.
#[must_use]
pub fn particulars(request: &Request, means: &Means) -> Value {
    let envelope = request.submission().map(|submission| &submission.envelope);
    let client = request.submission().map(|submission| {
        let client = &submission.client;
        json!({ "ip": client.ip, "helo": client.helo, "tls": client.tls })
    });
    let message_id = request.submission().and_then(|submission| submission.message.message_id());
    let command = match &request.ask {
        Ask::Command(c) => json!({ "verb": c.verb.name(), "object": c.object, "arguments": c.arguments }),
        Ask::Send(_) => Value::Null,
    };
    json!({
        "actor": request.actor(),
        "client": client,
        "envelope": envelope,
        "message_id": message_id,
        "recipients": means.refused(),
        "command": command,
    })
}

/// Carries a recorded ruling out.
pub async fn perform(recorded: Recorded<Durable>, request: &Request, means: Means, ledger: &Ledger) -> Reply {
    let about = request.about();
    let means = match recorded.ruling().binding() {
        Decision::Allow => means,
        Decision::Ask | Decision::Hold | Decision::Refuse => means.abandoned(),
    };
    let carried = match (&request.ask, recorded.ruling().binding()) {
        (_, Decision::Refuse) => recorded.permit(&about).map(refuse::perform),
        (Ask::Send(_), Decision::Hold | Decision::Ask) => recorded.permit(&about).map(hold::perform),
        (Ask::Send(submission), Decision::Allow) => match recorded.permit(&about) {
            Ok(permit) => Ok(release::perform(permit, submission, means).await),
            Err(mismatch) => Err(mismatch),
        },
        (Ask::Command(command), _) => match command::perform(recorded, request, command, means, ledger).await
        {
            Ok(reply) => Ok(reply),
            Err(mismatch) => Err(mismatch),
        },
    };
    carried.unwrap_or_else(|(recorded, mismatch)| misfit(&recorded, &mismatch))
}

/// Carries out a refusal that the ledger is owed.
#[must_use]
pub fn deny(owed: Recorded<Owed>, request: &Request) -> Reply {
    match owed.permit(&request.about()) {
        Ok(permit) => refuse::perform(permit),
        Err((owed, mismatch)) => Reply::unrecorded(owed.ruling(), &mismatch.to_string()),
    }
}

/// A permit that does not fit is a fault of ours: nothing is done, and the peer tries again.
fn misfit(recorded: &Recorded<Durable>, mismatch: &Mismatch) -> Reply {
    tracing::error!(%mismatch, "ledger.ref" = %recorded.ruling().reference(), "an act has no permit");
    Reply::unrecorded(recorded.ruling(), &mismatch.to_string())
}
