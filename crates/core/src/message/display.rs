//! What a display name shows, and whether it poses as an address.
//! Called by the mailbox grammar with the phrase before the angle brackets and with comments.

use std::fmt;

use countersign_wire::header::encoded_word;

use super::Ambiguity;
use crate::address::{Domain, EmailAddress};

/// A display name as a mail reader shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Display {
    /// The decoded text with single spaces.
    pub(super) text: String,
    /// An address of another domain in it.
    pub(super) foreign: Option<String>,
}

impl Display {
    /// Decodes the words of a phrase and judges them beside the domain of the true address.
    ///
    /// A name that looks like an address of another domain is legal: the caller warns. If a name has
    /// another address, of whatever domain, and what separates mailboxes, then a reader that decodes or
    /// unquotes before it parses finds another author: refused.
    pub(super) fn read(phrase: &str, own: &EmailAddress) -> Result<Self, Ambiguity> {
        let decoded = encoded_word::decode(phrase);
        let twice = encoded_word::decode(&decoded.text);
        if let Some(charset) = decoded.opaque_charset.or(twice.opaque_charset) {
            return Err(Ambiguity::Charset(charset));
        }
        if decoded.broken {
            return Err(Ambiguity::BrokenWord);
        }
        no_control(&decoded.text)?;
        no_control(&twice.text)?;
        let text = decoded.text.split_whitespace().collect::<Vec<_>>().join(" ");
        let shown = [text.as_str(), twice.text.as_str()];
        let others = || shown.into_iter().flat_map(addresses).filter(|other| !other.is(own));
        if shown.iter().any(|text| text.contains(SEPARATORS))
            && let Some(other) = others().next()
        {
            return Err(Ambiguity::MailboxInDisplay(other.to_string()));
        }
        let foreign = others().find(|other| other.host.contains('.') && !other.is_related(own.domain()));
        let foreign = foreign.map(|other| other.to_string());
        Ok(Self { text, foreign })
    }
}

/// Refuses what changes how the rest of a line is read.
pub(super) fn no_control(text: &str) -> Result<(), Ambiguity> {
    if text.chars().any(|c| (c.is_control() && c != '\t') || LINE_ENDS.contains(&c)) {
        return Err(Ambiguity::Control);
    }
    if text.chars().any(|c| TURNS.iter().any(|range| range.contains(&c))) {
        return Err(Ambiguity::Bidi);
    }
    Ok(())
}

/// Something in a text that a person or a lenient reader takes for an address.
struct Shown {
    local: String,
    host: String,
}

impl Shown {
    fn is(&self, own: &EmailAddress) -> bool {
        self.local == own.local() && Domain::parse(&self.host).is_ok_and(|host| host == *own.domain())
    }

    fn is_related(&self, domain: &Domain) -> bool {
        Domain::parse(&self.host).is_ok_and(|other| {
            other == *domain || other.is_subdomain_of(domain) || domain.is_subdomain_of(&other)
        })
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.local, self.host)
    }
}

/// Everything of the form `x@y`: to a reader that finds a mailbox in it, `ceo@bank` is an author too.
fn addresses(text: &str) -> Vec<Shown> {
    let plain: String = text.chars().filter(|c| !is_invisible(*c)).map(plain).collect();
    let mut before = "";
    let mut found = Vec::new();
    for piece in plain.split('@') {
        let touches = before.chars().next_back().is_some_and(|c| !c.is_whitespace() && c != '(');
        let host = piece.split(|c| !is_host(c)).next().unwrap_or_default().trim_matches(['.', '-']);
        if touches && !host.is_empty() {
            let local = before.rsplit(is_outside).next().unwrap_or_default();
            found.push(Shown { local: local.to_owned(), host: host.to_owned() });
        }
        before = piece;
    }
    found
}

/// Full-width and small forms that a person reads as `@` and `.`.
const fn plain(character: char) -> char {
    match character {
        '\u{ff20}' | '\u{fe6b}' => '@',
        '\u{ff0e}' | '\u{fe52}' | '\u{3002}' | '\u{ff61}' | '\u{2024}' => '.',
        other => other,
    }
}

/// Characters without a form of their own, which could cut an address in two for us and not for a person.
const fn is_invisible(character: char) -> bool {
    matches!(character, '\u{ad}' | '\u{34f}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2064}' | '\u{feff}')
}

