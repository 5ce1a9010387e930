//! A Content-Type value as far as the walk needs it: container or leaf, and the boundary.
//! Called by the walk at the end of each header section.

use std::borrow::Cow;

/// What a Content-Type value makes of its entity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ContentType<'a> {
    pub(super) kind: Kind,
    /// The first boundary.
    pub(super) boundary: Option<Boundary<'a>>,
    pub(super) two_boundaries: bool,
    /// `boundary*`, `boundary*0` ...: RFC 2231.
    pub(super) in_pieces: bool,
    /// The type or a parameter is none (RFC 2045 5.1): where the boundary stands, each reader guesses.
    pub(super) malformed: bool,
    /// Two `charset` parameters that differ.
    pub(super) two_charsets: bool,
    /// Two `name` parameters that differ.
    pub(super) two_names: bool,
}

/// What an entity contains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Leaf,
    Multipart {
        /// RFC 2046 5.1.5: in a digest the default type of a part is message/rfc822.
        digest: bool,
    },
    Message,
    /// RFC 2046 5.2.2: a fragment of a message.
    Partial,
}

/// A boundary without its quotes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Boundary<'a> {
    pub(super) text: Cow<'a, [u8]>,
    /// Neither a token nor a quoted string.
    pub(super) odd: bool,
}

impl<'a> ContentType<'a> {
    /// Reads a raw value, folding and comments included; anything is a leaf if it is nothing else.
    pub(super) fn read(value: &'a [u8]) -> Self {
        let end = value.iter().position(|b| *b == b';').unwrap_or(value.len());
        let (kind, parameters) = value.split_at_checked(end).unwrap_or((value, &[]));
        let malformed = !is_type(kind);
        let mut found = Self {
            kind: if malformed { Kind::guess(kind, value) } else { Kind::read(kind) },
            boundary: None,
            two_boundaries: false,
            in_pieces: false,
            malformed,
            two_charsets: differ(parameters, b"charset", u8::to_ascii_lowercase),
            two_names: differ(parameters, b"name", u8::clone),
        };
        let mut rest = parameters;
        while let Some((name, value, after)) = parameter(rest) {
            found.malformed |= !is_name(name) || value.odd || is_parameter(&value);
            if name.eq_ignore_ascii_case(b"boundary") {
                found.two_boundaries |= found.boundary.is_some();
                found.boundary.get_or_insert(value);
            } else if starts_with(name, b"boundary*") {
                found.in_pieces = true;
            }
            rest = after;
        }
        found.boundary = found.boundary.filter(|boundary| !boundary.text.is_empty());
        found
    }
}

/// Whether a Content-Disposition value has two `filename` parameters that differ.
pub(super) fn has_two_file_names(value: &[u8]) -> bool {
    let start = value.iter().position(|b| *b == b';').unwrap_or(value.len());
    differ(value.get(start..).unwrap_or_default(), b"filename", u8::clone)
}

/// Whether a parameter occurs twice with two values; `as_compared` is what counts of an octet.
fn differ(parameters: &[u8], known: &[u8], as_compared: fn(&u8) -> u8) -> bool {
    let mut first: Option<Vec<u8>> = None;
    let mut rest = parameters;
    while let Some((name, value, after)) = parameter(rest) {
        if name.eq_ignore_ascii_case(known) {
            let value: Vec<u8> = value.text.iter().map(as_compared).collect();
            if first.get_or_insert_with(|| value.clone()) != &value {
                return true;
            }
        }
        rest = after;
    }
    false
}

impl Kind {
    /// What is no type may be a multipart to a reader that finds the word anywhere in the value.
    fn guess(kind: &[u8], value: &[u8]) -> Self {
        match value.windows(9).any(|part| part.eq_ignore_ascii_case(b"multipart")) {
            true => Self::Multipart { digest: false },
            false => Self::read(kind),
        }
    }

    fn read(value: &[u8]) -> Self {
        let name = without_comments(value);
        // `multipart` and `"multipart/mixed` are no types, and some readers follow their boundary all the same.
        if name.windows(9).any(|part| part.eq_ignore_ascii_case(b"multipart")) {
            Self::Multipart { digest: name.eq_ignore_ascii_case(b"multipart/digest") }
        } else if MESSAGES.iter().any(|message| name.eq_ignore_ascii_case(message)) {
            Self::Message
        } else if name.eq_ignore_ascii_case(b"message/partial") {
            Self::Partial
        } else {
            Self::Leaf
        }
    }
}

/// Types and subtypes are short: what is longer than [`LONGEST_NAME`] is none of ours.
pub(super) fn without_comments(value: &[u8]) -> Vec<u8> {
    let mut depth = 0_usize;
    let visible = value.iter().copied().filter(|byte| match byte {
        b'(' => {
            depth = depth.saturating_add(1);
            false
        }
        b')' => {
            depth = depth.saturating_sub(1);
            false
        }
        _ => depth == 0 && !byte.is_ascii_whitespace(),
    });
    visible.take(LONGEST_NAME).collect()
}

