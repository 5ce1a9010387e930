//! The words of DNS: which record is asked for, what came back, and how an answer can fail.
//! Called by the resolver, by the probes that read its answers, and by the sandbox's name server.

use std::net::{Ipv4Addr, Ipv6Addr};

use hickory_proto::rr::{Name, RData, RecordType};

/// The record types that are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RecordKind {
    A,
    Aaaa,
    Mx,
    Txt,
    Ptr,
    Ns,
    Soa,
}

/// One record. Names are in lower case without the final dot; the root is `.`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    A(Ipv4Addr),
    Aaaa(Ipv6Addr),
    Mx {
        preference: u16,
        exchange: String,
    },
    /// The strings of the record joined without anything between them (RFC 7208 3.3).
    Txt(Vec<u8>),
    Ptr(String),
    Ns(String),
    Soa {
        mname: String,
        rname: String,
        serial: u32,
        minimum: u32,
    },
}

/// What came back. Times to live are in seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// At least one record of the kind; `ttl` is the smallest one, aliases included.
    Records { records: Vec<Record>, ttl: u32 },
    /// The name does not exist, with no type of record.
    NxDomain { ttl: u32 },
    /// The name exists, without a record of this kind.
    NoData { ttl: u32 },
    /// A server said that it cannot or will not answer, or spoke nonsense, or is not there.
    Unavailable(String),
    /// Nothing came back in time.
    Timeout,
}

impl RecordKind {
    pub(crate) const fn wire(self) -> RecordType {
        match self {
            Self::A => RecordType::A,
            Self::Aaaa => RecordType::AAAA,
            Self::Mx => RecordType::MX,
            Self::Txt => RecordType::TXT,
            Self::Ptr => RecordType::PTR,
            Self::Ns => RecordType::NS,
            Self::Soa => RecordType::SOA,
        }
    }

    pub(crate) const fn from_wire(kind: RecordType) -> Option<Self> {
        match kind {
            RecordType::A => Some(Self::A),
            RecordType::AAAA => Some(Self::Aaaa),
            RecordType::MX => Some(Self::Mx),
            RecordType::TXT => Some(Self::Txt),
            RecordType::PTR => Some(Self::Ptr),
            RecordType::NS => Some(Self::Ns),
            RecordType::SOA => Some(Self::Soa),
            _ => None,
        }
    }
}

impl Record {
    pub const fn kind(&self) -> RecordKind {
        match self {
            Self::A(_) => RecordKind::A,
            Self::Aaaa(_) => RecordKind::Aaaa,
            Self::Mx { .. } => RecordKind::Mx,
            Self::Txt(_) => RecordKind::Txt,
            Self::Ptr(_) => RecordKind::Ptr,
            Self::Ns(_) => RecordKind::Ns,
            Self::Soa { .. } => RecordKind::Soa,
        }
    }

    pub(crate) fn from_wire(data: &RData) -> Option<Self> {
        Some(match data {
            RData::A(address) => Self::A(address.0),
            RData::AAAA(address) => Self::Aaaa(address.0),
            RData::MX(mx) => Self::Mx { preference: mx.preference, exchange: plain_name(&mx.exchange) },
            RData::TXT(text) => Self::Txt(text.txt_data.concat()),
            RData::PTR(name) => Self::Ptr(plain_name(&name.0)),
            RData::NS(name) => Self::Ns(plain_name(&name.0)),
            RData::SOA(soa) => Self::Soa {
                mname: plain_name(&soa.mname),
                rname: plain_name(&soa.rname),
                serial: soa.serial,
                minimum: soa.minimum,
            },
            _ => return None,
        })
    }
}

/// A name for the wire: always absolute, in lower case, without any meaning given to backslashes.
/// `None` for what no name can be: an empty label, one over 63 octets, more than 255 in all.
pub(crate) fn wire_name(name: &str) -> Option<Name> {
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    if name.is_empty() {
        return Some(Name::root());
    }
    if name.split('.').any(str::is_empty) {
        return None;
    }
    Name::from_labels(name.split('.').map(str::as_bytes)).ok()
}

/// A name as text: lower case, no final dot, the root as `.`.
pub(crate) fn plain_name(name: &Name) -> String {
    let mut text = name.to_ascii().to_ascii_lowercase();
    if text.len() > 1 && text.ends_with('.') {
        text.pop();
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_absolute_and_in_lower_case() {
        let name = wire_name("MAIL.Acme.example").unwrap();
        assert!(name.is_fqdn());
        assert_eq!(plain_name(&name), "mail.acme.example");
        assert_eq!(wire_name("acme.example."), wire_name("acme.example"));
        assert_eq!(plain_name(&Name::root()), ".");
    }

    #[test]
    fn names_that_cannot_exist_are_none() {
        let long_label = "a".repeat(64) + ".example";
        let long_name = vec!["a".repeat(60); 5].join(".");
        for name in ["a..example", ".example", "acme.example..", &long_label, &long_name] {
            assert_eq!(wire_name(name), None, "{name}");
        }
    }

    #[test]
    fn a_backslash_is_an_octet_like_another() {
        let name = wire_name(r"a\.b.example").unwrap();
        assert_eq!(name.iter().next(), Some(&br"a\"[..]));
    }

    proptest! {
        #[test]
        fn any_text_is_a_name_or_none(text in ".{0,300}") {
            let _ = wire_name(&text).map(|name| plain_name(&name));
        }
    }
}
