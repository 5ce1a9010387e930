//! RFC 7208 5: the mechanisms.

use super::*;

#[test]
fn rfc7208_4_6_2_qualifiers() {
    let cases = [
        ("+", SpfResult::Pass),
        ("", SpfResult::Pass),
        ("-", SpfResult::Fail),
        ("~", SpfResult::SoftFail),
        ("?", SpfResult::Neutral),
    ];
    for (sign, expected) in cases {
        let outcome = check_record(&format!("v=spf1 {sign}ip4:192.0.2.1 -all"), "");
        assert_eq!(outcome.result, expected, "{sign}");
        assert_eq!(outcome.mechanism.unwrap(), format!("{}ip4:192.0.2.1", sign.trim_start_matches('+')));
    }
}

#[test]
fn rfc7208_5_1_all() {
    assert_eq!(result("v=spf1 -all ip4:192.0.2.1", ""), SpfResult::Fail);
    assert_eq!(result("v=spf1 redirect=x.example ~all", "x.example TXT v=spf1 +all"), SpfResult::SoftFail);
}

#[test]
fn rfc7208_5_2_include_table() {
    let cases = [
        ("x.example TXT v=spf1 ip4:192.0.2.1 -all", SpfResult::Pass),
        ("x.example TXT v=spf1 -all", SpfResult::SoftFail),
        ("x.example TXT v=spf1 ~all", SpfResult::SoftFail),
        ("x.example TXT v=spf1 ?all", SpfResult::SoftFail),
        ("x.example FAIL", SpfResult::TempError),
        ("x.example TXT v=spf1 moo", SpfResult::PermError),
        ("x.example TXT site=1", SpfResult::PermError),
        ("", SpfResult::PermError),
    ];
    for (lines, expected) in cases {
        assert_eq!(result("v=spf1 include:x.example ~all", lines), expected, "{lines}");
    }
    assert_eq!(result("v=spf1 -include:x.example ~all", "x.example TXT v=spf1 all"), SpfResult::Fail);
}

#[test]
fn rfc7208_5_2_include_without_a_record_says_so() {
    let outcome = check_record("v=spf1 include:x.example -all", "");
    let why = "`x.example` has no SPF record, but the record of `acme.example` points to it";
    assert_eq!(outcome.why.as_deref(), Some(why));
    let outcome = check_record("v=spf1 include:x..example -all", "");
    let why = "`x..example` is no domain name, but the record of `acme.example` points to it";
    assert_eq!((outcome.result, outcome.why.as_deref()), (SpfResult::PermError, Some(why)));
}

#[test]
fn rfc7208_5_2_include_keeps_sender_and_changes_domain() {
    let lines = "x.example TXT v=spf1 exists:%{o}.%{d} -all\nacme.example.x.example A 192.0.2.77";
    assert_eq!(result("v=spf1 include:x.example -all", lines), SpfResult::Pass);
}

#[test]
fn rfc7208_5_3_a() {
    let lines = "acme.example A 192.0.2.1
        acme.example AAAA 2001:db8:1::5
        m.example A 192.0.2.77
        m.example A 192.0.2.1";
    assert_eq!(result("v=spf1 a -all", lines), SpfResult::Pass);
    assert_eq!(result("v=spf1 a:m.example -all", lines), SpfResult::Pass);
    assert_eq!(result("v=spf1 a:none.example -all", lines), SpfResult::Fail);
    let six = |record: &str, ip: &str| check(&format!("acme.example TXT {record}\n{lines}"), ip).result;
    assert_eq!(six("v=spf1 a -all", "2001:db8:1::5"), SpfResult::Pass);
    assert_eq!(six("v=spf1 a -all", "2001:db8:1::6"), SpfResult::Fail);
    assert_eq!(six("v=spf1 a//64 -all", "2001:db8:1::6"), SpfResult::Pass);
    assert_eq!(six("v=spf1 a/24 -all", "2001:db8:1::6"), SpfResult::Fail);
    assert_eq!(six("v=spf1 a/24//64 -all", "192.0.2.200"), SpfResult::Pass);
    assert_eq!(six("v=spf1 a//64 -all", "192.0.2.200"), SpfResult::Fail);
}

