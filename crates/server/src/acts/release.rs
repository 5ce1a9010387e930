//! Release: the message goes on, with our trace on top and not an octet of it changed.
//! No permit, no release; the permit is about exactly these octets and these recipients.

pub(super) mod held;

use std::borrow::Cow;

use countersign_core::address::Domain;
use countersign_core::evidence::{Finding, Kind};
use countersign_core::ids::{AccountId, Ref};
use countersign_core::policy::Ruling;
use countersign_core::request::Submission;
use countersign_wire::header;
use countersign_wire::smtp::reply::{Enhanced, Reply as SmtpReply};
use serde_json::{Value, json};

use crate::accounts::{self, Directory};
use crate::acts::{Around, Ending, Means, Outcome, Reply};
use crate::custody::Held;
use crate::net::{Transaction, UpstreamError};
use crate::store::{Permit, Release, Write};
use crate::transit::Attempt;

/// What is remembered when a message passes: that it is on its way, and that SPF passed for its author's
/// domain.
pub(super) fn plan(ruling: &Ruling, submission: &Submission, attempt: &Attempt) -> Vec<Write> {
    attempt.sending().into_iter().chain(passed_spf(ruling, submission)).collect()
}

fn passed_spf(ruling: &Ruling, submission: &Submission) -> Option<Write> {
    let domain = domain_to_remember(ruling, submission)?;
    Some(accounts::passed_spf(ruling.account(), domain, ruling.at()))
}

/// The author's domain, if the probe asks that its pass be written down.
fn domain_to_remember<'a>(ruling: &Ruling, submission: &'a Submission) -> Option<&'a Domain> {
    let passed = |e: &&countersign_core::evidence::Evidence| {
        e.kind == Kind::Spf && e.finding == Finding::Pass && e.value.contains_key("remember")
    };
    ruling.evidence().iter().find(passed)?;
    Some(submission.message.from().ok()?.address.domain())
}

/// Passes the message on through the transaction that its recipients opened.
pub(super) async fn perform(
    permit: Permit<Release>,
    submission: &Submission,
    means: Means,
    around: &Around<'_>,
) -> Reply {
    let ruling = permit.ruling().clone();
    if let Attempt::Repeated(earlier) = &around.attempt {
        drop(means.abandoned());
        return Reply::repeated(&ruling, earlier);
    }
    if let Some(domain) = domain_to_remember(&ruling, submission)
        && let Ok(account) = around.directory.account(ruling.account()).await
    {
        account.spf_passed.note(domain, ruling.at());
    }
    let Means::Letter { outgoing: Some(outgoing), .. } = means else {
        return over(failed(&ruling, &no_transaction()), around);
    };
    let trace = trace(&ruling, around.attempt.earlier());
    match pass_on(&permit, &trace, submission, around, outgoing).await {
        Ok(reply) => over(heard(&ruling, reply), around),
        Err(error) => over(failed(&ruling, &error), around),
    }
}

/// What the end of the sending means for a message that comes again: the upstream has it, or does not; in
/// doubt it stays as it is.
fn over(mut reply: Reply, around: &Around<'_>) -> Reply {
    let (Some(passage), Some(outcome)) = (around.attempt.passage(), &mut reply.outcome) else { return reply };
    match outcome.value.get("result").and_then(Value::as_str) {
        Some("sent") => {
            outcome.writes.push(around.transit.sent(&passage));
            reply.passage = Some(passage);
        }
        Some("in-doubt") => {}
        // That the upstream refuses the second copy says nothing about the first.
        _ => outcome.writes.extend(around.transit.undo(&around.attempt)),
    }
    reply
}

fn no_transaction() -> UpstreamError {
    UpstreamError::Unreachable("no transaction with it is open".to_owned())
}

/// Sends the octets: trace header, then the message as judged.
async fn pass_on(
    permit: &Permit<Release>,
    trace: &str,
    submission: &Submission,
    around: &Around<'_>,
    outgoing: Transaction,
) -> Result<SmtpReply, UpstreamError> {
    tracing::debug!("ledger.ref" = %permit.reference(), "passing on");
    let message = without_forged(submission.message.bytes(), around.hostname.as_str());
    let still = may_still_act(permit.ruling().account(), submission, around.directory);
    outgoing.data_in_pieces(&[trace.as_bytes(), &message], still).await
}

/// A block reaches a message until its first octet: the upstream may have kept us waiting for long.
async fn may_still_act(account: &AccountId, submission: &Submission, directory: &Directory) -> bool {
    let account = directory.account(account).await;
    account.is_ok_and(|account| account.block_on(&submission.credential, &submission.domains()).is_none())
}

