//! Macro strings as a record spells them: domain specifications, explanations, values of modifiers.
//! Read by `policy` when a record arrives; expanded by `expand` when a check needs the name.

use std::fmt;

/// One value that a macro stands for (RFC 7208 7.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Letter {
    /// `%{s}`: the sender, local part and domain.
    Sender,
    /// `%{l}`: the local part of the sender.
    Local,
    /// `%{o}`: the domain of the sender.
    SenderDomain,
    /// `%{d}`: the domain whose record is being evaluated.
    Domain,
    /// `%{i}`: the address in dotted form.
    Address,
    /// `%{p}`: the validated name of the address.
    ValidatedName,
    /// `%{v}`: `in-addr` or `ip6`.
    Family,
    /// `%{h}`: the HELO name.
    Helo,
    /// `%{c}`: the address as people read it; explanations only.
    ReadableAddress,
    /// `%{r}`: the host that performs the check; explanations only.
    Receiver,
    /// `%{t}`: seconds since 1970; explanations only.
    Now,
}

/// A macro with its transformers, such as `%{ir}` or `%{l1r-}` (RFC 7208 7.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Macro {
    /// The value that is put in.
    pub letter: Letter,
    /// How many right-hand parts are kept; `None` keeps all. Never zero.
    pub keep: Option<usize>,
    /// Whether the parts are reversed first.
    pub reverse: bool,
    /// The characters that part the value; empty means the dot.
    pub delimiters: String,
    /// Whether the letter was upper case, so the result is URL-escaped.
    pub escape: bool,
}

/// A piece of a macro string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// Text that stands for itself; it holds no `%`.
    Literal(String),
    /// `%%`, a percent sign.
    Percent,
    /// `%_`, a space.
    Space,
    /// `%-`, the three characters `%20`.
    EscapedSpace,
    /// `%{...}`.
    Macro(Macro),
}

/// A macro string of RFC 7208 7.1, read and checked. Its `Display` is its text in a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MacroString {
    parts: Vec<Part>,
}

/// A macro string that ends like a domain name (RFC 7208 7.1, `domain-spec`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainSpec(MacroString);

/// What is wrong with a macro string.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MacroError {
    /// A `%` that begins no macro.
    #[error("a `%` must be followed by `{{`, `%`, `_` or `-`")]
    LonePercent,
    /// `%{` without its `}`.
    #[error("a `%{{` is not closed by `}}`")]
    Unclosed,
    /// A letter that no RFC defines.
    #[error("`{0}` is no macro letter")]
    UnknownLetter(char),
    /// `%{c}`, `%{r}` or `%{t}` outside an explanation.
    #[error("macro letter `{0}` is allowed in explanations only")]
    ExplanationOnly(char),
    /// `%{d0}`.
    #[error("a macro must keep at least one part")]
    ZeroParts,
    /// Something between the transformers and `}` that is no delimiter.
    #[error("`{0}` is no macro delimiter")]
    Delimiter(char),
    /// A character that has no place in a macro string.
    #[error("character 0x{0:02x} is not allowed here")]
    Character(u8),
    /// `a:foo`, `a:foo.123`: no top-level label at the end.
    #[error("it does not end in a top-level domain or a macro")]
    DomainEnd,
}

impl DomainSpec {
    /// Reads a `domain-spec` (RFC 7208 7.1).
    ///
    /// # Errors
    /// [`MacroError`] when the text breaks the grammar.
    pub fn parse(text: &str) -> Result<Self, MacroError> {
        let string = MacroString::parse_with(text, &TERM)?;
        if string.ends_like_a_domain() { Ok(Self(string)) } else { Err(MacroError::DomainEnd) }
    }

    /// The pieces, left to right.
    #[must_use]
    pub fn parts(&self) -> &[Part] {
        &self.0.parts
    }

    /// The macro letters in use, left to right.
    pub fn letters(&self) -> impl Iterator<Item = Letter> + '_ {
        self.0.letters()
    }
}

impl MacroString {
    /// Reads the value of a modifier that we do not know (RFC 7208 4.6.1, `unknown-modifier`).
    ///
    /// # Errors
    /// [`MacroError`] when the text breaks the grammar.
    pub fn parse(text: &str) -> Result<Self, MacroError> {
        Self::parse_with(text, &MODIFIER)
    }

    /// Reads an explanation: macro strings and spaces (RFC 7208 7.1, `explain-string`).
    ///
    /// # Errors
    /// [`MacroError`] when the text breaks the grammar.
    pub fn parse_explanation(text: &str) -> Result<Self, MacroError> {
        Self::parse_with(text, &EXPLANATION)
    }

