//! Tests of whole evaluations: zones as text, one per section of RFC 7208.
//! The suites below use the zone and the loop here.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::*;

mod limits;
mod macros;
mod mechanisms;
mod modifiers;
mod pools;
mod properties;
mod records;

/// A zone: lines of `name [ttl] TYPE value`. `FAIL` makes every query of the name time out. A name that is
/// not there does not exist. The strings of a TXT record are parted by `|`.
#[derive(Debug, Clone, Default)]
struct Zone {
    names: BTreeSet<String>,
    failing: BTreeSet<String>,
    records: BTreeMap<Query, (u32, Vec<Record>)>,
}

impl Zone {
    fn new(lines: &str) -> Self {
        let mut zone = Self::default();
        for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (name, rest) = line.split_once(' ').unwrap();
            let (first, behind) = rest.split_once(' ').unwrap_or((rest, ""));
            match first.parse() {
                Ok(ttl) => {
                    let (kind, value) = behind.split_once(' ').unwrap_or((behind, ""));
                    zone.add(name, ttl, kind, value);
                }
                Err(_) => zone.add(name, 300, first, behind),
            }
        }
        zone
    }

    fn add(&mut self, name: &str, ttl: u32, kind: &str, value: &str) {
        let record = match kind {
            "A" => Record::A(value.parse().unwrap()),
            "AAAA" => Record::Aaaa(value.parse().unwrap()),
            "MX" => Record::Mx { preference: 10, exchange: value.to_owned() },
            "TXT" => Record::Txt(value.split('|').map(|string| string.as_bytes().to_vec()).collect()),
            "PTR" => Record::Ptr(value.to_owned()),
            "FAIL" => {
                self.failing.insert(name.to_owned());
                return;
            }
            _ => panic!("no such type: {kind}"),
        };
        self.names.insert(name.to_owned());
        let entry = self.records.entry(Query::new(name, record.kind())).or_insert((ttl, Vec::new()));
        entry.0 = entry.0.min(ttl);
        entry.1.push(record);
    }

    fn answer(&self, query: &Query) -> Answer {
        match self.records.get(query) {
            _ if self.failing.contains(&query.name) => Answer::Failed(Failure::Timeout),
            Some((ttl, records)) => Answer::Records { records: records.clone(), ttl: *ttl },
            None if self.names.contains(&query.name) => Answer::NoData { ttl: 300 },
            None => Answer::NxDomain { ttl: 300 },
        }
    }

    /// Runs a check to its end; also gives every query in the order asked.
    fn run(&self, ip: IpAddr, identity: &Identity<'_>) -> (Outcome, Vec<Query>) {
        let mut answers = Answers::new();
        let mut asked = Vec::new();
        loop {
            match check_host(ip, identity, &answers) {
                Step::Done(outcome) => return (outcome, asked),
                Step::Ask(queries) => {
                    assert!(!queries.is_empty());
                    for query in queries {
                        assert!(answers.answer(&query).is_none(), "asked twice: {query:?}");
                        answers.insert(query.clone(), self.answer(&query));
                        asked.push(query);
                    }
                }
            }
        }
    }

    fn pool(&self, addresses: &[IpAddr], identity: &Identity<'_>) -> (PoolStep, Answers) {
        let mut answers = Answers::new();
        loop {
            match pool(addresses, identity, &answers) {
                PoolStep::Ask(queries) => {
                    queries.into_iter().for_each(|query| answers.insert(query.clone(), self.answer(&query)));
                }
                step => return (step, answers),
            }
        }
    }

    fn check(&self, ip: &str, mail_from: &str) -> Outcome {
        self.run(ip.parse().unwrap(), &identity(mail_from)).0
    }
}

fn identity(mail_from: &str) -> Identity<'_> {
    Identity { helo: "mx.acme.example", mail_from, receiver: "gate.example", now: 1_700_000_000 }
}

/// Checks `ann@acme.example` from an address against a zone.
fn check(lines: &str, ip: &str) -> Outcome {
    Zone::new(lines).check(ip, "ann@acme.example")
}

/// Checks `ann@acme.example`, whose record is `record`, from 192.0.2.1.
fn check_record(record: &str, lines: &str) -> Outcome {
    check(&format!("acme.example TXT {record}\n{lines}"), "192.0.2.1")
}

fn result(record: &str, lines: &str) -> SpfResult {
    check_record(record, lines).result
}
