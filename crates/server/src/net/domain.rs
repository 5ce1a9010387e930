//! What DNS says about a domain as a sender of mail: does it exist, and does it take mail?
//! Called by the probe `domain.exists`.

use super::record::{Answer, Record, RecordKind};
use super::resolver::Resolver;

/// Each outcome leads to another reply, so none is folded into another. Times to live in seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DomainFacts {
    /// It names hosts that take its mail.
    Mail {
        ttl: u32,
    },
    /// No MX record, but an address: an implicit MX.
    AddressOnly {
        ttl: u32,
    },
    /// It says that it takes no mail.
    NullMx {
        ttl: u32,
    },
    /// The name exists, with neither MX nor address.
    NoData {
        ttl: u32,
    },
    NxDomain {
        ttl: u32,
    },
    Unavailable(String),
    Timeout,
}

impl Resolver {
    /// MX first, then the addresses: at most three lookups, two of them side by side.
    pub async fn domain_facts(&self, domain: &str) -> DomainFacts {
        match self.look_up(domain, RecordKind::Mx).await {
            // RFC 7505 3: "a single MX RR ... with an RDATA section consisting of preference number
            // 0 and a zero-length label"
            Answer::Records { records, ttl } if records.iter().all(is_null) => DomainFacts::NullMx { ttl },
            Answer::Records { ttl, .. } => DomainFacts::Mail { ttl },
            Answer::NoData { ttl } => self.addresses(domain, ttl).await,
            Answer::NxDomain { ttl } => DomainFacts::NxDomain { ttl },
            Answer::Unavailable(cause) => DomainFacts::Unavailable(cause),
            Answer::Timeout => DomainFacts::Timeout,
        }
    }

    /// RFC 5321 5.1: "If an empty list of MXs is returned, the address is treated as if it was
    /// associated with an implicit MX RR with a preference of 0, pointing to that host."
    async fn addresses(&self, domain: &str, mx_ttl: u32) -> DomainFacts {
        let (four, six) =
            tokio::join!(self.look_up(domain, RecordKind::A), self.look_up(domain, RecordKind::Aaaa));
        match (four, six) {
            (Answer::Records { ttl, .. }, _) | (_, Answer::Records { ttl, .. }) => {
                DomainFacts::AddressOnly { ttl: ttl.min(mx_ttl) }
            }
            (Answer::Unavailable(cause), _) | (_, Answer::Unavailable(cause)) => {
                DomainFacts::Unavailable(cause)
            }
            (Answer::Timeout, _) | (_, Answer::Timeout) => DomainFacts::Timeout,
            // A server that says NXDOMAIN here has just said that the name exists.
            (
                Answer::NoData { ttl: four } | Answer::NxDomain { ttl: four },
                Answer::NoData { ttl: six } | Answer::NxDomain { ttl: six },
            ) => DomainFacts::NoData { ttl: four.min(six).min(mx_ttl) },
        }
    }
}

/// A mixture of null and real exchanges counts as real: only the real ones can be tried.
fn is_null(record: &Record) -> bool {
    matches!(record, Record::Mx { exchange, .. } if exchange == ".")
}