/// RFC 2045 5.1: `"Content-Type" ":" type "/" subtype`, both tokens.
fn is_type(value: &[u8]) -> bool {
    let name = without_comments(value);
    let mut parts = name.split(|b| *b == b'/');
    parts.next().is_some_and(is_token) && parts.next().is_some_and(is_token) && parts.next().is_none()
}

/// RFC 2231 7: asterisks and digits only behind the name; elsewhere some readers skip them.
fn is_name(name: &[u8]) -> bool {
    let end = name.iter().position(|b| *b == b'*').unwrap_or(name.len());
    let (attribute, behind) = name.split_at_checked(end).unwrap_or((name, &[]));
    is_token(attribute) && behind.iter().all(|b| *b == b'*' || b.is_ascii_digit())
}

fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|b| b.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?=".contains(b))
}

/// `a=` and `boundary=b` on the next line: to some readers the first is empty and the second a parameter.
fn is_parameter(value: &Boundary<'_>) -> bool {
    let assigns = |text: &[u8]| text.windows(9).any(|part| part.eq_ignore_ascii_case(b"boundary="));
    matches!(value.text, Cow::Borrowed(text) if assigns(text))
}

fn starts_with(name: &[u8], prefix: &[u8]) -> bool {
    name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

/// The next `; name=value` and what follows it. RFC 2045 5.1, read leniently.
fn parameter(text: &[u8]) -> Option<(&[u8], Boundary<'_>, &[u8])> {
    let start = text.iter().position(|b| *b != b';' && !b.is_ascii_whitespace())?;
    let text = text.get(start..)?;
    let end = text.iter().position(|b| matches!(b, b'=' | b';')).unwrap_or(text.len());
    let (name, rest) = text.split_at_checked(end)?;
    let name = name.trim_ascii_end();
    let Some(rest) = rest.strip_prefix(b"=") else {
        return Some((name, Boundary { text: Cow::Borrowed(&[]), odd: false }, rest));
    };
    let rest = rest.trim_ascii_start();
    let (value, after) = match rest.strip_prefix(b"\"") {
        Some(inside) => quoted(inside),
        None => bare(rest),
    };
    Some((name, value, after))
}

fn bare(text: &[u8]) -> (Boundary<'_>, &[u8]) {
    let end = text.iter().position(|b| *b == b';' || b.is_ascii_whitespace()).unwrap_or(text.len());
    let (value, rest) = text.split_at_checked(end).unwrap_or((text, &[]));
    let odd = value.iter().any(|b| matches!(b, b'(' | b')' | b'"' | b'\\') || !b.is_ascii_graphic());
    let (junk, rest) = to_semicolon(rest);
    (Boundary { text: Cow::Borrowed(value), odd: odd || junk }, rest)
}

/// From behind the opening quote; a missing closing quote is odd.
fn quoted(text: &[u8]) -> (Boundary<'_>, &[u8]) {
    let mut value = Vec::new();
    let mut odd = false;
    let mut rest = text;
    let closed = loop {
        rest = match rest {
            [] => break false,
            [b'"', after @ ..] => {
                rest = after;
                break true;
            }
            [b'\\', byte, after @ ..] => {
                odd = true;
                value.push(*byte);
                after
            }
            [b'\r' | b'\n', after @ ..] => {
                odd = true;
                after
            }
            [byte, after @ ..] => {
                odd |= !(byte.is_ascii_graphic() || *byte == b' ');
                value.push(*byte);
                after
            }
        };
    };
    let (junk, rest) = to_semicolon(rest);
    // RFC 2046 5.1.1: a boundary "MUST NOT end with white space": some readers cut it off, some do not.
    odd |= value.last().is_some_and(u8::is_ascii_whitespace);
    value.truncate(value.trim_ascii_end().len());
    odd |= value.starts_with(b"=?") && value.ends_with(b"?=");
    (Boundary { text: Cow::Owned(value), odd: odd || !closed || junk }, rest)
}

/// Skips what stands between a value and the next semicolon; whether that is more than CFWS.
fn to_semicolon(text: &[u8]) -> (bool, &[u8]) {
    let end = text.iter().position(|b| *b == b';').unwrap_or(text.len());
    let (between, rest) = text.split_at_checked(end).unwrap_or((text, &[]));
    // A comment that is not closed here is a part of the value to readers that know no comments.
    let open = |bracket: u8| between.iter().filter(|b| **b == bracket).count();
    (!without_comments(between).is_empty() || open(b'(') != open(b')'), rest)
}

/// Types whose body is a message with a header of its own (RFC 2046 5.2.1, RFC 6532 3.7).
const MESSAGES: [&[u8]; 3] = [b"message/rfc822", b"message/global", b"message/news"];

const LONGEST_NAME: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boundary_that_only_lenient_readers_find_is_told() {
        let malformed = |value: &str| ContentType::read(value.as_bytes()).malformed;
        for value in [
            "multipart/mixed;\" boundary = b",
            "multipart/mixed; x\r\n\tboundary=b",
            "multipart/mixed; boundary=\"\"b",
            "multipart/mixed:\r\n\tboundary=b",
            "multipart/mixed; x=\r\n\tboundary=b",
            "multipart/mixed; =x\r\n\tboundary=b",
            "multipart/mi\"xed; boundary=\"multipart/mixed; boundary=b\"",
            "multipart/mixed; *boundary=b",
            "multipart/mixed; boundary=\"b\"(",
            "multipart; boundary=b",
            "\"multipart/mixed; boundary=b",
            "x y; z=\"multipart/mixed; boundary=b",
        ] {
            assert!(malformed(value), "{value}");
            let kind = ContentType::read(value.as_bytes()).kind;
            assert_eq!(kind, Kind::Multipart { digest: false }, "{value}");
        }
        assert!(!malformed("multipart/mixed (a); x-boundary=b; charset; boundary=----=_c; "));
        assert!(!malformed("multipart/mixed; name=\"a boundary=b\"; boundary=boundary"));
    }

    #[test]
    fn two_names_of_a_file_are_told() {
        assert!(has_two_file_names(b" attachment; filename=a.txt; FileName=b.exe"));
        assert!(has_two_file_names(b" attachment; filename=\"a.txt\";\r\n filename=A.txt"));
        assert!(!has_two_file_names(b" attachment; filename=a.txt; filename=\"a.txt\""));
        assert!(!has_two_file_names(b" attachment; filename*0=a; filename*1=b; filename=ab"));
        let names = |value: &str| ContentType::read(value.as_bytes()).two_names;
        assert!(names("application/x; name=a.txt; name=b.exe"));
        assert!(!names("application/x; name=a.txt; x-name=b.exe"));
        let charsets = |value: &str| ContentType::read(value.as_bytes()).two_charsets;
        assert!(
            charsets("text/plain; charset=a; charset=b") && !charsets("text/plain; charset=a; charset=A")
        );
    }

    fn boundary(value: &str) -> Option<String> {
        let found = ContentType::read(value.as_bytes());
        found.boundary.map(|b| String::from_utf8_lossy(&b.text).into_owned())
    }

    #[test]
    fn kinds_are_seen_through_case_and_comments() {
        for (value, kind) in [
            ("text/plain", Kind::Leaf),
            ("", Kind::Leaf),
            ("MULTIPART/Mixed; boundary=a", Kind::Multipart { digest: false }),
            (" multipart(;)/(x) digest", Kind::Multipart { digest: false }),
            (" multipart (x) / digest", Kind::Multipart { digest: true }),
            ("Message/RFC822", Kind::Message),
            ("message/global; charset=utf-8", Kind::Message),
            ("message/delivery-status", Kind::Leaf),
            ("message/external-body; access-type=url", Kind::Leaf),
            ("Message/Partial; id=a; number=1; total=1", Kind::Partial),
        ] {
            assert_eq!(ContentType::read(value.as_bytes()).kind, kind, "{value}");
        }
    }

    #[test]
    fn rfc2045_5_1_boundaries_are_tokens_or_quoted() {
        assert_eq!(boundary("multipart/mixed; boundary=abc").as_deref(), Some("abc"));
        assert_eq!(boundary("multipart/mixed;\r\n\tBoundary = \"a b;c\"; x=y").as_deref(), Some("a b;c"));
        assert_eq!(
            boundary("multipart/mixed; charset=x; boundary=----=_Part_1.2").as_deref(),
            Some("----=_Part_1.2")
        );
        assert_eq!(boundary("multipart/mixed; name=\"boundary=x\"; boundary=y").as_deref(), Some("y"));
        assert_eq!(boundary("multipart/mixed; boundary=\"a  \"").as_deref(), Some("a"));
        assert_eq!(boundary("multipart/mixed; boundary=").as_deref(), None);
        assert_eq!(boundary("multipart/mixed"), None);
    }

    #[test]
    fn odd_boundaries_are_told() {
        let odd = |value: &str| ContentType::read(value.as_bytes()).boundary.is_some_and(|b| b.odd);
        assert!(odd("multipart/mixed; boundary=a(b)"));
        assert!(odd("multipart/mixed; boundary=\"a\"b"));
        assert!(odd("multipart/mixed; boundary=\"a"));
        assert!(odd("multipart/mixed; boundary=a b"));
        assert!(odd("multipart/mixed; boundary=\"a\\b\""));
        assert!(odd("multipart/mixed; boundary=\"a \""));
        assert!(odd("multipart/mixed; boundary=\"a\r\n b\""));
        assert!(odd("multipart/mixed; boundary=\"a\tb\""));
        assert!(odd("multipart/mixed; boundary=\"é\""));
        assert!(odd("multipart/mixed; boundary=\"=?utf-8?q?a?=\""));
        assert!(!odd("multipart/mixed; boundary=a (comment); x=y"));
        assert!(ContentType::read(b"multipart/mixed; boundary=a; BOUNDARY=b").two_boundaries);
        assert!(ContentType::read(b"multipart/mixed; boundary*0=a; boundary*1=b").in_pieces);
    }
}
