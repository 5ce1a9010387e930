//! The strict mailbox grammar as tables: what passes, and what each trick is called.

use proptest::prelude::*;

use super::*;

#[test]
fn rfc5322_3_4_mailboxes() {
    for (value, display, address) in [
        ("ana@shop.example", None, "ana@shop.example"),
        (" <ana@shop.example> ", None, "ana@shop.example"),
        ("Ana <ana@shop.example>", Some("Ana"), "ana@shop.example"),
        ("Ana Q. Doe<ana@Shop.Example>", Some("Ana Q. Doe"), "ana@shop.example"),
        ("\"Doe, Ana\" <ana+news@shop.example>", Some("Doe, Ana"), "ana+news@shop.example"),
        ("\"Ana \\\"A\\\" Doe\" <ana@shop.example>", Some("Ana \"A\" Doe"), "ana@shop.example"),
        ("=?utf-8?q?Jos=C3=A9?= <jose@shop.example>", Some("José"), "jose@shop.example"),
        ("\"=?utf-8?q?Jos=C3=A9?=\" <jose@shop.example>", Some("José"), "jose@shop.example"),
        ("José <jose@shop.example>", Some("José"), "jose@shop.example"),
        ("Ana\r\n\t<ana@shop.example>", Some("Ana"), "ana@shop.example"),
        ("\"ana doe\"@shop.example", None, "\"ana doe\"@shop.example"),
        ("\"ana\"@shop.example", None, "ana@shop.example"),
        ("ana@shop.example (Ana)", None, "ana@shop.example"),
        ("(the shop) Ana <ana@shop.example> (news)", Some("Ana"), "ana@shop.example"),
        ("\"\" <ana@shop.example>", None, "ana@shop.example"),
        ("o'neil/x!{y}@shop.example", None, "o'neil/x!{y}@shop.example"),
    ] {
        let mailbox = Mailbox::parse(value.as_bytes()).unwrap_or_else(|e| panic!("{value}: {e}"));
        assert_eq!((mailbox.display.as_deref(), mailbox.address.to_string().as_str()), (display, address));
        assert_eq!(mailbox.display_address, None, "{value}");
    }
}

#[test]
fn every_trick_has_its_name() {
    for (value, code) in [
        ("", "no-address"),
        ("(only a comment)", "no-address"),
        ("<>", "empty-address"),
        ("Ana <>", "empty-address"),
        ("Ana < >", "empty-address"),
        ("ana@shop.example, ceo@bank.example", "two-mailboxes"),
        ("<ana@shop.example>, <ceo@bank.example>", "two-mailboxes"),
        ("<ana@shop.example,ceo@bank.example>", "two-mailboxes"),
        ("Doe, Ana <ana@shop.example>", "two-mailboxes"),
        ("ceo@bank.example, <ana@shop.example>", "two-mailboxes"),
        ("ana@shop.example,", "stray-comma"),
        ("<ana@shop.example>,", "stray-comma"),
        (",ana@shop.example", "stray-comma"),
        (", <ana@shop.example>", "stray-comma"),
        ("<ceo@bank.example> <ana@shop.example>", "two-angles"),
        ("<<ana@shop.example>>", "two-angles"),
        ("Us: ana@shop.example;", "group"),
        ("Us: <ana@shop.example>;", "group"),
        ("undisclosed-recipients:;", "group"),
        ("<ana@shop.example>;", "group"),
        ("<@bank.example:ana@shop.example>", "route"),
        ("<@a.example,@b.example:ana@shop.example>", "route"),
        ("=?utf-8?q?ceo=40bank.example?=@shop.example", "encoded-address"),
        ("<=?utf-8?q?ceo=40bank.example=2C?=ana@shop.example>", "encoded-address"),
        ("=?utf-8?q?ceo=40bank.example?=", "encoded-address"),
        ("ceo@bank.example <ana@shop.example>", "address-in-display"),
        ("<ana@shop.example>ceo@bank.example", "text-after-address"),
        ("<ana@shop.example> ceo", "text-after-address"),
        ("<ana@shop.example>\"ceo\"", "text-after-address"),
        ("[Ana] <ana@shop.example>", "unquoted-special"),
        ("ceo\\,<ana@shop.example>", "backslash"),
        ("ana\\@bank.example@shop.example", "backslash"),
        ("\"Ana <ana@shop.example>", "unclosed-quote"),
        ("\"Ana\\\" <ana@shop.example>", "unclosed-quote"),
        ("\"ceo@bank.example\r\n \" <ana@shop.example>", "folded-quote"),
        ("\"Ana\r\n\tDoe\" <ana@shop.example>", "folded-quote"),
        ("ana@shop.example (Ana\r\n Doe)", "folded-quote"),
        ("\u{c}ana@shop.example", "control"),
        ("=?x-own?q?Ana?= <ana@shop.example>", "charset"),
        ("(Ana <ana@shop.example>", "unclosed-comment"),
        ("Ana) <ana@shop.example>", "unclosed-comment"),
        ("<ana@shop.example", "unclosed-angle"),
        ("ana@shop.example>", "unclosed-angle"),
        ("Ana > <ana@shop.example>", "unclosed-angle"),
        ("ana@shop.example (ceo@bank.example)", "comment-with-address"),
        ("(<ceo>) <ana@shop.example>", "comment-with-address"),
        ("Ana (=?utf-8?q?=40?=) <ana@shop.example>", "comment-with-address"),
        ("ana@shop.example(.bank.example)", "comment-in-address"),
        ("<ana(x)@shop.example>", "comment-in-address"),
        ("ana (x)@shop.example", "comment-in-address"),
        ("ana . doe@shop.example", "space-in-address"),
        ("<ana@shop. example>", "space-in-address"),
        ("< ana@shop.example>", "space-in-address"),
        ("Ana ana@shop.example", "space-in-address"),
        ("ana@bücher.example", "non-ascii-address"),
        ("<anä@shop.example>", "non-ascii-address"),
        ("Ana <ana@[192.0.2.1]>", "address-literal"),
        ("ana@[IPv6:2001:db8::1]", "address-literal"),
        ("ana", "no-domain"),
        ("Ana <ana>", "no-domain"),
        ("ana@", "no-domain"),
        ("@shop.example", "no-local"),
        ("ana@bank.example@shop.example", "two-ats"),
        (".ana@shop.example", "local-part"),
        ("ana..doe@shop.example", "local-part"),
        ("\"ana\".doe@shop.example", "local-part"),
        ("\"ceo@bank.example\"@shop.example", "quoted-local-part"),
        ("\"ceo\\@bank\"@shop.example", "quoted-local-part"),
        ("ana@shop.example.", "domain"),
        ("ana@shop..example", "domain"),
        ("ana@192.0.2.1", "domain"),
        ("ana@shop_x.example", "domain"),
        ("ana@localhost", "bare-host"),
        ("\"Ana <ceo@bank.example>\" <ana@shop.example>", "mailbox-in-display"),
        ("=?utf-7?q?Ana?= <ana@shop.example>", "charset"),
        ("Ana\u{1} <ana@shop.example>", "control"),
        ("Ana\0 <ana@shop.example>", "control"),
        ("Ana \u{202e}elpmaxe <ana@shop.example>", "bidi"),
    ] {
        let result = Mailbox::parse(value.as_bytes()).map_err(|e| e.code());
        assert_eq!(result.map(|m| m.address.to_string()), Err(code), "{value}");
    }
}

