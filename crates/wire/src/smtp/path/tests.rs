use proptest::prelude::*;

use super::*;

fn parts(text: &str) -> Result<(String, String), PathError> {
    Path::parse(text).map(|path| (path.local, path.domain))
}

fn good(local: &str, domain: &str) {
    let text = format!("{local}@{domain}");
    assert_eq!(parts(&text), Ok((local.to_owned(), domain.to_owned())), "{text}");
}

#[test]
fn rfc5321_4_1_2_mailboxes_keep_their_text() {
    good("a", "b.example");
    good("a.b+c=d", "B.Example");
    good("!#$%&'*+-/=?^_`{|}~", "b");
    good(r#""a b""#, "c.example");
    good(r#""a\"b""#, "c.example");
    good(r#""a@evil.example>""#, "c.example");
    good(r#""""#, "c.example");
    good(r#""\\""#, "c.example");
    good("a", "xn--bcher-kva.example");
    good("a", "1.example");
}

#[test]
fn rfc5321_4_1_3_address_literals() {
    good("a", "[192.0.2.1]");
    good("a", "[IPv6:2001:db8::1]");
    good("a", "[ipv6:2001:DB8::192.0.2.1]");
    for literal in [
        "[]",
        "[192.0.2]",
        "[192.0.2.256]",
        "[192.0.2.01]",
        "[2001:db8::1]",
        "[IPv6:192.0.2.1]",
        "[IPv6:]",
        "[IPv6:fe80::1%1]",
        "[x:y]",
        "[192.0.2.1",
        "[192.0.2.1]]",
        "[[192.0.2.1]",
        "[é:192.0.2.1]",
    ] {
        assert_eq!(parts(&format!("a@{literal}")), Err(PathError::Literal), "{literal}");
    }
    assert_eq!(parts("a@192.0.2.1]"), Err(PathError::Domain));
}

#[test]
fn malformed_local_parts() {
    for local in
        [".a", "a.", "a..b", "a b", "a(b)", "a\\b", "a,b", "\"a", "\"a\\\"", "\"a\"b", "a\"b\"", "\u{85}"]
    {
        assert_eq!(parts(&format!("{local}@b.example")), Err(PathError::Local), "{local}");
    }
    assert_eq!(parts("\"a\tb\"@c.example"), Err(PathError::Local));
    assert_eq!(parts("\"a\\é\"@c.example"), Err(PathError::Local));
    assert_eq!(parts(""), Err(PathError::Local));
}

#[test]
fn malformed_domains() {
    for domain in
        [".b", "b.", "b..c", "-b", "b-", "a_b.example", "b c", "b@c", "b.example>", "b(c)", "b\u{a0}c"]
    {
        assert_eq!(parts(&format!("a@{domain}")), Err(PathError::Domain), "{domain}");
    }
    assert_eq!(parts("a@"), Err(PathError::NoDomain));
    assert_eq!(parts("a"), Err(PathError::NoDomain));
}

#[test]
fn source_routes_are_refused() {
    assert_eq!(parts("@a.example,@b.example:c@d.example"), Err(PathError::SourceRoute));
    assert_eq!(parts("@a.example"), Err(PathError::SourceRoute));
}

#[test]
fn rfc5321_4_5_3_1_lengths() {
    let domain = |odd_length: usize| format!("{}b", "a.".repeat(odd_length / 2));
    assert!(parts(&format!("{}@b.example", "a".repeat(64))).is_ok());
    assert_eq!(parts(&format!("{}@b.example", "a".repeat(65))), Err(PathError::LocalTooLong));
    assert!(parts(&format!("a@{}.example", "b".repeat(63))).is_ok());
    assert_eq!(parts(&format!("a@{}.example", "b".repeat(64))), Err(PathError::DomainTooLong));
    assert_eq!(domain(251).len(), 251);
    assert!(parts(&format!("aa@{}", domain(251))).is_ok());
    assert_eq!(parts(&format!("aaa@{}", domain(251))), Err(PathError::TooLong));
    assert_eq!(parts(&format!("a@{}", domain(257))), Err(PathError::DomainTooLong));
}

#[test]
fn rfc6531_3_3_utf8_is_read_and_known() {
    let path = Path::parse("\u{fc}@b\u{fc}cher.example").unwrap();
    assert!(!path.is_ascii());
    assert!(Path::parse("a@b.example").unwrap().is_ascii());
}

#[test]
fn brackets_end_where_the_grammar_says() {
    let path = Path::parse(r#""a>b"@c.example"#).unwrap();
    assert_eq!(read_bracketed(r#"<"a>b"@c.example>x"#), Ok((Bracketed::Mailbox(path), "x")));
    assert_eq!(read_bracketed("<> y"), Ok((Bracketed::Null, " y")));
    assert_eq!(read_bracketed("<PostMaster>"), Ok((Bracketed::Postmaster, "")));
    assert_eq!(read_bracketed("<a>"), Err(PathError::NoDomain));
    assert_eq!(read_bracketed("<postmaster"), Err(PathError::Unclosed));
    assert_eq!(read_bracketed("<a@b.example"), Err(PathError::Unclosed));
    assert_eq!(read_bracketed("a@b.example"), Err(PathError::NoBrackets));
    assert_eq!(read_bracketed("<a@b.example SIZE=1"), Err(PathError::Unclosed));
    assert_eq!(read_bracketed("<<a@b.example>>"), Err(PathError::Local));
}

proptest! {
    #[test]
    fn parser_never_panics(text in any::<String>()) {
        let _ = Path::parse(&text);
        let _ = read_bracketed(&format!("<{text}"));
    }

    #[test]
    fn print_then_parse_is_identity(
        text in prop_oneof![
            r#"[a-z.+"\\ @<>]{0,8}@[a-z0-9.\-]{0,10}"#,
            r#""[a-z@> ]{0,6}(\\")?"@[a-z]{1,5}\.example"#,
            r"[a-z]{1,3}@\[[0-9.]{7,9}\]",
        ],
    ) {
        if let Ok(path) = Path::parse(&text) {
            prop_assert_eq!(path.to_string(), text.clone());
            let bracketed = format!("<{text}> tail");
            prop_assert_eq!(read_bracketed(&bracketed), Ok((Bracketed::Mailbox(path), " tail")));
        }
    }
}
