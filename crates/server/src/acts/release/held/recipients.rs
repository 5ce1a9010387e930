//! Held mail over LMTP: a transaction for each recipient, and what became of each is durable before the next.
//! One that is refused for good is taken off and reported to the sender; one that is not taken now stays held.

use countersign_core::policy::Ruling;
use countersign_core::request::{Envelope, Submission};
use countersign_wire::smtp::reply::Reply as SmtpReply;
use serde_json::{Value, json};

use super::{NotSent, Unopened, open, pass_on};
use crate::acts::command::{done, ended};
use crate::acts::{Around, Ending, Reply, Sealer, release};
use crate::custody::{self, Held, HeldMail, Parameters, State};
use crate::net::Upstream;
use crate::seal::SealError;
use crate::store::{Permit, Release, Write};

/// Sends held mail to one recipient after the other. The permit is about this message and all of them. After a
/// connection that broke the others are not tried: they stay held.
pub(super) async fn perform(
    permit: Permit<Release>,
    submission: &Submission,
    held: &Held,
    upstream: &Upstream,
    parameters: &Parameters,
    around: &Around<'_>,
) -> Reply {
    let (ruling, trace) = (permit.ruling(), release::trace_of_held(held, permit.ruling()));
    let mut left = Left::of(submission, parameters);
    // Those who stay come first among those who are left, so the next one stands behind them.
    while let Some((single, said)) = left.single(left.trouble.len()) {
        let to = single.recipients.first().map(ToString::to_string).unwrap_or_default();
        let sent = match open(&single, &said, upstream).await {
            Ok(outgoing) => pass_on(&permit, &trace, submission, around, outgoing).await.map_err(NotSent::of),
            Err(Unopened::Recipient(_, reply)) => Ok(reply),
            Err(whole) => Err(whole.into()),
        };
        let says = sent.as_ref().map_or_else(|error| error.why.clone(), ToString::to_string);
        let result = result_of(&sent);
        let writes = left.after(&sent, &to, ruling, held, around).await;
        let value = json!({
            "ref": held.reference, "by": ruling.reference(), "recipient": to, "result": result, "upstream": says,
        });
        left.in_doubt |= !record(around, held, result, value, writes).await;
        if sent.is_err() {
            break;
        }
    }
    end(ruling, held, &left, around).await
}

fn result_of(sent: &Result<SmtpReply, NotSent>) -> &'static str {
    match sent {
        Ok(reply) if reply.is_positive() => "sent",
        Ok(reply) if reply.is_permanent() => "refused-by-upstream",
        Err(NotSent { in_doubt: true, .. }) => "in-doubt",
        Ok(_) | Err(_) => "held-again",
    }
}

/// What became of the whole.
async fn end(ruling: &Ruling, held: &Held, left: &Left, around: &Around<'_>) -> Reply {
    let nobody_is_left = left.mail.envelope.recipients.is_empty();
    let (result, writes) = match (nobody_is_left, left.in_doubt) {
        (true, _) if left.refused.len() == left.offered => {
            ("refused-by-upstream", ended(held, State::Releasing, State::Refused))
        }
        (true, _) => ("released", ended(held, State::Releasing, State::Released)),
        (false, true) => ("in-doubt", vec![custody::doubt(&held.account, held.reference)]),
        (false, false) => ("held-again", vec![super::back(held)]),
    };
    let says = left.trouble.iter().chain(&left.refused).cloned().collect::<Vec<_>>().join("; ");
    let value =
        json!({ "ref": held.reference, "by": ruling.reference(), "result": result, "upstream": says });
    record(around, held, result, value, writes).await;
    let mut reply = done(ruling);
    if !says.is_empty() {
        reply.ending = Ending::Upstream(says);
    }
    reply
}

/// Whether it is recorded. If not, the rows say less than has happened.
async fn record(around: &Around<'_>, held: &Held, result: &str, value: Value, writes: Vec<Write>) -> bool {
    let recorded = around.ledger.outcome(held.reference, &held.account, value, writes).await;
    if let Err(error) = &recorded {
        tracing::error!(%error, "ledger.ref" = %held.reference, result, "the outcome of a release is not recorded");
    }
    recorded.is_ok()
}

