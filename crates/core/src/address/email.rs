//! A mail address: the Mailbox of RFC 5321 with a domain.
//! Called by the doors for MAIL and RCPT and by `message` for header fields.

use std::fmt::{self, Write as _};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{Domain, DomainError};

/// A local part and a domain, at most 254 octets (RFC 5321 4.5.3.1.3 without the brackets).
///
/// The local part is kept in its own capitals and without quotes: `"ana"@shop.example` is
/// `ana@shop.example`. RFC 5321 2.4: "The local-part of a mailbox MUST BE treated as case sensitive."
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EmailAddress {
    local: String,
    domain: Domain,
}

/// Why a text is no mail address.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EmailError {
    /// There is no `@` outside quotes.
    #[error("address `{0}` has no `@`")]
    NoAt(String),
    /// Nothing before the `@`.
    #[error("the address has nothing before the `@`")]
    NoLocal,
    /// RFC 5321 4.1.2: a dot-string or a quoted string.
    #[error("local part `{0}` is neither words with single dots between them nor quoted")]
    Local(String),
    /// RFC 5321 4.5.3.1.1: 64 octets, the quotes included.
    #[error("the local part is longer than 64 octets")]
    LocalTooLong,
    /// RFC 5321 4.5.3.1.3: 256 octets with the brackets.
    #[error("the address is longer than 254 octets")]
    TooLong,
    /// RFC 5321 4.1.3: legal, but nobody can prove to own it.
    #[error("`{0}` is an address literal: write a domain")]
    Literal(String),
    /// What is behind the `@` is no domain.
    #[error(transparent)]
    Domain(#[from] DomainError),
}

impl EmailAddress {
    /// Reads an address without brackets. UTF-8 in the local part is RFC 6531 3.3.
    ///
    /// # Errors
    /// What the text breaks; see [`EmailError`].
    pub fn parse(text: &str) -> Result<Self, EmailError> {
        if text.len() > LONGEST_INPUT {
            return Err(EmailError::TooLong);
        }
        let (local, domain) = match text.strip_prefix('"') {
            Some(quoted) => unquote(quoted).ok_or_else(|| EmailError::Local(shown(text)))?,
            None => dot_string(text)?,
        };
        if domain.starts_with('[') {
            return Err(EmailError::Literal(shown(domain)));
        }
        Self::new(local, Domain::parse(domain)?)
    }

    /// Puts an unquoted local part before a domain.
    ///
    /// # Errors
    /// A control character in the local part, or a length that is exceeded.
    pub fn new(local: String, domain: Domain) -> Result<Self, EmailError> {
        if local.chars().any(char::is_control) {
            return Err(EmailError::Local(shown(&local)));
        }
        let address = Self { local, domain };
        let whole = address.to_string().len();
        let domain = address.domain.as_str().len().saturating_add(1);
        if whole.saturating_sub(domain) > 64 {
            return Err(EmailError::LocalTooLong);
        }
        if whole > 254 {
            return Err(EmailError::TooLong);
        }
        Ok(address)
    }

    /// The local part without quotes, in its own capitals.
    #[must_use]
    pub fn local(&self) -> &str {
        &self.local
    }

    /// The domain.
    #[must_use]
    pub const fn domain(&self) -> &Domain {
        &self.domain
    }
}

/// RFC 5321 4.1.2: `Dot-string = Atom *("."  Atom)`.
pub(crate) fn is_dot_string(text: &str) -> bool {
    text.split('.').all(|atom| !atom.is_empty() && atom.chars().all(is_atext))
}

/// RFC 5322 3.2.3, with RFC 6532 3.2: "atext =/ UTF8-non-ascii".
pub(crate) fn is_atext(character: char) -> bool {
    character.is_ascii_alphanumeric()
        || "!#$%&'*+-/=?^_`{|}~".contains(character)
        || (!character.is_ascii() && !character.is_control())
}

fn dot_string(text: &str) -> Result<(String, &str), EmailError> {
    let (local, domain) = text.split_once('@').ok_or_else(|| EmailError::NoAt(shown(text)))?;
    if local.is_empty() {
        return Err(EmailError::NoLocal);
    }
    if !is_dot_string(local) {
        return Err(EmailError::Local(shown(local)));
    }
    Ok((local.to_owned(), domain))
}

/// From behind the opening quote: the content and what follows the `@`.
/// RFC 5321 4.1.2: `quoted-pairSMTP = %d92 %d32-126`, `qtextSMTP = %d32-33 / %d35-91 / %d93-126`.
fn unquote(text: &str) -> Option<(String, &str)> {
    let mut local = String::new();
    let mut characters = text.chars();
    loop {
        match characters.next()? {
            '"' => return characters.as_str().strip_prefix('@').map(|domain| (local, domain)),
            '\\' => local.push(characters.next().filter(|c| matches!(c, ' '..='~'))?),
            character => local.push(character),
        }
    }
}

