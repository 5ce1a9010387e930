//! A host as SMTP names it: a domain or an address literal.
//! Called by the doors for HELO names and by whoever must tell the two apart.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Domain, DomainError};

/// What stands behind HELO, or behind the `@` where RFC 5321 allows a literal.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Host {
    /// A name.
    Domain(Domain),
    /// `[192.0.2.1]` or `[IPv6:2001:db8::1]`, RFC 5321 4.1.3.
    Literal(IpAddr),
}

impl Host {
    /// Reads a domain or an address literal.
    ///
    /// # Errors
    /// The text is neither; what a domain would need is told.
    pub fn parse(text: &str) -> Result<Self, DomainError> {
        match literal(text) {
            Some(address) => Ok(Self::Literal(address)),
            None => Domain::parse(text).map(Self::Domain),
        }
    }

    /// The domain, if it is one.
    #[must_use]
    pub const fn domain(&self) -> Option<&Domain> {
        match self {
            Self::Domain(domain) => Some(domain),
            Self::Literal(_) => None,
        }
    }
}

fn literal(text: &str) -> Option<IpAddr> {
    let inside = text.strip_prefix('[')?.strip_suffix(']')?;
    match inside.split_at_checked(5) {
        Some((tag, address)) if tag.eq_ignore_ascii_case("IPv6:") => {
            address.parse::<Ipv6Addr>().ok().map(IpAddr::V6)
        }
        _ => inside.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Domain(domain) => domain.fmt(f),
            Self::Literal(IpAddr::V4(address)) => write!(f, "[{address}]"),
            Self::Literal(IpAddr::V6(address)) => write!(f, "[IPv6:{address}]"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc5321_4_1_3_literals_are_in_brackets() {
        for text in ["[192.0.2.1]", "[IPv6:2001:db8::1]", "mx.shop.example"] {
            assert_eq!(Host::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Host::parse("[ipv6:2001:DB8::1]").unwrap().to_string(), "[IPv6:2001:db8::1]");
        assert!(Host::parse("[192.0.2.1]").unwrap().domain().is_none());
        for text in ["192.0.2.1", "[2001:db8::1]", "[192.0.2.256]", "[]", "[192.0.2.1", ""] {
            assert!(Host::parse(text).is_err(), "{text}");
        }
    }
}