/// The mail with those recipients to whom it is still to be sent.
struct Left {
    mail: HeldMail,
    /// How many recipients there were.
    offered: usize,
    /// Who was tried and is still left, and why.
    trouble: Vec<String>,
    /// Who was refused for good, and in which words.
    refused: Vec<String>,
    /// Somebody of them may have it all the same.
    in_doubt: bool,
}

impl Left {
    fn of(submission: &Submission, parameters: &Parameters) -> Self {
        let envelope = submission.envelope.clone();
        let mut parameters = parameters.clone();
        parameters.rcpt.resize(envelope.recipients.len(), Default::default());
        let offered = envelope.recipients.len();
        let (credential, bytes) = (submission.credential.clone(), submission.message.bytes().to_vec());
        let mail = HeldMail { envelope, parameters, credential, bytes };
        Self { mail, offered, trouble: Vec::new(), refused: Vec::new(), in_doubt: false }
    }

    /// The rows that change when a recipient has been tried: it is taken off, and perhaps told, or it stays.
    async fn after(
        &mut self,
        sent: &Result<SmtpReply, NotSent>,
        to: &str,
        ruling: &Ruling,
        held: &Held,
        around: &Around<'_>,
    ) -> Vec<Write> {
        let reply = match sent {
            Ok(reply) if reply.is_positive() || reply.is_permanent() => reply,
            Ok(reply) => {
                self.trouble.push(format!("`{to}`: {reply}"));
                return vec![];
            }
            Err(NotSent { why, in_doubt }) => {
                self.in_doubt |= in_doubt;
                self.trouble.push(format!("`{to}`: {why}"));
                return vec![];
            }
        };
        let mut rows = Vec::new();
        let place = self.trouble.len();
        if reply.is_permanent() {
            rows = around.reports(ruling, held, &self.mail, place, self.refused.len(), reply).await;
            self.refused.push(format!("`{to}` is refused for good: {reply}"));
        }
        self.remove(place);
        match self.row(held, around).await {
            Ok(row) => rows.extend(row),
            Err(error) => {
                tracing::error!(%error, "ledger.ref" = %held.reference, "held mail cannot be sealed for who is left");
                self.in_doubt = true;
            }
        }
        rows
    }

    /// The envelope with one of them alone.
    fn single(&self, place: usize) -> Option<(Envelope, Parameters)> {
        let (recipient, said) = self.mail.recipients().nth(place)?;
        let mail_from = self.mail.envelope.mail_from.clone();
        let envelope = Envelope { mail_from, recipients: vec![recipient.clone()] };
        let mail = self.mail.parameters.mail.clone();
        Some((envelope, Parameters { mail, rcpt: vec![said.clone()] }))
    }

    fn remove(&mut self, place: usize) {
        // Both are as long as the other, and `single` has found the place.
        if place < self.mail.envelope.recipients.len() {
            self.mail.envelope.recipients.remove(place);
            self.mail.parameters.rcpt.remove(place);
        }
    }

    /// The row with what is left, sealed anew; none when nobody is, for then the custody ends.
    async fn row(&self, held: &Held, around: &Around<'_>) -> Result<Option<Write>, SealError> {
        match self.mail.envelope.recipients.len() {
            0 => Ok(None),
            count => {
                let sealed = self.seal(held, around).await?;
                Ok(Some(custody::keep_for(&held.account, held.reference, sealed, count)))
            }
        }
    }

    async fn seal(&self, held: &Held, around: &Around<'_>) -> Result<Vec<u8>, SealError> {
        let HeldMail { envelope, parameters, credential, bytes } = &self.mail;
        let key = around.notifier.keys.of(&held.account).await?;
        let tie = Sealer::tie_of(held.account.as_str(), held.reference.as_str());
        key.seal(&tie, &HeldMail::encode(envelope, parameters, credential, bytes))
    }
}

impl Around<'_> {
    /// The rows of reports that a recipient was refused. Who cannot be found is told nothing.
    async fn reports(
        &self,
        ruling: &Ruling,
        held: &Held,
        mail: &HeldMail,
        place: usize,
        number: usize,
        reply: &SmtpReply,
    ) -> Vec<Write> {
        match self.directory.account(&held.account).await {
            Ok(account) => {
                let name = format!("{}.{number}", ruling.reference());
                self.notifier.undeliverable(ruling, &account, held, mail, place, &name, reply).await
            }
            Err(error) => {
                tracing::error!(%error, "ledger.ref" = %held.reference, "nobody can be told of a refused recipient");
                vec![]
            }
        }
    }
}
