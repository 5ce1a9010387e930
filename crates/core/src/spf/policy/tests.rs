//! Tests of the record grammar.

use proptest::prelude::*;

use super::*;

/// What a record prints as after reading it.
fn reprint(record: &str) -> Result<String, PolicyError> {
    Policy::parse(record.as_bytes()).map(|policy| policy.to_string())
}

fn cause(record: &str) -> TermError {
    match Policy::parse(record.as_bytes()) {
        Err(PolicyError::Term { cause, .. }) => cause,
        other => panic!("{record}: {other:?}"),
    }
}

#[test]
fn rfc7208_4_5_version_ends_with_a_space_or_the_record() {
    for record in ["v=spf1", "v=spf1 ", "V=SpF1 -all", "v=spf1  a"] {
        assert!(Policy::is_policy(record.as_bytes()), "{record}");
    }
    for record in ["v=spf10", "v=spf1\t-all", " v=spf1", "v=spf", "", "v=spf1-all", "spf2.0/pra -all"] {
        assert!(!Policy::is_policy(record.as_bytes()), "{record}");
        assert_eq!(Policy::parse(record.as_bytes()), Err(PolicyError::Version));
    }
}

#[test]
fn rfc7208_4_6_1_terms() {
    let cases = [
        ("v=spf1", "v=spf1"),
        ("v=spf1   MX  -ALL  ", "v=spf1 mx -all"),
        ("v=spf1 +a:Mail.Acme.example/24//64 ~all", "v=spf1 a:Mail.Acme.example/24//64 ~all"),
        ("v=spf1 a//0 mx/0 ?all", "v=spf1 a//0 mx/0 ?all"),
        ("v=spf1 a/32//128", "v=spf1 a"),
        ("v=spf1 ip4:192.0.2.0/28 ip6:2001:DB8::/32", "v=spf1 ip4:192.0.2.0/28 ip6:2001:db8::/32"),
        ("v=spf1 ip6:::ffff:192.0.2.1", "v=spf1 ip6:::ffff:192.0.2.1"),
        ("v=spf1 ptr ptr:acme.example", "v=spf1 ptr ptr:acme.example"),
        ("v=spf1 a:foo:bar/baz.example", "v=spf1 a:foo:bar/baz.example"),
        ("v=spf1 a:%{d}/24", "v=spf1 a:%{d}/24"),
        ("v=spf1 Exp=e.%{d} REDIRECT=r.example", "v=spf1 redirect=r.example exp=e.%{d}"),
        ("v=spf1 moo.cow-far_out=man:dog/cat moo= -all", "v=spf1 -all moo.cow-far_out=man:dog/cat moo="),
        ("v=spf1 exists:%{ir}.%{l1r-}._spf.%{d}", "v=spf1 exists:%{ir}.%{l1r-}._spf.%{d}"),
    ];
    for (record, printed) in cases {
        assert_eq!(reprint(record).as_deref(), Ok(printed), "{record}");
    }
}

#[test]
fn rfc7208_4_6_1_unknown_mechanisms() {
    for record in ["v=spf1 moo", "v=spf1 all.", "v=spf1 redirect:r.example", "v=spf1 =all", "v=spf1 1up=foo"]
    {
        assert_eq!(cause(record), TermError::UnknownMechanism, "{record}");
    }
    for record in
        ["v=spf1 moo/far=cat", "v=spf1 ++all", "v=spf1 -", "v=spf1 -exp=e.example", "v=spf1 ip5:::1"]
    {
        assert_eq!(cause(record), TermError::UnknownMechanism, "{record}");
    }
}

#[test]
fn rfc7208_5_arguments() {
    for record in
        ["v=spf1 include", "v=spf1 include:", "v=spf1 exists:", "v=spf1 a:", "v=spf1 mx:/24", "v=spf1 ip4"]
    {
        assert_eq!(cause(record), TermError::MissingValue, "{record}");
    }
    for record in
        ["v=spf1 all:x.example", "v=spf1 -all/8", "v=spf1 ptr/0", "v=spf1 a/", "v=spf1 a/24/16", "v=spf1 a/x"]
    {
        assert_eq!(cause(record), TermError::Surplus, "{record}");
    }
    for record in
        ["v=spf1 include:x.example/24", "v=spf1 a:museum", "v=spf1 a:x.example:8080", "v=spf1 exp=-all"]
    {
        assert_eq!(cause(record), TermError::Macro(MacroError::DomainEnd), "{record}");
    }
}

#[test]
fn rfc7208_5_6_prefix_lengths() {
    for record in ["v=spf1 a/33", "v=spf1 a//129", "v=spf1 mx/024", "v=spf1 a/24/64", "v=spf1 a//00"] {
        assert!(matches!(cause(record), TermError::PrefixLength(_)), "{record}");
    }
    for record in
        ["v=spf1 ip4:192.0.2.1/33", "v=spf1 ip4:192.0.2.1/", "v=spf1 ip4:192.0.2.1//32", "v=spf1 ip6:::1/+9"]
    {
        assert!(matches!(cause(record), TermError::PrefixLength(_)), "{record}");
    }
}

#[test]
fn rfc7208_5_6_addresses_are_complete() {
    for record in
        ["v=spf1 ip4:192.0.2", "v=spf1 ip4:192.0.2.1:25", "v=spf1 ip4:192.0.2.01", "v=spf1 ip4:2001:db8::"]
    {
        assert!(matches!(cause(record), TermError::Address(_)), "{record}");
    }
    for record in ["v=spf1 ip6::db8::1", "v=spf1 ip6:192.0.2.1", "v=spf1 ip6:fe80::1%eth0", "v=spf1 ip4:/24"]
    {
        assert!(matches!(cause(record), TermError::Address(_)), "{record}");
    }
}

#[test]
fn rfc7208_6_modifiers_stand_once() {
    for record in ["v=spf1 exp=a.example exp=b.example", "v=spf1 redirect=a.example -all redirect=a.example"]
    {
        assert_eq!(cause(record), TermError::Repeated, "{record}");
    }
}

#[test]
fn rfc7208_3_1_octets_outside_ascii() {
    for (record, octet) in [(&b"v=spf1 a:\xefx.example"[..], 0xef), (b"v=spf1 a\tmx", 9), (b"v=spf1 a\0", 0)]
    {
        assert_eq!(Policy::parse(record), Err(PolicyError::Octet(octet)));
    }
}

#[test]
fn errors_say_which_term_and_why() {
    let error = Policy::parse(b"v=spf1 a/33 -all").unwrap_err();
    assert_eq!(error.to_string(), "term `a/33` is not valid: `/33` is no prefix length");
}

proptest! {
    #[test]
    fn never_panics_on_any_octets(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Policy::parse(&octets);
        let _ = Policy::parse(&[VERSION, b" ", &octets].concat());
    }

    #[test]
    fn printing_and_reading_is_identity(terms in proptest::collection::vec(
        concat!(
            "[+~?-]?(all|a|mx|ptr|include|exists|ip4|ip6|redirect=|exp=|x=)(:?)",
            "(%\\{d2r-\\}|a\\.example|192\\.0\\.2\\.1|2001:db8::)?(/[0-9]{1,2})?(//[0-9]{1,3})?",
        ),
        0..6,
    )) {
        let record = format!("v=spf1 {}", terms.join(" "));
        if let Ok(policy) = Policy::parse(record.as_bytes()) {
            prop_assert_eq!(Policy::parse(policy.to_string().as_bytes()), Ok(policy));
        }
    }
}
