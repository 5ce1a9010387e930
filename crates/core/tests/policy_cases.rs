//! Policy case files: evidence in, ruling and reasons out; one loop over `policies/cases/*.toml`.
#![cfg(test)]

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use countersign_core::address::EmailAddress;
use countersign_core::dossier::Dossier;
use countersign_core::evidence::{Evidence, Finding, Kind, Strength, Why};
use countersign_core::ids::{AccountId, Ref};
use countersign_core::message::Message;
use countersign_core::policy::{Asked, Decision, Facts, HoldAs, How, Rules, Ruling};
use countersign_core::request::{Actor, Ask, Client, Command, Envelope, Mode, Request, Submission, Verb};
use countersign_wire::limits::Limits;
use jiff::Timestamp;
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cases {
    good: BTreeMap<String, String>,
    case: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    action: Option<String>,
    actor: Option<String>,
    #[serde(default)]
    evidence: BTreeMap<String, String>,
    ruling: String,
    how: Option<String>,
    #[serde(default)]
    reasons: Vec<String>,
}

#[test]
fn every_case_file_is_ruled_as_it_says() {
    let rules = Rules::built_in().unwrap();
    let mut seen = 0;
    for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../../policies/cases")).unwrap() {
        let path = entry.unwrap().path();
        let cases: Cases = toml::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        for case in &cases.case {
            let ruling = rules.rule(&dossier(&cases.good, case), HoldAs(How::Custody));
            let place = format!("{}: {}", path.display(), case.name);
            assert_eq!(ruling.decision().word(), case.ruling, "{place}: {:?}", codes(&ruling));
            assert_eq!(codes(&ruling), sorted(case.reasons.clone()), "{place}");
            if case.ruling == "hold" {
                assert_eq!(ruling.how().map(How::word), case.how.as_deref(), "{place}");
            }
            let replayed =
                rules.replay(&recorded(&dossier(&cases.good, case), &ruling), HoldAs(How::Custody));
            let said = (ruling.decision(), ruling.how(), codes(&ruling));
            let mut again = replayed.codes();
            again.sort_unstable();
            assert_eq!((replayed.decision, replayed.how, again), said, "{place}: replayed");
            seen += 1;
        }
    }
    assert!(seen > 30, "only {seen} cases were read");
}

#[test]
fn a_policy_that_errors_holds_also_when_it_is_a_forbid() {
    // Cedar skips a policy that errors: here the only forbid would be skipped and the letter would pass.
    let own = "@id(\"overflow\") @effect(\"refuse\") forbid(principal, action == Action::\"send\", resource) \
               when { context.bytes + 9223372036854775807 > 0 };";
    let ruling = rule_with(own, HoldAs(How::Defer));
    assert_eq!((ruling.decision(), ruling.how()), (Decision::Hold, Some(How::Defer)));
    assert_eq!(codes(&ruling), ["policy-error"]);
    assert!(ruling.reasons()[0].sentence.contains("own/overflow"), "{}", ruling.reasons()[0].sentence);
}

#[test]
fn a_refusal_stands_beside_a_policy_that_errors() {
    let own = "@id(\"overflow\") forbid(principal, action == Action::\"send\", resource) \
               when { context.bytes + 9223372036854775807 > 0 };";
    let rules = Rules::with_own(vec![("own".to_owned(), own.to_owned())]).unwrap();
    let mut case = plain("send", "local");
    case.evidence = BTreeMap::from([("from.domain".to_owned(), "fail/foreign".to_owned())]);
    let ruling = rules.rule(&dossier(&good(), &case), HoldAs(How::Custody));
    assert_eq!(
        (ruling.decision(), codes(&ruling)),
        (Decision::Refuse, vec!["from-not-yours", "policy-error"])
    );
}

#[test]
fn an_operators_forbid_without_annotations_is_a_hold_with_reason_policy() {
    let ruling = rule_with(
        "@id(\"quiet\") forbid(principal, action == Action::\"send\", resource);",
        HoldAs(How::Custody),
    );
    assert_eq!((ruling.decision(), ruling.how()), (Decision::Hold, Some(How::Custody)));
    assert_eq!(codes(&ruling), ["policy"]);
    assert!(ruling.reasons()[0].sentence.contains("own/quiet"));
}

#[test]
fn an_operators_ask_says_451_and_what_is_missing() {
    let own = "@id(\"more\") @effect(\"ask\") @reason(\"domain-not-proved\") \
               forbid(principal, action == Action::\"send\", resource);";
    let ruling = rule_with(own, HoldAs(How::Custody));
    assert_eq!(ruling.decision(), Decision::Ask);
    assert!(ruling.reasons()[0].smtp.starts_with("451 4.7.1 "));
    assert_eq!(ruling.missing()[0].kind, "domain.proof");
}

#[test]
fn an_account_may_be_named_by_its_principal() {
    let own = "@id(\"acme\") @effect(\"refuse\") forbid(principal == Account::\"acme\", action == Action::\"send\", resource);";
    assert_eq!(rule_with(own, HoldAs(How::Custody)).decision(), Decision::Refuse);
}

#[test]
fn without_a_permit_mail_is_held_and_everything_else_refused() {
    let rules = Rules::parse(include_str!("../../../policies/countersign.cedarschema"), &[]).unwrap();
    let good = good();
    let send = rules.rule(&dossier(&good, &plain("send", "local")), HoldAs(How::Custody));
    assert_eq!((send.decision(), codes(&send)), (Decision::Hold, vec!["no-permit"]));
    let block = rules.rule(&dossier(&good, &plain("account-block", "local")), HoldAs(How::Custody));
    assert_eq!((block.decision(), codes(&block)), (Decision::Refuse, vec!["not-permitted"]));
}

