//! A letter under way: the transaction from MAIL to the ruling.
//! The conversation opens it at MAIL, addresses it at RCPT, submits it after DATA or the last BDAT.

mod owner;
mod route;

use std::sync::Arc;

use bytes::Bytes;
use countersign_core::address::{Domain, EmailAddress};
use countersign_core::ids::{AccountId, Ref};
use countersign_core::message::Message;
use countersign_core::reason;
use countersign_core::request::{Ask, Client, Envelope, Gate, Mode, Request, Submission};
use countersign_wire::smtp::command::{Mail, Rcpt, Recipient};
use countersign_wire::smtp::data::DataFault;
use countersign_wire::smtp::parameters::RcptParameters;
use countersign_wire::smtp::path::Path;
use countersign_wire::smtp::reply::{Enhanced, FixedReply, Reply};
use countersign_wire::smtp::xclient::Attribute;
use jiff::Timestamp;

use super::auth::SignedIn;
use super::{Door, named, with_reference};
use crate::accounts::{Account, DirectoryError};
use crate::acts::{Means, Outcome, RefusedRecipient};
use crate::clock::draw_ref;
use crate::custody::Parameters;
use crate::gate::Repeated;
use crate::net::Transaction;
use crate::probes::Case;
use crate::transit::Passage;

use route::Refusal;

/// For whom a session sends.
#[derive(Debug, Clone)]
pub(super) enum Sending {
    /// For this account.
    For(SignedIn),
    /// For the account that the first field of the message names: this is the field's name.
    Named(String),
    /// For the owner of the login that was given with XCLIENT.
    Introduced(Option<Attribute<String>>),
    /// For the account that has proved the domain of MAIL FROM.
    BySender,
}

/// A transaction. Its ref is drawn at MAIL; policy sees it whole, after its message.
pub(super) struct Letter {
    reference: Ref,
    at: Timestamp,
    sending: Sending,
    /// Unknown until the message has named it.
    owner: Option<Owner>,
    client: Client,
    mail: Mail,
    envelope: Envelope,
    /// The parameters of each of its recipients.
    parameters: Vec<RcptParameters>,
    /// Recipients about whom the upstream is still to be asked.
    waiting: Vec<Rcpt>,
    outgoing: Option<Transaction>,
    /// The upstream has taken a recipient.
    begun: bool,
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

/// Whose letter it is.
struct Owner {
    login: String,
    account: Arc<Account>,
    mode: Mode,
}

impl Letter {
    /// Opens a letter at MAIL, or says why not.
    pub(super) async fn open(
        door: &Door,
        sending: Sending,
        client: Client,
        mail: Mail,
    ) -> Result<Self, Reply> {
        let mail_from = match &mail.sender {
            Some(path) => Some(address(path).ok_or_else(|| SENDER_NO_DOMAIN.reply())?),
            None => None,
        };
        let reference = draw_ref().map_err(|error| {
            tracing::error!(%error, "a transaction cannot begin");
            TRY_LATER.reply()
        })?;
        let mut letter = Self {
            reference,
            at: door.clock.now(),
            sending,
            owner: None,
            client,
            mail,
            envelope: Envelope { mail_from, recipients: vec![] },
            parameters: vec![],
            waiting: vec![],
            outgoing: None,
            begun: false,
            refused: vec![],
        };
        let found = match letter.sending.clone() {
            Sending::Named(_) => None,
            Sending::For(who) => Some(Ok(who)),
            Sending::Introduced(login) => Some(letter.owner_by_login(door, login).await),
            Sending::BySender => Some(letter.owner_by_sender(door).await),
        };
        if let Some(found) = found {
            letter = Box::pin(letter.given_to(door, found)).await?;
        }
        if letter.mail.parameters.size.is_some_and(|size| size > door.settings.limits.message_bytes as u64) {
            return Err(letter.refuse(door, "limit-message-bytes", "").await);
        }
        Ok(letter)
    }

