//! A message and what the judgement needs of it.
//! Called once by each door, `read`; asked by probes, policy and acts.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::OnceLock;

use bytes::Bytes;
use countersign_wire::header::{self, HeaderError, Section};
use countersign_wire::limits::Limits;
use countersign_wire::mime::{self, MimeFault, Structure};

use super::singletons::singleton;
use super::{Ambiguity, Mailbox};
use crate::about::About;
use crate::request::Envelope;

/// A message as it was received, and what one reading of it found. Cheap to clone in its bytes.
#[derive(Debug, Clone)]
pub struct Message {
    bytes: Bytes,
    body_offset: usize,
    header_fault: Option<HeaderError>,
    fields: Vec<Span>,
    from: Result<Mailbox, Ambiguity>,
    sender: Sender,
    reply_to: Result<Vec<Mailbox>, Ambiguity>,
    duplicates: Vec<&'static str>,
    structure: Result<Structure, MimeFault>,
    digest: OnceLock<[u8; 32]>,
}

/// Who sent the message for its author (RFC 5322 3.6.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sender {
    /// The author did.
    Absent,
    /// This mailbox did.
    One(Mailbox),
    /// The field can be read in more than one way.
    Ambiguous(Ambiguity),
}

/// A header field of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field<'a> {
    /// The name in the sender's capitals.
    pub name: &'a [u8],
    /// What follows the colon, with its folding.
    pub raw_value: &'a [u8],
}

/// Where a field is in the message.
#[derive(Debug, Clone)]
struct Span {
    name: Range<usize>,
    value: Range<usize>,
}

impl Message {
    /// Reads a message. It never fails: what is wrong is recorded and asked for below.
    ///
    /// The bytes are kept as they are, and they are what is sent on: nothing is repaired.
    #[must_use]
    pub fn read(bytes: Bytes, limits: &Limits) -> Self {
        let structure = mime::scan(&bytes, limits);
        match header::split(&bytes, limits) {
            Ok(section) => Self {
                from: author(&section),
                sender: sender(&section),
                reply_to: reply_to(&section),
                duplicates: duplicates(&section),
                fields: section.fields.iter().map(Span::of).collect(),
                body_offset: section.body_offset,
                header_fault: None,
                structure,
                bytes,
                digest: OnceLock::new(),
            },
            Err(fault) => Self {
                from: Err(fault.clone().into()),
                sender: Sender::Ambiguous(fault.clone().into()),
                reply_to: Err(fault.clone().into()),
                duplicates: Vec::new(),
                fields: Vec::new(),
                body_offset: bytes
                    .windows(4)
                    .position(|end| end == b"\r\n\r\n")
                    .map_or(bytes.len(), |at| at + 4),
                header_fault: Some(fault),
                structure,
                bytes,
                digest: OnceLock::new(),
            },
        }
    }

    /// The digest of this message and an envelope. The octets are gone through once, whoever asks how often.
    #[must_use]
    pub fn about(&self, envelope: &Envelope) -> About {
        About::digested(envelope, self.digest.get_or_init(|| About::digest(&self.bytes)))
    }

    /// The one author.
    ///
    /// # Errors
    /// Anything but one From field with one mailbox in it that every reader reads alike.
    pub const fn from(&self) -> Result<&Mailbox, &Ambiguity> {
        self.from.as_ref()
    }

    /// The Sender field.
    #[must_use]
    pub const fn sender(&self) -> &Sender {
        &self.sender
    }

    /// The mailboxes of Reply-To; none if there is no such field.
    ///
    /// # Errors
    /// The field occurs twice, or one of its mailboxes can be read in more than one way.
    pub fn reply_to(&self) -> Result<&[Mailbox], &Ambiguity> {
        self.reply_to.as_deref()
    }

    /// The names of fields that may occur once and occur more often, in the order of the second ones.
    #[must_use]
    pub fn duplicates(&self) -> &[&'static str] {
        &self.duplicates
    }

