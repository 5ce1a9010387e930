//! About: the digest that ties a ruling to exactly one message and envelope, or to one command.
//! A ruling carries it; a permit is given only for the same one.

use std::fmt;

use aws_lc_rs::digest::{Context, SHA256};

use crate::request::Envelope;

/// SHA-256 over a domain-separated, length-prefixed encoding.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct About([u8; 32]);

impl About {
    /// This message to these recipients from this reverse path. The order of recipients does not matter.
    #[must_use]
    pub fn message(envelope: &Envelope, bytes: &[u8]) -> Self {
        Self::digested(envelope, &Self::digest(bytes))
    }

    /// SHA-256 of the octets of a message, for [`About::digested`].
    pub(crate) fn digest(bytes: &[u8]) -> [u8; 32] {
        let mut context = Context::new(&SHA256);
        context.update(bytes);
        octets(context)
    }

    /// The message that has this digest, to these recipients from this reverse path: with it at hand the octets
    /// need not be gone through for each envelope.
    pub(crate) fn digested(envelope: &Envelope, message: &[u8; 32]) -> Self {
        let mut recipients: Vec<String> = envelope.recipients.iter().map(ToString::to_string).collect();
        recipients.sort_unstable();
        let mut digest = Digest::new(b"countersign/about/message/2");
        match &envelope.mail_from {
            Some(address) => digest.part(address.to_string().as_bytes()),
            None => digest.part(b"<>"),
        }
        digest.part(&(recipients.len() as u64).to_be_bytes());
        for recipient in &recipients {
            digest.part(recipient.as_bytes());
        }
        digest.part(message);
        digest.finish()
    }

    /// This verb on this object with these arguments.
    #[must_use]
    pub fn command(verb: &str, object: &str, arguments: &str) -> Self {
        let mut digest = Digest::new(b"countersign/about/command/1");
        for part in [verb, object, arguments] {
            digest.part(part.as_bytes());
        }
        digest.finish()
    }

    /// The 32 octets.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// 64 hexadecimal digits in lower case.
    #[must_use]
    pub fn to_hex(&self) -> String {
        let digits = self.0.iter().flat_map(|octet| [octet >> 4, octet & 15]);
        digits.filter_map(|digit| char::from_digit(u32::from(digit), 16)).collect()
    }
}

struct Digest(Context);

impl Digest {
    fn new(label: &[u8]) -> Self {
        let mut digest = Self(Context::new(&SHA256));
        digest.part(label);
        digest
    }

    fn part(&mut self, bytes: &[u8]) {
        self.0.update(&(bytes.len() as u64).to_be_bytes());
        self.0.update(bytes);
    }

    fn finish(self) -> About {
        About(octets(self.0))
    }
}

fn octets(context: Context) -> [u8; 32] {
    let mut out = [0; 32];
    out.iter_mut().zip(context.finish().as_ref()).for_each(|(to, from)| *to = *from);
    out
}

impl fmt::Debug for About {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().take(8).try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::EmailAddress;

    fn envelope(recipients: &[&str]) -> Envelope {
        let address = |text: &&str| EmailAddress::parse(text).unwrap();
        Envelope { mail_from: None, recipients: recipients.iter().map(address).collect() }
    }

    #[test]
    fn hexadecimal_digits_are_those_of_the_octets() {
        let about = About::message(&envelope(&["a@x.example"]), b"m");
        let plain: String = about.as_bytes().iter().map(|octet| format!("{octet:02x}")).collect();
        assert_eq!((about.to_hex(), plain.len()), (plain, 64));
    }

    #[test]
    fn the_order_of_recipients_does_not_matter() {
        let one = About::message(&envelope(&["a@x.example", "b@x.example"]), b"m");
        assert_eq!(one, About::message(&envelope(&["b@x.example", "a@x.example"]), b"m"));
    }

    #[test]
    fn another_message_or_recipient_is_another_about() {
        let one = About::message(&envelope(&["a@x.example"]), b"m");
        assert_ne!(one, About::message(&envelope(&["a@x.example"]), b"n"));
        assert_ne!(one, About::message(&envelope(&["b@x.example"]), b"m"));
        assert_ne!(one, About::message(&envelope(&["a@x.example", "b@x.example"]), b"m"));
    }

    #[test]
    fn parts_cannot_be_shifted_into_each_other() {
        assert_ne!(About::command("a", "bc", ""), About::command("ab", "c", ""));
    }
}
