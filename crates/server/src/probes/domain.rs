//! `domain.exists`: whether the author's domain exists and takes part in mail.
//! NXDOMAIN, NODATA and SERVFAIL are three answers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use countersign_core::address::Domain;
use countersign_core::evidence::{Evidence, Finding, Kind, Why};

use super::facts::Facts;
use super::{Answer, Case, Slow};
use crate::net::{DomainFacts, Resolver};

/// Asks whether domains exist, and remembers.
pub struct DomainExists {
    resolver: Arc<Resolver>,
    facts: Facts<Domain, DomainFacts>,
}

impl DomainExists {
    #[must_use]
    pub fn new(resolver: Arc<Resolver>) -> Self {
        Self { resolver, facts: Facts::default() }
    }

    async fn fact(&self, domain: Domain) -> (DomainFacts, Duration) {
        let (resolver, name) = (Arc::clone(&self.resolver), domain.to_string());
        let ask = async move {
            let fact = resolver.domain_facts(&name).await;
            let good_for = good_for(&fact);
            (fact, good_for)
        };
        self.facts.of(domain, ask).await
    }
}

impl Slow for DomainExists {
    fn kind(&self) -> Kind {
        Kind::DomainExists
    }

    fn look<'a>(&'a self, case: &'a Case) -> Answer<'a> {
        Box::pin(async move {
            let found = |finding| Evidence::new(Kind::DomainExists, finding, "dns", case.at());
            let Some(Ok(mailbox)) = case.submission().map(|submission| submission.message.from()) else {
                return found(Finding::Unknown(Why::NotAsked));
            };
            let began = Instant::now();
            let domain = mailbox.address.domain();
            let (fact, good_for) = self.fact(domain.clone()).await;
            let (finding, detail) = reading(&fact);
            let cost = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
            let found = found(finding).good_until(case.after(good_for));
            found.detail(detail).with("domain", domain.to_string()).with("cost_us", cost)
        })
    }
}

fn reading(fact: &DomainFacts) -> (Finding, &'static str) {
    match fact {
        DomainFacts::Mail { .. } => (Finding::Pass, "mx"),
        DomainFacts::AddressOnly { .. } => (Finding::Pass, "address"),
        // RFC 7505 4.2: a domain that takes no mail should not send any.
        DomainFacts::NullMx { .. } => (Finding::Fail, "null-mx"),
        DomainFacts::NoData { .. } => (Finding::Fail, "nodata"),
        DomainFacts::NxDomain { .. } => (Finding::Fail, "nxdomain"),
        DomainFacts::Unavailable(_) => (Finding::Unknown(Why::Unavailable), "servfail"),
        DomainFacts::Timeout => (Finding::Unknown(Why::Timeout), "timeout"),
    }
}

fn good_for(fact: &DomainFacts) -> Duration {
    match fact {
        DomainFacts::Mail { ttl } | DomainFacts::AddressOnly { ttl } => {
            Duration::from_secs(u64::from(*ttl).min(LONGEST))
        }
        // A refusal rests on a fresh answer: a domain that has just been made must not wait for a negative TTL.
        DomainFacts::NullMx { ttl } | DomainFacts::NoData { ttl } | DomainFacts::NxDomain { ttl } => {
            Duration::from_secs(u64::from(*ttl)).min(UNKNOWN)
        }
        DomainFacts::Unavailable(_) | DomainFacts::Timeout => UNKNOWN,
    }
}

/// A fact is good until min(TTL, 300 s); one that refuses or is unknown for 5 s.
pub(super) const LONGEST: u64 = 300;
pub(super) const UNKNOWN: Duration = Duration::from_secs(5);