#[test]
fn rfc6532_3_2_other_bytes_than_utf8_are_refused() {
    assert_eq!(Mailbox::parse(b"Jos\xe9 <jose@shop.example>").unwrap_err(), Ambiguity::InvalidUtf8);
}

#[test]
fn long_ones_are_refused() {
    let long = format!("\"{}\" <ana@shop.example>", "x".repeat(1000));
    assert_eq!(Mailbox::parse(long.as_bytes()).unwrap_err(), Ambiguity::TooLong);
    let local = format!("{}@shop.example", "x".repeat(65));
    assert_eq!(Mailbox::parse(local.as_bytes()).unwrap_err(), Ambiguity::TooLong);
}

#[test]
fn a_name_like_an_address_is_legal_and_told() {
    let mailbox = Mailbox::parse(b"\"ceo@bank.example\" <ana@shop.example>").unwrap();
    assert_eq!(mailbox.display_address.as_deref(), Some("ceo@bank.example"));
}

#[test]
fn lists_hold_mailboxes() {
    let list = |value: &str| Mailbox::parse_list(value.as_bytes()).map(|l| l.len()).map_err(|e| e.code());
    assert_eq!(list("ana@shop.example"), Ok(1));
    assert_eq!(list("Ana <ana@shop.example>, \"Doe, Bo\" <bo@shop.example>"), Ok(2));
    assert_eq!(list("ana@shop.example,"), Err("no-address"));
    assert_eq!(list("Us: ana@shop.example;"), Err("group"));
    assert_eq!(list("<ana@shop.example,bo@shop.example>"), Err("two-mailboxes"));
    assert_eq!(list(&vec!["a@b.example"; 101].join(",")), Err("too-many"));
}

proptest! {
    #[test]
    fn never_panics(value in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Mailbox::parse(&value);
        let _ = Mailbox::parse_list(&value);
    }

    #[test]
    fn odd_grammar_never_panics(value in "[\"<>()@,;:\\\\. \ta=?\\[\\]é-]{0,40}") {
        let _ = Mailbox::parse(value.as_bytes());
    }

    /// Whatever is accepted, the most naive reader (the last `<...>`, or all of it) finds the same address.
    #[test]
    fn what_passes_is_what_a_naive_reader_sees(
        value in "((\"[a-b@<>, .]{0,6}\"|[ab]|\\([ab@]\\)|ceo@bank.example|=\\?utf-8\\?q\\?=40b\\?=) ?){0,3}<?[ab]{1,3}@shop.example>?( \\([ab<]\\))?"
    ) {
        if let Ok(mailbox) = Mailbox::parse(value.as_bytes()) {
            let shown = mailbox.address.to_string();
            prop_assert!(value.contains(&shown));
            let bracket = value.rsplit_once('<').and_then(|(_, tail)| tail.split_once('>')).map(|(inside, _)| inside);
            if let Some(inside) = bracket {
                prop_assert_eq!(inside, shown);
            }
        }
    }
}
