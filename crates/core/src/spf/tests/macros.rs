//! RFC 7208 7: macros in whole evaluations, and what they say about who else may use the result.

use super::*;

#[test]
fn rfc7208_7_3_p_prefers_the_domain_then_a_subdomain() {
    let reverse = |names: &[&str]| -> String {
        names.iter().map(|name| format!("1.2.0.192.in-addr.arpa PTR {name}\n{name} A 192.0.2.1\n")).collect()
    };
    let cases = [
        (&["o.example", "m.acme.example", "acme.example"][..], "acme.example"),
        (&["o.example", "m.acme.example"], "m.acme.example"),
        (&["o.example", "p.example"], "o.example"),
        (&[], "unknown"),
    ];
    for (names, value) in cases {
        let lines = format!("{}{value}.list.example A 127.0.0.2", reverse(names));
        assert_eq!(result("v=spf1 exists:%{p}.list.example -all", &lines), SpfResult::Pass, "{value}");
    }
    let lines = "1.2.0.192.in-addr.arpa FAIL\nunknown.list.example A 127.0.0.2";
    assert_eq!(result("v=spf1 exists:%{p}.list.example -all", lines), SpfResult::Pass);
}

#[test]
fn rfc7208_7_3_names_may_hold_percent_and_space() {
    let mut zone = Zone::new("acme.example TXT v=spf1 a:a%%b%_%_c%-d.example -all");
    let record = Record::A("192.0.2.1".parse().unwrap());
    zone.records.insert(Query::new("a%b  c%20d.example", RecordKind::A), (300, vec![record]));
    assert_eq!(zone.check("192.0.2.1", "ann@acme.example").result, SpfResult::Pass);
}

#[test]
fn rfc7208_7_3_helo_that_is_no_name_does_not_match() {
    let zone = Zone::new("acme.example TXT v=spf1 a:%{h} a:%{H} -all");
    for helo in ["OEMCOMPUTER", "JUMPIN' JUPITER", "[192.0.2.1]", "", "a..b"] {
        let identity = Identity { helo, ..identity("ann@acme.example") };
        assert_eq!(zone.run("192.0.2.1".parse().unwrap(), &identity).0.result, SpfResult::Fail, "{helo}");
    }
}

#[test]
fn rfc8616_4_local_parts_outside_ascii_match_nothing() {
    let zone = Zone::new("acme.example TXT v=spf1 exists:%{l}.acme.example -all");
    let (outcome, asked) = zone.run("192.0.2.1".parse().unwrap(), &identity("j\u{f6}rg@acme.example"));
    assert_eq!((outcome.result, asked.len()), (SpfResult::Fail, 1));
}

#[test]
fn dependence_on_the_address_is_told() {
    let told = [
        "exists:%{d}",
        "exists:%{i}.x.example",
        "ptr",
        "a:%{v}.x.example",
        "a:%{h}",
        "include:%{p}.x.example",
    ];
    for term in told {
        let outcome = check_record(&format!("v=spf1 {term} -all"), "unknown.x.example TXT v=spf1 -all");
        assert!(outcome.per_address && !outcome.per_sender, "{term}");
    }
    for term in ["a", "mx", "a:%{d2}", "include:x.example", "ip4:192.0.2.9"] {
        assert!(!check_record(&format!("v=spf1 {term} -all"), "").per_address, "{term}");
    }
    // A term that is not reached does not count.
    assert!(!check_record("v=spf1 ip4:192.0.2.1 exists:%{i}.x.example -all", "").per_address);
}

#[test]
fn dependence_on_the_sender_is_told() {
    for term in ["a:%{s}.x.example", "a:%{L}.x.example", "a:x.%{o}"] {
        let outcome = check_record(&format!("v=spf1 {term} -all"), "");
        assert!(outcome.per_sender && !outcome.per_address, "{term}");
    }
    assert!(!check_record("v=spf1 -all exp=%{l}.x.example", "").per_sender);
}
