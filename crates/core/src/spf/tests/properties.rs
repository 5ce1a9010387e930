//! What holds for every zone: evaluations end, ask little, and do not care in which order answers arrive.

use proptest::prelude::*;

use super::*;

/// Names that all refer to each other.
const NAMES: [&str; 5] =
    ["acme.example", "a.example", "b.example", "192.0.2.1.a.example", "1.2.0.192.in-addr.arpa"];

fn name() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(&NAMES[..])
}

fn record() -> impl Strategy<Value = String> {
    let target = prop_oneof![
        name().prop_map(str::to_owned),
        "%\\{[dilpsvhDILPSVHcr][12]?r?\\}(\\.a\\.example)?",
        "[a-c.]{0,5}"
    ];
    let term =
        (proptest::sample::select(&["", "-", "~", "?"][..]), proptest::sample::select(&TERMS[..]), target)
            .prop_map(|(sign, term, target)| format!("{sign}{}", term.replace('@', &target)));
    proptest::collection::vec(term, 0..14).prop_map(|terms| format!("v=spf1 {}", terms.join(" ")))
}

const TERMS: [&str; 15] = [
    "a:@",
    "a:@",
    "mx:@",
    "mx:@/28",
    "ptr:@",
    "ptr",
    "exists:@",
    "include:@",
    "include:@",
    "include:@",
    "ip4:192.0.2.8",
    "a:@/24//64",
    "a",
    "mx",
    "ip6:2001:db8::/32",
];

fn line() -> impl Strategy<Value = String> {
    prop_oneof![
        (name(), record()).prop_map(|(name, record)| format!("{name} TXT {record}")),
        (name(), record(), name())
            .prop_map(|(name, record, to)| format!("{name} TXT {record} redirect={to} exp=b.example")),
        (name(), name()).prop_map(|(name, to)| format!("{name} MX {to}")),
        (name(), name()).prop_map(|(name, to)| format!("{name} PTR {to}")),
        (name(), 0..9_u8).prop_map(|(name, last)| format!("{name} A 192.0.2.{last}")),
        name().prop_map(|name| format!("{name} FAIL")),
    ]
}

fn zone() -> impl Strategy<Value = Zone> {
    proptest::collection::vec(line(), 0..16).prop_map(|lines| Zone::new(&lines.join("\n")))
}

proptest! {
    #[test]
    fn every_evaluation_ends_after_few_questions(zone in zone()) {
        let (outcome, asked) = zone.run("192.0.2.1".parse().unwrap(), &identity("ann@acme.example"));
        prop_assert!(asked.len() <= 240, "{} questions", asked.len());
        prop_assert!(outcome.lookups <= 11 && outcome.voids <= 3);
        prop_assert_eq!(outcome.why.is_some(), outcome.result >= SpfResult::PermError);
        for name in asked.iter().map(|query| &query.name) {
            prop_assert!(name.len() <= 253 && !name.split('.').any(str::is_empty), "{name}");
        }
    }

    #[test]
    fn the_order_of_answers_does_not_matter(
        zone in zone(),
        choices in proptest::collection::vec(any::<prop::sample::Index>(), 300),
    ) {
        let ip = "192.0.2.1".parse().unwrap();
        let (expected, _) = zone.run(ip, &identity("ann@acme.example"));
        let mut answers = Answers::new();
        let mut choices = choices.into_iter();
        loop {
            match check_host(ip, &identity("ann@acme.example"), &answers) {
                Step::Done(outcome) => {
                    prop_assert_eq!(outcome, expected);
                    break;
                }
                // One answer at a time, any of those that were asked for.
                Step::Ask(queries) => {
                    let query = choices.next().unwrap().get(&queries);
                    answers.insert(query.clone(), zone.answer(query));
                }
            }
        }
    }

    #[test]
    fn a_pool_of_one_is_a_check(zone in zone()) {
        let ip = "192.0.2.1".parse().unwrap();
        let (expected, _) = zone.run(ip, &identity("ann@acme.example"));
        let (step, _) = zone.pool(&[ip], &identity("ann@acme.example"));
        prop_assert_eq!(step, PoolStep::Done(PoolOutcome { address: ip, outcome: expected }));
    }

    #[test]
    fn never_panics_on_any_record(
        octets in proptest::collection::vec(any::<u8>(), 0..120),
        sender in ".{0,30}",
        helo in ".{0,30}",
    ) {
        let text = [b"v=spf1 ", octets.as_slice()].concat();
        let exchanger = Record::Mx { preference: 1, exchange: sender.clone() };
        let records = vec![Record::Txt(vec![text]), Record::Ptr(helo.clone()), exchanger];
        let mail_from = format!("{sender}@acme.example");
        let identity = Identity { helo: &helo, mail_from: &mail_from, receiver: "", now: 0 };
        let ip = "2001:db8::1".parse().unwrap();
        let mut answers = Answers::new();
        for _ in 0..300 {
            let Step::Ask(queries) = check_host(ip, &identity, &answers) else { return Ok(()) };
            for query in queries {
                answers.insert(query, Answer::Records { records: records.clone(), ttl: 1 });
            }
        }
        prop_assert!(false, "no end");
    }
}