fn shown(text: &str) -> String {
    text.escape_debug().take(80).collect()
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if is_dot_string(&self.local) {
            return write!(f, "{}@{}", self.local, self.domain);
        }
        f.write_char('"')?;
        for character in self.local.chars() {
            if matches!(character, '"' | '\\') {
                f.write_char('\\')?;
            }
            f.write_char(character)?;
        }
        write!(f, "\"@{}", self.domain)
    }
}

impl FromStr for EmailAddress {
    type Err = EmailError;

    fn from_str(text: &str) -> Result<Self, EmailError> {
        Self::parse(text)
    }
}

impl TryFrom<String> for EmailAddress {
    type Error = EmailError;

    fn try_from(text: String) -> Result<Self, EmailError> {
        Self::parse(&text)
    }
}

impl From<EmailAddress> for String {
    fn from(address: EmailAddress) -> Self {
        address.to_string()
    }
}

/// 64 escaped octets and the longest text of a domain.
const LONGEST_INPUT: usize = 1200;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn address(text: &str) -> EmailAddress {
        EmailAddress::parse(text).unwrap()
    }

    #[test]
    fn rfc5321_4_1_2_local_parts_are_dot_strings_or_quoted() {
        for (text, local, printed) in [
            ("Ana@Shop.Example", "Ana", "Ana@shop.example"),
            ("a.b+c@shop.example", "a.b+c", "a.b+c@shop.example"),
            ("\"ana\"@shop.example", "ana", "ana@shop.example"),
            ("\"a..b\"@shop.example", "a..b", "\"a..b\"@shop.example"),
            ("\"a\\\"@b\"@shop.example", "a\"@b", "\"a\\\"@b\"@shop.example"),
            ("\"\"@shop.example", "", "\"\"@shop.example"),
            ("\"a b\"@shop.example", "a b", "\"a b\"@shop.example"),
            ("josé@bücher.example", "josé", "josé@xn--bcher-kva.example"),
            ("ana@localhost", "ana", "ana@localhost"),
        ] {
            let read = address(text);
            assert_eq!((read.local(), read.to_string().as_str()), (local, printed));
        }
    }

    #[test]
    fn what_is_no_address() {
        for text in [
            "",
            "ana",
            "@shop.example",
            "ana@",
            "a b@shop.example",
            ".a@shop.example",
            "a.@shop.example",
            "a..b@shop.example",
            "a@b@shop.example",
            "\"a@shop.example",
            "\"a\"b@shop.example",
            "a(c)@shop.example",
            "a@shop.example ",
            " a@shop.example",
            "<a@shop.example>",
            "a@[192.0.2.1]",
            "a\r\n@shop.example",
            "\"a\r\n\"@shop.example",
            "a@shop.example.",
            "\"a\"@",
            "\"a\\\"@shop.example",
            "a@shop_x.example",
        ] {
            assert!(EmailAddress::parse(text).is_err(), "{text}");
        }
        assert!(matches!(EmailAddress::parse("a@[192.0.2.1]"), Err(EmailError::Literal(_))));
    }

    #[test]
    fn rfc5321_4_5_3_1_sizes() {
        let local = "a".repeat(64);
        assert!(EmailAddress::parse(&format!("{local}@shop.example")).is_ok());
        assert_eq!(EmailAddress::parse(&format!("a{local}@shop.example")), Err(EmailError::LocalTooLong));
        let domain = format!("{0}.{0}.{0}", "d".repeat(62));
        assert_eq!(domain.len(), 188);
        assert!(EmailAddress::parse(&format!("{local}@{domain}")).is_ok());
        assert_eq!(EmailAddress::parse(&format!("{local}@{domain}.dd")), Err(EmailError::TooLong));
    }

    #[test]
    fn addresses_travel_as_strings() {
        let ana: EmailAddress = serde_json::from_str("\"ana@Shop.example\"").unwrap();
        assert_eq!(serde_json::to_string(&ana).unwrap(), "\"ana@shop.example\"");
        assert!(serde_json::from_str::<EmailAddress>("\"ana\"").is_err());
    }

    proptest! {
        #[test]
        fn printed_and_read_again_it_is_the_same(local in "[ -~é]{0,40}", domain in "[a-z]{1,9}\\.example") {
            let address = EmailAddress::new(local, Domain::parse(&domain).unwrap());
            if let Ok(address) = address {
                prop_assert_eq!(EmailAddress::parse(&address.to_string()), Ok(address));
            }
        }

        #[test]
        fn never_panics(text in "[\"@.\\\\a\\[\\] é\u{0}]{0,40}|\\PC{0,40}") {
            let _ = EmailAddress::parse(&text);
        }
    }
}
