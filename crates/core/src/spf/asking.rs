//! Asking for names within the limits of RFC 7208 4.6.4, and the trace of what was done.
//! The walk in `evaluation` calls it for every term that needs the DNS.

use std::net::IpAddr;

use super::answers::{Answer, Entry, Query, Record, RecordKind};
use super::check::Detail;
use super::evaluation::{Evaluation, Hit, is_domain, within};
use super::macro_string::{DomainSpec, Part};
use super::policy::{Mechanism, Policy};
use super::stop::Stop;

impl<'a> Evaluation<'a> {
    /// The records of a kind; none when there are none, which counts as void.
    pub(super) fn records(&mut self, name: &str, kind: RecordKind) -> Result<&'a [Record], Stop> {
        // RFC 7208 4.8 leaves names such as `foo..example` open. They match nothing, and nobody is asked for
        // them.
        if !is_domain(name) {
            return Ok(&[]);
        }
        let query = Query::new(name, kind);
        match &self.entry(&query)?.answer {
            Answer::Records { records, .. } if records.iter().any(|record| record.kind() == kind) => {
                Ok(records)
            }
            // RFC 7208 5: "If the server returns "Name Error" (RCODE 3), then evaluation of the mechanism
            // continues as if the server returned no error (RCODE 0) and zero answer records."
            Answer::Records { .. } | Answer::NxDomain { .. } | Answer::NoData { .. } => {
                self.take_void()?;
                Ok(&[])
            }
            // "the mechanism stops and the topmost check_host() returns "temperror""
            Answer::Failed(failure) => Err(Stop::Failed { query, failure: *failure }),
        }
    }

    /// The answer to a query, which then limits how long the result is good for.
    pub(super) fn entry(&mut self, query: &Query) -> Result<&'a Entry, Stop> {
        let Some(entry) = self.answers.entry(query) else {
            self.missing.insert(query.clone());
            return Err(Stop::Missing);
        };
        let ttl = match entry.answer {
            Answer::Records { ttl, .. } | Answer::NxDomain { ttl } | Answer::NoData { ttl } => ttl,
            Answer::Failed(_) => 0,
        };
        self.good_for = self.good_for.min(ttl);
        Ok(entry)
    }

    /// Stops unless the addresses of all names are known, so that they are asked for together.
    pub(super) fn need_addresses(&mut self, names: &[&str]) -> Result<(), Stop> {
        let kind = self.address_kind();
        let queries = names.iter().filter(|name| is_domain(name)).map(|name| Query::new(name, kind));
        let missing: Vec<Query> = queries.filter(|query| self.answers.entry(query).is_none()).collect();
        if missing.is_empty() {
            return Ok(());
        }
        self.missing.extend(missing);
        Err(Stop::Missing)
    }

    /// RFC 7208 5: "when <ip> is an IPv4, "A" records are fetched; when <ip> is an IPv6 address, "AAAA"
    /// records"
    pub(super) fn address_kind(&self) -> RecordKind {
        match self.ip {
            IpAddr::V4(_) => RecordKind::A,
            IpAddr::V6(_) => RecordKind::Aaaa,
        }
    }

    /// While an answer is missing: asks for what the terms from `position` on will need, so that one round of
    /// questions serves a flat list of includes. Only names without macros, and only within the limit of ten
    /// lookups.
    pub(super) fn look_ahead(&mut self, policy: &Policy, position: usize, domain: &str) {
        let mut left = MAX_LOOKUPS.saturating_sub(self.lookups);
        for directive in policy.directives.iter().skip(position) {
            let (spec, kind) = match &directive.mechanism {
                Mechanism::Include(spec) => (Some(spec), RecordKind::Txt),
                Mechanism::A(spec, _) => (spec.as_ref(), self.address_kind()),
                Mechanism::Mx(spec, _) => (spec.as_ref(), RecordKind::Mx),
                Mechanism::Exists(spec) => (Some(spec), RecordKind::A),
                Mechanism::Ptr(spec) => (spec.as_ref(), RecordKind::Ptr),
                Mechanism::Ip4(network, length) if within(self.ip, (*network).into(), *length) == Hit::No => {
                    continue;
                }
                Mechanism::Ip6(network, length) if within(self.ip, (*network).into(), *length) == Hit::No => {
                    continue;
                }
                // Nothing behind a certain match will be evaluated.
                Mechanism::All | Mechanism::Ip4(..) | Mechanism::Ip6(..) => return,
            };
            self.ask_ahead(spec, kind, domain, &mut left);
        }
        if let Some(spec) = &policy.redirect {
            self.ask_ahead(Some(spec), RecordKind::Txt, domain, &mut left);
        }
    }

    fn ask_ahead(&mut self, spec: Option<&DomainSpec>, kind: RecordKind, domain: &str, left: &mut u8) {
        let name = match spec.map(DomainSpec::parts) {
            None => domain,
            Some([Part::Literal(name)]) => name,
            Some(_) => "",
        };
        let query = Query::new(name, kind);
        let wanted = *left > 0 && kind != RecordKind::Ptr && is_domain(&query.name);
        *left = left.saturating_sub(1);
        if wanted && self.answers.entry(&query).is_none() {
            self.missing.insert(query);
        }
    }

    /// Takes one of the ten lookups.
    pub(super) fn take_lookup(&mut self) -> Result<(), Stop> {
        self.lookups = self.lookups.saturating_add(1);
        // RFC 7208 4.6.4: "SPF implementations MUST limit the total number of those terms to 10 during SPF
        // evaluation, to avoid unreasonable load on the DNS. If this limit is exceeded, the implementation
        // MUST return "permerror"."
        if self.lookups > MAX_LOOKUPS { Err(Stop::Lookups) } else { Ok(()) }
    }

    /// Counts a lookup that found nothing. Names that PTR records give are not counted: the domain did not
    /// choose them.
    pub(super) fn take_void(&mut self) -> Result<(), Stop> {
        self.voids = self.voids.saturating_add(1);
        // RFC 7208 4.6.4: "SPF implementations SHOULD limit "void lookups" to two. [...] Exceeding the limit
        // produces a "permerror" result."
        if self.voids > MAX_VOIDS { Err(Stop::Voids) } else { Ok(()) }
    }

    /// Adds a line to the trace, indented by the depth of includes.
    pub(super) fn say(&mut self, line: impl FnOnce() -> String) {
        if self.detail == Detail::Full && self.trace.len() < MAX_TRACE {
            let indent = "  ".repeat(self.depth);
            self.trace.push(format!("{indent}{}", line()));
        }
    }
}

/// RFC 7208 4.6.4.
const MAX_LOOKUPS: u8 = 10;

/// RFC 7208 4.6.4.
const MAX_VOIDS: u8 = 2;

/// Lines of a trace; a record may hold thousands of terms.
const MAX_TRACE: usize = 256;
