//! Acts: what carries a ruling out. Each has two halves: `plan` says what must be durable together with
//! the leaf, `perform` takes the permit by value. The gate calls both.

mod block;
mod command;
mod count;
mod hold;
mod means;
mod notify;
mod refuse;
mod release;
mod reply;

pub use block::Change;
pub use hold::Sealer;
pub use means::{Means, RefusedRecipient};
pub use notify::Notifier;
pub use reply::{Ending, Outcome, Reply, accepted_before};

use countersign_core::address::Domain;
use countersign_core::policy::{Asked, Decision, How, Ruling};
use countersign_core::request::{Action, Ask, Request, Verb};
use serde_json::{Value, json};

use crate::accounts::Directory;
use crate::seal::SealError;
use crate::store::{Durable, Ledger, Mismatch, Owed, Recorded, Write};
use crate::transit::{Attempt, Transit};

/// What an act has around it, whatever it does.
pub struct Around<'a> {
    pub ledger: &'a Ledger,
    pub transit: &'a Transit,
    pub directory: &'a Directory,
    pub notifier: &'a Notifier,
    /// Our name.
    pub hostname: &'a Domain,
    /// Whether the message was tried before.
    pub attempt: Attempt,
}

/// What must be durable together with the leaf.
///
/// # Errors
/// When mail to be held cannot be sealed.
pub async fn plan(
    request: &Request,
    ruling: &Ruling,
    means: &Means,
    sealer: &Sealer,
    attempt: &Attempt,
) -> Result<Vec<Write>, SealError> {
    // Of a repetition everything is done already.
    if matches!(attempt, Attempt::Repeated(_)) {
        return Ok(vec![]);
    }
    match (&request.ask, ruling.binding()) {
        (Ask::Send(submission), Decision::Hold) if ruling.how() == Some(How::Custody) => {
            hold::plan(ruling, submission, &means.parameters(), sealer, attempt).await
        }
        (Ask::Send(submission), Decision::Allow) => {
            let mut writes = release::plan(ruling, submission, attempt);
            writes.extend(count::plan(ruling, submission, &sealer.keys));
            Ok(writes)
        }
        (Ask::Command(command), Decision::Allow) => Ok(command::plan(command, means)),
        (_, Decision::Hold | Decision::Ask | Decision::Refuse) => Ok(vec![]),
    }
}

/// What the ledger keeps beside the ruling: who asked, the envelope, recipients that were refused, and what
/// policies saw beside the evidence, for a replay.
#[must_use]
pub fn particulars(request: &Request, means: &Means, attempt: &Attempt) -> Value {
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
        "asked": Asked::of(request),
        "recipients": means.refused(),
        "command": command,
        "retry_of": attempt.earlier(),
        "possible_duplicate": matches!(attempt, Attempt::Doubtful(..)),
    })
}

/// Carries a recorded ruling out.
pub async fn perform(
    recorded: Recorded<Durable>,
    request: &Request,
    means: Means,
    around: Around<'_>,
) -> Reply {
    let about = request.about();
    let means = match recorded.ruling().binding() {
        Decision::Allow => means,
        Decision::Ask | Decision::Hold | Decision::Refuse => means.abandoned(),
    };
    let carried = match (&request.ask, recorded.ruling().binding()) {
        (_, Decision::Refuse) => recorded.permit(&about).map(refuse::perform),
        (Ask::Send(_), Decision::Hold | Decision::Ask) => {
            recorded.permit(&about).map(|permit| hold::perform(permit, &around))
        }
        (Ask::Send(submission), Decision::Allow) => match recorded.permit(&about) {
            Ok(permit) => {
                let reply = release::perform(permit, submission, means, &around).await;
                Ok(count::settled(reply, submission))
            }
            Err(mismatch) => Err(mismatch),
        },
        (Ask::Command(command), _) => {
            match command::perform(recorded, request, command, means, &around).await {
                Ok(reply) => Ok(reply),
                Err(mismatch) => Err(mismatch),
            }
        }
    };
    carried.unwrap_or_else(|(recorded, mismatch)| misfit(&recorded, &mismatch))
}

/// Whether a ruling may go ahead while the ledger cannot write: what refuses, and what blocks.
#[must_use]
pub fn may_be_owed(ruling: &Ruling) -> bool {
    let blocks = ruling.action() == Action::Command(Verb::AccountBlock);
    ruling.binding() == Decision::Refuse || blocks && ruling.decision() == Decision::Allow
}

/// The rows that are owed together with the ruling.
#[must_use]
pub fn owed(means: &Means) -> Vec<Write> {
    match means {
        Means::Block(change) => block::plan(change),
        Means::Letter { .. } | Means::Held { .. } | Means::Rows(_) => vec![],
    }
}

/// Carries out a refusal or a block that the ledger is owed.
#[must_use]
pub fn deny(owed: Recorded<Owed>, request: &Request, means: Means) -> Reply {
    let carried = match means {
        Means::Block(change) if owed.ruling().binding() != Decision::Refuse => {
            owed.permit(&request.about()).map(|permit| block::perform(permit, change, Ending::Owed))
        }
        _ => owed.permit(&request.about()).map(refuse::perform),
    };
    match carried {
        Ok(reply) => reply,
        Err((owed, mismatch)) => Reply::unrecorded(owed.ruling(), &mismatch),
    }
}

/// A permit that does not fit is a fault of ours: nothing is done, and the peer tries again.
fn misfit(recorded: &Recorded<Durable>, mismatch: &Mismatch) -> Reply {
    tracing::error!(%mismatch, "ledger.ref" = %recorded.ruling().reference(), "an act has no permit");
    Reply::unrecorded(recorded.ruling(), mismatch)
}
