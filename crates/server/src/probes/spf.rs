//! `spf`: whether every address from which the mail would leave is authorised, for From and for MAIL FROM.
//! The result for a domain and a pool is a fact, good until min(TTL, 300 s).

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use countersign_core::address::Domain;
use countersign_core::evidence::{Evidence, Finding, Kind, Strength, Why};
use countersign_core::ids::AccountId;
use countersign_core::spf::{
    Answers, Failure, Identity, PoolOutcome, PoolStep, Query, Record, RecordKind, SpfResult, pool,
};
use jiff::{SignedDuration, Timestamp};

use super::domain::{LONGEST, UNKNOWN};
use super::facts::Facts;
use super::{Answer, Case, Slow, Way};
use crate::net::{Resolver, record};

/// Checks SPF for our way out, and remembers.
pub struct Spf {
    resolver: Arc<Resolver>,
    facts: Facts<Key, Fact>,
    /// When it passed, by account and domain, since this process began; the store knows of before.
    /// The author's domain is also written down; another one of MAIL FROM is remembered here only.
    passes: Mutex<HashMap<(AccountId, String), Timestamp>>,
    /// An evaluation that takes longer is `unknown`.
    patience: Duration,
}

/// The sender that was checked, and the pool.
type Key = (String, String);

/// What came of one check of one identity.
#[derive(Debug, Clone)]
struct Fact {
    sender: String,
    checked: Checked,
}

/// What came of a check of all addresses of a pool.
#[derive(Debug, Clone)]
pub enum Checked {
    Known(PoolOutcome),
    /// The record depends on the address, and the pool is too large to ask for each.
    Budget,
    /// It took too long.
    Late,
}

impl Spf {
    #[must_use]
    pub fn new(resolver: Arc<Resolver>, patience: Duration) -> Self {
        Self { resolver, facts: Facts::default(), passes: Mutex::default(), patience }
    }

    /// Forgets what it knows.
    pub fn forget(&self) {
        self.facts.clear();
    }

    async fn fact(&self, sender: &str, case: &Case) -> (Fact, Duration) {
        let key = (sender.to_owned(), case.way.pool.clone());
        let check = check(
            Arc::clone(&self.resolver),
            sender.to_owned(),
            Arc::clone(&case.way),
            case.at(),
            self.patience,
        );
        self.facts.of(key, check).await
    }

    async fn evidence(&self, case: &Case) -> Evidence {
        let found = |finding| Evidence::new(Kind::Spf, finding, "dns", case.at());
        let Some(senders) = senders(case) else { return found(Finding::Unknown(Why::NotAsked)) };
        if case.way.egress.is_empty() {
            return found(Finding::Unknown(Why::NotConfigured));
        }
        let began = Instant::now();
        let facts =
            futures_util::future::join_all(senders.iter().map(|sender| self.fact(sender, case))).await;
        let cost = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        facts.iter().filter(|(fact, _)| fact.passed()).for_each(|(fact, _)| self.remember(fact, case));
        // What rests on several facts is good as long as the first of them.
        let good_for = facts.iter().map(|(_, good_for)| *good_for).min().unwrap_or_default();
        let worst = facts.into_iter().map(|(fact, _)| fact).max_by_key(rank);
        match worst {
            Some(fact) => self.read(&fact, case).with("cost_us", cost).good_until(case.after(good_for)),
            None => found(Finding::Unknown(Why::NotAsked)),
        }
    }

    fn read(&self, fact: &Fact, case: &Case) -> Evidence {
        let found = |finding| Evidence::new(Kind::Spf, finding, "dns", case.at());
        let domain = fact.domain();
        let known = match &fact.checked {
            Checked::Known(known) => known,
            Checked::Budget => return found(Finding::Unknown(Why::Budget)).with("domain", domain),
            Checked::Late => return found(Finding::Unknown(Why::Timeout)).with("domain", domain),
        };
        let outcome = &known.outcome;
        let evidence = match outcome.result {
            SpfResult::Pass if outcome.authorises_everyone => found(Finding::Fail).detail("everyone"),
            SpfResult::Pass => self.written_down(found(Finding::Pass).strength(Strength::Proved), case),
            SpfResult::TempError => found(Finding::Unknown(Why::Unavailable)),
            _ if self.lately_passed(domain, case) => found(Finding::Fail).detail("lost"),
            result => found(Finding::Fail).detail(result.as_str()),
        };
        evidence
            .with("result", outcome.result.as_str())
            .with("domain", domain)
            .with("address", known.address.to_string())
            .with("mechanism", outcome.mechanism.clone().unwrap_or_default())
            .with("lookups", outcome.lookups)
            .with("void", outcome.voids)
            .with("says", outcome.why.clone().unwrap_or_default())
    }

    /// Asks the act to write down that it passed for the author's domain, at most once a day.
    fn written_down(&self, evidence: Evidence, case: &Case) -> Evidence {
        let author = case.submission().and_then(|submission| submission.message.from().ok());
        let stored = author.and_then(|mailbox| case.account.spf_passed.of(mailbox.address.domain()));
        match stored {
            Some(at) if case.at().duration_since(at) < REMEMBER_EVERY => evidence,
            _ => evidence.with("remember", true),
        }
    }

    fn remember(&self, fact: &Fact, case: &Case) {
        let mut passes = self.passes.lock().unwrap_or_else(PoisonError::into_inner);
        if passes.len() >= MOST_PASSES {
            passes.clear();
        }
        passes.insert((case.account.id.clone(), fact.domain().to_owned()), case.at());
    }

