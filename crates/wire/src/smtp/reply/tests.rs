use proptest::prelude::*;

use super::*;

fn written(reply: &Reply) -> String {
    let mut out = Vec::new();
    reply.write(&mut out, &Limits::default());
    String::from_utf8(out).unwrap()
}

fn read(octets: &[u8]) -> Result<ReplyProgress, ReplyError> {
    ReplyParser::new(&Limits::default()).push(octets)
}

fn refused() -> Reply {
    Reply::new(550, Some(Enhanced::new(5, 7, 1)), "first")
}

#[test]
fn rfc5321_4_2_1_every_line_but_the_last_has_a_hyphen() {
    assert_eq!(written(&refused()), "550 5.7.1 first\r\n");
    assert_eq!(written(&refused().with_line("second")), "550-5.7.1 first\r\n550 5.7.1 second\r\n");
    assert_eq!(written(&Reply::new(220, None, "mx.a.example ESMTP")), "220 mx.a.example ESMTP\r\n");
}

#[test]
fn rfc4954_4_empty_challenge_keeps_its_space() {
    assert_eq!(written(&Reply::new(334, None, "")), "334 \r\n");
}

#[test]
fn nothing_but_printable_ascii_leaves() {
    let reply = Reply::new(550, None, "a\r\n250 b\0\u{7f}\u{85}é\tc");
    assert_eq!(written(&reply), "550 a??250 b???? c\r\n");
}

#[test]
fn long_text_is_wrapped_at_word_ends() {
    let limits = Limits { reply_line: 64, ..Limits::default() };
    let words = "one two three four five six seven eight nine ten eleven twelve thirteen";
    let mut out = Vec::new();
    Reply::new(550, Some(Enhanced::new(5, 7, 1)), words).write(&mut out, &limits);
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "550-5.7.1 one two three four five six seven eight nine ten\r\n550 5.7.1 eleven twelve thirteen\r\n"
    );
}

#[test]
fn a_word_longer_than_the_line_is_cut() {
    let limits = Limits { reply_line: 64, ..Limits::default() };
    let lines = |text: &str| {
        let mut out = Vec::new();
        Reply::new(550, None, text).write(&mut out, &limits);
        String::from_utf8(out).unwrap()
    };
    let x = |count: usize| "x".repeat(count);
    assert_eq!(lines(&x(58)), format!("550 {}\r\n", x(58)));
    assert_eq!(lines(&x(59)), format!("550-{}\r\n550 x\r\n", x(58)));
    assert_eq!(lines(&format!("{} y", x(58))), format!("550-{}\r\n550 y\r\n", x(58)));
    assert_eq!(lines(&format!(" {}", x(60))), format!("550- {}\r\n550 xxx\r\n", x(57)));
}

#[test]
fn codes_that_do_not_fit_are_repaired() {
    assert_eq!(Reply::new(99, None, "a").code(), 451);
    assert_eq!(Reply::new(600, None, "a").code(), 451);
    assert_eq!(Reply::new(450, Some(Enhanced::new(5, 0, 0)), "a").enhanced(), None);
}

#[test]
fn classes() {
    let class = |code| {
        let reply = Reply::new(code, None, "");
        [reply.is_positive(), reply.is_intermediate(), reply.is_transient(), reply.is_permanent()]
    };
    assert_eq!(class(250), [true, false, false, false]);
    assert_eq!(class(354), [false, true, false, false]);
    assert_eq!(class(451), [false, false, true, false]);
    assert_eq!(class(599), [false, false, false, true]);
}

#[test]
fn rfc3463_2_enhanced_codes() {
    assert_eq!(Enhanced::parse("5.7.1"), Some(Enhanced::new(5, 7, 1)));
    assert_eq!(Enhanced::parse("2.0.999"), Some(Enhanced::new(2, 0, 999)));
    for text in ["", "5", "5.7", "5.7.1.1", "3.0.0", "5.07.1", "5.7.1000", "5.+7.1", "5.7.", "25.7.1"] {
        assert_eq!(Enhanced::parse(text), None, "{text}");
    }
}

#[test]
fn parser_leaves_the_next_reply_alone() {
    let progress = read(b"250-a\r\n250 b\r\n354 go\r\n").unwrap();
    assert_eq!(progress.consumed, 14);
    assert_eq!(progress.reply.unwrap(), Reply::new(250, None, "a").with_line("b"));
}

#[test]
fn parser_recognises_the_enhanced_code() {
    let reply = |octets| read(octets).unwrap().reply.unwrap();
    assert_eq!(reply(b"550-5.7.1 first\r\n550 5.7.1 second\r\n"), refused().with_line("second"));
    assert_eq!(reply(b"550-5.7.1 first\r\n550 5.7.2 b\r\n"), refused().with_line("5.7.2 b"));
    assert_eq!(reply(b"550 2.0.0 x\r\n"), Reply::new(550, None, "2.0.0 x"));
    assert_eq!(reply(b"250 2.0.0\r\n"), Reply::new(250, Some(Enhanced::new(2, 0, 0)), ""));
}

