use proptest::prelude::*;

use super::*;
use crate::smtp::parameters::Notify;

fn parse(line: &str) -> Result<Command, CommandError> {
    Command::parse(line.as_bytes())
}

fn mail(line: &str) -> Mail {
    match parse(line) {
        Ok(Command::Mail(mail)) => mail,
        other => panic!("{line:?}: {other:?}"),
    }
}

fn rcpt(line: &str) -> Rcpt {
    match parse(line) {
        Ok(Command::Rcpt(rcpt)) => rcpt,
        other => panic!("{line:?}: {other:?}"),
    }
}

fn refusal(line: &str) -> String {
    parse(line).expect_err(line).reply().to_string()
}

#[test]
fn commands_without_arguments() {
    for (line, command) in [
        ("DATA", Command::Data),
        ("rset", Command::Rset),
        ("Quit", Command::Quit),
        ("STARTTLS", Command::StartTls),
        ("NOOP", Command::Noop),
        ("NOOP what ever", Command::Noop),
        ("HELP", Command::Help),
        ("HELP MAIL", Command::Help),
    ] {
        assert_eq!(parse(line), Ok(command), "{line}");
    }
    for line in ["DATA x", "RSET x", "QUIT x", "STARTTLS x"] {
        assert!(refusal(line).starts_with("501 5.5.4 "), "{line}");
    }
}

#[test]
fn rfc5321_4_1_1_trailing_spaces_are_tolerated() {
    assert_eq!(parse("DATA  "), Ok(Command::Data));
    assert_eq!(parse("MAIL FROM:<>  "), parse("MAIL FROM:<>"));
    assert_eq!(parse("DATA\t"), Err(CommandError::Control(b'\t')));
}

#[test]
fn greetings_take_any_single_word() {
    for name in ["mx.a.example", "[192.0.2.1]", "my_pc", "localhost"] {
        assert_eq!(parse(&format!("EHLO {name}")), Ok(Command::Ehlo(name.to_owned())));
        assert_eq!(parse(&format!("helo {name}")), Ok(Command::Helo(name.to_owned())));
    }
    for line in ["EHLO", "HELO", "EHLO a b", "EHLO  a"] {
        assert!(refusal(line).starts_with("501 5.5.4 "), "{line}");
    }
    assert!(parse(&format!("EHLO {}", "a".repeat(255))).is_ok());
    assert!(parse(&format!("EHLO {}", "a".repeat(256))).is_err());
}

#[test]
fn rfc5321_4_5_5_null_reverse_path() {
    assert_eq!(mail("MAIL FROM:<>").sender, None);
    assert_eq!(parse("RCPT TO:<>"), Err(CommandError::Recipient(PathError::NoDomain)));
}

#[test]
fn mail_with_everything() {
    let line =
        "MAIL FROM:<\"a b\"@c.example> SIZE=1000 BODY=8BITMIME SMTPUTF8 RET=FULL ENVID=x AUTH=a@b.example";
    let command = mail(line);
    let sender = command.sender.clone().unwrap();
    assert_eq!((sender.local(), sender.domain()), ("\"a b\"", "c.example"));
    assert_eq!(command.parameters.size, Some(1000));
    assert_eq!(command.to_string(), line);
}

#[test]
fn rcpt_with_everything() {
    let line = "RCPT TO:<a@[192.0.2.1]> NOTIFY=NEVER ORCPT=rfc822;a@b.example";
    let command = rcpt(line);
    assert_eq!(command.parameters.notify, Some(Notify::Never));
    assert_eq!(command.to_string(), line);
}

#[test]
fn rfc5321_4_1_1_3_postmaster_needs_no_domain() {
    assert_eq!(rcpt("RCPT TO:<Postmaster>").recipient, Recipient::Postmaster);
    assert_eq!(rcpt("RCPT TO:<postmaster>").to_string(), "RCPT TO:<postmaster>");
    assert!(refusal("MAIL FROM:<postmaster>").starts_with("501 5.1.7 "));
}

#[test]
fn one_space_after_the_colon_and_no_other() {
    assert_eq!(parse("MAIL FROM: <a@b.example>"), parse("mail from:<a@b.example>"));
    assert_eq!(parse("RCPT TO: <a@b.example>"), parse("RCPT to:<a@b.example>"));
    for line in ["MAIL FROM:  <a@b.example>", "MAIL FROM :<a@b.example>", "MAIL  FROM:<a@b.example>", "MAIL"]
    {
        assert!(refusal(line).starts_with("501 "), "{line}");
    }
}

