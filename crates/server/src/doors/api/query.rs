//! The query of a request, read strictly: every parameter is known, and one that may not be repeated is not.
//! The guard reads it by the route's table; handlers ask it.

use super::problem::Problem;
use crate::config::nearest::suggestion;

/// A parameter of a route.
#[derive(Debug)]
pub(in crate::doors) struct Parameter {
    pub(super) name: &'static str,
    pub(super) kind: ParameterKind,
    /// What it says, for the OpenAPI document.
    pub(super) says: &'static str,
}

/// What a parameter may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ParameterKind {
    Text,
    /// It may be there as often as wanted.
    Texts,
    /// `true` or `false`.
    Flag,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A whole number from 1 to this.
    Count(u32),
}

/// Decoded parameters, in their order.
#[derive(Debug, Clone, Default)]
pub(in crate::doors) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads what follows the question mark.
    pub(super) fn parse(raw: Option<&str>, known: &[Parameter]) -> Result<Self, Problem> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        for part in raw.unwrap_or_default().split('&').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let (name, value) = (decoded(name)?, decoded(value)?);
            let Some(parameter) = known.iter().find(|parameter| parameter.name == name) else {
                return Err(unknown("query parameter", &name, known.iter().map(|known| known.name)));
            };
            if parameter.kind != ParameterKind::Texts && pairs.iter().any(|(there, _)| *there == name) {
                return Err(Problem::bad_request(format!("query parameter `{name}` is there twice")));
            }
            parameter.kind.fits(&name, &value)?;
            pairs.push((name, value));
        }
        Ok(Self(pairs))
    }

    pub(in crate::doors) fn one(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(there, _)| there == name).map(|(_, value)| value.as_str())
    }

    pub(in crate::doors) fn all<'q>(&'q self, name: &'q str) -> impl Iterator<Item = &'q str> {
        self.0.iter().filter(move |(there, _)| there == name).map(|(_, value)| value.as_str())
    }

    pub(in crate::doors) fn flag(&self, name: &str) -> Option<bool> {
        self.one(name).map(|value| value == "true")
    }

    pub(in crate::doors) fn count(&self, name: &str) -> Option<u32> {
        self.one(name).and_then(|value| value.parse().ok())
    }

    /// The query again, with other values of one parameter.
    pub(super) fn with(&self, name: &str, value: &str) -> String {
        let kept = self.0.iter().filter(|(there, _)| there != name);
        let pairs = kept.map(|(name, value)| format!("{name}={}", encoded(value)));
        pairs.chain([format!("{name}={}", encoded(value))]).collect::<Vec<_>>().join("&")
    }
}

impl ParameterKind {
    fn fits(self, name: &str, value: &str) -> Result<(), Problem> {
        let allowed = match self {
            Self::Text | Self::Texts => return Ok(()),
            Self::Flag if matches!(value, "true" | "false") => return Ok(()),
            Self::Flag => "`true` or `false` is allowed".to_owned(),
            Self::Word(words) if words.contains(&value) => return Ok(()),
            Self::Word(words) => {
                let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
                suggestion(value, &words)
            }
            Self::Count(most) => {
                let digits = value.bytes().all(|octet| octet.is_ascii_digit());
                match value.parse::<u32>().ok().filter(|count| digits && (1..=most).contains(count)) {
                    Some(_) => return Ok(()),
                    None => format!("a whole number from 1 to {most} is allowed"),
                }
            }
        };
        Err(Problem::bad_request(format!("query parameter `{name}` is `{}`: {allowed}", shown(value))))
    }
}

/// A refusal that names what is not known and the nearest that is.
pub(super) fn unknown<'n>(what: &str, name: &str, known: impl Iterator<Item = &'n str>) -> Problem {
    let known: Vec<String> = known.map(|name| format!("`{name}`")).collect();
    let name = shown(name);
    Problem::bad_request(format!("unknown {what} `{name}`: {}", suggestion(&name, &known)))
}

