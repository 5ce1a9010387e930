//! Held mail, released: it goes on to the upstream with a trace of its own, or is held again.
//! `command` calls it; what an upstream takes one by one is in `recipients`.

mod recipients;

use std::time::Duration;

use countersign_core::address::EmailAddress;
use countersign_core::request::{Envelope, Submission};
use countersign_wire::smtp::command::{Mail, Rcpt, Recipient};
use countersign_wire::smtp::path::Path;
use countersign_wire::smtp::reply::Reply as SmtpReply;
use serde_json::{Value, json};

use super::pass_on;
use crate::acts::command::{done, ended};
use crate::acts::{Around, Ending, Reply};
use crate::custody::{self, Held, Parameters, State};
use crate::net::{Transaction, Upstream, UpstreamError};
use crate::store::{Ledger, Permit, Release, Write};

/// Sends held mail. It is held again unless the upstream took it.
pub(in crate::acts) async fn perform(
    permit: Permit<Release>,
    submission: &Submission,
    held: &Held,
    upstream: Option<&Upstream>,
    parameters: &Parameters,
    around: &Around<'_>,
) -> Reply {
    match upstream {
        Some(upstream) if upstream.is_lmtp() => {
            recipients::perform(permit, submission, held, upstream, parameters, around).await
        }
        upstream => as_one(permit, submission, held, upstream, parameters, around).await,
    }
}

/// All recipients in one transaction.
async fn as_one(
    permit: Permit<Release>,
    submission: &Submission,
    held: &Held,
    upstream: Option<&Upstream>,
    parameters: &Parameters,
    around: &Around<'_>,
) -> Reply {
    let ruling = permit.ruling();
    let trace = super::trace_of_held(held, ruling);
    let sent = match upstream {
        Some(upstream) => match open(&submission.envelope, parameters, upstream).await {
            Ok(outgoing) => pass_on(&permit, &trace, submission, around, outgoing).await.map_err(NotSent::of),
            Err(why) => Err(why.into()),
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
    if let Err(error) =
        around.ledger.outcome(held.reference, &held.account, value.clone(), writes.clone()).await
    {
        tracing::error!(%error, "ledger.ref" = %held.reference, result, "the outcome of a release is not recorded yet");
        tokio::spawn(record_later(around.ledger.clone(), held.clone(), value, writes));
    }
    let mut reply = done(ruling);
    if result != "released" {
        reply.ending = Ending::Upstream(says);
    }
    reply
}

/// Records an outcome when the store answers again. Until then the row says that the mail is being released; should
/// we end before, the next start says that it may have been sent.
async fn record_later(ledger: Ledger, held: Held, value: Value, writes: Vec<Write>) {
    let mut pause = SOON;
    loop {
        tokio::time::sleep(pause).await;
        pause = (2 * pause).min(LATE);
        match ledger.outcome(held.reference, &held.account, value.clone(), writes.clone()).await {
            Ok(()) => {
                tracing::info!("ledger.ref" = %held.reference, "the outcome of a release is recorded");
                return;
            }
            // The first try was recorded after all, or somebody else has said what became of it.
            Err(error) if error.is_final() => return,
            Err(error) => {
                tracing::debug!(%error, "ledger.ref" = %held.reference, "the outcome of a release is not recorded yet");
            }
        }
    }
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
    envelope: &Envelope,
    parameters: &Parameters,
    upstream: &Upstream,
) -> Result<Transaction, Unopened> {
    let sender = envelope.mail_from.as_ref().map(path).transpose()?;
    let mut outgoing = upstream.begin().await.map_err(|e| e.to_string())?;
    let Some(passed_on) = outgoing.mail_parameters(&parameters.mail) else {
        outgoing.abandon().await;
        return Err("the upstream does not offer SMTPUTF8, and the message needs it".to_owned().into());
    };
    let mail = Mail { sender, parameters: passed_on };
    let reply = outgoing.mail(&mail).await.map_err(|e| e.to_string())?;
    if !reply.is_positive() {
        outgoing.abandon().await;
        return Err(reply.to_string().into());
    }
    for (place, recipient) in envelope.recipients.iter().enumerate() {
        let to = Recipient::Mailbox(path(recipient)?);
        let passed_on = parameters.rcpt.get(place).map(|given| outgoing.rcpt_parameters(given));
        let rcpt = Rcpt { recipient: to, parameters: passed_on.unwrap_or_default() };
        let reply = outgoing.rcpt(&rcpt).await.map_err(|e| e.to_string())?;
        if !reply.is_positive() {
            outgoing.abandon().await;
            return Err(Unopened::Recipient(recipient.to_string(), reply));
        }
    }
    Ok(outgoing)
}

/// Why there is no transaction.
enum Unopened {
    /// For a reason that is about the whole mail, or about the upstream.
    Whole(String),
    /// The upstream does not take this recipient.
    Recipient(String, SmtpReply),
}

impl From<String> for Unopened {
    fn from(why: String) -> Self {
        Self::Whole(why)
    }
}

impl From<Unopened> for NotSent {
    fn from(unopened: Unopened) -> Self {
        let why = match unopened {
            Unopened::Whole(why) => why,
            Unopened::Recipient(recipient, reply) => format!("`{recipient}`: {reply}"),
        };
        Self { why, in_doubt: false }
    }
}

fn path(address: &EmailAddress) -> Result<Path, String> {
    Path::parse(&address.to_string()).map_err(|e| e.to_string())
}

/// Between tries to record an outcome.
const SOON: Duration = Duration::from_secs(1);
const LATE: Duration = Duration::from_secs(30);
