//! Held mail: what is known without opening it, and what is inside.

use countersign_core::address::EmailAddress;
use countersign_core::ids::{AccountId, Ref};
use countersign_core::request::Envelope;
use countersign_wire::smtp::parameters::{MailParameters, RcptParameters};
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
    pub parameters: Parameters,
    pub credential: String,
    pub bytes: Vec<u8>,
}

/// What was said in MAIL and in each RCPT beside the addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parameters {
    pub mail: MailParameters,
    /// In the order of the envelope's recipients.
    pub rcpt: Vec<RcptParameters>,
}

/// Parameters stand as on the wire; mail that was held before they were kept has none.
#[derive(Serialize, Deserialize)]
struct Head {
    envelope: Envelope,
    credential: String,
    #[serde(default)]
    mail: String,
    #[serde(default)]
    rcpt: Vec<String>,
}

impl HeldMail {
    /// The octets to seal.
    #[must_use]
    pub fn encode(envelope: &Envelope, parameters: &Parameters, credential: &str, bytes: &[u8]) -> Vec<u8> {
        let head = Head {
            envelope: envelope.clone(),
            credential: credential.to_owned(),
            mail: parameters.mail.to_string(),
            rcpt: parameters.rcpt.iter().map(ToString::to_string).collect(),
        };
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
        let Head { envelope, credential, mail, rcpt } = serde_json::from_slice(head).ok()?;
        let mut mail = MailParameters::parse(&mail).ok()?;
        let addresses = envelope.mail_from.iter().chain(&envelope.recipients);
        // RFC 6531 3.4: an address that is not ASCII needs the parameter, also when it was not kept.
        mail.smtputf8 |= addresses.into_iter().any(|address| !address.to_string().is_ascii());
        let rcpt: Result<Vec<_>, _> = rcpt.iter().map(|text| RcptParameters::parse(text)).collect();
        let mut rcpt = rcpt.ok()?;
        rcpt.resize(envelope.recipients.len(), RcptParameters::default());
        let parameters = Parameters { mail, rcpt };
        Some(Self { envelope, parameters, credential, bytes: rest.get(1..)?.to_vec() })
    }

    /// Its recipients, each with its parameters.
    pub fn recipients(&self) -> impl Iterator<Item = (&EmailAddress, &RcptParameters)> {
        self.envelope.recipients.iter().zip(&self.parameters.rcpt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn envelope(recipient: &str) -> Envelope {
        Envelope { mail_from: None, recipients: vec![EmailAddress::parse(recipient).unwrap()] }
    }

    #[test]
    fn what_is_sealed_is_what_is_opened() {
        let envelope = envelope("bo@reader.example");
        let parameters = Parameters {
            mail: MailParameters::parse(" BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=a+20b").unwrap(),
            rcpt: vec![
                RcptParameters::parse(" NOTIFY=FAILURE,DELAY ORCPT=rfc822;bo@reader.example").unwrap(),
            ],
        };
        let bytes = b"From: a@acme.example\r\n\r\n\nbody".to_vec();
        let sealed = HeldMail::encode(&envelope, &parameters, "acme", &bytes);
        let mail = HeldMail::decode(&sealed).unwrap();
        assert_eq!(mail, HeldMail { envelope, parameters, credential: "acme".to_owned(), bytes });
    }

    #[test]
    fn mail_that_was_sealed_without_parameters_opens_too() {
        for (recipient, smtputf8) in [("bo@reader.example", false), ("käthe@reader.example", true)] {
            let head = format!(
                "{{\"envelope\":{{\"mail_from\":null,\"recipients\":[\"{recipient}\"]}},\"credential\":\"acme\"}}\nx"
            );
            let mail = HeldMail::decode(head.as_bytes()).unwrap();
            assert_eq!(mail.envelope, envelope(recipient));
            let expected = MailParameters { smtputf8, ..MailParameters::default() };
            assert_eq!((&mail.parameters.mail, mail.recipients().count()), (&expected, 1), "{recipient}");
        }
    }
}
