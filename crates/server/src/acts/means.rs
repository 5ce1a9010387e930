//! Means: what an act needs besides its permit. Doors hand them over with the request.

use std::sync::Arc;

use countersign_core::address::EmailAddress;
use countersign_core::reason::Reason;
use countersign_wire::smtp::reply::Reply;
use serde::Serialize;

use crate::acts::block::Change;
use crate::custody::{Held, HeldMail, Parameters};
use crate::net::{Transaction, Upstream};
use crate::store::Write;

/// What an act needs besides its permit.
pub enum Means {
    /// For a submission: the open transaction with the upstream, the recipients that were refused, and what
    /// the client said beside the addresses.
    Letter { outgoing: Option<Transaction>, refused: Vec<RefusedRecipient>, parameters: Parameters },
    /// For held mail: its row, the upstream that would take it and with which parameters, and what is inside if
    /// that must be told.
    Held { held: Held, upstream: Option<Arc<Upstream>>, parameters: Parameters, mail: Option<Box<HeldMail>> },
    /// For a block or its end: what stops or acts again.
    Block(Change),
    /// For any other command: the rows that change.
    Rows(Vec<Write>),
}

/// A recipient that was refused before the ruling.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RefusedRecipient {
    address: String,
    /// `us` or `upstream`.
    by: &'static str,
    reply: String,
    reason: Option<&'static str>,
}

impl Means {
    /// The same without the transaction, whose connection goes back to the pool.
    #[must_use]
    pub fn abandoned(self) -> Self {
        match self {
            Self::Letter { outgoing: Some(outgoing), refused, parameters } => {
                tokio::spawn(outgoing.abandon());
                Self::Letter { outgoing: None, refused, parameters }
            }
            other => other,
        }
    }

    /// What was said in MAIL and RCPT beside the addresses.
    pub(super) fn parameters(&self) -> Parameters {
        match self {
            Self::Letter { parameters, .. } | Self::Held { parameters, .. } => parameters.clone(),
            Self::Block(_) | Self::Rows(_) => Parameters::default(),
        }
    }

    /// The recipients that were refused before the ruling.
    #[must_use]
    pub fn refused(&self) -> &[RefusedRecipient] {
        match self {
            Self::Letter { refused, .. } => refused,
            Self::Held { .. } | Self::Block(_) | Self::Rows(_) => &[],
        }
    }
}

impl RefusedRecipient {
    /// Whom the client asked for.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// By us, for a reason.
    #[must_use]
    pub fn by_us(address: &EmailAddress, reason: &'static Reason) -> Self {
        let (code, enhanced) = reason.reply;
        let reply = format!("{code} {enhanced} {}", reason.smtp);
        Self { address: address.to_string(), by: "us", reply, reason: Some(reason.code) }
    }

    /// By the upstream, in its words.
    #[must_use]
    pub fn by_upstream(address: &EmailAddress, reply: &Reply) -> Self {
        Self { address: address.to_string(), by: "upstream", reply: reply.to_string(), reason: None }
    }

    /// The code of the reason: ours, or what the upstream's reply comes to.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self.reason {
            Some(code) => code,
            None if self.reply.starts_with('4') => "recipient-deferred",
            None => "recipient-refused",
        }
    }

    /// What the peer heard.
    #[must_use]
    pub fn reply(&self) -> &str {
        &self.reply
    }
}