fn is_host(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, '.' | '-')
}

fn is_outside(character: char) -> bool {
    character.is_whitespace() || "<>()[],;:\"'".contains(character)
}

/// What begins or ends a mailbox in a list.
const SEPARATORS: [char; 4] = ['<', '>', ',', ';'];

/// Line and paragraph separator.
const LINE_ENDS: [char; 2] = ['\u{2028}', '\u{2029}'];

/// Embeddings, overrides and isolates of UAX 9. The weak marks (U+200E, U+200F, U+061C) turn nothing
/// by themselves and occur in honest Hebrew and Arabic names.
const TURNS: [std::ops::RangeInclusive<char>; 2] = ['\u{202a}'..='\u{202e}', '\u{2066}'..='\u{2069}'];

#[cfg(test)]
mod tests {
    use super::*;

    fn read(phrase: &str) -> Result<Display, Ambiguity> {
        Display::read(phrase, &EmailAddress::parse("ana@shop.example").unwrap())
    }

    #[test]
    fn a_name_that_poses_as_an_address_is_told() {
        for (phrase, foreign) in [
            ("Ana", None),
            ("Fun @ Work", None),
            ("@shop on air", None),
            ("ana@shop.example", None),
            ("ana@mail.shop.example", None),
            ("ceo@bank.example", Some("ceo@bank.example")),
            ("CEO ceo@bank.example.", Some("ceo@bank.example")),
            ("=?utf-8?q?ceo=40bank.example?=", Some("ceo@bank.example")),
            ("ceo\u{ff20}bank\u{ff0e}example", Some("ceo@bank.example")),
            ("ana@shop.example ceo@bank.example", Some("ceo@bank.example")),
            ("Ana: ceo@bank.example", Some("ceo@bank.example")),
            ("\"ceo\"@bank.example", Some("@bank.example")),
            ("Ana (@bank.example)", None),
            ("ceo@bank\u{200b}.exam\u{ad}ple", Some("ceo@bank.example")),
            ("ceo@bank\u{2024}example", Some("ceo@bank.example")),
            ("=?utf-8?q?=3D=3Futf-8=3Fq=3Fceo=3D40bank.example=3F=3D?=", Some("ceo@bank.example")),
        ] {
            assert_eq!(read(phrase).unwrap().foreign.as_deref(), foreign, "{phrase}");
        }
    }

    #[test]
    fn a_mailbox_in_a_name_is_refused() {
        for phrase in [
            "<ceo@bank.example>",
            "ceo@bank.example,",
            "ceo@bank.example;",
            "a;ceo@bank;b",
            "=?utf-8?q?CEO_=3Cceo=40bank.example=3E?=",
            "=?utf-8?b?Y2VvQGJhbmsuZXhhbXBsZT4=?=",
            "=?utf-8?q?ceo=40shop.example=2C?=",
            "ceo@shop.example; Ana",
            "=?utf-8?q?=3D=3Futf-8=3Fq=3Fceo=3D40bank.example=3D2C=3F=3D?=",
        ] {
            assert_eq!(read(phrase).unwrap_err().code(), "mailbox-in-display", "{phrase}");
        }
        assert!(read("Doe, Ana <ana@shop.example>").is_ok());
        assert!(read("Ana, ana@SHOP.example").is_ok());
    }

    #[test]
    fn hidden_characters_are_refused() {
        for (phrase, code) in [
            ("=?utf-8?q?a=0D=0AFrom:_b?=", "control"),
            ("=?utf-8?q?a=00b?=", "control"),
            ("=?utf-8?q?a=E2=80=AEb?=", "bidi"),
            ("a\u{2028}b", "control"),
            ("=?utf-8?q?Ana", "broken-word"),
            ("=?utf-8?q?Ana?", "broken-word"),
            ("=?utf-8?x?Ana?=", "broken-word"),
            ("=?utf-7?q?a?=", "charset"),
            ("=?cp037?q?a?=", "charset"),
            ("=?unicode-escape?q?=5Cx40?=", "charset"),
        ] {
            assert_eq!(read(phrase).unwrap_err().code(), code, "{phrase}");
        }
        assert_eq!(read("=?utf-8?q?Ana?= =?utf-8?q?_Doe?=").unwrap().text, "Ana Doe");
    }
}