#[test]
fn paths_that_others_repair_are_refused() {
    for (line, reply) in [
        ("MAIL FROM:<@a.example,@b.example:c@d.example>", "501 5.1.7 source routes are not accepted"),
        ("RCPT TO:<@a.example:c@d.example>", "501 5.1.3 source routes are not accepted"),
        ("MAIL FROM:a@b.example", "501 5.1.7 sender must be <local@domain> or <>"),
        ("MAIL FROM:<a b@c.example>", "501 5.1.7 sender must be <local@domain> or <>"),
        ("MAIL FROM:<a@b.example>x", "501 5.5.4 syntax error in a parameter"),
        ("MAIL FROM:<a@b.example> SIZE=1 SIZE=2", "555 5.5.4 parameter given twice"),
        ("MAIL FROM:<a@b.example> SIZE=1 FOO", "555 5.5.4 parameter not recognised"),
        ("MAIL FROM:<a@b.example> SIZE=x", "501 5.5.4 syntax error in a parameter"),
        ("RCPT TO:<a@b_c.example>", "501 5.1.3 recipient must be <local@domain>"),
        ("RCPT TO:<a@b.example> SIZE=1", "555 5.5.4 parameter not recognised"),
    ] {
        assert_eq!(refusal(line), reply, "{line}");
    }
}

/// The other rows of docs/decisions/002-own-smtp-framing.md.
#[test]
fn decision_002_octets_that_others_drop_are_refused() {
    let long = format!("MAIL FROM:<{}@b.example>", "a".repeat(65));
    for (line, reply) in [
        (&b"MAIL FROM:<a\0b@c.example>"[..], "500 5.5.2"),
        (b"MAIL FROM:<\"a\0b\"@c.example>", "500 5.5.2"),
        (b"MAIL FROM:<\"a\x01b\"@c.example>", "500 5.5.2"),
        (b"MAIL FROM:<a@b.exa\rmple>", "500 5.5.2"),
        (b"MAIL FROM:<a@b.example>\n", "500 5.5.2"),
        (b"MAIL FROM:<\xff\xfe@c.example>", "500 5.5.2"),
        (b"MAIL FROM:<\xc3\xa9@c.example>", "553 5.6.7"),
        (b"MAIL FROM:<a@-._=.example>", "501 5.1.7"),
        (long.as_bytes(), "501 5.1.7"),
        (b"STARTTLS junk", "501 5.5.4"),
        (b"BDAT 5 LAST junk", "501 5.5.4"),
    ] {
        let said = Command::parse(line).unwrap_err().reply().to_string();
        assert!(said.starts_with(reply), "{line:?}: {said}");
    }
}

