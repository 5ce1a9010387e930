//! RFC 7208 4.3 to 4.7: from the identity to a record, and what a record says by default.

use super::*;

#[test]
fn rfc7208_4_3_improper_domains_have_no_result() {
    let long = format!("ann@{}.example", "a".repeat(64));
    let longer = format!("ann@{}example", "abcdefg.".repeat(40));
    for sender in
        ["ann@a..example", "ann@example", "ann@", "ann@[192.0.2.1]", "ann@caf\u{e9}.example", &long, &longer]
    {
        let (outcome, asked) = Zone::default().run("192.0.2.1".parse().unwrap(), &identity(sender));
        assert_eq!((outcome.result, outcome.mechanism, asked), (SpfResult::None, None, vec![]), "{sender}");
    }
}

#[test]
fn rfc7208_4_3_labels_of_63_are_proper() {
    let domain = format!("{}.example", "a".repeat(63));
    let zone = Zone::new(&format!("{domain} TXT v=spf1 -all"));
    assert_eq!(zone.check("192.0.2.1", &format!("ann@{domain}.")).result, SpfResult::Fail);
}

#[test]
fn rfc7208_2_4_null_path_stands_for_the_helo_name() {
    let zone =
        Zone::new("mx.acme.example TXT v=spf1 a:%{l}.%{o} -all\npostmaster.mx.acme.example A 192.0.2.1");
    assert_eq!(zone.check("192.0.2.1", "").result, SpfResult::Pass);
}

#[test]
fn rfc7208_4_4_server_errors_are_temperror() {
    let outcome = check("acme.example FAIL", "192.0.2.1");
    assert_eq!(outcome.result, SpfResult::TempError);
    assert_eq!((outcome.good_for, outcome.mechanism), (0, None));
    let why = "the TXT records of `acme.example` could not be looked up: no answer in time (try again later)";
    assert_eq!(outcome.why.as_deref(), Some(why));
}

#[test]
fn rfc7208_4_4_every_failure_is_temperror() {
    for failure in [Failure::ServerFailure, Failure::Refused, Failure::Timeout, Failure::Broken] {
        let mut answers = Answers::new();
        answers.insert(Query::new("acme.example", RecordKind::Txt), Answer::Failed(failure));
        let step = check_host("192.0.2.1".parse().unwrap(), &identity("ann@acme.example"), &answers);
        assert!(matches!(step, Step::Done(outcome) if outcome.result == SpfResult::TempError), "{failure}");
    }
}

#[test]
fn rfc7208_4_5_no_record_is_none() {
    for lines in ["", "acme.example A 192.0.2.1", "acme.example TXT v=spf10 -all", "acme.example TXT site=1"]
    {
        let outcome = check(lines, "192.0.2.1");
        assert_eq!((outcome.result, outcome.why), (SpfResult::None, None), "{lines}");
    }
}

#[test]
fn rfc7208_4_5_two_records_are_permerror() {
    let outcome = check("acme.example TXT v=spf1 -all\nacme.example TXT v=spf1 -all", "192.0.2.1");
    assert_eq!(outcome.result, SpfResult::PermError);
    assert_eq!(outcome.why.as_deref(), Some("`acme.example` has 2 SPF records (publish exactly one)"));
}

#[test]
fn rfc7208_4_6_syntax_errors_anywhere_are_permerror() {
    let outcome = check_record("v=spf1 ip4:192.0.2.1 -all moo", "");
    assert_eq!(outcome.result, SpfResult::PermError);
    let why =
        "the SPF record of `acme.example` is broken: term `moo` is not valid: there is no such mechanism";
    assert_eq!(outcome.why.as_deref(), Some(why));
}

#[test]
fn rfc7208_3_1_a_record_outside_ascii_is_permerror() {
    assert_eq!(result("v=spf1 a:caf\u{e9}.example -all", ""), SpfResult::PermError);
}

#[test]
fn rfc7208_4_7_the_default_is_neutral() {
    let outcome = check_record("v=spf1 ip4:192.0.2.9", "");
    assert_eq!((outcome.result, outcome.mechanism.as_deref()), (SpfResult::Neutral, Some("default")));
}

#[test]
fn names_are_asked_in_lower_case() {
    let zone = Zone::new("acme.example TXT v=spf1 a:Mail.ACME.example -all\nmail.acme.example A 192.0.2.1");
    assert_eq!(zone.check("192.0.2.1", "Ann@Acme.Example").result, SpfResult::Pass);
}

#[test]
fn good_for_is_the_shortest_time_of_the_answers_in_use() {
    let lines = "acme.example 900 TXT v=spf1 a:m.acme.example include:x.example -all
        m.acme.example 60 A 192.0.2.1
        x.example 5 TXT v=spf1 -all";
    // The include is asked ahead, but not needed.
    assert_eq!(check(lines, "192.0.2.1").good_for, 60);
    assert_eq!(check(lines, "192.0.2.2").good_for, 5);
    assert_eq!(check("acme.example 604800 TXT v=spf1 -all", "192.0.2.1").good_for, 86_400);
}

#[test]
fn the_trace_tells_each_step() {
    let outcome =
        check_record("v=spf1 a include:esp.example -all", "esp.example TXT v=spf1 ip4:192.0.2.0/28 -all");
    let lines = [
        "acme.example: a does not match",
        "  esp.example: ip4:192.0.2.0/28 matches: pass",
        "acme.example: include:esp.example matches: pass",
    ];
    assert_eq!(outcome.trace, lines);
}

#[test]
fn terms_without_macros_are_asked_together() {
    let zone = Zone::new(
        "acme.example TXT v=spf1 include:a.example a:b.example mx:c.example exists:%{i}.d redirect=e.example
         a.example TXT v=spf1 -all
         e.example TXT v=spf1 -all",
    );
    let (_, asked) = zone.run("192.0.2.1".parse().unwrap(), &identity("ann@acme.example"));
    // Each round is sorted by name: the record, all terms without macros, the rest.
    let names: Vec<&str> = asked.iter().map(|query| query.name.as_str()).collect();
    assert_eq!(names, ["acme.example", "a.example", "b.example", "c.example", "e.example", "192.0.2.1.d"]);
}
