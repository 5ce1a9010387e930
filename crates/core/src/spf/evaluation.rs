//! The walk over the records of one check: mechanisms, include, redirect, exp, and the limits.
//! `check` starts one for each replay; `reverse` adds the validated names.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::answers::{Answer, Answers, Query, Record, RecordKind, Selection};
use super::check::{Detail, Identity, Outcome, Progress, SpfResult};
use super::expand::MAX_NAME;
use super::macro_string::DomainSpec;
use super::policy::{Directive, Lengths, Mechanism, Policy, Qualifier};
use super::reverse::MAX_NAMES;
use super::stop::Stop;

/// One replay of check_host() over the answers so far.
pub(super) struct Evaluation<'a> {
    pub(super) ip: IpAddr,
    pub(super) identity: &'a Identity<'a>,
    pub(super) answers: &'a Answers,
    pub(super) detail: Detail,
    pub(super) missing: BTreeSet<Query>,
    pub(super) lookups: u8,
    pub(super) voids: u8,
    pub(super) good_for: u32,
    pub(super) per_address: bool,
    pub(super) per_sender: bool,
    pub(super) depth: usize,
    pub(super) trace: Vec<String>,
}

/// What the record of a domain says.
struct Verdict<'a> {
    result: SpfResult,
    directive: Option<&'a Directive>,
    everyone: bool,
    /// `exp=` of the record that failed, and the domain of that record.
    explanation: Option<(&'a DomainSpec, String)>,
}

/// Whether a mechanism matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hit {
    No,
    Yes,
    /// It matches, as it would for every address.
    Everyone,
}

impl<'a> Evaluation<'a> {
    pub(super) fn new(ip: IpAddr, identity: &'a Identity<'a>, answers: &'a Answers, detail: Detail) -> Self {
        Self {
            // RFC 7208 5: "SPF implementations on IPv6 servers need to handle both "AAAA" and "A" records,
            // for clients on IPv4-mapped IPv6 addresses"
            ip: ip.to_canonical(),
            identity,
            answers,
            detail,
            missing: BTreeSet::new(),
            lookups: 0,
            voids: 0,
            good_for: LONGEST_GOOD_FOR,
            per_address: false,
            per_sender: false,
            depth: 0,
            trace: Vec::new(),
        }
    }

    pub(super) fn run(mut self) -> Progress {
        let (_, domain) = self.identity.sender();
        let domain = domain.strip_suffix('.').unwrap_or(domain);
        let verdict = match self.check_domain(domain) {
            Ok(verdict) => verdict,
            Err(stop) => return self.stopped(&stop),
        };
        let explanation = match &verdict.explanation {
            Some((spec, domain)) if self.detail == Detail::Full => match self.explanation(spec, domain) {
                Ok(explanation) => explanation,
                Err(stop) => return self.stopped(&stop),
            },
            _ => None,
        };
        let mechanism = match verdict.result {
            SpfResult::None => None,
            _ => Some(verdict.directive.map_or_else(|| "default".to_owned(), Directive::to_string)),
        };
        let everyone = verdict.everyone && verdict.result == SpfResult::Pass;
        Progress::Done(Outcome {
            mechanism,
            explanation,
            authorises_everyone: everyone,
            ..self.outcome(verdict.result)
        })
    }

    fn stopped(mut self, stop: &Stop) -> Progress {
        self.say(|| stop.to_string());
        match stop.result() {
            Some(result) => Progress::Done(Outcome { why: Some(stop.to_string()), ..self.outcome(result) }),
            None => Progress::Missing {
                queries: self.missing.into_iter().collect(),
                per_address: self.per_address,
            },
        }
    }

    fn outcome(self, result: SpfResult) -> Outcome {
        Outcome {
            result,
            mechanism: None,
            lookups: self.lookups,
            voids: self.voids,
            explanation: None,
            why: None,
            good_for: self.good_for,
            per_address: self.per_address,
            per_sender: self.per_sender,
            authorises_everyone: false,
            trace: self.trace,
        }
    }

