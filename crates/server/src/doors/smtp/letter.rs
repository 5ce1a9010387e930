//! A letter under way: the transaction from MAIL to the ruling.
//! The conversation opens it at MAIL, addresses it at RCPT, submits it after DATA.

use std::sync::Arc;

use bytes::Bytes;
use countersign_core::address::{Domain, EmailAddress};
use countersign_core::ids::Ref;
use countersign_core::message::Message;
use countersign_core::reason;
use countersign_core::request::{Ask, Client, Envelope, Gate, Mode, Request, Submission};
use countersign_wire::smtp::command::{Mail, Rcpt, Recipient};
use countersign_wire::smtp::data::DataFault;
use countersign_wire::smtp::parameters::MailParameters;
use countersign_wire::smtp::path::Path;
use countersign_wire::smtp::reply::{Enhanced, FixedReply, Reply};
use jiff::Timestamp;

use super::Door;
use super::auth::SignedIn;
use super::lines::Received;
use crate::accounts::Account;
use crate::acts::{Means, Outcome, RefusedRecipient};
use crate::clock::draw_ref;
use crate::doors::Exit;
use crate::net::{Transaction, UpstreamError};
use crate::probes::Case;
use crate::transit::Passage;

/// A transaction. Its ref is drawn at MAIL; policy sees it whole, at DATA.
pub(super) struct Letter {
    reference: Ref,
    at: Timestamp,
    signed_in: SignedIn,
    account: Arc<Account>,
    client: Client,
    mode: Mode,
    mail: Mail,
    envelope: Envelope,
    exit: Option<Exit>,
    outgoing: Option<Transaction>,
    refused: Vec<RefusedRecipient>,
}

/// What the client hears of a letter, and what is to be done after it has.
pub(super) struct Submitted {
    pub(super) reply: Reply,
    pub(super) outcome: Option<Outcome>,
    pub(super) passage: Option<Passage>,
}

impl From<Reply> for Submitted {
    fn from(reply: Reply) -> Self {
        Self { reply, outcome: None, passage: None }
    }
}

impl Letter {
    /// Opens a letter at MAIL, or says why not.
    pub(super) async fn open(door: &Door, who: &SignedIn, client: Client, mail: Mail) -> Result<Self, Reply> {
        let later = |error: &dyn std::fmt::Display| {
            tracing::error!(%error, "account.id" = %who.account, "a transaction cannot begin");
            TRY_LATER.reply()
        };
        let account = door.directory.account(&who.account).await.map_err(|e| later(&e))?;
        let gate_mode = door.directory.gate_mode(Gate::Send).await.map_err(|e| later(&e))?;
        let mode = account.own_mode().or(gate_mode).or(door.mode).unwrap_or_default();
        let mail_from = match &mail.sender {
            Some(path) => Some(address(path).ok_or_else(|| SENDER_NO_DOMAIN.reply())?),
            None => None,
        };
        let letter = Self {
            reference: draw_ref().map_err(|e| later(&e))?,
            at: door.clock.now(),
            signed_in: who.clone(),
            exit: door.exits.of(&account).cloned(),
            account,
            client,
            mode,
            mail,
            envelope: Envelope { mail_from, recipients: vec![] },
            outgoing: None,
            refused: vec![],
        };
        letter.admit(door).await
    }

    /// What is refused at MAIL already, with leaf and ref: a blocked account, a size that is too big.
    async fn admit(self, door: &Door) -> Result<Self, Reply> {
        let domains: Vec<&Domain> = self.envelope.mail_from.iter().map(EmailAddress::domain).collect();
        let blocked = self.account.block_on(&self.signed_in.login, &domains).map(|(what, _)| what);
        let code = if let Some(what) = blocked {
            match what {
                "domain" => "domain-blocked",
                "credential" => "credential-blocked",
                _ => "account-blocked",
            }
        } else if self.mail.parameters.size.is_some_and(|size| size > door.limits.message_bytes as u64) {
            "limit-message-bytes"
        } else {
            return Ok(self);
        };
        Err(self.refuse(door, code, "").await)
    }

    /// Adds a recipient: the upstream is asked, and its answer is ours.
    pub(super) async fn address(&mut self, door: &Door, rcpt: Rcpt) -> Reply {
        let recipient = match &rcpt.recipient {
            Recipient::Mailbox(path) => address(path),
            Recipient::Postmaster => EmailAddress::parse(&format!("postmaster@{}", door.hostname)).ok(),
        };
        let Some(recipient) = recipient else { return RECIPIENT_NO_DOMAIN.reply() };
        if self.envelope.recipients.len() >= door.limits.recipients {
            let reason = reason::known("limit-recipients");
            self.refused.push(RefusedRecipient::by_us(&recipient, reason));
            let (code, _) = reason.reply;
            return Reply::new(code, Some(Enhanced::new(4, 5, 3)), reason.smtp)
                .with_line(&format!("ref={}", self.reference));
        }
        let reply = match self.ask_upstream(&rcpt).await {
            Ok(reply) => reply,
            Err(error) => {
                tracing::warn!(%error, "ledger.ref" = %self.reference, "the upstream is not there");
                // No ref: a transaction that ends here has no leaf that it could open.
                UPSTREAM_UNAVAILABLE.reply()
            }
        };
        match reply.is_positive() {
            true => self.envelope.recipients.push(recipient),
            false => self.refused.push(RefusedRecipient::by_upstream(&recipient, &reply)),
        }
        reply
    }