#[test]
fn rfc7208_5_errors_in_address_lookups_are_temperror() {
    assert_eq!(result("v=spf1 a:x.example -all", "x.example FAIL"), SpfResult::TempError);
    assert_eq!(result("v=spf1 mx:x.example -all", "x.example FAIL"), SpfResult::TempError);
    assert_eq!(result("v=spf1 exists:x.example -all", "x.example FAIL"), SpfResult::TempError);
    assert_eq!(
        result("v=spf1 mx:x.example -all", "x.example MX m.example\nm.example FAIL"),
        SpfResult::TempError
    );
    // What is asked ahead and fails does no harm when it is not needed.
    assert_eq!(
        result("v=spf1 a a:x.example -all", "acme.example A 192.0.2.1\nx.example FAIL"),
        SpfResult::Pass
    );
}

#[test]
fn rfc7208_5_4_mx() {
    let lines = "acme.example MX m1.example.
        acme.example MX m2.example
        m1.example A 192.0.2.7
        m2.example A 192.0.2.1
        m2.example AAAA 2001:db8::1";
    assert_eq!(result("v=spf1 mx -all", lines), SpfResult::Pass);
    assert_eq!(
        result("v=spf1 mx/24 -all", "acme.example MX m1.example\nm1.example A 192.0.2.7"),
        SpfResult::Pass
    );
    let zone = format!("acme.example TXT v=spf1 mx//32 -all\n{lines}");
    assert_eq!(check(&zone, "2001:db8:ffff::1").result, SpfResult::Pass);
}

#[test]
fn rfc7208_5_4_no_implicit_mx() {
    assert_eq!(result("v=spf1 mx -all", "acme.example A 192.0.2.1"), SpfResult::Fail);
    assert_eq!(result("v=spf1 mx -all", "acme.example MX .\nacme.example A 192.0.2.1"), SpfResult::Fail);
    assert_eq!(result("v=spf1 mx -all", "acme.example MX "), SpfResult::Fail);
}

#[test]
fn rfc7208_5_5_ptr() {
    let reverse = "1.2.0.192.in-addr.arpa PTR mail.acme.example.\n";
    let forward = format!("{reverse}mail.acme.example A 192.0.2.1");
    assert_eq!(result("v=spf1 ptr -all", &forward), SpfResult::Pass);
    assert_eq!(result("v=spf1 ptr:ACME.example -all", &forward), SpfResult::Pass);
    assert_eq!(result("v=spf1 ptr:e.example -all", &forward), SpfResult::Fail);
    assert_eq!(result("v=spf1 ptr -all", reverse), SpfResult::Fail);
    assert_eq!(
        result("v=spf1 ptr -all", &format!("{reverse}mail.acme.example A 192.0.2.2")),
        SpfResult::Fail
    );
    let six = format!(
        "acme.example TXT v=spf1 ptr -all
         {}.8.b.d.0.1.0.0.2.ip6.arpa PTR m.acme.example
         m.acme.example AAAA 2001:db8::1",
        "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0"
    );
    assert_eq!(check(&six, "2001:db8::1").result, SpfResult::Pass);
}

#[test]
fn rfc7208_5_5_ptr_errors_do_not_match() {
    assert_eq!(result("v=spf1 ptr -all", "1.2.0.192.in-addr.arpa FAIL"), SpfResult::Fail);
    let lines = "1.2.0.192.in-addr.arpa PTR a.acme.example
        1.2.0.192.in-addr.arpa PTR b.acme.example
        a.acme.example FAIL
        b.acme.example A 192.0.2.1";
    assert_eq!(result("v=spf1 ptr -all", lines), SpfResult::Pass);
}

