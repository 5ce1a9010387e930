//! A domain of mail: the lower-case ASCII form of a host name.
//! Called by `EmailAddress` and by everybody who compares domains.

use std::fmt;
use std::str::FromStr;

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A domain in its lower-case A-label form (RFC 5890 2.3.2.1), 1 to 253 octets, without a last dot.
///
/// Equal domains are equal strings: `Bücher.example` and `xn--bcher-kva.example` are one value.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Domain(String);

/// Why a text is no domain of mail.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DomainError {
    /// Nothing at all.
    #[error("the domain is empty")]
    Empty,
    /// RFC 5321 2.3.5 has no dot at the end.
    #[error("domain `{0}` ends with a dot: leave it out")]
    TrailingDot(String),
    /// Two dots in a row or a dot in front.
    #[error("domain `{0}` has an empty label")]
    EmptyLabel(String),
    /// RFC 1035 2.3.4: labels are 63 octets or less.
    #[error("domain `{0}` has a label of more than 63 octets")]
    LabelTooLong(String),
    /// RFC 1035 2.3.4 allows 255 octets on the wire, which are 253 as text.
    #[error("the domain is longer than 253 octets")]
    TooLong,
    /// RFC 5321 4.1.2: letters, digits and inner hyphens, or what IDNA maps to them.
    #[error("domain `{0}` has a character that no mail domain may have, or is no valid IDNA name")]
    Characters(String),
    /// The last label is a number: this is an address, or pretends to be one.
    #[error("domain `{0}` ends in a number like an IP address: write a name")]
    Numeric(String),
}

impl Domain {
    /// Reads a domain in ASCII or Unicode form (UTS 46, STD3 rules, no underscores).
    ///
    /// # Errors
    /// What the text breaks; see [`DomainError`].
    pub fn parse(text: &str) -> Result<Self, DomainError> {
        if text.len() > LONGEST_INPUT {
            return Err(DomainError::TooLong);
        }
        if text.is_empty() {
            return Err(DomainError::Empty);
        }
        let shown = || text.escape_debug().collect::<String>();
        let ascii = Uts46::new()
            .to_ascii(text.as_bytes(), AsciiDenyList::STD3, Hyphens::CheckFirstLast, DnsLength::Ignore)
            .map_err(|_| DomainError::Characters(shown()))?;
        if ascii.len() > 253 {
            return Err(DomainError::TooLong);
        }
        if ascii.ends_with('.') && ascii.len() > 1 {
            return Err(DomainError::TrailingDot(shown()));
        }
        if ascii.split('.').any(str::is_empty) {
            return Err(DomainError::EmptyLabel(shown()));
        }
        if ascii.split('.').any(|label| label.len() > 63) {
            return Err(DomainError::LabelTooLong(shown()));
        }
        if ascii.rsplit('.').next().is_some_and(|label| label.bytes().all(|b| b.is_ascii_digit())) {
            return Err(DomainError::Numeric(shown()));
        }
        Ok(Self(ascii.into_owned()))
    }

    /// The A-label form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The U-label form, for people. Never compare it.
    #[must_use]
    pub fn to_unicode(&self) -> String {
        idna::domain_to_unicode(&self.0).0
    }

    /// The labels, the host's first.
    pub fn labels(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('.')
    }

    /// Whether there are at least two labels: `localhost` is a domain, but nobody's mail domain.
    #[must_use]
    pub fn is_fqdn(&self) -> bool {
        self.0.contains('.')
    }

    /// Whether this is below `parent`: `a.shop.example` is below `shop.example`, which is not below itself.
    #[must_use]
    pub fn is_subdomain_of(&self, parent: &Self) -> bool {
        self.0.strip_suffix(parent.as_str()).is_some_and(|labels| labels.ends_with('.'))
    }

    /// The domain one label up; `None` for a single label.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        self.0.split_once('.').map(|(_, parent)| Self(parent.to_owned()))
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Domain {
    type Err = DomainError;

    fn from_str(text: &str) -> Result<Self, DomainError> {
        Self::parse(text)
    }
}

impl TryFrom<String> for Domain {
    type Error = DomainError;