/// What somebody sent, on one line and not endless.
pub(super) fn shown(text: &str) -> String {
    text.escape_debug().take(SHOWN).collect()
}

/// RFC 3986 2.1: a percent sign and two hexadecimal digits stand for an octet. A plus sign is one there and a
/// space in forms: it is refused, so that nobody reads another address than was meant.
fn decoded(text: &str) -> Result<String, Problem> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(octet) = rest.next() {
        match octet {
            b'%' => {
                let digits = [rest.next().unwrap_or_default(), rest.next().unwrap_or_default()];
                let number =
                    std::str::from_utf8(&digits).ok().filter(|_| digits.iter().all(u8::is_ascii_hexdigit));
                let octet = number.and_then(|digits| u8::from_str_radix(digits, 16).ok());
                octets.push(octet.ok_or_else(|| wrong(text, "`%` is followed by two hexadecimal digits"))?);
            }
            b'+' => {
                return Err(wrong(text, "`+` has two readings: write `%2B` for a plus, `%20` for a space"));
            }
            _ => octets.push(octet),
        }
    }
    String::from_utf8(octets).map_err(|_| wrong(text, "it is no UTF-8"))
}

fn wrong(text: &str, why: &str) -> Problem {
    Problem::bad_request(format!("`{}` in the query cannot be read: {why}", shown(text)))
}

fn encoded(text: &str) -> String {
    text.bytes()
        .map(|octet| match octet {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(octet).to_string()
            }
            _ => format!("%{octet:02X}"),
        })
        .collect()
}

const SHOWN: usize = 80;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KNOWN: &[Parameter] = &[
        Parameter { name: "account", kind: ParameterKind::Text, says: "" },
        Parameter { name: "rcpt", kind: ParameterKind::Texts, says: "" },
        Parameter { name: "record", kind: ParameterKind::Flag, says: "" },
        Parameter { name: "limit", kind: ParameterKind::Count(1000), says: "" },
    ];

    fn refused(raw: &str) -> String {
        Query::parse(Some(raw), KNOWN).unwrap_err().detail()
    }

    #[test]
    fn parameters_are_read_once_or_as_often_as_they_may_be() {
        let query =
            Query::parse(Some("account=acme&rcpt=a%40b.example&rcpt=c%2Bd%40b.example&record=false"), KNOWN);
        let query = query.unwrap();
        assert_eq!(query.one("account"), Some("acme"));
        assert_eq!(query.all("rcpt").collect::<Vec<_>>(), ["a@b.example", "c+d@b.example"]);
        assert_eq!((query.flag("record"), query.count("limit")), (Some(false), None));
        assert!(Query::parse(None, KNOWN).unwrap().one("account").is_none());
    }

    #[test]
    fn what_has_two_readings_or_none_is_refused_and_named() {
        assert_eq!(refused("acount=acme"), "unknown query parameter `acount`: did you mean `account`?");
        assert_eq!(refused("account=a&account=b"), "query parameter `account` is there twice");
        assert!(refused("rcpt=a+b@c.example").contains("`%2B`"));
        assert!(
            refused("rcpt=%4").contains("two hexadecimal digits") && refused("rcpt=%+1").contains("digits")
        );
        assert!(refused("rcpt=%ff").contains("no UTF-8"));
        assert!(refused("record=no").contains("`true` or `false`"));
        for wrong in ["0", "1001", "-1", "", "%2B5", "99999999999"] {
            assert!(refused(&format!("limit={wrong}")).contains("from 1 to 1000"), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(value in "\\PC*") {
            let query = Query::default().with("account", &value);
            let read = Query::parse(Some(&query), KNOWN).unwrap();
            prop_assert_eq!(read.one("account"), Some(value.as_str()));
        }

        #[test]
        fn nothing_makes_it_panic(raw in "\\PC*") {
            let _read = Query::parse(Some(&raw), KNOWN);
        }
    }
}