    /// The names of the Resent fields (RFC 5322 3.6.6), as written.
    pub fn resent(&self) -> impl Iterator<Item = Cow<'_, str>> {
        let is_resent =
            |name: &[u8]| name.get(..7).is_some_and(|start| start.eq_ignore_ascii_case(b"resent-"));
        self.fields().filter(move |f| is_resent(f.name)).map(|f| String::from_utf8_lossy(f.name))
    }

    /// The value of the first Message-ID field, unfolded, at most 998 octets of it.
    #[must_use]
    pub fn message_id(&self) -> Option<String> {
        self.text("message-id")
    }

    /// The value of the first Subject field, unfolded and not decoded, at most 998 octets of it.
    #[must_use]
    pub fn subject(&self) -> Option<String> {
        self.text("subject")
    }

    /// Why the header section is malformed. Then [`Self::from`] is ambiguous and there are no fields.
    #[must_use]
    pub const fn header_fault(&self) -> Option<&HeaderError> {
        self.header_fault.as_ref()
    }

    /// The shape of the message.
    ///
    /// # Errors
    /// A budget of the scan ran out.
    pub const fn structure(&self) -> Result<&Structure, &MimeFault> {
        self.structure.as_ref()
    }

    /// The header fields in the order in which they stand; none of a malformed section.
    pub fn fields(&self) -> impl Iterator<Item = Field<'_>> {
        self.fields.iter().map(|span| Field {
            name: self.bytes.get(span.name.clone()).unwrap_or_default(),
            raw_value: self.bytes.get(span.value.clone()).unwrap_or_default(),
        })
    }

    /// The whole message.
    #[must_use]
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The header section with the empty line that ends it.
    #[must_use]
    pub fn header_bytes(&self) -> &[u8] {
        self.bytes.get(..self.body_offset).unwrap_or_default()
    }

    /// What follows the empty line.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        self.bytes.get(self.body_offset..).unwrap_or_default()
    }

    fn text(&self, name: &str) -> Option<String> {
        let value = self.fields().find(|field| field.is(name)).map(|field| field.unfolded())?;
        Some(String::from_utf8_lossy(value.get(..LONGEST_TEXT).unwrap_or(&value)).into_owned())
    }
}

impl<'a> Field<'a> {
    /// Whether this is the field of that name (RFC 5322 1.2.2: in any capitals).
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }

    /// The value without folding and without white space around it.
    #[must_use]
    pub fn unfolded(&self) -> Cow<'a, [u8]> {
        header::unfold(self.raw_value)
    }
}

impl Span {
    fn of(field: &header::Field<'_>) -> Self {
        let name = field.offset..field.offset.saturating_add(field.name.len());
        let start = name.end.saturating_add(1);
        Self { name, value: start..start.saturating_add(field.raw_value.len()) }
    }
}

/// RFC 5322 3.6: From has the number 1; RFC 6854 would allow groups in it, which name nobody.
fn author(section: &Section<'_>) -> Result<Mailbox, Ambiguity> {
    match all(section, "from").as_slice() {
        [] => Err(Ambiguity::NoFrom),
        [one] => Mailbox::parse(one),
        more => Err(Ambiguity::TwoFrom { count: more.len() }),
    }
}

fn sender(section: &Section<'_>) -> Sender {
    match all(section, "sender").as_slice() {
        [] => Sender::Absent,
        [one] => Mailbox::parse(one).map_or_else(Sender::Ambiguous, Sender::One),
        more => Sender::Ambiguous(Ambiguity::TwoFields { count: more.len() }),
    }
}

fn reply_to(section: &Section<'_>) -> Result<Vec<Mailbox>, Ambiguity> {
    match all(section, "reply-to").as_slice() {
        [] => Ok(Vec::new()),
        [one] => Mailbox::parse_list(one),
        more => Err(Ambiguity::TwoFields { count: more.len() }),
    }
}

fn all<'a>(section: &Section<'a>, name: &str) -> Vec<&'a [u8]> {
    section.fields.iter().filter(|field| field.is(name)).map(|field| field.raw_value).collect()
}

