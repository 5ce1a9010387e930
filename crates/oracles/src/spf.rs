//! An SPF record: printed and read again it is the same, and a zone in which every name has it is evaluated
//! to an end, within the limits, and asks only for names.
//! The fuzz target `spf_record`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use countersign_core::spf::{
    Answer, Answers, Identity, Outcome, Policy, Query, Record, RecordKind, SpfResult, Step, check_host,
};

use crate::pieces::split_seed;

/// The first octet chooses who sends; the others are what follows `v=spf1 `, and after a line feed the text
/// of an explanation.
pub(crate) fn spf_record(octets: &[u8]) {
    let (seed, octets) = split_seed(octets);
    let mut lines = octets.splitn(2, |octet| *octet == b'\n');
    let (terms, explanation) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let record = [b"v=spf1 ", terms].concat();
    if let Ok(policy) = Policy::parse(&record) {
        let printed = policy.to_string();
        assert_eq!(Policy::parse(printed.as_bytes()).as_ref(), Ok(&policy), "`{printed}` is another record");
        assert!(printed.bytes().all(|octet| octet == b' ' || octet.is_ascii_graphic()), "{printed}");
    }
    for ip in [
        IpAddr::V4(Ipv4Addr::new(192, 0, 2, seed)),
        IpAddr::V6(Ipv6Addr::from(u128::MAX / 255 * u128::from(seed))),
    ] {
        let outcome = evaluate(ip, &record, explanation, seed);
        assert!(outcome.lookups <= 11 && outcome.voids <= 3, "{outcome:?}");
        assert_eq!(outcome.why.is_some(), outcome.result >= SpfResult::PermError, "{outcome:?}");
        let said = outcome.explanation.unwrap_or_default();
        assert!(
            said.len() <= 1000 && said.bytes().all(|octet| octet == b' ' || octet.is_ascii_graphic()),
            "{said}"
        );
    }
}

fn evaluate(ip: IpAddr, record: &[u8], explanation: &[u8], seed: u8) -> Outcome {
    let mail_from = SENDERS.get(usize::from(seed) % SENDERS.len()).copied().unwrap_or_default();
    let identity =
        Identity { helo: "mx.acme.example", mail_from, receiver: "gate.example", now: 1_700_000_000 };
    let mut answers = Answers::new();
    let mut asked = 0;
    loop {
        let queries = match check_host(ip, &identity, &answers) {
            Step::Done(outcome) => return outcome,
            Step::Ask(queries) => queries,
        };
        assert!(!queries.is_empty(), "it asks for nothing");
        for query in queries {
            asked += 1;
            assert!(asked <= 300, "it asks for ever");
            let name = &query.name;
            assert!(name.len() <= 253 && !name.split('.').any(str::is_empty), "it asks for `{name}`");
            let answer = answer(&query, ip, record, explanation, seed);
            answers.insert(query, answer);
        }
    }
}

/// Every name has everything: the record, an address of its own, itself as mail exchanger.
fn answer(query: &Query, ip: IpAddr, record: &[u8], explanation: &[u8], seed: u8) -> Answer {
    let text = if query.name.starts_with("why") { explanation } else { record };
    let records = match query.kind {
        RecordKind::Txt => vec![Record::Txt(text.chunks(255).map(<[u8]>::to_vec).collect())],
        RecordKind::Mx => vec![Record::Mx { preference: 1, exchange: query.name.clone() }],
        RecordKind::Ptr => vec![Record::Ptr("host.acme.example".to_owned())],
        RecordKind::A => vec![Record::A(Ipv4Addr::new(192, 0, 2, 1))],
        RecordKind::Aaaa => match ip {
            IpAddr::V6(ip) if seed > 127 => vec![Record::Aaaa(ip)],
            _ => Vec::new(),
        },
    };
    Answer::Records { records, ttl: 60 }
}

const SENDERS: [&str; 6] = [
    "ana@acme.example",
    "",
    "a.b-c+d@acme.example",
    "\"a b\"@acme.example",
    "j\u{f6}rg@acme.example",
    "postmaster@a.b.c.d.e.f.g.h.acme.example",
];