#[test]
fn rfc7208_5_6_ip4_and_ip6() {
    let at = |record: &str, ip: &str| check(&format!("acme.example TXT {record}"), ip).result;
    let cases = [
        ("v=spf1 ip4:192.0.2.0/28 -all", "192.0.2.15", SpfResult::Pass),
        ("v=spf1 ip4:192.0.2.0/28 -all", "192.0.2.16", SpfResult::Fail),
        ("v=spf1 ip4:192.0.2.7/28 -all", "192.0.2.1", SpfResult::Pass),
        ("v=spf1 ip4:198.51.100.1/0 -all", "192.0.2.1", SpfResult::Pass),
        ("v=spf1 ip6:2001:db8::/33 -all", "2001:db8:7fff::1", SpfResult::Pass),
        ("v=spf1 ip6:2001:db8::/33 -all", "2001:db8:8000::1", SpfResult::Fail),
        ("v=spf1 ip6:2001:db8::1 -all", "2001:db8::1", SpfResult::Pass),
        ("v=spf1 ip6:::/0 -all", "192.0.2.1", SpfResult::Fail),
        ("v=spf1 ip4:0.0.0.0/0 -all", "2001:db8::1", SpfResult::Fail),
    ];
    for (record, ip, expected) in cases {
        assert_eq!(at(record, ip), expected, "{record} {ip}");
    }
}

#[test]
fn rfc7208_5_mapped_addresses_are_ipv4() {
    let at = |record: &str| {
        check(&format!("acme.example TXT {record}\nacme.example A 192.0.2.1"), "::ffff:192.0.2.1").result
    };
    assert_eq!(at("v=spf1 ip4:192.0.2.1 -all"), SpfResult::Pass);
    assert_eq!(at("v=spf1 a -all"), SpfResult::Pass);
    assert_eq!(at("v=spf1 ip6:::ffff:192.0.2.1 ip6:::/0 -all"), SpfResult::Fail);
}

#[test]
fn rfc7208_5_7_exists() {
    let lines = "x.acme.example A 127.0.0.2\ny.acme.example AAAA 2001:db8::1";
    assert_eq!(result("v=spf1 exists:x.%{d} -all", lines), SpfResult::Pass);
    assert_eq!(result("v=spf1 exists:y.%{d} -all", lines), SpfResult::Fail);
    assert_eq!(
        check(&format!("acme.example TXT v=spf1 exists:x.%{{d}} -all\n{lines}"), "2001:db8::9").result,
        SpfResult::Pass
    );
}

#[test]
fn rfc7208_4_8_improper_names_do_not_match() {
    for name in ["a:foo..example", "mx:.example", "exists:%{d1}", "ptr:%{l1}"] {
        assert_eq!(result(&format!("v=spf1 {name} -all"), "example A 192.0.2.1"), SpfResult::Fail, "{name}");
    }
}

#[test]
fn records_of_another_kind_are_ignored() {
    let mut answers = Answers::new();
    let policy = Answer::Records { records: vec![Record::Txt(vec![b"v=spf1 a -all".to_vec()])], ttl: 300 };
    answers.insert(Query::new("acme.example", RecordKind::Txt), policy);
    let other = Answer::Records { records: vec![Record::Aaaa("2001:db8::1".parse().unwrap())], ttl: 300 };
    answers.insert(Query::new("acme.example", RecordKind::A), other);
    let step = check_host("192.0.2.1".parse().unwrap(), &identity("ann@acme.example"), &answers);
    assert!(matches!(step, Step::Done(outcome) if outcome.result == SpfResult::Fail && outcome.voids == 1));
}

#[test]
fn letting_everyone_pass_is_told() {
    let lines =
        "x.example TXT v=spf1 +all\ny.example TXT v=spf1 -ip4:192.0.2.1 +all\nacme.example A 198.51.100.1";
    for record in
        ["+all", "all", "include:x.example -all", "redirect=x.example", "ip4:10.0.0.0/0 -all", "a/0 -all"]
    {
        let outcome = check_record(&format!("v=spf1 {record}"), lines);
        assert!(outcome.result == SpfResult::Pass && outcome.authorises_everyone, "{record}");
    }
    for record in ["-all", "?all", "ip4:192.0.2.1 +all", "-include:x.example", "include:y.example ~all"] {
        assert!(!check_record(&format!("v=spf1 {record}"), lines).authorises_everyone, "{record}");
    }
}
