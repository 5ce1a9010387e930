//! What a display name shows, and whether it poses as an address.
//! Called by the mailbox grammar with the phrase before the angle brackets and with comments.

use std::fmt;
use std::ops::RangeInclusive;

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
        // A third layer: nobody writes one, and nobody knows how many a reader undoes.
        if decoded.broken || twice.broken || (twice.words > 0 && twice.text.contains("=?")) {
            return Err(Ambiguity::BrokenWord);
        }
        let invalid = decoded.invalid || twice.invalid;
        let unknown = decoded.unknown || twice.unknown;
        if let Some(charset) = decoded.opaque_charset.or(twice.opaque_charset) {
            return Err(Ambiguity::Charset(charset));
        }
        no_control(&decoded.text)?;
        no_control(&twice.text)?;
        let text = decoded.text.split_whitespace().collect::<Vec<_>>().join(" ");
        let mut foreign = None;
        for text in [text.as_str(), twice.text.as_str()] {
            let shown = shown(text);
            let at = shown.contains('@');
            if (invalid && (at || shown.contains(SEPARATORS))) || (unknown && at) {
                return Err(Ambiguity::UndecodedWord);
            }
            if let Some(mailbox) = another_mailbox(&shown, own) {
                return Err(Ambiguity::MailboxInDisplay(mailbox));
            }
            foreign = foreign.or(foreign_address(text, &shown, own)?);
        }
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

/// A text without invisible characters, in plain forms: what a person sees in it.
fn shown(text: &str) -> String {
    text.chars().filter(|c| !is_invisible(*c)).map(plain).collect()
}

/// What a reader that decodes or unquotes before it parses takes for a mailbox other than the true one.
/// Only where something separates mailboxes: `<ceo@bank.example>`, and also `<ceo @ "bank".example>`.
fn another_mailbox(shown: &str, own: &EmailAddress) -> Option<String> {
    if !shown.contains(SEPARATORS) {
        return None;
    }
    let piece = shown.split(SEPARATORS).find(|piece| !is_own(piece, own) && has_mailbox(piece))?;
    let address = addresses(piece).into_iter().find(|address| !address.is(own));
    Some(address.map_or_else(|| piece.trim().to_owned(), |address| address.to_string()))
}

/// `ana@shop.example` and nothing else, or a name with it in a comment.
fn is_own(piece: &str, own: &EmailAddress) -> bool {
    let piece = piece.trim();
    let inside = match piece.strip_suffix(')').and_then(|piece| piece.split_once('(')) {
        Some((name, comment)) if !name.contains('@') => comment,
        _ => piece,
    };
    inside.trim().rsplit_once('@').is_some_and(|(local, host)| Address::new(local, host).is(own))
}

/// Whether something stands before an `@`: right before it, or apart if a domain may follow. `Fun @ Work`
/// and `Ana (@ana)` are none.
fn has_mailbox(piece: &str) -> bool {
    let beside = piece.match_indices('@').filter_map(|(at, _)| piece.split_at_checked(at));
    beside.into_iter().any(|(before, after)| {
        touches(before) || (!before.trim().is_empty() && after.contains(['.', '(', '[', '"', '\\']))
    })
}

fn touches(before: &str) -> bool {
    before.chars().next_back().is_some_and(|c| !c.is_whitespace() && c != '(')
}

/// An address of another domain, which a person takes for the author: legal.
///
/// # Errors
/// It is one only without the invisible characters in its domain: nobody honest writes that.
fn foreign_address(text: &str, shown: &str, own: &EmailAddress) -> Result<Option<String>, Ambiguity> {
    let is_foreign = |address: &Address| address.host.contains('.') && !address.is_related(own.domain());
    let Some(foreign) = addresses(shown).into_iter().find(is_foreign) else { return Ok(None) };
    let visible: String = text.chars().map(plain).collect();
    match addresses(&visible).iter().any(|address| address.host == foreign.host) {
        true => Ok(Some(foreign.to_string())),
        false => Err(Ambiguity::MailboxInDisplay(foreign.to_string())),
    }
}

/// Something in a text that a person or a lenient reader takes for an address.
struct Address {
    local: String,
    host: String,
}

