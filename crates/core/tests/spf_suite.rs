//! Runs the OpenSPF conformance suite for RFC 7208 against `check_host`, where a copy of it is at hand.
//! `COUNTERSIGN_CORPORA` names the folder that holds `spf_rfc7208/cases.json`; else it is `../shared/corpora`.

use std::io::{Write as _, stderr};
use std::path::PathBuf;

use countersign_core::spf::{
    Answer, Answers, Failure, Identity, Query, Record, RecordKind, Step, check_host,
};
use serde_json::Value;

#[test]
fn openspf_suite_rfc7208() {
    let path = cases_file();
    let Ok(text) = std::fs::read_to_string(&path) else {
        // Written past the capture of the test runner: a skipped suite must be seen.
        writeln!(stderr(), "skipped: no OpenSPF suite at `{}` (set COUNTERSIGN_CORPORA)", path.display())
            .unwrap();
        return;
    };
    let cases: Vec<Value> = serde_json::from_str(&text).unwrap();
    assert!(!cases.is_empty());
    let wrong: Vec<String> = cases.iter().filter_map(wrong).collect();
    writeln!(stderr(), "OpenSPF suite: {} of {} cases as expected", cases.len() - wrong.len(), cases.len())
        .unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn cases_file() -> PathBuf {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/corpora");
    let corpora =
        std::env::var_os("COUNTERSIGN_CORPORA").map_or_else(|| PathBuf::from(beside), PathBuf::from);
    corpora.join("spf_rfc7208/cases.json")
}

/// What differs from the expectation of a case, if anything does.
fn wrong(case: &Value) -> Option<String> {
    let text = |key: &str| case[key].as_str().unwrap_or_default();
    let identity = Identity { helo: text("helo"), mail_from: text("mailfrom"), receiver: "unknown", now: 0 };
    let Ok(ip) = text("host").parse() else { return Some(format!("{}: no address", text("test"))) };
    let mut answers = Answers::new();
    let outcome = loop {
        match check_host(ip, &identity, &answers) {
            Step::Done(outcome) => break outcome,
            Step::Ask(queries) => {
                for query in queries {
                    let answer = answer(&case["zone"], &query);
                    answers.insert(query, answer);
                }
            }
        }
    };
    let accepted: Vec<&str> =
        case["result"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let explained = match case["explanation"].as_str() {
        None => true,
        Some("DEFAULT") => outcome.explanation.is_none(),
        Some(expected) => outcome.explanation.as_deref() == Some(expected),
    };
    let good = explained && accepted.contains(&outcome.result.as_str());
    (!good).then(|| {
        format!("{}: expected {accepted:?} {}, found {outcome:?}", text("test"), case["explanation"])
    })
}

/// What a resolver says that follows aliases.
fn answer(zone: &Value, query: &Query) -> Answer {
    let mut name = query.name.clone();
    for _ in 0..8 {
        let Some(entries) = entries(zone, &name) else { return Answer::NxDomain { ttl: 300 } };
        if let Some(alias) = entries.iter().find_map(|entry| entry.get("CNAME")).and_then(Value::as_str) {
            name = alias.trim_end_matches('.').to_ascii_lowercase();
            continue;
        }
        let records: Vec<Record> =
            values(entries, query.kind).filter_map(|value| record(query.kind, value)).collect();
        return match records.is_empty() {
            false => Answer::Records { records, ttl: 300 },
            // A name with TIMEOUT is silent for the types that it does not list.
            true if entries.iter().any(|entry| entry == "TIMEOUT") => Answer::Failed(Failure::Timeout),
            true => match entries.iter().find_map(|entry| entry.get("RCODE")) {
                Some(_) => Answer::Failed(Failure::ServerFailure),
                None => Answer::NoData { ttl: 300 },
            },
        };
    }
    Answer::Failed(Failure::Broken)
}

fn entries<'z>(zone: &'z Value, name: &str) -> Option<&'z Vec<Value>> {
    let mut names = zone.as_object()?.iter();
    names
        .find(|(owner, _)| owner.trim_end_matches('.').eq_ignore_ascii_case(name))
        .and_then(|(_, entries)| entries.as_array())
}

/// The values of a type. SPF records are text, unless the name lists its text records itself.
fn values(entries: &[Value], kind: RecordKind) -> impl Iterator<Item = &Value> {
    let listed = entries.iter().any(|entry| entry.get("TXT").is_some());
    let key = match kind {
        RecordKind::A => "A",
        RecordKind::Aaaa => "AAAA",
        RecordKind::Mx => "MX",
        RecordKind::Txt if listed => "TXT",
        RecordKind::Txt => "SPF",
        RecordKind::Ptr => "PTR",
    };
    entries.iter().filter_map(move |entry| entry.get(key)).filter(|value| **value != "NONE")
}

fn record(kind: RecordKind, value: &Value) -> Option<Record> {
    Some(match kind {
        RecordKind::A => Record::A(value.as_str()?.parse().ok()?),
        RecordKind::Aaaa => Record::Aaaa(value.as_str()?.parse().ok()?),
        RecordKind::Ptr => Record::Ptr(value.as_str()?.to_owned()),
        RecordKind::Mx => Record::Mx {
            preference: value[0].as_u64()?.try_into().ok()?,
            exchange: value[1].as_str()?.to_owned(),
        },
        RecordKind::Txt => Record::Txt(match value {
            Value::Array(strings) => strings.iter().filter_map(Value::as_str).map(octets).collect(),
            other => vec![octets(other.as_str()?)],
        }),
    })
}

/// The suite writes octets as the characters of Latin-1.
fn octets(text: &str) -> Vec<u8> {
    let latin: Option<Vec<u8>> = text.chars().map(|c| u8::try_from(c).ok()).collect();
    latin.unwrap_or_else(|| text.as_bytes().to_vec())
}
