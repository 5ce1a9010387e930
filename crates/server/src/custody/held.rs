//! Held mail: what is known without opening it, and what is inside.

use countersign_core::ids::{AccountId, Ref};
use countersign_core::request::Envelope;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What is known of held mail without opening it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    #[serde(rename = "ref")]
    pub reference: Ref,
    pub gate: String,
    pub account: AccountId,
    pub how: String,
    pub state: State,
    pub mail_from: String,
    pub rcpts: i64,
    pub size: i64,
    pub at: Timestamp,
    pub until: Timestamp,
    pub reasons: Vec<String>,
    /// A release was interrupted: it may have been sent.
    #[serde(default)]
    pub in_doubt: bool,
}

/// Where held mail is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    Held,
    /// On its way to the upstream. Outside it is still held: nobody knows yet whether it will be sent.
    #[serde(rename(serialize = "held"))]
    Releasing,
    Released,
    Refused,
    Expired,
}

impl State {
    /// The word in the store.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Releasing => "releasing",
            Self::Released => "released",
            Self::Refused => "refused",
            Self::Expired => "expired",
        }
    }

    pub(super) fn parse(word: &str) -> Self {
        match word {
            "releasing" => Self::Releasing,
            "released" => Self::Released,
            "refused" => Self::Refused,
            "expired" => Self::Expired,
            _ => Self::Held,
        }
    }
}

/// Which rows are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// What has not ended: mail that is held, also while it is being released.
    Open,
    /// What is being released.
    Releasing,
    /// Every one.
    All,
}

/// What is inside: the envelope, and the message as received. Sealed as one JSON head line and the octets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldMail {
    pub envelope: Envelope,
    pub credential: String,
    pub bytes: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
struct Head {
    envelope: Envelope,
    credential: String,
}

impl HeldMail {
    /// The octets to seal.
    #[must_use]
    pub fn encode(envelope: &Envelope, credential: &str, bytes: &[u8]) -> Vec<u8> {
        let head = Head { envelope: envelope.clone(), credential: credential.to_owned() };
        let mut out = serde_json::to_vec(&head).unwrap_or_default();
        out.push(b'\n');
        out.extend_from_slice(bytes);
        out
    }

    /// Reads what was sealed.
    #[must_use]
    pub fn decode(sealed: &[u8]) -> Option<Self> {
        let end = sealed.iter().position(|byte| *byte == b'\n')?;
        let (head, rest) = sealed.split_at_checked(end)?;
        let Head { envelope, credential } = serde_json::from_slice(head).ok()?;
        Some(Self { envelope, credential, bytes: rest.get(1..)?.to_vec() })
    }
}

#[cfg(test)]
mod tests {
    use countersign_core::address::EmailAddress;

    use super::*;

    #[test]
    fn what_is_sealed_is_what_is_opened() {
        let envelope =
            Envelope { mail_from: None, recipients: vec![EmailAddress::parse("bo@reader.example").unwrap()] };
        let bytes = b"From: a@acme.example\r\n\r\n\nbody".to_vec();
        let mail = HeldMail::decode(&HeldMail::encode(&envelope, "acme", &bytes)).unwrap();
        assert_eq!(mail, HeldMail { envelope, credential: "acme".to_owned(), bytes });
    }
}