impl Address {
    fn new(local: &str, host: &str) -> Self {
        Self { local: local.to_owned(), host: host.to_owned() }
    }

    fn is(&self, own: &EmailAddress) -> bool {
        self.local == own.local() && Domain::parse(&self.host).is_ok_and(|host| host == *own.domain())
    }

    fn is_related(&self, domain: &Domain) -> bool {
        Domain::parse(&self.host).is_ok_and(|other| {
            other == *domain || other.is_subdomain_of(domain) || domain.is_subdomain_of(&other)
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.local, self.host)
    }
}

/// Everything of the form `x@y` or `x @ y`: to a reader that finds a mailbox in it, `ceo@bank` is one too.
fn addresses(plain: &str) -> Vec<Address> {
    let mut before = "";
    let mut found = Vec::new();
    for piece in plain.split('@') {
        let apart = !before.trim().is_empty() && piece.starts_with(char::is_whitespace);
        if touches(before) || apart {
            let host = host(piece);
            let local = before.trim_end().rsplit(is_outside).next().unwrap_or_default();
            if !host.is_empty() {
                found.push(Address::new(local, host));
            }
        }
        before = piece;
    }
    found
}

/// The domain behind an `@`, also behind a comment, an opening quote or bracket.
fn host(text: &str) -> &str {
    let mut rest = text.trim_start();
    while let Some((_, after)) = rest.strip_prefix('(').and_then(|rest| rest.split_once(')')) {
        rest = after.trim_start();
    }
    let rest = rest.trim_start_matches(|c| !is_host(c));
    rest.split(|c| !is_host(c)).next().unwrap_or_default().trim_matches(['.', '-'])
}

/// Full-width, small and foreign forms that a person reads as the ASCII character.
fn plain(character: char) -> char {
    match character {
        // Full-width forms stand in the order of ASCII.
        '\u{ff01}'..='\u{ff5e}' => {
            char::from_u32(u32::from(character).saturating_sub(0xfee0)).unwrap_or(character)
        }
        '\u{fe6b}' => '@',
        '\u{fe52}' | '\u{3002}' | '\u{ff61}' | '\u{2024}' => '.',
        '\u{fe64}' | '\u{27e8}' | '\u{3008}' | '\u{2329}' | '\u{2039}' => '<',
        '\u{fe65}' | '\u{27e9}' | '\u{3009}' | '\u{232a}' | '\u{203a}' => '>',
        '\u{fe50}' | '\u{fe51}' | '\u{fe10}' | '\u{fe11}' | '\u{3001}' | '\u{ff64}' | '\u{60c}'
        | '\u{55d}' => ',',
        '\u{fe54}' | '\u{fe14}' | '\u{37e}' | '\u{61b}' => ';',
        other => other,
    }
}

/// Characters without a form of their own, or thin as none, or on top of another: they could cut an
/// address in two for us and not for a person.
fn is_invisible(character: char) -> bool {
    INVISIBLE.iter().any(|range| range.contains(&character))
}

fn is_host(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, '.' | '-')
}

fn is_outside(character: char) -> bool {
    character.is_whitespace() || "<>()[],;:\"'".contains(character)
}

/// The default ignorable code points of Unicode, thin spaces, the empty Braille pattern, and the combining
/// marks of Latin.
const INVISIBLE: [RangeInclusive<char>; 23] = [
    '\u{ad}'..='\u{ad}',
    '\u{300}'..='\u{36f}',
    '\u{61c}'..='\u{61c}',
    '\u{115f}'..='\u{1160}',
    '\u{17b4}'..='\u{17b5}',
    '\u{180b}'..='\u{180f}',
    '\u{1ab0}'..='\u{1aff}',
    '\u{1dc0}'..='\u{1dff}',
    '\u{2004}'..='\u{200f}',
    '\u{202a}'..='\u{202f}',
    '\u{205f}'..='\u{206f}',
    '\u{20d0}'..='\u{20ff}',
    '\u{2800}'..='\u{2800}',
    '\u{3164}'..='\u{3164}',
    '\u{fe00}'..='\u{fe0f}',
    '\u{fe20}'..='\u{fe2f}',
    '\u{feff}'..='\u{feff}',
    '\u{ffa0}'..='\u{ffa0}',
    '\u{fff0}'..='\u{fffb}',
    '\u{1bca0}'..='\u{1bca3}',
    '\u{1d173}'..='\u{1d17a}',
    '\u{e0000}'..='\u{e0fff}',
    '\u{101fd}'..='\u{101fd}',
];

