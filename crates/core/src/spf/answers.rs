//! What was asked of the DNS and what it said; SPF records are read once, when they arrive.
//! Whoever runs a check fills it; `evaluation` only reads it.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::policy::{Policy, PolicyError};

/// The kinds of records that SPF asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RecordKind {
    /// IPv4 addresses.
    A,
    /// IPv6 addresses.
    Aaaa,
    /// Mail exchangers.
    Mx,
    /// Text: SPF records and explanations.
    Txt,
    /// Names of an address.
    Ptr,
}

/// One question to the DNS.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Query {
    /// An absolute name: lower case, no final dot, labels of 1 to 63 printable ASCII characters joined by
    /// dots, at most 253 characters. Nothing is escaped: a space or a backslash is the octet itself.
    pub name: String,
    /// What is asked for.
    pub kind: RecordKind,
}

/// One record of an answer. Names may end in a dot; owner and class do not matter here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// An IPv4 address.
    A(Ipv4Addr),
    /// An IPv6 address.
    Aaaa(Ipv6Addr),
    /// A mail exchanger.
    Mx {
        /// Lower is preferred.
        preference: u16,
        /// Its name; empty or `.` is the null MX of RFC 7505.
        exchange: String,
    },
    /// The character strings of a text record, in order.
    Txt(Vec<Vec<u8>>),
    /// The name of an address.
    Ptr(String),
}

/// What the DNS said to a [`Query`], aliases (CNAME) already followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// RCODE 0. Records of another kind than asked for are ignored.
    Records {
        /// The records, in any order.
        records: Vec<Record>,
        /// The shortest time to live of the answer, in seconds.
        ttl: u32,
    },
    /// RCODE 3: the name does not exist.
    NxDomain {
        /// The negative time to live, in seconds.
        ttl: u32,
    },
    /// RCODE 0 without a record of the kind.
    NoData {
        /// The negative time to live, in seconds.
        ttl: u32,
    },
    /// No usable answer.
    Failed(Failure),
}

/// Why the DNS gave no usable answer. Each leads to `temperror` (RFC 7208 4.4 and 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// RCODE 2.
    #[error("the server failed")]
    ServerFailure,
    /// RCODE 5.
    #[error("the server refused")]
    Refused,
    /// Nobody answered in time.
    #[error("no answer in time")]
    Timeout,
    /// Another RCODE, or an answer that makes no sense.
    #[error("the answer was broken")]
    Broken,
}

/// Everything the DNS said so far. Many checks may share one: all addresses of a pool do.
#[derive(Debug, Clone, Default)]
pub struct Answers {
    entries: BTreeMap<Query, Entry>,
}

/// An answer and, for text, the SPF record in it.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) answer: Answer,
    pub(super) selection: Selection,
}

/// What RFC 7208 4.5 selects from the TXT records of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Selection {
    /// No record begins with `v=spf1`.
    None,
    /// More than one does.
    Several(usize),
    /// One does, but is not valid.
    Broken(PolicyError),
    /// One does.
    One(Policy),
}

impl Query {
    /// A question for a name in any case, with or without its final dot.
    #[must_use]
    pub fn new(name: &str, kind: RecordKind) -> Self {
        Self { name: undotted(name).to_ascii_lowercase(), kind }
    }
}

impl Answers {
    /// No answers yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds what the DNS said; a later answer to the same query replaces the earlier one.
    pub fn insert(&mut self, query: Query, answer: Answer) {
        let selection = match (&answer, query.kind) {
            (Answer::Records { records, .. }, RecordKind::Txt) => select(records),
            _ => Selection::None,
        };
        self.entries.insert(query, Entry { answer, selection });
    }

    /// What the DNS said to a query, if it was asked.
    #[must_use]
    pub fn answer(&self, query: &Query) -> Option<&Answer> {
        self.entries.get(query).map(|entry| &entry.answer)
    }

