//! Commands of staff, local operators and the clock, carried out: held mail released or ended, rows changed.

use countersign_core::address::EmailAddress;
use countersign_core::policy::Ruling;
use countersign_core::request::{Command, Request, Submission, Verb};
use countersign_wire::smtp::command::{Mail, Rcpt, Recipient};
use countersign_wire::smtp::path::Path;
use countersign_wire::smtp::reply::{Enhanced, Reply as SmtpReply};
use serde_json::json;

use crate::acts::{Around, Ending, Means, Reply, block, release};
use crate::custody::{self, Held, Parameters, State};
use crate::net::{Transaction, Upstream, UpstreamError};
use crate::store::{self, Durable, Mismatch, Permit, Recorded, Release, Write};

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
fn ended(held: &Held, from: State, to: State) -> Vec<Write> {
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
            Ok(release_held(permit, submission, &held, upstream.as_deref(), &parameters, around).await)
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

/// Sends held mail. It is held again unless the upstream took it.
async fn release_held(
    permit: Permit<Release>,
    submission: &Submission,
    held: &Held,
    upstream: Option<&Upstream>,
    parameters: &Parameters,
    around: &Around<'_>,
) -> Reply {
    let ruling = permit.ruling().clone();
    let trace = release::trace_of_held(held, &ruling);
    let sent = match upstream {
        Some(upstream) => match open(submission, parameters, upstream).await {
            Ok(outgoing) => {
                release::pass_on(permit, &trace, submission, around, outgoing).await.map_err(NotSent::of)
            }
            Err(why) => Err(NotSent { why, in_doubt: false }),
        },
        None => Err(NotSent { why: "the account's upstream is not configured".to_owned(), in_doubt: false }),
    };
    let (result, says, writes) = match &sent {
        Ok(reply) if reply.is_positive() => {
            ("released", reply.to_string(), ended(held, State::Releasing, State::Released))
        }
        Ok(reply) => ("held-again", reply.to_string(), vec![back(held)]),
        Err(NotSent { why, in_doubt: true }) => {
            ("in-doubt", why.clone(), vec![custody::doubt(&held.account, held.reference)])
        }
        Err(NotSent { why, in_doubt: false }) => ("held-again", why.clone(), vec![back(held)]),
    };
    let value =
        json!({ "ref": held.reference, "by": ruling.reference(), "result": result, "upstream": says });
    if let Err(error) = around.ledger.outcome(held.reference, &held.account, value, writes).await {
        tracing::error!(%error, "ledger.ref" = %held.reference, result, "the outcome of a release is not recorded");
    }
    let mut reply = done(&ruling);
    if result != "released" {
        reply.ending = Ending::Upstream(says);
    }
    reply
}

/// Why held mail was not sent, and whether the upstream may have it all the same.
struct NotSent {
    why: String,
    in_doubt: bool,
}

impl NotSent {
    #[expect(clippy::needless_pass_by_value, reason = "it is the end of the error")]
    fn of(error: UpstreamError) -> Self {
        let in_doubt = matches!(error, UpstreamError::Closed { in_doubt: true, .. });
        Self { why: error.to_string(), in_doubt }
    }
}

fn back(held: &Held) -> Write {
    custody::claim(&held.account, held.reference, State::Releasing, State::Held)
}

/// A transaction with every recipient accepted; one that is not accepted keeps the whole mail held.
async fn open(
    submission: &Submission,
    parameters: &Parameters,
    upstream: &Upstream,
) -> Result<Transaction, String> {
    let sender = submission.envelope.mail_from.as_ref().map(path).transpose()?;
    let mut outgoing = upstream.begin().await.map_err(|e| e.to_string())?;
    let Some(passed_on) = outgoing.mail_parameters(&parameters.mail) else {
        outgoing.abandon().await;
        return Err("the upstream does not offer SMTPUTF8, and the message needs it".to_owned());
    };
    let mail = Mail { sender, parameters: passed_on };
    let reply = outgoing.mail(&mail).await.map_err(|e| e.to_string())?;
    if !reply.is_positive() {
        outgoing.abandon().await;
        return Err(reply.to_string());
    }
    for (place, recipient) in submission.envelope.recipients.iter().enumerate() {
        let to = Recipient::Mailbox(path(recipient)?);
        let passed_on = parameters.rcpt.get(place).map(|given| outgoing.rcpt_parameters(given));
        let rcpt = Rcpt { recipient: to, parameters: passed_on.unwrap_or_default() };
        let reply = outgoing.rcpt(&rcpt).await.map_err(|e| e.to_string())?;
        if !reply.is_positive() {
            outgoing.abandon().await;
            return Err(format!("`{recipient}`: {reply}"));
        }
    }
    Ok(outgoing)
}

fn path(address: &EmailAddress) -> Result<Path, String> {
    Path::parse(&address.to_string()).map_err(|e| e.to_string())
}
