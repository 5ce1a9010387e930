//! The resolver: asks name servers with one deadline for each lookup and remembers nothing of them.
//! Called by the probes. NXDOMAIN, NODATA, a failing server and silence are four different answers.

use std::net::SocketAddr;
use std::time::Duration;

use hickory_proto::op::{Message, Query, ResponseCode};
use hickory_proto::rr::{DNSClass, Name, RData, Record as WireRecord, RecordType};
use hickory_resolver::system_conf::read_system_conf;
use thiserror::Error;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::exchange::{ExchangeError, exchange};
use super::record::wire_name;
pub use super::record::{Answer, Record, RecordKind};

/// Whom to ask, how long, how often.
#[derive(Debug, Clone)]
pub struct DnsSettings {
    pub servers: Servers,
    /// The deadline of one lookup over all attempts, servers and aliases.
    pub timeout: Duration,
    /// How often each server is asked within the deadline.
    pub attempts: u32,
}

/// Which name servers are asked. They must be recursive, or know every name that matters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Servers {
    /// Those of `/etc/resolv.conf`, as it is when the resolver is made. Its search list is not used.
    System,
    These(Vec<SocketAddr>),
}

/// Why there is no resolver.
#[derive(Debug, Error)]
pub enum ResolverError {
    #[error("name servers of the system cannot be read: {0} (name them under `[dns] servers`)")]
    System(String),
    #[error("no name server is set (name one under `[dns] servers`)")]
    NoServer,
}

/// Asks name servers. Lookups are independent of each other: a server that was dead a moment ago
/// is asked like any other.
#[derive(Debug)]
pub struct Resolver {
    servers: Vec<SocketAddr>,
    timeout: Duration,
    attempts: usize,
    in_flight: Semaphore,
}

impl Resolver {
    pub fn new(settings: &DnsSettings) -> Result<Self, ResolverError> {
        let servers = match &settings.servers {
            Servers::These(servers) => servers.clone(),
            Servers::System => system_servers()?,
        };
        if servers.is_empty() {
            return Err(ResolverError::NoServer);
        }
        Ok(Self {
            servers,
            timeout: settings.timeout,
            attempts: usize::try_from(settings.attempts.max(1)).unwrap_or(1),
            in_flight: Semaphore::new(IN_FLIGHT),
        })
    }

    /// Asks for the records of one kind. The name is absolute with or without its final dot. A name
    /// that cannot exist (an empty label, one over 63 octets) is `NxDomain` and is not asked.
    pub async fn look_up(&self, name: &str, kind: RecordKind) -> Answer {
        let Some(name) = wire_name(name) else { return Answer::NxDomain { ttl: 0 } };
        timeout(self.timeout, self.follow(name, kind)).await.unwrap_or(Answer::Timeout)
    }

    /// Follows aliases (CNAME) whose end the server did not include in its answer.
    async fn follow(&self, mut name: Name, kind: RecordKind) -> Answer {
        let Ok(_permit) = self.in_flight.acquire().await else { return Answer::Timeout };
        let mut ttl = u32::MAX;
        for _ in 0..=ALIASES {
            let answer = match self.ask(&name, kind).await {
                Ok(answer) => answer,
                Err(failure) => return Answer::Unavailable(failure),
            };
            match read(&answer, &name, kind) {
                Reading::End(answer) => return answer.at_most(ttl),
                Reading::Alias { target, ttl: seconds } => (name, ttl) = (target, ttl.min(seconds)),
            }
        }
        Answer::Unavailable(format!("more than {ALIASES} aliases follow each other"))
    }

    /// Asks one server after the other, each as often as set. Earlier tries stay open while later
    /// ones run, and the first good answer wins; a failure starts the next try at once.
    async fn ask(&self, name: &Name, kind: RecordKind) -> Result<Message, String> {
        let count = self.servers.len().saturating_mul(self.attempts);
        let mut servers = self.servers.iter().cycle().take(count).copied();
        let pause = (self.timeout / u32::try_from(count).unwrap_or(u32::MAX)).min(LONGEST_PAUSE);
        let mut tries: JoinSet<Result<Message, ExchangeError>> = JoinSet::new();
        let mut failure = String::new();
        loop {
            let next = servers.next();
            let last = next.is_none();
            if let Some(server) = next {
                tries.spawn(exchange(server, Query::query(name.clone(), kind.wire())));
            }
            tokio::select! {
                done = tries.join_next() => match done {
                    Some(Ok(Ok(answer))) => return Ok(answer),
                    Some(Ok(Err(error))) => failure = error.to_string(),
                    Some(Err(error)) => failure = error.to_string(),
                    None => return Err(failure),
                },
                () = sleep(pause), if !last => {}
            }
        }
    }
}