    fn try_from(text: String) -> Result<Self, DomainError> {
        Self::parse(&text)
    }
}

impl From<Domain> for String {
    fn from(domain: Domain) -> Self {
        domain.0
    }
}

impl AsRef<str> for Domain {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// A U-label is longer in UTF-8 than 63 octets at times; beyond this it is no domain in any form.
const LONGEST_INPUT: usize = 1024;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn domain(text: &str) -> Domain {
        Domain::parse(text).unwrap()
    }

    #[test]
    fn domains_are_lower_case_a_labels() {
        for (text, form) in [
            ("Shop.EXAMPLE", "shop.example"),
            ("Bücher.example", "xn--bcher-kva.example"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
            ("localhost", "localhost"),
            ("g--a.example", "g--a.example"),
            ("1.2.example", "1.2.example"),
        ] {
            assert_eq!(domain(text).as_str(), form);
        }
        assert_eq!(domain("xn--bcher-kva.example").to_unicode(), "bücher.example");
    }

    #[test]
    fn rfc5321_4_1_2_domains_are_letters_digits_and_inner_hyphens() {
        use DomainError::*;
        let shown = |text: &str| text.to_owned();
        for (text, error) in [
            ("", Empty),
            ("shop.example.", TrailingDot(shown("shop.example."))),
            ("shop..example", EmptyLabel(shown("shop..example"))),
            (".example", EmptyLabel(shown(".example"))),
            (".", EmptyLabel(shown("."))),
            ("a_b.example", Characters(shown("a_b.example"))),
            ("-a.example", Characters(shown("-a.example"))),
            ("a-.example", Characters(shown("a-.example"))),
            ("a b.example", Characters(shown("a b.example"))),
            ("xn--a.example", Characters(shown("xn--a.example"))),
            ("[192.0.2.1]", Characters(shown("[192.0.2.1]"))),
            ("192.0.2.1", Numeric(shown("192.0.2.1"))),
            ("a@b.example", Characters(shown("a@b.example"))),
        ] {
            assert_eq!(Domain::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn rfc1035_2_3_4_sizes() {
        let label = "a".repeat(63);
        assert!(Domain::parse(&format!("{label}.example")).is_ok());
        assert!(matches!(Domain::parse(&format!("a{label}.example")), Err(DomainError::LabelTooLong(_))));
        let longest = format!("{label}.{label}.{label}.{}", "a".repeat(61));
        assert_eq!(domain(&longest).as_str().len(), 253);
        assert_eq!(Domain::parse(&format!("{longest}a")), Err(DomainError::TooLong));
    }

    #[test]
    fn subdomains_are_below() {
        let shop = domain("shop.example");
        assert!(domain("a.b.shop.example").is_subdomain_of(&shop));
        assert!(!shop.is_subdomain_of(&shop));
        assert!(!domain("myshop.example").is_subdomain_of(&shop));
        assert_eq!(shop.parent(), Some(domain("example")));
        assert_eq!(domain("example").parent(), None);
        assert!(shop.is_fqdn() && !domain("example").is_fqdn());
    }

    #[test]
    fn domains_travel_as_strings() {
        let shop: Domain = serde_json::from_str("\"Shop.example\"").unwrap();
        assert_eq!(serde_json::to_string(&shop).unwrap(), "\"shop.example\"");
        assert!(serde_json::from_str::<Domain>("\"a b\"").is_err());
    }

    proptest! {
        #[test]
        fn printed_and_read_again_it_is_the_same(text in "([a-zA-Z0-9é世-]{1,8}\\.){0,3}[a-zß]{1,8}") {
            if let Ok(domain) = Domain::parse(&text) {
                let printed = domain.to_string();
                prop_assert_eq!(Domain::parse(&printed), Ok(domain));
            }
        }

        #[test]
        fn never_panics(text in "\\PC{0,80}") {
            let _ = Domain::parse(&text);
        }
    }
}