    /// Gives the letter its owner, unless there is none of that name, or it is blocked.
    async fn owned_by(mut self, door: &Door, who: &SignedIn) -> Result<Self, Reply> {
        let found = async {
            let account = door.directory.account(&who.account).await?;
            Ok::<_, DirectoryError>((account, door.directory.gate_mode(Gate::Send).await?))
        };
        let (account, gate_mode) = match found.await {
            Ok(found) => found,
            Err(error @ DirectoryError::Unknown(_)) => {
                return Err(self.refuse(door, "account-unknown", &error.to_string()).await);
            }
            Err(error) => {
                tracing::error!(%error, "account.id" = %who.account, "an account cannot be read");
                self.stop().await;
                return Err(TRY_LATER.reply());
            }
        };
        let domains: Vec<&Domain> = self.envelope.mail_from.iter().map(EmailAddress::domain).collect();
        let blocked = account.block_on(&who.login, &domains).map(|(what, _)| what);
        let mode = account.own_mode().or(gate_mode).or(door.settings.mode).unwrap_or_default();
        self.owner = Some(Owner { login: who.login.clone(), account, mode });
        match blocked {
            Some("domain") => Err(self.refuse(door, "domain-blocked", "").await),
            Some("credential") => Err(self.refuse(door, "credential-blocked", "").await),
            Some(_) => Err(self.refuse(door, "account-blocked", "").await),
            None => Ok(self),
        }
    }

    /// Adds a recipient: the upstream is asked, and its answer is ours. While it is not known whose letter
    /// it is, nobody knows which upstream to ask either: then the recipient waits for the message, and it is the
    /// only one if that upstream may speak LMTP.
    pub(super) async fn address(&mut self, door: &Door, rcpt: Rcpt) -> Reply {
        let recipient = match &rcpt.recipient {
            Recipient::Mailbox(path) => address(path),
            Recipient::Postmaster => {
                EmailAddress::parse(&format!("postmaster@{}", door.settings.hostname)).ok()
            }
        };
        let Some(recipient) = recipient else { return RECIPIENT_NO_DOMAIN.reply() };
        let most =
            if self.owner.is_none() && door.exits.have_lmtp() { 1 } else { door.settings.limits.recipients };
        if self.envelope.recipients.len() >= most {
            return self.refuse_recipient(&recipient, Refusal::Ours("limit-recipients"));
        }
        if self.owner.is_none() {
            self.parameters.push(rcpt.parameters.clone());
            self.waiting.push(rcpt);
            self.envelope.recipients.push(recipient);
            return RECIPIENT_WAITS.reply();
        }
        match self.ask_upstream(door, &rcpt).await {
            Ok(reply) => {
                self.envelope.recipients.push(recipient);
                self.parameters.push(rcpt.parameters);
                reply
            }
            Err(refusal) => self.refuse_recipient(&recipient, refusal),
        }
    }

    /// A line for the ledger, and the reply with the ref under which it will be found.
    fn refuse_recipient(&mut self, recipient: &EmailAddress, refusal: Refusal) -> Reply {
        let (line, reply) = match refusal {
            Refusal::Ours(code) => {
                let reason = reason::known(code);
                let (number, enhanced) = reason.reply;
                let reply = Reply::new(number, Enhanced::parse(enhanced), reason.smtp);
                (RefusedRecipient::by_us(recipient, reason), reply)
            }
            Refusal::Upstream(reply) => (RefusedRecipient::by_upstream(recipient, &reply), reply),
        };
        // Who tries thousands learns it from the replies; the ledger keeps the first.
        if self.refused.len() < MOST_REFUSED {
            self.refused.push(line);
        }
        with_reference(reply, &self.reference)
    }

    /// Submits the letter: the gate rules, records and acts; what the client hears comes back.
    pub(super) async fn submit(
        mut self,
        door: &Door,
        message: Result<Vec<u8>, DataFault>,
        octets: u64,
    ) -> Submitted {
        let bytes = match message {
            Ok(bytes) => Bytes::from(bytes),
            Err(fault) => {
                let detail = format!("{fault}; {octets} octets came");
                return self.refuse(door, code_of(fault), &detail).await.into();
            }
        };
        let bytes = match self.name_owner(door, bytes).await {
            Ok((letter, bytes)) => {
                self = letter;
                bytes
            }
            Err(reply) => return reply.into(),
        };
        let Some(owner) = self.owner.as_ref() else { return TRY_LATER.reply().into() };
        // Once more: it may have been blocked meanwhile.
        let account = match door.directory.account(&owner.account.id).await {
            Ok(account) => account,
            Err(error) => {
                tracing::error!(%error, "account.id" = %owner.account.id, "the account cannot be read");
                self.stop().await;
                return TRY_LATER.reply().into();
            }
        };
        let way = door.exits.of(&owner.account).map(|exit| Arc::clone(&exit.way)).unwrap_or_default();
        let message = Message::read(bytes, &door.settings.limits);
        let means = self.means();
        let case = Case { request: self.into_request(door, message), account, way };
        if let Some(Repeated { smtp, outcome, passage }) = door.gate.repeated(&case.request, &means).await {
            drop(means.abandoned());
            return Submitted { reply: smtp, outcome: Some(outcome), passage: Some(passage) };
        }
        let reply = Box::pin(door.gate.pass(case, means)).await;
        Submitted { reply: reply.smtp, outcome: reply.outcome, passage: reply.passage }
    }