/// The message without any trace, and without Authentication-Results that speak in our name (RFC 8601 5: "any
/// MTA conforming to this specification MUST delete any discovered instance of this header field that claims,
/// by virtue of its authentication service identifier, to have been added within its trust boundary"): whoever
/// reads ours may believe them. Not an octet else is changed, and what has none is not even copied.
fn without_forged<'a>(message: &'a [u8], hostname: &str) -> Cow<'a, [u8]> {
    header::strip(message, |field| {
        field.is("countersign-trace")
            || field.is("authentication-results")
                && header::authentication_results::claims(field.raw_value, hostname)
    })
}

/// `Countersign-Trace` of the interface contract.
fn trace(ruling: &Ruling, earlier: Option<Ref>) -> String {
    let (gate, decision) = (ruling.gate().name(), ruling.decision().word());
    let (reference, mode) = (ruling.reference(), ruling.mode().name());
    let again = retry_of(earlier);
    format!(
        "Countersign-Trace: v=1; ref={reference}; gate={gate}; decision={decision}; mode={mode}{again}\r\n"
    )
}

/// A copy that may be the second one says so.
fn retry_of(earlier: Option<Ref>) -> String {
    earlier.map_or_else(String::new, |earlier| format!("; retry-of={earlier}"))
}

/// The trace of mail that was held: the ref that its sender heard, and the command that released it.
fn trace_of_held(held: &Held, command: &Ruling) -> String {
    format!(
        "Countersign-Trace: v=1; ref={}; gate={}; decision=hold; mode=enforce; released-by={}{}\r\n",
        held.reference,
        held.gate,
        command.reference(),
        retry_of(held.in_doubt.then_some(held.reference)),
    )
}

/// The upstream's own reply is ours.
fn heard(ruling: &Ruling, reply: SmtpReply) -> Reply {
    let result = if reply.is_positive() { "sent" } else { "refused-by-upstream" };
    let ending = if reply.is_positive() { Ending::Done } else { Ending::Upstream(reply.to_string()) };
    let outcome = outcome(ruling, result, &reply.to_string());
    tracing::info!("account.id" = %ruling.account(), "ledger.ref" = %ruling.reference(), upstream = %reply, result, "passed on");
    Reply { outcome: Some(outcome), ..Reply::new(ruling, ending, reply) }
}

fn failed(ruling: &Ruling, error: &UpstreamError) -> Reply {
    let in_doubt = matches!(error, UpstreamError::Closed { in_doubt: true, .. });
    let result = if in_doubt { "in-doubt" } else { "not-sent" };
    tracing::warn!(%error, "ledger.ref" = %ruling.reference(), result, "the upstream failed");
    let mut reply = unreachable(ruling, &error.to_string());
    if matches!(error, UpstreamError::Withdrawn) {
        reply.smtp = SmtpReply::new(451, Some(Enhanced::new(4, 7, 1)), WITHDRAWN)
            .with_line(&format!("ref={}", ruling.reference()));
    }
    reply.outcome = Some(outcome(ruling, result, &error.to_string()));
    reply
}

fn unreachable(ruling: &Ruling, why: &str) -> Reply {
    let smtp = SmtpReply::new(451, Some(Enhanced::new(4, 4, 1)), UNAVAILABLE)
        .with_line(&format!("ref={}", ruling.reference()));
    Reply::new(ruling, Ending::Upstream(why.to_owned()), smtp)
}

fn outcome(ruling: &Ruling, result: &str, upstream: &str) -> Outcome {
    let value = json!({ "ref": ruling.reference(), "result": result, "upstream": upstream });
    Outcome { reference: ruling.reference(), account: ruling.account().clone(), value, writes: vec![] }
}

const WITHDRAWN: &str = "what sends this message was blocked meanwhile; it was not passed on";
const UNAVAILABLE: &str = "the mail server behind this one did not take the message; try again later";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_that_is_not_ours_does_not_pass() {
        let message = b"From: a@acme.example\r\ncountersign-trace: v=1;\r\n ref=FORGED\r\nTo: b@reader.example\r\n\r\n.\r\n";
        let expected = b"From: a@acme.example\r\nTo: b@reader.example\r\n\r\n.\r\n";
        assert_eq!(*without_forged(message, "gate.esp.example"), *expected);
    }

    #[test]
    fn rfc8601_5_results_in_our_name_do_not_pass_and_those_of_others_do() {
        let others = b"Authentication-Results: mx.reader.example; spf=pass\r\nFrom: a@acme.example\r\n\r\n";
        assert_eq!(*without_forged(others, "gate.esp.example"), *others);
        let ours = b"Authentication-Results: GATE.esp.example 1; dkim=pass\r\nFrom: a@acme.example\r\n\r\n";
        assert_eq!(*without_forged(ours, "gate.esp.example"), *b"From: a@acme.example\r\n\r\n");
    }

    #[test]
    fn a_message_without_one_passes_as_it_is() {
        for message in
            [b"From: a@acme.example\r\n\r\nCountersign-Trace: in the body\r\n".as_slice(), b"\r\n", b""]
        {
            let Cow::Borrowed(same) = without_forged(message, "gate.esp.example") else { panic!("a copy") };
            assert_eq!(same, message);
        }
    }
}