    /// A domain whose own SPF passed within the last 7 days is at risk: it is held, not refused.
    fn lately_passed(&self, domain: &str, case: &Case) -> bool {
        let stored = Domain::parse(domain).ok().and_then(|domain| case.account.spf_passed.of(&domain));
        let key = (case.account.id.clone(), domain.to_owned());
        let seen = self.passes.lock().unwrap_or_else(PoisonError::into_inner).get(&key).copied();
        stored.max(seen).is_some_and(|at| case.at().duration_since(at) < AT_RISK)
    }
}

impl Fact {
    fn domain(&self) -> &str {
        self.sender.rsplit_once('@').map_or(self.sender.as_str(), |(_, domain)| domain)
    }

    /// Authorised, and not because everybody is.
    fn passed(&self) -> bool {
        let known = |outcome: &PoolOutcome| {
            outcome.outcome.result == SpfResult::Pass && !outcome.outcome.authorises_everyone
        };
        matches!(&self.checked, Checked::Known(outcome) if known(outcome))
    }
}

impl Slow for Spf {
    fn kind(&self) -> Kind {
        Kind::Spf
    }

    fn look<'a>(&'a self, case: &'a Case) -> Answer<'a> {
        Box::pin(self.evidence(case))
    }
}

/// The identities to check: the author's domain, and the reverse path when it is another domain.
fn senders(case: &Case) -> Option<Vec<String>> {
    let submission = case.submission()?;
    let author = submission.message.from().ok()?.address.domain().clone();
    let mut senders = vec![format!("postmaster@{author}")];
    if let Some(address) = submission.envelope.mail_from.as_ref().filter(|a| *a.domain() != author) {
        senders.push(address.to_string());
    }
    Some(senders)
}

async fn check(
    resolver: Arc<Resolver>,
    sender: String,
    way: Arc<Way>,
    at: Timestamp,
    patience: Duration,
) -> (Fact, Duration) {
    let evaluated =
        tokio::time::timeout(patience, evaluate(&resolver, &sender, &way.helo, &way.egress, at)).await;
    let checked = evaluated.unwrap_or(Checked::Late);
    let good_for = match &checked {
        Checked::Known(known) if known.outcome.result == SpfResult::TempError => UNKNOWN,
        Checked::Known(known) if known.outcome.per_sender => Duration::ZERO,
        Checked::Known(known) => Duration::from_secs(u64::from(known.outcome.good_for).min(LONGEST)),
        Checked::Budget | Checked::Late => UNKNOWN,
    };
    (Fact { sender, checked }, good_for)
}

/// One walk for all addresses: asks for what the evaluator misses until it is done.
pub async fn evaluate(
    resolver: &Resolver,
    sender: &str,
    helo: &str,
    addresses: &[IpAddr],
    at: Timestamp,
) -> Checked {
    let identity = Identity { helo, mail_from: sender, receiver: helo, now: at.as_second() };
    let mut answers = Answers::new();
    loop {
        match pool(addresses, &identity, &answers) {
            PoolStep::Done(outcome) => return Checked::Known(outcome),
            PoolStep::Budget | PoolStep::NoAddress => return Checked::Budget,
            PoolStep::Ask(queries) => resolve(resolver, queries, &mut answers).await,
        }
    }
}

/// Looks names up side by side.
pub async fn resolve(resolver: &Resolver, queries: Vec<Query>, answers: &mut Answers) {
    let looks = queries.into_iter().map(|query| async move {
        let answer = resolver.look_up(&query.name, kind(query.kind)).await;
        (query, translated(answer))
    });
    for (query, answer) in futures_util::future::join_all(looks).await {
        answers.insert(query, answer);
    }
}

fn kind(kind: RecordKind) -> record::RecordKind {
    match kind {
        RecordKind::A => record::RecordKind::A,
        RecordKind::Aaaa => record::RecordKind::Aaaa,
        RecordKind::Mx => record::RecordKind::Mx,
        RecordKind::Txt => record::RecordKind::Txt,
        RecordKind::Ptr => record::RecordKind::Ptr,
    }
}

fn translated(answer: record::Answer) -> countersign_core::spf::Answer {
    use countersign_core::spf::Answer;
    match answer {
        record::Answer::Records { records, ttl } => {
            Answer::Records { records: records.into_iter().filter_map(one).collect(), ttl }
        }
        record::Answer::NxDomain { ttl } => Answer::NxDomain { ttl },
        record::Answer::NoData { ttl } => Answer::NoData { ttl },
        record::Answer::Unavailable(_) => Answer::Failed(Failure::ServerFailure),
        record::Answer::Timeout => Answer::Failed(Failure::Timeout),
    }
}

fn one(found: record::Record) -> Option<Record> {
    match found {
        record::Record::A(ip) => Some(Record::A(ip)),
        record::Record::Aaaa(ip) => Some(Record::Aaaa(ip)),
        record::Record::Mx { preference, exchange } => Some(Record::Mx { preference, exchange }),
        record::Record::Txt(text) => Some(Record::Txt(vec![text])),
        record::Record::Ptr(name) => Some(Record::Ptr(name)),
        record::Record::Ns(_) | record::Record::Soa { .. } => None,
    }
}

/// The worst of several: nothing known, then the results of RFC 7208, then a record that lets everyone pass.
fn rank(fact: &Fact) -> (u8, Option<SpfResult>, bool) {
    match &fact.checked {
        Checked::Late => (2, None, false),
        Checked::Budget => (1, None, false),
        Checked::Known(known) => (0, Some(known.outcome.result), known.outcome.authorises_everyone),
    }
}

const AT_RISK: SignedDuration = SignedDuration::from_hours(7 * 24);
const MOST_PASSES: usize = 100_000;
const REMEMBER_EVERY: SignedDuration = SignedDuration::from_hours(24);
