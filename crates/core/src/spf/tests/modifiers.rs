//! RFC 7208 6: redirect, exp and the others.

use super::*;

fn explanation(record: &str, lines: &str) -> Option<String> {
    let outcome = check_record(record, lines);
    assert_eq!(outcome.result, SpfResult::Fail, "{record}");
    outcome.explanation
}

#[test]
fn rfc7208_6_1_redirect() {
    let lines = "x.example TXT v=spf1 a ip4:192.0.2.9 -all\nx.example A 192.0.2.1";
    let outcome = check_record("v=spf1 ip4:192.0.2.9 redirect=x.example", lines);
    assert_eq!(
        (outcome.result, outcome.mechanism.as_deref(), outcome.lookups),
        (SpfResult::Pass, Some("a"), 2)
    );
    assert_eq!(result("v=spf1 redirect=x.example ip4:192.0.2.1", ""), SpfResult::Pass);
}

#[test]
fn rfc7208_6_1_redirect_to_nothing_is_permerror() {
    assert_eq!(result("v=spf1 redirect=x.example", ""), SpfResult::PermError);
    assert_eq!(result("v=spf1 redirect=x..example", ""), SpfResult::PermError);
    assert_eq!(result("v=spf1 redirect=x.example", "x.example TXT site=1"), SpfResult::PermError);
    assert_eq!(result("v=spf1 redirect=x.example", "x.example FAIL"), SpfResult::TempError);
}

#[test]
fn rfc7208_6_2_exp() {
    let lines = "why.example TXT %{i} is not |one of %{d}'s servers";
    let text = explanation("v=spf1 -all exp=why.example", lines);
    assert_eq!(text.as_deref(), Some("192.0.2.1 is not one of acme.example's servers"));
    assert_eq!(check_record("v=spf1 ~all exp=why.example", lines).explanation, None);
    assert_eq!(check_record("v=spf1 +all exp=why.example", lines).explanation, None);
}

#[test]
fn rfc7208_6_2_exp_errors_are_ignored() {
    let cases = [
        "",
        "why.example A 192.0.2.1",
        "why.example FAIL",
        "why.example TXT one\nwhy.example TXT two",
        "why.example TXT %{x}",
        "why.example TXT 50% off",
        "why.example TXT caf\u{e9}",
    ];
    for lines in cases {
        assert_eq!(explanation("v=spf1 -all exp=why.example", lines), None, "{lines}");
    }
    assert_eq!(explanation("v=spf1 -all exp=why..example", ""), None);
}

#[test]
fn rfc7208_6_2_include_does_not_explain_and_redirect_does() {
    let lines =
        "x.example TXT v=spf1 -all exp=theirs.example\ntheirs.example TXT theirs\nours.example TXT ours";
    assert_eq!(explanation("v=spf1 include:x.example -all exp=ours.example", lines).as_deref(), Some("ours"));
    assert_eq!(explanation("v=spf1 include:x.example -all", lines), None);
    assert_eq!(explanation("v=spf1 redirect=x.example exp=ours.example", lines).as_deref(), Some("theirs"));
}

#[test]
fn rfc7208_4_6_4_exp_counts_toward_no_limit() {
    let record = "v=spf1 a:1.n.example a:2.n.example -all exp=%{p}.n.example";
    let outcome = check_record(record, "acme.example A 192.0.2.1");
    assert_eq!((outcome.result, outcome.lookups, outcome.voids), (SpfResult::Fail, 2, 2));
    // Nor does it make the result depend on the address, or shorten its life.
    assert!(!outcome.per_address);
    let outcome = check_record("v=spf1 -all exp=%{ir}.why.example", "1.2.0.192.why.example 5 TXT no");
    assert_eq!((outcome.explanation.as_deref(), outcome.good_for), (Some("no"), 300));
}

#[test]
fn rfc7208_6_other_modifiers_are_ignored() {
    assert_eq!(result("v=spf1 op=auth default=pass op=auth -all", ""), SpfResult::Fail);
    assert_eq!(result("v=spf1 -all foo=%abc", ""), SpfResult::PermError);
}