    /// check_host() for one domain, redirects followed.
    ///
    /// INVARIANT: every turn after the first and every call from `include` has taken one of the ten lookups
    /// of RFC 7208 4.6.4, so loop and recursion end after at most ten.
    fn check_domain(&mut self, domain: &str) -> Result<Verdict<'a>, Stop> {
        let mut domain = domain.to_owned();
        let mut referrer = None;
        loop {
            let Some(policy) = self.policy(&domain)? else {
                // RFC 7208 6.1: "if no SPF record is found, or if the <target-name> is malformed, the result
                // is a "permerror" rather than "none""
                let none = Verdict::undecided(SpfResult::None);
                return referrer.map_or(Ok(none), |referrer| Err(dead_end(referrer, domain)));
            };
            if let Some(verdict) = self.walk(policy, &domain)? {
                return Ok(verdict);
            }
            // An `all` always matches, so this line is reached only without one. RFC 7208 6.1: "Any
            // "redirect" modifier MUST be ignored if there is an "all" mechanism anywhere in the record."
            let Some(spec) = &policy.redirect else {
                self.say(|| format!("{domain}: no mechanism matches: neutral"));
                // RFC 7208 4.7: "then the check_host() returns a result of "neutral""
                return Ok(Verdict::undecided(SpfResult::Neutral));
            };
            self.take_lookup()?;
            let target = self.target(Some(spec), &domain)?;
            self.say(|| format!("{domain}: redirect to {target}"));
            referrer = Some(std::mem::replace(&mut domain, target));
        }
    }

    /// The SPF record of a domain (RFC 7208 4.3 to 4.5). `None`: there is no domain or no record. That is not
    /// counted as void: where a term leads to it, it is a permerror anyway.
    fn policy(&mut self, domain: &str) -> Result<Option<&'a Policy>, Stop> {
        if !is_domain(domain) {
            self.say(|| format!("{domain}: no domain name"));
            return Ok(None);
        }
        let query = Query::new(domain, RecordKind::Txt);
        let entry = self.entry(&query)?;
        // RFC 7208 4.4: "If the DNS lookup returns a server failure (RCODE 2) or some other error (RCODE
        // other than 0 or 3), or if the lookup times out, then check_host() terminates immediately with the
        // result "temperror"."
        if let Answer::Failed(failure) = entry.answer {
            return Err(Stop::Failed { query, failure });
        }
        match &entry.selection {
            Selection::None => {
                self.say(|| format!("{domain}: no SPF record"));
                Ok(None)
            }
            Selection::Several(count) => Err(Stop::Several { domain: domain.to_owned(), count: *count }),
            Selection::Broken(cause) => Err(Stop::Broken { domain: domain.to_owned(), cause: cause.clone() }),
            Selection::One(policy) => Ok(Some(policy)),
        }
    }

    /// RFC 7208 4.6.2: "Each mechanism is considered in turn from left to right."
    fn walk(&mut self, policy: &'a Policy, domain: &str) -> Result<Option<Verdict<'a>>, Stop> {
        for (position, directive) in policy.directives.iter().enumerate() {
            let hit = self.test(&directive.mechanism, domain).inspect_err(|stop| {
                if *stop == Stop::Missing {
                    self.look_ahead(policy, position + 1, domain);
                }
            })?;
            if hit == Hit::No {
                self.say(|| format!("{domain}: {directive} does not match"));
                continue;
            }
            let result = result_of(directive.qualifier);
            self.say(|| format!("{domain}: {directive} matches: {result}"));
            // RFC 7208 6.2: "If check_host() results in a "fail" due to a mechanism match"
            let explanation = policy.explanation.as_ref().filter(|_| result == SpfResult::Fail);
            return Ok(Some(Verdict {
                result,
                directive: Some(directive),
                everyone: hit == Hit::Everyone,
                explanation: explanation.map(|spec| (spec, domain.to_owned())),
            }));
        }
        Ok(None)
    }

    fn test(&mut self, mechanism: &'a Mechanism, domain: &str) -> Result<Hit, Stop> {
        if mechanism.needs_lookup() {
            self.take_lookup()?;
        }
        match mechanism {
            Mechanism::All => Ok(Hit::Everyone),
            Mechanism::Ip4(network, length) => Ok(within(self.ip, IpAddr::V4(*network), *length)),
            Mechanism::Ip6(network, length) => Ok(within(self.ip, IpAddr::V6(*network), *length)),
            Mechanism::Include(spec) => self.include(spec, domain),
            Mechanism::A(spec, lengths) => {
                let name = self.target(spec.as_ref(), domain)?;
                self.address_of(&name, *lengths)
            }
            Mechanism::Mx(spec, lengths) => {
                let name = self.target(spec.as_ref(), domain)?;
                self.exchanger_of(&name, *lengths)
            }
            Mechanism::Ptr(spec) => {
                self.per_address = true;
                let name = self.target(spec.as_ref(), domain)?;
                Ok(if self.has_name_within(&name)? { Hit::Yes } else { Hit::No })
            }
            Mechanism::Exists(spec) => {
                self.per_address = true;
                let name = self.target(Some(spec), domain)?;
                // RFC 7208 5.7: "used for a DNS A RR lookup (even when the connection type is IPv6). If any A
                // record is returned, this mechanism matches."
                let records = self.records(&name, RecordKind::A)?;
                Ok(if records.is_empty() { Hit::No } else { Hit::Yes })
            }
        }
    }

    /// RFC 7208 5.2: the table of recursive results.
    fn include(&mut self, spec: &'a DomainSpec, domain: &str) -> Result<Hit, Stop> {
        let target = self.target(Some(spec), domain)?;
        self.depth += 1;
        let verdict = self.check_domain(&target)?;
        self.depth -= 1;
        match verdict.result {
            SpfResult::Pass if verdict.everyone => Ok(Hit::Everyone),
            SpfResult::Pass => Ok(Hit::Yes),
            SpfResult::Fail | SpfResult::SoftFail | SpfResult::Neutral => Ok(Hit::No),
            SpfResult::None | SpfResult::PermError | SpfResult::TempError => {
                Err(dead_end(domain.to_owned(), target))
            }
        }
    }

    /// RFC 7208 5.3: "The <ip> is compared to the returned address(es). If any address matches, the mechanism
    /// matches."
    fn address_of(&mut self, name: &str, lengths: Lengths) -> Result<Hit, Stop> {
        let length = if self.ip.is_ipv4() { lengths.v4 } else { lengths.v6 };
        let addresses = self.records(name, self.address_kind())?.iter().filter_map(Record::address);
        let mut hits = addresses.map(|address| within(self.ip, address, length));
        Ok(hits.find(|hit| *hit != Hit::No).unwrap_or(Hit::No))
    }

    /// RFC 7208 5.4: "If the <target-name> has no MX record, check_host() MUST NOT apply the implicit MX
    /// rules"
    fn exchanger_of(&mut self, name: &str, lengths: Lengths) -> Result<Hit, Stop> {
        let mut exchangers: Vec<(u16, String)> =
            self.records(name, RecordKind::Mx)?.iter().filter_map(Record::exchanger).collect();
        // RFC 7208 4.6.4: "MUST NOT result in querying more than 10 address records [...] If this limit is
        // exceeded, the "mx" mechanism MUST produce a "permerror" result." Counted up front, or the result
        // would hang on their order.
        if exchangers.len() > MAX_NAMES {
            return Err(Stop::Exchangers { name: name.to_owned(), count: exchangers.len() });
        }
        exchangers.sort_unstable();
        self.need_addresses(&exchangers.iter().map(|(_, exchange)| exchange.as_str()).collect::<Vec<_>>())?;
        for (_, exchange) in &exchangers {
            let hit = self.address_of(exchange, lengths)?;
            if hit != Hit::No {
                return Ok(hit);
            }
        }
        Ok(Hit::No)
    }
}