    /// The transaction with the upstream begins at the first recipient.
    async fn ask_upstream(&mut self, rcpt: &Rcpt) -> Result<Reply, UpstreamError> {
        let mut outgoing = match self.outgoing.take() {
            Some(outgoing) => outgoing,
            None => match self.begin().await? {
                Ok(outgoing) => outgoing,
                Err(refusal) => return Ok(refusal),
            },
        };
        let reply = outgoing.rcpt(rcpt).await?;
        self.outgoing = Some(outgoing);
        Ok(reply)
    }

    async fn begin(&self) -> Result<Result<Transaction, Reply>, UpstreamError> {
        let Some(exit) = &self.exit else { return Ok(Err(NO_UPSTREAM.reply())) };
        let mut outgoing = exit.upstream.begin().await?;
        // SIZE is the client's word and the trace header makes the message longer: it is not passed on.
        let parameters = MailParameters { size: None, auth: None, ..self.mail.parameters.clone() };
        let reply = outgoing.mail(&Mail { sender: self.mail.sender.clone(), parameters }).await?;
        match reply.is_positive() {
            true => Ok(Ok(outgoing)),
            false => {
                outgoing.abandon().await;
                Ok(Err(reply))
            }
        }
    }

    /// Submits the letter: the gate rules, records and acts; what the client hears comes back.
    pub(super) async fn submit(mut self, door: &Door, received: Received) -> Submitted {
        let bytes = match received.message {
            Ok(bytes) => bytes,
            Err(fault) => {
                let detail = format!("{fault}; {} octets came", received.octets);
                return self.refuse(door, code_of(fault), &detail).await.into();
            }
        };
        let account = match door.directory.account(&self.signed_in.account).await {
            Ok(account) => account,
            Err(error) => {
                tracing::error!(%error, "account.id" = %self.signed_in.account, "the account cannot be read");
                return TRY_LATER.reply().into();
            }
        };
        let message = Message::read(Bytes::from(bytes), &door.limits);
        let means =
            Means::Letter { outgoing: self.outgoing.take(), refused: std::mem::take(&mut self.refused) };
        let way = self.exit.as_ref().map(|exit| Arc::clone(&exit.way)).unwrap_or_default();
        let case = Case { request: self.into_request(message), account, way };
        let reply = door.gate.pass(case, means).await;
        Submitted { reply: reply.smtp, outcome: reply.outcome, passage: reply.passage }
    }

    /// Ends a letter that was not submitted. One in which we refused a recipient has a leaf.
    pub(super) async fn abandon(mut self, door: &Door) {
        let by_us = self.refused.iter().any(RefusedRecipient::is_ours);
        if let Some(outgoing) = self.outgoing.take() {
            outgoing.abandon().await;
        }
        if by_us {
            let _heard_by_nobody = self.refuse(door, "limit-recipients", "").await;
        }
    }

    /// Refuses the letter for what was read on the wire, with leaf and ref.
    async fn refuse(mut self, door: &Door, code: &str, detail: &str) -> Reply {
        let means =
            Means::Letter { outgoing: self.outgoing.take(), refused: std::mem::take(&mut self.refused) };
        let message = Message::read(Bytes::new(), &door.limits);
        let request = self.into_request(message);
        door.gate.refuse(request, reason::known(code), detail, means).await.smtp
    }

    fn into_request(self, message: Message) -> Request {
        let submission = Submission {
            credential: self.signed_in.login,
            client: self.client,
            envelope: self.envelope,
            message: Arc::new(message),
        };
        let ask = Ask::Send(Box::new(submission));
        Request {
            reference: self.reference,
            at: self.at,
            mode: self.mode,
            account: self.signed_in.account,
            ask,
        }
    }
}

fn address(path: &Path) -> Option<EmailAddress> {
    EmailAddress::parse(&path.to_string()).ok()
}

/// The reason of a fault of the octets.
#[must_use]
pub fn code_of(fault: DataFault) -> &'static str {
    match fault {
        DataFault::BareCr | DataFault::BareLf | DataFault::Nul | DataFault::Unfinished => "bare-line-ending",
        DataFault::LineTooLong => "line-too-long",
        DataFault::TooBig => "limit-message-bytes",
    }
}

static TRY_LATER: FixedReply = FixedReply::new(451, (4, 3, 0), "this cannot be judged now; try again later");
static NO_UPSTREAM: FixedReply =
    FixedReply::new(451, (4, 3, 5), "no upstream is configured for this account; try again later");
static UPSTREAM_UNAVAILABLE: FixedReply =
    FixedReply::new(451, (4, 4, 1), "the mail server behind this one does not answer; try again later");
static SENDER_NO_DOMAIN: FixedReply = FixedReply::new(
    553,
    (5, 1, 7),
    "the sender's domain is not a domain name; address literals are not accepted",
);
static RECIPIENT_NO_DOMAIN: FixedReply = FixedReply::new(
    553,
    (5, 1, 3),
    "the recipient's domain is not a domain name; address literals are not accepted",
);