#[test]
fn quoted_local_part_stays_quoted() {
    let Recipient::Mailbox(path) = rcpt(r#"RCPT TO:<"a@evil.example"@c.example>"#).recipient else {
        panic!()
    };
    assert_eq!((path.local(), path.domain()), (r#""a@evil.example""#, "c.example"));
    let Recipient::Mailbox(path) = rcpt(r#"RCPT TO:<"a\"b"@c.example>"#).recipient else { panic!() };
    assert_eq!((path.local(), path.domain()), (r#""a\"b""#, "c.example"));
}

#[test]
fn control_octets_are_refused_anywhere() {
    for octet in (0u8..32).chain([127]) {
        for (head, tail) in [
            ("MAIL FROM:<a", "b@c.example>"),
            ("MAIL FROM:<\"a", "\"@c.example>"),
            ("NO", "OP"),
            ("NOOP", ""),
        ] {
            let line = [head.as_bytes(), &[octet], tail.as_bytes()].concat();
            assert_eq!(Command::parse(&line), Err(CommandError::Control(octet)));
        }
    }
}

#[test]
fn rfc6531_3_3_utf8_needs_its_parameter_and_a_path() {
    assert!(refusal("MAIL FROM:<\u{e9}@a.example>").starts_with("553 5.6.7 "));
    assert!(mail("MAIL FROM:<\u{e9}@a.example> SMTPUTF8").parameters.smtputf8);
    assert!(parse("RCPT TO:<\u{e9}@a.example>").is_ok());
    for line in ["EHLO \u{e9}", "NOOP \u{e9}", "\u{e9}", "VRFY \u{e9}", "AUTH PLAIN \u{e9}"] {
        assert!(refusal(line).starts_with("500 5.5.2 "), "{line}");
    }
    assert_eq!(Command::parse(b"MAIL FROM:<\xff@a.example> SMTPUTF8"), Err(CommandError::NotAscii));
}

#[test]
fn rfc3030_2_chunks() {
    assert_eq!(parse("BDAT 100"), Ok(Command::Bdat { size: 100, last: false }));
    assert_eq!(parse("bdat 0 last"), Ok(Command::Bdat { size: 0, last: true }));
    assert_eq!(parse("BDAT 1 LAST "), Ok(Command::Bdat { size: 1, last: true }));
}

#[test]
fn a_chunk_of_unknown_size_closes_the_connection() {
    for line in [
        "BDAT",
        "BDAT ",
        "BDAT x",
        "BDAT -1",
        "BDAT +1",
        "BDAT 1x",
        "BDAT 1 LAST x",
        "BDAT 1  LAST",
        "BDAT 1\0",
        "BDAT\t1",
        "BDAT 18446744073709551616",
        "BDAT 1 \u{e9}",
    ] {
        let error = parse(line).expect_err(line);
        assert!(error.must_close(), "{line}");
        assert_eq!(error.reply().code(), 501);
    }
    assert!(!parse("DATA x").unwrap_err().must_close());
}

#[test]
fn auth_keeps_its_response_to_itself() {
    let Ok(Command::Auth { mechanism, initial }) = parse("auth plain AHQAcA==") else { panic!() };
    assert_eq!((mechanism.as_str(), initial), ("PLAIN", Some(InitialResponse::new("AHQAcA=="))));
    assert!(!format!("{:?}", parse("AUTH PLAIN AHQAcA==")).contains("AHQAcA"));
    assert!(matches!(parse("AUTH X-1_A"), Ok(Command::Auth { initial: None, .. })));
    for line in ["AUTH", "AUTH PLAIN a b", "AUTH PLAIN  a", "AUTH A+B", "AUTH ABCDEFGHIJKLMNOPQRSTU"] {
        assert!(refusal(line).starts_with("501 5.5.4 "), "{line}");
    }
}

#[test]
fn everything_else_is_unknown_but_readable() {
    let unknown = |verb: &str, arguments: &str| Command::Unknown {
        verb: verb.to_owned(),
        arguments: arguments.to_owned(),
    };
    assert_eq!(parse("xforward ADDR=192.0.2.1"), Ok(unknown("XFORWARD", "ADDR=192.0.2.1")));
    assert_eq!(parse("GET / HTTP/1.1"), Ok(unknown("GET", "/ HTTP/1.1")));
    assert_eq!(parse("MAILFROM:<a@b.example>"), Ok(unknown("MAILFROM:<A@B.EXAMPLE>", "")));
    assert_eq!(parse("BDATX 1"), Ok(unknown("BDATX", "1")));
    assert_eq!(parse(""), Err(CommandError::Empty));
    assert_eq!(parse("   "), Err(CommandError::Empty));
    assert_eq!(parse(" DATA"), Err(CommandError::Empty));
}

#[test]
fn xclient_has_attributes() {
    let Ok(Command::Xclient(said)) = parse("xclient ADDR=192.0.2.1 LOGIN=a") else { panic!() };
    assert_eq!(said.to_string(), "XCLIENT ADDR=192.0.2.1 LOGIN=a");
    for line in ["XCLIENT", "XCLIENT ", "XCLIENT a", "XCLIENT LOGIN=a LOGIN=a", "XCLIENT LOGIN=\u{e9}"] {
        assert!(refusal(line).starts_with("50"), "{line}");
    }
}

#[test]
fn vrfy_and_expn_want_a_string() {
    assert_eq!(parse("VRFY a b"), Ok(Command::Vrfy("a b".to_owned())));
    assert_eq!(parse("EXPN list"), Ok(Command::Expn("list".to_owned())));
    assert!(parse("VRFY").is_err() && parse("EXPN ").is_err());
}

fn line() -> impl Strategy<Value = Vec<u8>> {
    let verb = prop::sample::select(vec![
        "EHLO ",
        "MAIL FROM:",
        "mail from: ",
        "RCPT TO:",
        "BDAT ",
        "AUTH ",
        "VRFY ",
        "NOOP ",
        "DATA",
        "",
    ]);
    let text = prop_oneof![
        r#"<[a-z".\\@\[\]: ]{0,12}>( [A-Z0-9=+;,<>]{0,9}){0,3}"#,
        r#"<("[a-z @>]{0,5}"|[a-z.]{1,5})@[a-z.-]{1,9}>( SIZE=[0-9]{1,3})?( SMTPUTF8)?"#,
        any::<String>(),
    ];
    (verb, text).prop_map(|(verb, text)| format!("{verb}{text}").into_bytes())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn parser_never_panics(octets in any::<Vec<u8>>(), line in line()) {
        for line in [octets, line] {
            if let Err(error) = Command::parse(&line) {
                prop_assert!(error.reply().is_permanent());
            }
        }
    }

    #[test]
    fn print_then_parse_is_identity(line in line()) {
        match Command::parse(&line) {
            Ok(Command::Mail(command)) => {
                prop_assert_eq!(Command::parse(command.to_string().as_bytes()), Ok(Command::Mail(command)));
            }
            Ok(Command::Rcpt(command)) => {
                prop_assert_eq!(Command::parse(command.to_string().as_bytes()), Ok(Command::Rcpt(command)));
            }
            _ => {}
        }
    }

    #[test]
    fn what_is_sent_upstream_has_no_line_end(line in line()) {
        if let Ok(Command::Mail(command)) = Command::parse(&line) {
            prop_assert!(!command.to_string().contains(char::is_control));
        }
    }
}