impl Verdict<'_> {
    /// No directive spoke.
    fn undecided(result: SpfResult) -> Self {
        Self { result, directive: None, everyone: false, explanation: None }
    }
}

/// `include` or `redirect` leads to where no record is.
fn dead_end(domain: String, target: String) -> Stop {
    if is_domain(&target) { Stop::NoRecord { domain, target } } else { Stop::NoDomain { domain, target } }
}

/// RFC 7208 4.6.2: the results that the qualifiers cause.
fn result_of(qualifier: Qualifier) -> SpfResult {
    match qualifier {
        Qualifier::Pass => SpfResult::Pass,
        Qualifier::Fail => SpfResult::Fail,
        Qualifier::SoftFail => SpfResult::SoftFail,
        Qualifier::Neutral => SpfResult::Neutral,
    }
}

/// RFC 7208 5: "only the specified number of high-order bits of <ip> and the IP address are compared for
/// equality"
pub(super) fn within(ip: IpAddr, network: IpAddr, length: u8) -> Hit {
    let length = u32::from(length);
    let same = match (ip, network) {
        (IpAddr::V4(ip), IpAddr::V4(network)) => {
            (ip.to_bits() ^ network.to_bits()).checked_shr(32_u32.saturating_sub(length)).unwrap_or(0) == 0
        }
        (IpAddr::V6(ip), IpAddr::V6(network)) => {
            (ip.to_bits() ^ network.to_bits()).checked_shr(128_u32.saturating_sub(length)).unwrap_or(0) == 0
        }
        _ => false,
    };
    match (same, length) {
        (false, _) => Hit::No,
        (true, 0) => Hit::Everyone,
        (true, _) => Hit::Yes,
    }
}

/// RFC 7208 4.3: not "malformed (e.g., label longer than 63 characters, zero-length label not at the end,
/// etc.)" and a "multi-label domain name". Octets outside of printable ASCII are malformed, too: nobody can
/// publish for them.
pub(super) fn is_domain(name: &str) -> bool {
    name.len() <= MAX_NAME
        && name.contains('.')
        && !name.starts_with('[')
        && name.split('.').all(|label| (1..=63).contains(&label.len()))
        && name.bytes().all(|octet| (b' '..=b'~').contains(&octet))
}

/// A result is never called good for longer than a day, in seconds.
const LONGEST_GOOD_FOR: u32 = 86_400;