/// What begins or ends a mailbox in a list.
const SEPARATORS: [char; 4] = ['<', '>', ',', ';'];

/// Line and paragraph separator.
const LINE_ENDS: [char; 2] = ['\u{2028}', '\u{2029}'];

/// Embeddings, overrides and isolates of UAX 9. The weak marks (U+200E, U+200F, U+061C) turn nothing
/// by themselves and occur in honest Hebrew and Arabic names.
const TURNS: [RangeInclusive<char>; 2] = ['\u{202a}'..='\u{202e}', '\u{2066}'..='\u{2069}'];

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
            ("ceo @ bank.example", Some("ceo@bank.example")),
            ("ceo@ bank.example", Some("ceo@bank.example")),
            ("ceo@(x)bank.example", Some("ceo@bank.example")),
            ("ceo@[192.0.2.1]", Some("ceo@192.0.2.1")),
            ("Fun @ Work, Inc.", None),
            ("Ana @ana, Inc.", None),
            ("Doe, Ana (ana@shop.example)", None),
            ("c\u{200b}eo@bank.example", Some("ceo@bank.example")),
            ("=?iso-8859-2?q?Kov=E1cs=2C_Ana?=", None),
            ("=?big5?b?pEC2VCwgTHRkLg==?=", None),
            ("=?shift_jis?q?=8ER=93c=81@=91=BE,_Co.?=", None),
            ("=?iso-2022-jp?b?GyRCOzNFRCF3MnE8UhsoQg==?=", None),
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
            "<ceo@ bank.example>",
            "<ceo @ bank.example>",
            "<ceo@(x)bank.example>",
            "<ceo (x)@bank.example>",
            "ceo @(,)bank.example",
            "<ceo@[192.0.2.1]>",
            "ceo@\"bank.example\", Ana",
            "<ceo@\u{fe0f}bank.example>",
            "<ceo@\u{2800}bank.example>",
            "<ceo@\u{332}bank.example>",
            "<ceo@\u{200a}bank.example>",
            "<ana@shop.example .bank.example>",
            "<ana@shop.example\u{e0020}.bank.example>",
            "＜ceo＠bank.example＞",
            "ceo@bank.example\u{37e} Ana",
            "\u{27e8}ceo@bank.example\u{27e9}",
            "=?iso-2022-jp?b?Q0VPIDxjZW8bJEIhdxsoQmJhbmsuZXhhbXBsZT4=?=",
            "=?shift_jis?b?Q0VPIDxjZW+Bl2JhbmsuZXhhbXBsZT4=?=",
            "ceo@bank\u{200b}.exam\u{ad}ple",
            "ceo@bank\u{202f}.example",
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
            ("=?iso-2022-jp?q?=1B(KCEO_=3Cceo=40bank.example=3E?=", "charset"),
            ("=?utf-8?q?CEO_=3Cceo=C1=80bank.example=3E?=", "broken-word"),
            ("=?us-ascii?q?ceo@=E9bank.example?=", "broken-word"),
            ("=?windows-1252?q?=3Cceo=81?=", "broken-word"),
            ("=?koi8-r?q?ceo@=9Abank.example?=", "broken-word"),
            ("=?gb18030?b?gTCBMEBvZWM=?=", "broken-word"),
            ("=?gb18030?b?gTanMWVscG1heGUua25hYkBvZWM=?=", "bidi"),
            ("=?gb18030?b?gTamNQ==?=", "control"),
            ("=?utf-8?b?PT91dGYtOD9iP1BUOTFkR1l0T0Q5eFAyRS9QUT09Pz0=?=", "broken-word"),
        ] {
            assert_eq!(read(phrase).unwrap_err().code(), code, "{phrase}");
        }
        assert_eq!(read("=?utf-8?q?Ana?= =?utf-8?q?_Doe?=").unwrap().text, "Ana Doe");
    }
}
