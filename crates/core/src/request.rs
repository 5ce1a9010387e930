//! Requests: what somebody asks of a gate.
//! Doors make them from bytes or rows; the gate opens a dossier for each.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::about::About;
use crate::address::{Domain, EmailAddress};
use crate::ids::{AccountId, Ref};
use crate::message::{Message, Sender};

/// What somebody asks of a gate, with the id and the time that the door gave it.
#[derive(Debug, Clone)]
pub struct Request {
    /// The id under which it will be found again.
    pub reference: Ref,
    /// When it was asked.
    pub at: Timestamp,
    /// Whether the ruling binds; settled by the account's and the gate's mode.
    pub mode: Mode,
    /// The account it is about.
    pub account: AccountId,
    /// What is asked.
    pub ask: Ask,
}

impl Request {
    /// The digest of exactly this: a permit for another message or command does not fit.
    #[must_use]
    pub fn about(&self) -> About {
        let message = |asked: &Submission| asked.message.about(&asked.envelope);
        match &self.ask {
            Ask::Send(submission) => message(submission),
            Ask::Command(command) => match &command.message {
                Some(held) => message(held),
                None => About::command(command.verb.name(), &command.object, &command.arguments),
            },
        }
    }

    /// The message that is asked about, if it is about one.
    #[must_use]
    pub fn submission(&self) -> Option<&Submission> {
        match &self.ask {
            Ask::Send(submission) => Some(submission),
            Ask::Command(command) => command.message.as_deref(),
        }
    }

    /// The action that policy judges.
    #[must_use]
    pub fn action(&self) -> Action {
        match &self.ask {
            Ask::Send(_) => Action::Send,
            Ask::Command(command) => Action::Command(command.verb),
        }
    }

    /// The gate it stands at.
    #[must_use]
    pub fn gate(&self) -> Gate {
        match &self.ask {
            Ask::Send(_) => Gate::Send,
            Ask::Command(_) => Gate::Desk,
        }
    }

    /// Who asks, as the ledger writes it.
    #[must_use]
    pub fn actor(&self) -> String {
        match &self.ask {
            Ask::Send(submission) => format!("credential:{}", submission.credential),
            Ask::Command(command) => command.actor.to_string(),
        }
    }
}

/// The two shapes of a request.
#[derive(Debug, Clone)]
pub enum Ask {
    /// A customer submits a message.
    Send(Box<Submission>),
    /// A member of staff, a local operator or the clock wants something done.
    Command(Command),
}

/// A message that a customer submits.
#[derive(Debug, Clone)]
pub struct Submission {
    /// The login or key that was presented; empty when none was.
    pub credential: String,
    /// Where it came from.
    pub client: Client,
    /// The envelope.
    pub envelope: Envelope,
    /// The message as received.
    pub message: Arc<Message>,
}

impl Submission {
    /// Every domain that the message is sent as: those of From, Sender and the reverse path, as far as each
    /// names one.
    #[must_use]
    pub fn domains(&self) -> Vec<&Domain> {
        let from = self.message.from().ok().map(|mailbox| mailbox.address.domain());
        let sender = match self.message.sender() {
            Sender::One(mailbox) => Some(mailbox.address.domain()),
            Sender::Absent | Sender::Ambiguous(_) => None,
        };
        let mail_from = self.envelope.mail_from.as_ref().map(EmailAddress::domain);
        [from, sender, mail_from].into_iter().flatten().collect()
    }
}

/// Where a message came from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Client {
    /// The address of the peer.
    pub ip: Option<IpAddr>,
    /// The name the peer gave in EHLO; claimed, never trusted.
    pub helo: String,
    /// Whether the session is encrypted.
    pub tls: bool,
}

/// The envelope of RFC 5321 section 2.3.1.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// The reverse path; `None` is `<>`.
    pub mail_from: Option<EmailAddress>,
    /// The forward paths, in the order they were given.
    pub recipients: Vec<EmailAddress>,
}