impl Answer {
    fn at_most(self, limit: u32) -> Self {
        match self {
            Self::Records { records, ttl } => Self::Records { records, ttl: ttl.min(limit) },
            Self::NxDomain { ttl } => Self::NxDomain { ttl: ttl.min(limit) },
            Self::NoData { ttl } => Self::NoData { ttl: ttl.min(limit) },
            Self::Unavailable(_) | Self::Timeout => self,
        }
    }
}

fn system_servers() -> Result<Vec<SocketAddr>, ResolverError> {
    let (config, _) = read_system_conf().map_err(|cause| ResolverError::System(cause.to_string()))?;
    let port = 53;
    let mut servers: Vec<_> =
        config.name_servers().iter().map(|server| SocketAddr::new(server.ip, port)).collect();
    servers.dedup();
    Ok(servers)
}

/// What one message says about a name.
enum Reading {
    End(Answer),
    Alias { target: Name, ttl: u32 },
}

fn read(message: &Message, name: &Name, kind: RecordKind) -> Reading {
    let mut owner = name;
    let mut ttl = u32::MAX;
    for _ in 0..=ALIASES {
        let found: Vec<_> = owned(message, owner, kind.wire()).collect();
        if !found.is_empty() {
            return Reading::End(records(&found).at_most(ttl));
        }
        let Some((alias, target)) = alias_of(message, owner) else { break };
        ttl = ttl.min(seconds(alias.ttl));
        owner = target;
    }
    let negative = negative_ttl(message);
    let end = match (message.metadata.response_code, negative) {
        (ResponseCode::NXDomain, _) => Answer::NxDomain { ttl: negative.unwrap_or(0) },
        // The server gave the alias and stopped: its end is still to be asked.
        (_, None) if owner != name => return Reading::Alias { target: owner.clone(), ttl },
        (_, negative) => Answer::NoData { ttl: negative.unwrap_or(0) },
    };
    Reading::End(end.at_most(ttl))
}

fn records(found: &[&WireRecord]) -> Answer {
    if found.len() > MOST_RECORDS {
        return Answer::Unavailable(format!("more than {MOST_RECORDS} records in one answer"));
    }
    let ttl = found.iter().map(|record| seconds(record.ttl)).min().unwrap_or(0);
    Answer::Records {
        records: found.iter().filter_map(|record| Record::from_wire(&record.data)).collect(),
        ttl,
    }
}

fn owned<'a>(message: &'a Message, owner: &Name, kind: RecordType) -> impl Iterator<Item = &'a WireRecord> {
    message.answers.iter().filter(move |record| {
        record.name == *owner && record.record_type() == kind && record.dns_class == DNSClass::IN
    })
}

fn alias_of<'a>(message: &'a Message, owner: &Name) -> Option<(&'a WireRecord, &'a Name)> {
    owned(message, owner, RecordType::CNAME).find_map(|record| match &record.data {
        RData::CNAME(target) => Some((record, &target.0)),
        _ => None,
    })
}

/// RFC 2308 5: "the minimum of the SOA.MINIMUM field and SOA's TTL"
fn negative_ttl(message: &Message) -> Option<u32> {
    message.authorities.iter().find_map(|record| match &record.data {
        RData::SOA(soa) => Some(seconds(soa.minimum).min(seconds(record.ttl))),
        _ => None,
    })
}

/// RFC 2181 8: "treat TTL values received with the most significant bit set as if the entire value
/// received was zero"
const fn seconds(ttl: u32) -> u32 {
    if ttl > i32::MAX.unsigned_abs() { 0 } else { ttl }
}

const ALIASES: usize = 8;
const MOST_RECORDS: usize = 512;
const IN_FLIGHT: usize = 256;
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests;
