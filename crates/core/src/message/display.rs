//! What a display name shows, and whether it poses as an address.
//! Called by the mailbox grammar with the phrase before the angle brackets and with comments.

use countersign_wire::header::encoded_word;

use super::Ambiguity;
use crate::address::Domain;

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
    /// A name that looks like an address of another domain is legal: the caller warns. If it also
    /// has what separates mailboxes, then a reader that decodes or unquotes before it parses finds
    /// another author: refused.
    pub(super) fn read(phrase: &str, domain: &Domain) -> Result<Self, Ambiguity> {
        let decoded = encoded_word::decode(phrase);
        if let Some(charset) = decoded.opaque_charset {
            return Err(Ambiguity::Charset(charset));
        }
        no_control(&decoded.text)?;
        let text = decoded.text.split_whitespace().collect::<Vec<_>>().join(" ");
        let foreign = foreign_address(&text, domain);
        match foreign {
            Some(address) if text.contains(SEPARATORS) => Err(Ambiguity::MailboxInDisplay(address)),
            foreign => Ok(Self { text, foreign }),
        }
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

/// The first thing of the form `x@y.z` whose domain is neither `domain` nor related to it.
fn foreign_address(text: &str, domain: &Domain) -> Option<String> {
    let plain: String = text.chars().map(plain).collect();
    let mut before = "";
    for piece in plain.split('@') {
        let touches = before.chars().next_back().is_some_and(|c| !c.is_whitespace() && c != '(');
        let host = piece.split(|c| !is_host(c)).next().unwrap_or_default().trim_matches(['.', '-']);
        if touches && host.contains('.') && !is_related(host, domain) {
            let local = before.rsplit(is_outside).next().unwrap_or_default();
            return Some(format!("{local}@{host}"));
        }
        before = piece;
    }
    None
}

fn is_related(host: &str, domain: &Domain) -> bool {
    Domain::parse(host).is_ok_and(|other| {
        other == *domain || other.is_subdomain_of(domain) || domain.is_subdomain_of(&other)
    })
}

/// Full-width and small forms that a person reads as `@` and `.`.
const fn plain(character: char) -> char {
    match character {
        '\u{ff20}' | '\u{fe6b}' => '@',
        '\u{ff0e}' | '\u{fe52}' | '\u{3002}' | '\u{ff61}' => '.',
        other => other,
    }
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
        Display::read(phrase, &Domain::parse("shop.example").unwrap())
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
            "=?utf-8?q?CEO_=3Cceo=40bank.example=3E?=",
            "=?utf-8?b?Y2VvQGJhbmsuZXhhbXBsZT4=?=",
        ] {
            assert_eq!(read(phrase).unwrap_err().code(), "mailbox-in-display", "{phrase}");
        }
        assert!(read("Doe, Ana <ana@shop.example>").is_ok());
    }

    #[test]
    fn hidden_characters_are_refused() {
        for (phrase, code) in [
            ("=?utf-8?q?a=0D=0AFrom:_b?=", "control"),
            ("=?utf-8?q?a=00b?=", "control"),
            ("=?utf-8?q?a=E2=80=AEb?=", "bidi"),
            ("a\u{2028}b", "control"),
            ("=?utf-7?q?a?=", "charset"),
        ] {
            assert_eq!(read(phrase).unwrap_err().code(), code, "{phrase}");
        }
        assert_eq!(read("=?utf-8?q?Ana?= =?utf-8?q?_Doe?=").unwrap().text, "Ana Doe");
    }
}