    /// The pieces, left to right.
    #[must_use]
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The macro letters in use, left to right.
    pub fn letters(&self) -> impl Iterator<Item = Letter> + '_ {
        self.parts.iter().filter_map(|part| match part {
            Part::Macro(found) => Some(found.letter),
            _ => None,
        })
    }

    fn parse_with(text: &str, place: &Place) -> Result<Self, MacroError> {
        let mut parts = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let (literal, behind) =
                rest.split_at_checked(rest.find('%').unwrap_or(rest.len())).unwrap_or((rest, ""));
            if !literal.is_empty() {
                check_literal(literal, place)?;
                parts.push(Part::Literal(literal.to_owned()));
            }
            rest = behind;
            if let Some(behind) = rest.strip_prefix('%') {
                let (part, behind) = parse_percent(behind, place)?;
                parts.push(part);
                rest = behind;
            }
        }
        Ok(Self { parts })
    }

    /// RFC 7208 7.1: `domain-end = ( "." toplabel [ "." ] ) / macro-expand`
    fn ends_like_a_domain(&self) -> bool {
        match self.parts.last() {
            None => false,
            Some(Part::Literal(text)) => {
                let text = text.strip_suffix('.').unwrap_or(text);
                text.rsplit_once('.').is_some_and(|(_, label)| is_top_label(label))
            }
            Some(_) => true,
        }
    }
}

/// `toplabel`: letters, digits and inner hyphens, not digits alone.
fn is_top_label(label: &str) -> bool {
    let ends = |end: Option<u8>| end.is_some_and(|octet| octet.is_ascii_alphanumeric());
    ends(label.bytes().next())
        && ends(label.bytes().next_back())
        && label.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-')
        && !label.bytes().all(|octet| octet.is_ascii_digit())
}

/// `macro-literal = %x21-24 / %x26-7E`, and SP in explanations.
fn check_literal(literal: &str, place: &Place) -> Result<(), MacroError> {
    let bad = literal.bytes().find(|octet| !(octet.is_ascii_graphic() || (place.spaces && *octet == b' ')));
    bad.map_or(Ok(()), |octet| Err(MacroError::Character(octet)))
}

/// Reads what follows a `%`; gives the piece and the text behind it.
fn parse_percent<'t>(text: &'t str, place: &Place) -> Result<(Part, &'t str), MacroError> {
    let mut characters = text.chars();
    let part = match characters.next() {
        Some('%') => Part::Percent,
        Some('_') => Part::Space,
        Some('-') => Part::EscapedSpace,
        Some('{') => {
            let (inside, behind) = characters.as_str().split_once('}').ok_or(MacroError::Unclosed)?;
            return Ok((Part::Macro(parse_macro(inside, place)?), behind));
        }
        // RFC 7208 7.3: "A '%' character not followed by a '{', '%', '-', or '_' character is a syntax
        // error."
        _ => return Err(MacroError::LonePercent),
    };
    Ok((part, characters.as_str()))
}

/// `macro-letter transformers *delimiter`
fn parse_macro(inside: &str, place: &Place) -> Result<Macro, MacroError> {
    let mut characters = inside.chars();
    let spelled = characters.next().ok_or(MacroError::Unclosed)?;
    let (_, letter) = LETTERS
        .iter()
        .find(|(name, _)| spelled.eq_ignore_ascii_case(name))
        .ok_or(MacroError::UnknownLetter(spelled))?;
    // RFC 7208 7.2: "The following macro letters are allowed only in "exp" text"
    if place.terms_only && matches!(letter, Letter::ReadableAddress | Letter::Receiver | Letter::Now) {
        return Err(MacroError::ExplanationOnly(spelled));
    }
    let behind = characters.as_str();
    let after_digits = behind.trim_start_matches(|c: char| c.is_ascii_digit());
    let keep = parse_keep(behind.strip_suffix(after_digits).unwrap_or_default())?;
    let delimiters = after_digits.strip_prefix(['r', 'R']);
    let reverse = delimiters.is_some();
    let delimiters = delimiters.unwrap_or(after_digits);
    if let Some(other) = delimiters.chars().find(|c| !DELIMITERS.contains(*c)) {
        return Err(MacroError::Delimiter(other));
    }
    let escape = spelled.is_ascii_uppercase();
    Ok(Macro { letter: *letter, keep, reverse, delimiters: delimiters.to_owned(), escape })
}

fn parse_keep(digits: &str) -> Result<Option<usize>, MacroError> {
    if digits.is_empty() {
        return Ok(None);
    }
    // RFC 7208 7.3: "If a DIGIT is specified, the value MUST be nonzero."
    if digits.bytes().all(|digit| digit == b'0') {
        return Err(MacroError::ZeroParts);
    }
    // "If [...] the value specifies more parts than are available, all the available parts are used": a
    // number too large to hold keeps everything as well.
    Ok(digits.parse().ok())
}

