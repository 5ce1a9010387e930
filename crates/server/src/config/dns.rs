//! `[dns]`: whom we ask, and how long we wait.
//! `checked` reads it; the resolver is built from it.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::notes::Noted;
use super::reader::Reader;

/// `[dns]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dns {
    /// Whom we ask.
    pub resolvers: Resolvers,
    /// Whom we ask before a refusal.
    pub authoritative: Authoritative,
    /// How long one query may take.
    pub timeout: Duration,
    /// How long all queries for one message may take.
    pub budget: Duration,
}

/// Whom we ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolvers {
    /// Those of the machine.
    System,
    /// These, over UDP and TCP.
    List(Vec<SocketAddr>),
}

/// Whom we ask before a refusal that rests on a name not being there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authoritative {
    /// The resolver once more.
    ViaResolver,
    /// The servers of the zone.
    Direct,
}

impl Dns {
    pub(super) fn read(dns: Reader<'_>) -> Result<Self, Noted> {
        let resolvers = Self::resolvers(dns);
        let authoritative = dns.choose(
            "authoritative",
            &[("via-resolver", Authoritative::ViaResolver), ("direct", Authoritative::Direct)],
        );
        let timeout = dns.count("timeout_ms").map(Duration::from_millis);
        let budget = dns.count("budget_ms").map(Duration::from_millis);
        Ok(Self { resolvers: resolvers?, authoritative: authoritative?, timeout: timeout?, budget: budget? })
    }

    fn resolvers(dns: Reader<'_>) -> Result<Resolvers, Noted> {
        if dns.text("resolvers")? == Some("system") {
            return Ok(Resolvers::System);
        }
        let list = dns.list("resolvers", parse_resolver)?;
        match list.is_empty() {
            true => Err(dns.wrong("resolvers", "is an empty list: name one, or write `\"system\"`")),
            false => Ok(Resolvers::List(list)),
        }
    }
}

/// An address, with port 53 when it has none.
fn parse_resolver(text: &str) -> Result<SocketAddr, String> {
    let bare = text.parse::<IpAddr>().map(|address| SocketAddr::new(address, 53));
    bare.or_else(|_| text.parse()).map_err(|_| {
        "`\"system\"` or a list of addresses is allowed, as in `[\"127.0.0.1:5300\"]`".to_owned()
    })
}