/// Something that staff, a local operator or the clock wants done.
#[derive(Debug, Clone)]
pub struct Command {
    /// What.
    pub verb: Verb,
    /// By whom.
    pub actor: Actor,
    /// To which thing: a ref, an account.
    pub object: String,
    /// With which arguments, in a canonical form.
    pub arguments: String,
    /// The held message that it is about; its ruling permits acts on exactly this message.
    pub message: Option<Box<Submission>>,
}

/// The commands there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verb {
    /// Let held mail pass.
    HeldRelease,
    /// Refuse held mail.
    HeldRefuse,
    /// Held mail has been kept long enough.
    HeldExpire,
    /// Stop an account.
    AccountBlock,
    /// Let an account act again.
    AccountUnblock,
    /// Load accounts from a file.
    Apply,
    /// Set the mode of a gate or an account.
    SetMode,
    /// Erase what was said in entries of the ledger.
    LedgerErase,
    /// What was said in entries of the ledger has been kept long enough.
    LedgerExpire,
}

impl Verb {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::HeldRelease,
        Self::HeldRefuse,
        Self::HeldExpire,
        Self::AccountBlock,
        Self::AccountUnblock,
        Self::Apply,
        Self::SetMode,
        Self::LedgerErase,
        Self::LedgerExpire,
    ];

    /// The name, which is also the Cedar action.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::HeldRelease => "held-release",
            Self::HeldRefuse => "held-refuse",
            Self::HeldExpire => "held-expire",
            Self::AccountBlock => "account-block",
            Self::AccountUnblock => "account-unblock",
            Self::Apply => "apply",
            Self::SetMode => "set-mode",
            Self::LedgerErase => "ledger-erase",
            Self::LedgerExpire => "ledger-expire",
        }
    }
}

/// What policy judges: one policy set for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Action {
    /// A submission.
    Send,
    /// A command.
    Command(Verb),
}

impl Action {
    /// Every action.
    pub fn all() -> impl Iterator<Item = Self> {
        std::iter::once(Self::Send).chain(Verb::ALL.into_iter().map(Self::Command))
    }

    /// The Cedar action's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::Command(verb) => verb.name(),
        }
    }
}

/// Who gave a command.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Actor {
    /// A member of staff.
    Staff(String),
    /// An API key of a member of staff, by the member's address.
    StaffKey(String),
    /// An API key of an account, by its login.
    AccountKey(String),
    /// A local user of the machine, by uid (from the control socket's peer credentials).
    Local(u32),
    /// A due job.
    Clock,
}

impl Actor {
    /// `staff`, `staff-key`, `account-key`, `local` or `clock`: what policy compares.
    #[must_use]
    pub fn class(&self) -> &'static str {
        match self {
            Self::Staff(_) => "staff",
            Self::StaffKey(_) => "staff-key",
            Self::AccountKey(_) => "account-key",
            Self::Local(_) => "local",
            Self::Clock => "clock",
        }
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Staff(id) | Self::StaffKey(id) | Self::AccountKey(id) => write!(f, "{}:{id}", self.class()),
            Self::Local(uid) => write!(f, "local:{uid}"),
            Self::Clock => f.write_str("clock"),
        }
    }
}

/// The five gates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Gate {
    /// A customer's message going out.
    Send,
    /// A message coming in for people we protect.
    Receive,
    /// Access to lists of addresses.
    Lists,
    /// A person or a credential signing in.
    #[serde(rename = "signin")]
    SignIn,
    /// Reports, and what staff do.
    Desk,
}

impl Gate {
    /// The name outside.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::Receive => "receive",
            Self::Lists => "lists",
            Self::SignIn => "signin",
            Self::Desk => "desk",
        }
    }
}

/// Whether a ruling binds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Rule and record, but let pass.
    #[default]
    Observe,
    /// Rule and act.
    Enforce,
}

impl Mode {
    /// The name outside.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Observe => "observe",
            Self::Enforce => "enforce",
        }
    }
}