fn duplicates(section: &Section<'_>) -> Vec<&'static str> {
    let mut seen = Vec::new();
    let mut twice = Vec::new();
    for name in section.fields.iter().filter_map(|field| singleton(field.name)) {
        let list = if seen.contains(&name) { &mut twice } else { &mut seen };
        if !list.contains(&name) {
            list.push(name);
        }
    }
    twice
}

/// How much of a text field is repeated to anybody.
const LONGEST_TEXT: usize = 998;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Message {
        Message::read(Bytes::from(text.replace('\n', "\r\n")), &Limits::default())
    }

    fn code(text: &str) -> &'static str {
        read(text).from().unwrap_err().code()
    }

    #[test]
    fn one_reading_answers_everything() {
        let message = read(
            "Received: from mx.example\nFrom: Ana <ana@shop.example>\nSender: bo@shop.example\n\
             Reply-To: a@shop.example,\n b@shop.example\nsubject: one\n two\nMessage-Id: <1@shop.example>\n\nbody\n",
        );
        assert_eq!(message.from().unwrap().address.to_string(), "ana@shop.example");
        assert!(matches!(message.sender(), Sender::One(m) if m.address.local() == "bo"));
        assert_eq!(message.reply_to().unwrap().len(), 2);
        assert_eq!(message.subject().as_deref(), Some("one two"));
        assert_eq!(message.message_id().as_deref(), Some("<1@shop.example>"));
        assert_eq!((message.body(), message.fields().count()), (b"body\r\n".as_slice(), 6));
        assert_eq!([message.header_bytes(), message.body()].concat(), message.bytes().as_ref());
        assert!(message.duplicates().is_empty() && message.header_fault().is_none());
    }

    #[test]
    fn what_it_is_about_is_its_octets_and_the_envelope_that_is_asked_about() {
        let (one, other) = (read("From: a@shop.example\n\n"), read("From: b@shop.example\n\n"));
        let to = |text: &str| crate::address::EmailAddress::parse(text).unwrap();
        let envelopes = ["bo@reader.example", "cy@reader.example"]
            .map(|text| Envelope { mail_from: None, recipients: vec![to(text)] });
        for _ in 0..2 {
            for message in [&one, &other] {
                let abouts = envelopes.each_ref().map(|envelope| message.clone().about(envelope));
                assert_eq!(abouts, envelopes.each_ref().map(|e| About::message(e, message.bytes())));
                assert_ne!(abouts[0], abouts[1]);
            }
        }
        assert_ne!(one.about(&envelopes[0]), other.about(&envelopes[0]));
    }

    #[test]
    fn the_author_is_one_or_none() {
        assert_eq!(code("To: a@shop.example\n\n"), "no-from");
        assert_eq!(code("Sender: a@shop.example\n\n"), "no-from");
        assert_eq!(code("From: a@shop.example\nFROM: b@bank.example\n\n"), "two-from");
        assert_eq!(code("From : a@shop.example\n\n"), "header");
        assert_eq!(code("From: a@shop.example\nno colon\n\n"), "header");
        assert_eq!(code(""), "no-from");
        assert!(read("\nFrom: a@shop.example\n").from().is_err());
    }

    #[test]
    fn a_header_fault_spoils_every_author_field() {
        let message = read("From: a@shop.example\n b\u{1}\nX From: b@bank.example\n\nbody\n");
        assert!(matches!(message.header_fault(), Some(HeaderError::SpaceInName { line: 3, .. })));
        assert!(matches!(message.sender(), Sender::Ambiguous(Ambiguity::Header(_))));
        assert!(message.reply_to().is_err());
        assert_eq!(message.body(), b"body\r\n");
    }

    #[test]
    fn rfc5322_3_6_what_may_occur_once() {
        let message =
            read("From: a@shop.example\nsubject: a\nSUBJECT: b\nSubject: c\nReceived: a\nReceived: b\n\n");
        assert_eq!(message.duplicates(), ["Subject"]);
        let message =
            read("From: a@shop.example\nReturn-Path: <a@b.example>\nReturn-Path: <c@d.example>\n\n");
        assert!(message.duplicates().is_empty());
    }

    #[test]
    fn rfc5322_3_6_6_resent_fields_are_named() {
        let message = read("From: a@shop.example\nRESENT-From: b@bank.example\nResented: x\n\n");
        assert_eq!(message.resent().collect::<Vec<_>>(), ["RESENT-From"]);
    }

    #[test]
    fn two_senders_are_ambiguous() {
        let message = read("From: a@shop.example\nSender: a@shop.example\nSender: b@bank.example\n\n");
        assert!(matches!(message.sender(), Sender::Ambiguous(Ambiguity::TwoFields { count: 2 })));
    }

    #[test]
    fn a_budget_is_a_fault_of_the_structure() {
        let bomb = format!("From: a@shop.example\n{}", "Content-Type: message/rfc822\n\n".repeat(22_000));
        let message = read(&bomb);
        assert!(matches!(message.structure(), Err(MimeFault::Depth { limit: 20, .. })));
        assert!(message.from().is_ok());
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_are_read(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            let message = Message::read(Bytes::from(bytes.clone()), &Limits::default());
            prop_assert_eq!(message.bytes(), &bytes);
            prop_assert_eq!([message.header_bytes(), message.body()].concat(), bytes);
        }

        #[test]
        fn a_second_author_is_never_overlooked(
            name in "[Ff][Rr][Oo][Mm]", gap in "[ \t]?", fill in "([A-Z][a-z]{1,5}: [a-z]{0,9}\n){0,3}"
        ) {
            let text = format!("From: a@shop.example\n{fill}{name}{gap}: b@bank.example\n\n");
            prop_assert!(read(&text).from().is_err());
        }
    }
}