    /// The number of queries that have an answer.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing was answered yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn entry(&self, query: &Query) -> Option<&Entry> {
        self.entries.get(query)
    }
}

fn select(records: &[Record]) -> Selection {
    // RFC 7208 4.5: "discard records that do not begin with a version section of exactly "v=spf1""
    let policies: Vec<Vec<u8>> =
        records.iter().filter_map(Record::text).filter(|text| Policy::is_policy(text)).collect();
    match policies.as_slice() {
        [] => Selection::None,
        [one] => Policy::parse(one).map_or_else(Selection::Broken, Selection::One),
        // "If the resultant record set includes more than one record, check_host() produces the "permerror"
        // result."
        several => Selection::Several(several.len()),
    }
}

impl Record {
    /// The kind of record it is.
    #[must_use]
    pub fn kind(&self) -> RecordKind {
        match self {
            Self::A(_) => RecordKind::A,
            Self::Aaaa(_) => RecordKind::Aaaa,
            Self::Mx { .. } => RecordKind::Mx,
            Self::Txt(_) => RecordKind::Txt,
            Self::Ptr(_) => RecordKind::Ptr,
        }
    }

    pub(super) fn address(&self) -> Option<IpAddr> {
        match self {
            Self::A(address) => Some(IpAddr::V4(*address)),
            Self::Aaaa(address) => Some(IpAddr::V6(*address)),
            _ => None,
        }
    }

    /// Preference and name, lower case, no final dot.
    pub(super) fn exchanger(&self) -> Option<(u16, String)> {
        match self {
            Self::Mx { preference, exchange } => Some((*preference, undotted(exchange).to_ascii_lowercase())),
            _ => None,
        }
    }

    pub(super) fn pointed_name(&self) -> Option<&str> {
        match self {
            Self::Ptr(name) => Some(undotted(name)),
            _ => None,
        }
    }

    /// RFC 7208 3.3: "treated as if those strings are concatenated together without adding spaces"
    pub(super) fn text(&self) -> Option<Vec<u8>> {
        match self {
            Self::Txt(strings) => Some(strings.concat()),
            _ => None,
        }
    }
}

fn undotted(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selection(texts: &[&[&str]]) -> Selection {
        let text = |strings: &&[&str]| Record::Txt(strings.iter().map(|s| s.as_bytes().to_vec()).collect());
        select(&texts.iter().map(text).collect::<Vec<_>>())
    }

    #[test]
    fn rfc7208_4_5_one_record_is_selected() {
        let one = Selection::One(Policy::parse(b"v=spf1 mx -all").unwrap());
        assert_eq!(selection(&[&["v=spf1 mx -all"]]), one);
        assert_eq!(selection(&[&["site=1"], &["v=spf10"], &["v=spf1 mx -all"], &[]]), one);
        assert_eq!(selection(&[&["v=spf10 mx"], &[""]]), Selection::None);
        assert_eq!(selection(&[&["v=spf1 -all"], &["V=SPF1 -all"]]), Selection::Several(2));
    }

    #[test]
    fn rfc7208_3_3_strings_are_joined_without_spaces() {
        let one = Selection::One(Policy::parse(b"v=spf1 ip4:192.0.2.1 -all").unwrap());
        assert_eq!(selection(&[&["v=sp", "f1 ip4:192.", "0.2.1 -all"]]), one);
        assert_eq!(selection(&[&["v=spf1", "mx"]]), Selection::None);
    }

    #[test]
    fn rfc7208_3_1_other_records_may_hold_any_octet() {
        let octets = Record::Txt(vec![vec![0x96]]);
        let policy = Record::Txt(vec![b"v=spf1".to_vec()]);
        assert_eq!(select(&[octets, policy]), Selection::One(Policy::default()));
    }

    #[test]
    fn queries_are_lower_case_without_final_dot() {
        assert_eq!(Query::new("MX.Acme.example.", RecordKind::A).name, "mx.acme.example");
    }
}