#[test]
fn in_observe_only_what_always_binds_binds() {
    let rules = Rules::built_in().unwrap();
    let foreign = ruling_in_observe(&rules, "from.domain", "fail/foreign");
    assert_eq!((foreign.decision(), foreign.binding()), (Decision::Refuse, Decision::Allow));
    let blocked = ruling_in_observe(&rules, "standing", "fail/blocked");
    assert_eq!((blocked.decision(), blocked.binding()), (Decision::Refuse, Decision::Refuse));
}

fn ruling_in_observe(rules: &Rules, kind: &str, finding: &str) -> Ruling {
    let mut case = plain("send", "local");
    case.evidence = BTreeMap::from([(kind.to_owned(), finding.to_owned())]);
    let enforced = dossier(&good(), &case);
    let mut observed = Dossier::open(Request { mode: Mode::Observe, ..enforced.request().clone() });
    enforced.all().cloned().for_each(|evidence| observed.add(evidence));
    rules.rule(&observed, HoldAs(How::Custody))
}

fn rule_with(own: &str, hold: HoldAs) -> Ruling {
    let rules = Rules::with_own(vec![("own".to_owned(), own.to_owned())]).unwrap();
    rules.rule(&dossier(&good(), &plain("send", "local")), hold)
}

fn good() -> BTreeMap<String, String> {
    let cases: Cases = toml::from_str(include_str!("../../../policies/cases/send.toml")).unwrap();
    cases.good
}

fn plain(action: &str, actor: &str) -> Case {
    Case {
        name: String::new(),
        action: Some(action.to_owned()),
        actor: Some(actor.to_owned()),
        evidence: BTreeMap::new(),
        ruling: String::new(),
        how: None,
        reasons: vec![],
    }
}

fn dossier(good: &BTreeMap<String, String>, case: &Case) -> Dossier {
    let action = case.action.as_deref().unwrap_or("send");
    let ask = match Verb::ALL.into_iter().find(|verb| verb.name() == action) {
        Some(verb) => Ask::Command(command(verb, case.actor.as_deref())),
        None => Ask::Send(Box::new(submission())),
    };
    let account = AccountId::parse("acme").unwrap();
    let at = Timestamp::UNIX_EPOCH;
    let request = Request { reference: Ref::from_random(7), at, mode: Mode::Enforce, account, ask };
    let mut dossier = Dossier::open(request);
    for (kind, finding) in case.evidence.iter().chain(good) {
        dossier.add(evidence(kind, finding, at));
    }
    dossier
}

fn submission() -> Submission {
    let message = b"From: ana@acme.example\r\n\r\nHello\r\n";
    let address = |text| EmailAddress::parse(text).unwrap();
    Submission {
        credential: "acme".to_owned(),
        client: Client::default(),
        envelope: Envelope {
            mail_from: Some(address("news@acme.example")),
            recipients: vec![address("bo@reader.example")],
        },
        message: Arc::new(Message::read(Bytes::from_static(message), &Limits::default())),
    }
}

fn command(verb: Verb, actor: Option<&str>) -> Command {
    let actor = match actor {
        Some("local") => Actor::Local(0),
        Some("clock") => Actor::Clock,
        Some("staff-key") => Actor::StaffKey("ana@esp.example".to_owned()),
        Some("account-key") => Actor::AccountKey("acme-api".to_owned()),
        other => Actor::Staff(other.unwrap_or("ana").to_owned()),
    };
    Command { verb, actor, object: "x".to_owned(), arguments: String::new(), message: None }
}

fn evidence(kind: &str, text: &str, at: Timestamp) -> Evidence {
    let (finding, detail) = text.split_once('/').unwrap_or((text, ""));
    let finding = match (finding, detail) {
        ("pass", _) => Finding::Pass,
        ("fail", _) => Finding::Fail,
        ("warn", _) => Finding::Warn,
        ("unknown", why) => Finding::Unknown(why_of(why)),
        other => panic!("{other:?} is no finding"),
    };
    let kind = Kind::parse(kind).unwrap_or_else(|| panic!("{kind} is no kind"));
    Evidence::new(kind, finding, "case", at).detail(detail).strength(Strength::Observed)
}

fn why_of(word: &str) -> Why {
    let all = [Why::Timeout, Why::Unavailable, Why::Budget, Why::NotConfigured, Why::NotAsked];
    all.into_iter().find(|why| why.word() == word).unwrap_or_else(|| panic!("{word} is no why"))
}

/// The facts as the ledger keeps them beside a ruling.
fn recorded(dossier: &Dossier, ruling: &Ruling) -> Facts {
    let asked = serde_json::to_value(Asked::of(dossier.request())).unwrap();
    let payload = serde_json::json!({
        "action": ruling.action().name(), "asked": asked, "ruling": ruling.to_json(),
    });
    let facts = Facts::recorded(&payload).unwrap();
    assert_eq!(facts, Facts::of(dossier));
    facts
}

fn codes(ruling: &Ruling) -> Vec<&str> {
    let mut codes: Vec<_> = ruling.reasons().iter().map(|cause| cause.code).collect();
    codes.sort_unstable();
    codes
}

fn sorted(mut codes: Vec<String>) -> Vec<String> {
    codes.sort_unstable();
    codes
}
