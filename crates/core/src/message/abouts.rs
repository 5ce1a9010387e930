//! The digests of a message that were asked for, by envelope.
//! `Message::about` keeps them: a message has one envelope, and one without recipients to know it again by.

use std::sync::{Arc, Mutex, PoisonError};

use crate::about::About;
use crate::request::Envelope;

/// What is known of a message whose octets never change. Cloning shares it.
#[derive(Debug, Clone, Default)]
pub(super) struct Abouts(Arc<Mutex<Vec<(Envelope, About)>>>);

impl Abouts {
    pub(super) fn of(&self, envelope: &Envelope, digest: impl FnOnce() -> About) -> About {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, about)) = known.iter().find(|(one, _)| one == envelope) {
            return *about;
        }
        let about = digest();
        if known.len() < MOST {
            known.push((envelope.clone(), about));
        }
        about
    }
}

const MOST: usize = 2;

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use countersign_wire::limits::Limits;

    use super::super::Message;
    use super::*;
    use crate::address::EmailAddress;

    #[test]
    fn whatever_was_asked_before_a_digest_is_that_of_its_envelope() {
        let message = Message::read(Bytes::from_static(b"From: a@x.example\r\n\r\n"), &Limits::default());
        let address = |text: &str| EmailAddress::parse(text).unwrap();
        let envelopes = ["a@x.example", "b@x.example", "c@x.example", "d@x.example"]
            .map(|to| Envelope { mail_from: Some(address("a@x.example")), recipients: vec![address(to)] });
        for _ in 0..2 {
            for envelope in &envelopes {
                assert_eq!(message.clone().about(envelope), About::message(envelope, message.bytes()));
            }
        }
    }
}