impl fmt::Display for MacroString {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.parts.iter().try_for_each(|part| match part {
            Part::Literal(text) => out.write_str(text),
            Part::Percent => out.write_str("%%"),
            Part::Space => out.write_str("%_"),
            Part::EscapedSpace => out.write_str("%-"),
            Part::Macro(found) => found.fmt(out),
        })
    }
}

impl fmt::Display for DomainSpec {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

impl fmt::Display for Macro {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = LETTERS.iter().find(|(_, letter)| *letter == self.letter).map_or('?', |(name, _)| *name);
        let name = if self.escape { name.to_ascii_uppercase() } else { name };
        write!(out, "%{{{name}")?;
        if let Some(keep) = self.keep {
            write!(out, "{keep}")?;
        }
        write!(out, "{}{}}}", if self.reverse { "r" } else { "" }, self.delimiters)
    }
}

/// Where a macro string stands, which decides what may be in it.
struct Place {
    spaces: bool,
    terms_only: bool,
}

const TERM: Place = Place { spaces: false, terms_only: true };
const MODIFIER: Place = Place { spaces: false, terms_only: false };
const EXPLANATION: Place = Place { spaces: true, terms_only: false };

const DELIMITERS: &str = ".-+,/_=";

const LETTERS: [(char, Letter); 11] = [
    ('s', Letter::Sender),
    ('l', Letter::Local),
    ('o', Letter::SenderDomain),
    ('d', Letter::Domain),
    ('i', Letter::Address),
    ('p', Letter::ValidatedName),
    ('v', Letter::Family),
    ('h', Letter::Helo),
    ('c', Letter::ReadableAddress),
    ('r', Letter::Receiver),
    ('t', Letter::Now),
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rfc7208_7_1_domain_end() {
        let good = [
            "a.example",
            "a.example.",
            "%{d}",
            "x%{d2}.example",
            "x.1-2",
            "a..b",
            "%%",
            "foo:bar/baz.example",
            "x.xn--p1ai",
        ];
        let bad = [
            "", ".", "example", "example.", "a.123", "a.-com", "a.com-", "%{d}com", "%{d}.", "a.b/24",
            "a.c:80",
        ];
        for text in good {
            assert!(DomainSpec::parse(text).is_ok(), "{text}");
        }
        for text in bad {
            assert_eq!(DomainSpec::parse(text), Err(MacroError::DomainEnd), "{text}");
        }
    }

    #[test]
    fn rfc7208_7_1_macro_syntax() {
        let cases = [
            ("%(ir).example", MacroError::LonePercent),
            ("a%", MacroError::LonePercent),
            ("%{d", MacroError::Unclosed),
            ("%{}", MacroError::Unclosed),
            ("%{x}", MacroError::UnknownLetter('x')),
            ("%{d0}", MacroError::ZeroParts),
            ("%{dr2}", MacroError::Delimiter('2')),
            ("%{d*}", MacroError::Delimiter('*')),
            ("a b.example", MacroError::Character(b' ')),
        ];
        for (text, error) in cases {
            assert_eq!(DomainSpec::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn rfc7208_7_2_c_r_t_in_explanations_only() {
        for text in ["%{c}", "%{R}", "%{t}"] {
            assert!(matches!(DomainSpec::parse(text), Err(MacroError::ExplanationOnly(_))), "{text}");
            assert!(MacroString::parse_explanation(text).is_ok(), "{text}");
        }
        assert!(MacroString::parse_explanation("see %{h} or %{i}").is_ok());
    }

    #[test]
    fn rfc7208_7_3_keeps_any_number_of_parts() {
        for (text, keep) in
            [("%{d127}", Some(127)), ("%{d007}", Some(7)), ("%{d99999999999999999999999}", None)]
        {
            let spec = DomainSpec::parse(text).unwrap();
            assert!(matches!(spec.parts(), [Part::Macro(found)] if found.keep == keep), "{text}");
        }
    }

    proptest! {
        #[test]
        fn printing_and_reading_is_identity(
            text in "([a-z./:]|%%|%_|%-|%\\{[sldiphvSLDO][1-9]?r?[.+,/_=-]{0,3}\\}){0,12}",
        ) {
            let read = MacroString::parse(&text).unwrap();
            prop_assert_eq!(read.to_string(), text);
        }

        #[test]
        fn never_panics(text in ".{0,60}") {
            let _ = MacroString::parse(&text);
            let _ = DomainSpec::parse(&text);
            let _ = MacroString::parse_explanation(&text);
        }
    }
}
