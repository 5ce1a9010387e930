//! RFC 7208 4.6.4: the limits.

use super::*;

#[test]
fn rfc7208_4_6_4_tenth_lookup_is_fine() {
    let lines = "acme.example A 192.0.2.9\nacme.example MX m.example\nm.example A 192.0.2.9";
    let outcome = check_record("v=spf1 a mx a mx a mx a mx a mx ip4:192.0.2.1 -all", lines);
    assert_eq!((outcome.result, outcome.lookups, outcome.voids), (SpfResult::Pass, 10, 0));
}

#[test]
fn rfc7208_4_6_4_eleventh_lookup_is_permerror() {
    let outcome = check_record("v=spf1 a a a a a a a a a a a ip4:192.0.2.1 -all", "acme.example A 192.0.2.9");
    assert_eq!((outcome.result, outcome.lookups), (SpfResult::PermError, 11));
    assert!(outcome.why.unwrap().starts_with("more than 10 DNS lookups are needed"));
}

#[test]
fn rfc7208_4_6_4_a_match_before_the_eleventh_is_fine() {
    assert_eq!(result("v=spf1 ip4:192.0.2.1 a a a a a a a a a a a -all", ""), SpfResult::Pass);
}

#[test]
fn rfc7208_4_6_4_lookups_count_through_includes_and_redirects() {
    let inner = "i.example TXT v=spf1 a a a a a a a -all\ni.example A 192.0.2.9\nacme.example A 192.0.2.9\n";
    assert_eq!(result("v=spf1 a include:i.example a ip4:192.0.2.1 -all", inner), SpfResult::Pass);
    assert_eq!(result("v=spf1 a a a include:i.example ip4:192.0.2.1 -all", inner), SpfResult::PermError);
    assert_eq!(result("v=spf1 a a a redirect=i.example", inner), SpfResult::PermError);
}

#[test]
fn rfc7208_4_6_4_loops_end() {
    assert_eq!(result("v=spf1 include:acme.example", ""), SpfResult::PermError);
    assert_eq!(result("v=spf1 redirect=acme.example", ""), SpfResult::PermError);
    let pair = "x.example TXT v=spf1 include:y.example -all\ny.example TXT v=spf1 redirect=x.example";
    assert_eq!(result("v=spf1 include:x.example -all", pair), SpfResult::PermError);
}

#[test]
fn rfc7208_4_6_4_two_voids_are_fine() {
    let outcome = check_record("v=spf1 a:1.n.example a:2.n.example ?all", "");
    assert_eq!((outcome.result, outcome.voids), (SpfResult::Neutral, 2));
    // A name that exists without the kind asked for is void as well.
    let outcome = check_record("v=spf1 a mx ?all", "");
    assert_eq!((outcome.result, outcome.voids), (SpfResult::Neutral, 2));
}

#[test]
fn rfc7208_4_6_4_third_void_is_permerror() {
    let outcome = check_record("v=spf1 a:1.n.example mx:2.n.example exists:3.n.example ?all", "");
    assert_eq!((outcome.result, outcome.voids), (SpfResult::PermError, 3));
    assert!(outcome.why.unwrap().starts_with("more than 2 DNS lookups found nothing"));
    let lines = "acme.example MX m1.example\nacme.example MX m2.example\nacme.example MX m3.example";
    assert_eq!(result("v=spf1 mx ?all", lines), SpfResult::PermError);
}

#[test]
fn rfc7208_4_6_4_ten_exchangers() {
    let exchangers = |count: usize| -> String {
        (0..count)
            .map(|n| format!("acme.example MX m{n}.example\nm{n}.example A 192.0.2.{}\n", n + 1))
            .collect()
    };
    let ip = |n: usize, lines: &str| {
        check(&format!("acme.example TXT v=spf1 mx -all\n{lines}"), &format!("192.0.2.{n}"))
    };
    assert_eq!(ip(10, &exchangers(10)).result, SpfResult::Pass);
    let outcome = ip(1, &exchangers(11));
    assert_eq!(outcome.result, SpfResult::PermError);
    assert_eq!(
        outcome.why.as_deref(),
        Some("`acme.example` has 11 mail exchangers, more than the 10 that `mx` may use")
    );
}

#[test]
fn rfc7208_4_6_4_only_the_first_ten_names_of_an_address_count() {
    let names = |at: usize| -> String {
        let names =
            (0..12).map(|n| if n == at { "m.acme.example".to_owned() } else { format!("n{n}.example") });
        names.map(|name| format!("1.2.0.192.in-addr.arpa PTR {name}\n{name} A 192.0.2.1\n")).collect()
    };
    assert_eq!(result("v=spf1 ptr ?all", &names(9)), SpfResult::Pass);
    assert_eq!(result("v=spf1 ptr ?all", &names(10)), SpfResult::Neutral);
}

#[test]
fn rfc7208_4_6_4_the_p_macro_counts() {
    let lines = "1.2.0.192.in-addr.arpa PTR m.acme.example\nm.acme.example A 192.0.2.1";
    let outcome = check_record("v=spf1 exists:%{p}.list.example ?all", lines);
    assert_eq!((outcome.result, outcome.lookups), (SpfResult::Neutral, 2));
}

#[test]
fn a_long_record_keeps_its_trace_short() {
    let record = format!("v=spf1{} -all", " ip4:192.0.2.9".repeat(2_000));
    assert_eq!(check_record(&record, "").trace.len(), 256);
}

#[test]
fn rfc7208_4_6_4_a_zone_made_to_cost_is_bounded() {
    let mut zone = Zone::default();
    let terms: String = (0..20).map(|n| format!(" mx:r{n}.example")).collect();
    zone.add("acme.example", 300, "TXT", &format!("v=spf1{terms} redirect=acme.example exp=%{{p}}.example"));
    for domain in (0..20).map(|n| format!("r{n}.example")) {
        for exchanger in (0..10).map(|n| format!("m{n}.{domain}")) {
            zone.add(&domain, 300, "MX", &exchanger);
            zone.add(&exchanger, 300, "A", "192.0.2.9");
        }
    }
    let (outcome, asked) = zone.run("192.0.2.1".parse().unwrap(), &identity("ann@acme.example"));
    // The record, ten times a list of exchangers, ten times ten addresses.
    assert_eq!((outcome.result, asked.len()), (SpfResult::PermError, 111));
}