    /// Finds out whose letter it is, if that is still to be done: the field that says so is taken off, so
    /// that what is judged from here on is what is sent. Then the recipients that waited are asked about.
    async fn name_owner(mut self, door: &Door, bytes: Bytes) -> Result<(Self, Bytes), Reply> {
        let Sending::Named(field) = self.sending.clone() else { return Ok((self, bytes)) };
        let taken = named::take(&bytes, &field).map_err(|error| format!("{field}: {error}"));
        let found = taken.and_then(|(value, rest)| {
            let shown = || value.escape_default().take(30).collect::<String>();
            let account =
                AccountId::parse(&value).map_err(|_| format!("{field}: `{}` is no account id", shown()))?;
            Ok((account, rest))
        });
        let (account, rest) = match found {
            Ok(found) => found,
            Err(detail) => return Err(self.refuse(door, "account-unknown", &detail).await),
        };
        self = self.owned_by(door, &SignedIn { login: String::new(), account }).await?;
        match self.ask_about_waiting(door).await {
            Ok(()) => Ok((self, rest)),
            Err((code, detail)) => Err(self.refuse(door, code, &detail).await),
        }
    }

    /// Ends a letter that was not submitted. One in which a recipient was refused has a leaf: each of these
    /// replies had the ref, and a ref always opens something.
    pub(super) async fn abandon(mut self, door: &Door) {
        let code = self.refused.first().map(RefusedRecipient::code);
        self.stop().await;
        if let Some(code) = code {
            let detail = self.refused.first().map(|first| first.reply().to_owned()).unwrap_or_default();
            let _heard_by_nobody = self.refuse(door, code, &detail).await;
        }
    }

    /// Gives the connection to the upstream back.
    async fn stop(&mut self) {
        if let Some(outgoing) = self.outgoing.take() {
            outgoing.abandon().await;
        }
    }

    /// Refuses the letter for what was read on the wire, with leaf and ref.
    pub(super) async fn refuse(mut self, door: &Door, code: &str, detail: &str) -> Reply {
        let means = self.means();
        let message = Message::read(Bytes::new(), &door.settings.limits);
        let request = self.into_request(door, message);
        // Many refuse: what that needs lives on the heap, and only then.
        Box::pin(door.gate.refuse(request, reason::known(code), detail, means)).await.smtp
    }

    fn means(&mut self) -> Means {
        let (refused, rcpt) = (std::mem::take(&mut self.refused), std::mem::take(&mut self.parameters));
        let parameters = Parameters { mail: self.mail.parameters.clone(), rcpt };
        Means::Letter { outgoing: self.outgoing.take(), refused, parameters }
    }

    /// What nobody owns is the platform's, which refuses it.
    fn into_request(self, door: &Door, message: Message) -> Request {
        let (credential, account, mode) = match self.owner {
            Some(owner) => (owner.login, owner.account.id.clone(), owner.mode),
            None => (String::new(), AccountId::platform(), door.settings.mode.unwrap_or_default()),
        };
        let submission = Submission {
            credential,
            client: self.client,
            envelope: self.envelope,
            message: Arc::new(message),
        };
        let ask = Ask::Send(Box::new(submission));
        Request { reference: self.reference, at: self.at, mode, account, ask }
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
static RECIPIENT_WAITS: FixedReply = FixedReply::new(250, (2, 1, 5), "recipient OK, if the message is");
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
const MOST_REFUSED: usize = 1000;