#[test]
fn rfc5321_4_2_code_alone_is_a_reply() {
    assert_eq!(read(b"250\r\n").unwrap().reply, Some(Reply::new(250, None, "")));
}

#[test]
fn parser_refuses_what_is_not_a_reply() {
    assert_eq!(read(b"250-a\r\n550 b\r\n"), Err(ReplyError::MixedCodes { first: 250, then: 550 }));
    assert_eq!(read(b"250 a\n"), Err(ReplyError::BareLineEnd));
    assert_eq!(read(b"250 a\rb\r\n"), Err(ReplyError::BareLineEnd));
    for line in
        [&b"\r\n"[..], b"25\r\n", b"150 a\r\n", b"650 a\r\n", b"2500 a\r\n", b"250_a\r\n", b"HTTP/1.1\r\n"]
    {
        assert!(matches!(read(line), Err(ReplyError::NotAReply(_))), "{line:?}");
    }
}

#[test]
fn parser_has_limits() {
    let line = |length: usize| [b"250 ".to_vec(), vec![b'x'; length - 6], b"\r\n".to_vec()].concat();
    assert!(read(&line(2048)).unwrap().reply.is_some());
    assert_eq!(read(&line(2049)), Err(ReplyError::LineTooLong));
    assert_eq!(read(&vec![b'2'; 3000]), Err(ReplyError::LineTooLong));
    let lines = |count: usize| [b"250-a\r\n".repeat(count - 1), b"250 a\r\n".to_vec()].concat();
    assert_eq!(read(&lines(100)).unwrap().reply.unwrap().lines().len(), 100);
    assert_eq!(read(&lines(101)), Err(ReplyError::TooManyLines));
}

#[test]
fn parser_knows_that_it_is_midway() {
    let mut parser = ReplyParser::new(&Limits::default());
    assert!(!parser.is_midway());
    parser.push(b"250-a\r\n").unwrap();
    assert!(parser.is_midway());
    parser.push(b"250 b\r\n").unwrap();
    assert!(!parser.is_midway());
}

proptest! {
    #[test]
    fn parser_never_panics_and_any_cut_gives_the_same(
        octets in prop_oneof![
            any::<Vec<u8>>(),
            prop::collection::vec(prop::sample::select(b"250- \r\n.7".to_vec()), 0..40),
        ],
        cut in any::<prop::sample::Index>(),
    ) {
        let whole = read(&octets);
        let (head, tail) = octets.split_at(cut.index(octets.len() + 1));
        let mut parser = ReplyParser::new(&Limits::default());
        let in_two = match parser.push(head) {
            Ok(ReplyProgress { consumed, reply: None }) => parser
                .push(tail)
                .map(|progress| ReplyProgress { consumed: consumed + progress.consumed, ..progress }),
            ended => ended,
        };
        prop_assert_eq!(in_two, whole);
    }

    #[test]
    fn print_then_parse_is_identity(
        code in 200u16..600,
        enhanced in prop::option::of((0u16..1000, 0u16..1000)),
        lines in prop::collection::vec("[a-z]([ -~]{0,80}[a-z])?", 1..5),
    ) {
        let enhanced = enhanced.map(|(subject, detail)| Enhanced::new((code / 100) as u8, subject, detail));
        let enhanced = enhanced.filter(|_| code / 100 != 3);
        let first = Reply::new(code, enhanced, &lines[0]);
        let reply = lines[1..].iter().fold(first, |reply, line| reply.with_line(line));
        let octets = written(&reply).into_bytes();
        prop_assert_eq!(read(&octets), Ok(ReplyProgress { consumed: octets.len(), reply: Some(reply) }));
    }

    #[test]
    fn no_text_breaks_the_form(text in any::<String>(), limit in 0usize..600, more in any::<String>()) {
        let limits = Limits { reply_line: limit, ..Limits::default() };
        let mut out = Vec::new();
        Reply::new(550, Some(Enhanced::new(5, 7, 1)), &text).with_line(&more).write(&mut out, &limits);
        let octets = String::from_utf8(out).unwrap();
        let lines: Vec<&str> = octets.split_terminator("\r\n").collect();
        let (last, earlier) = lines.split_last().unwrap();
        prop_assert!(octets.ends_with("\r\n"));
        prop_assert!(last.starts_with("550 5.7.1 ") && earlier.iter().all(|line| line.starts_with("550-5.7.1 ")));
        for line in &lines {
            prop_assert!(line.len() + 2 <= limit.max(64));
            prop_assert!(line.bytes().all(|octet| (b' '..=b'~').contains(&octet)));
        }
    }
}

#[test]
fn a_tab_after_the_enhanced_code_of_an_upstream_does_not_hide_it() {
    let mut parser = ReplyParser::new(&Limits::default());
    let reply = parser.push(b"550 5.1.1\tunknown user\r\n").unwrap().reply.unwrap();
    assert_eq!(reply.enhanced(), Some(Enhanced::new(5, 1, 1)));
    assert_eq!(reply.lines(), ["unknown user"]);
}
