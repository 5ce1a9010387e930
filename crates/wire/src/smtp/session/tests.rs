//! Single questions to the table; random walks over it are in `crates/oracles`.

use super::*;

fn everything() -> Capabilities {
    Capabilities {
        size: Some(1000),
        starttls: true,
        auth: vec!["PLAIN".to_owned()],
        eight_bit: true,
        smtputf8: true,
        chunking: true,
        dsn: true,
        pipelining: true,
        enhanced: true,
        xclient: Vec::new(),
    }
}

fn submission() -> Rules {
    Rules { auth_required: true, plaintext_auth: false, offer: everything() }
}

fn relay() -> Rules {
    Rules { auth_required: false, plaintext_auth: true, offer: everything() }
}

fn read(line: &str) -> Command {
    Command::parse(line.as_bytes()).unwrap()
}

/// `250` for a command that is allowed, else the code of the refusal.
fn code(session: &Session, line: &str) -> String {
    match session.judge(&read(line)) {
        Step::Allow => "250".to_owned(),
        Step::Refuse(fixed) => format!("{} {}", fixed.code, fixed.enhanced.unwrap()),
    }
}

/// A session after these events.
fn after(rules: Rules, tls: bool, events: &[Event]) -> Session {
    let mut session = Session::new(rules, tls);
    events.iter().for_each(|event| session.advance(*event));
    session
}

const EHLO: Event = Event::Greeted { esmtp: true };
const HELO: Event = Event::Greeted { esmtp: false };
const MAIL: Event = Event::MailAccepted { smtputf8: false };

#[test]
fn rfc5321_4_1_4_greeting_comes_first() {
    let session = Session::new(relay(), false);
    for line in
        ["MAIL FROM:<>", "RCPT TO:<a@b.example>", "DATA", "BDAT 1", "AUTH PLAIN", "STARTTLS", "VRFY a"]
    {
        assert_eq!(code(&session, line), "503 5.5.1", "{line}");
    }
    for line in ["NOOP", "RSET", "QUIT", "HELP", "EHLO a", "HELO a"] {
        assert_eq!(code(&session, line), "250", "{line}");
    }
}

#[test]
fn rfc4954_6_mail_without_authentication_is_530() {
    let session = after(submission(), true, &[EHLO]);
    assert_eq!(code(&session, "MAIL FROM:<>"), "530 5.7.0");
    assert_eq!(code(&session, "VRFY a"), "530 5.7.0");
    assert_eq!(code(&session, "DATA"), "503 5.5.1");
    let session = after(submission(), true, &[EHLO, Event::Authenticated]);
    assert_eq!(code(&session, "MAIL FROM:<>"), "250");
}

#[test]
fn rfc4954_6_authentication_without_encryption_is_538() {
    assert_eq!(code(&after(submission(), false, &[EHLO]), "AUTH PLAIN"), "538 5.7.11");
    assert_eq!(code(&after(submission(), true, &[EHLO]), "AUTH PLAIN"), "250");
    let loopback = Rules { plaintext_auth: true, ..submission() };
    assert_eq!(code(&after(loopback, false, &[EHLO]), "AUTH PLAIN"), "250");
}

#[test]
fn rfc4954_4_authentication_once_and_outside_of_transactions() {
    let session = after(submission(), true, &[EHLO, Event::Authenticated]);
    assert_eq!(code(&session, "AUTH PLAIN"), "503 5.5.1");
    for events in [&[EHLO, MAIL][..], &[EHLO, MAIL, Event::RcptAccepted]] {
        assert_eq!(code(&after(relay(), true, events), "AUTH PLAIN"), "503 5.5.1");
    }
    assert_eq!(code(&after(submission(), true, &[EHLO]), "AUTH CRAM-MD5"), "504 5.5.4");
}

#[test]
fn helo_has_no_extensions() {
    let session = after(relay(), true, &[HELO]);
    assert_eq!(code(&session, "AUTH PLAIN"), "503 5.5.1");
    assert_eq!(code(&after(relay(), false, &[HELO]), "STARTTLS"), "503 5.5.1");
    assert_eq!(code(&session, "MAIL FROM:<a@b.example>"), "250");
    assert_eq!(code(&session, "MAIL FROM:<a@b.example> SIZE=1"), "555 5.5.4");
    let session = after(relay(), true, &[HELO, MAIL, Event::RcptAccepted]);
    assert_eq!(code(&session, "BDAT 1"), "503 5.5.1");
    assert_eq!(code(&session, "RCPT TO:<a@b.example> NOTIFY=NEVER"), "555 5.5.4");
    assert_eq!(code(&session, "DATA"), "250");
}

#[test]
fn rfc3207_4_2_everything_is_forgotten_after_tls() {
    let mut session = after(relay(), false, &[EHLO, Event::Authenticated]);
    assert_eq!(code(&session, "STARTTLS"), "250");
    session.advance(Event::TlsStarted);
    assert_eq!(session.state(), State::Connected);
    assert!(session.is_tls() && !session.is_authenticated() && !session.is_esmtp());
    assert_eq!(code(&session, "MAIL FROM:<>"), "503 5.5.1");
    session.advance(EHLO);
    assert_eq!(code(&session, "STARTTLS"), "503 5.5.1");
    assert_eq!(code(&session, "AUTH PLAIN"), "250");
}

#[test]
fn rfc5321_3_3_data_needs_mail_and_rcpt() {
    assert_eq!(code(&after(relay(), true, &[EHLO]), "RCPT TO:<a@b.example>"), "503 5.5.1");
    assert_eq!(code(&after(relay(), true, &[EHLO, MAIL]), "DATA"), "503 5.5.1");
    let session = after(relay(), true, &[EHLO, MAIL, Event::RcptAccepted]);
    assert_eq!(code(&session, "DATA"), "250");
    assert_eq!(code(&session, "MAIL FROM:<>"), "503 5.5.1");
}

#[test]
fn a_transaction_that_ended_leaves_nothing() {
    let whole = [EHLO, MAIL, Event::RcptAccepted, Event::DataStarted];
    for length in 2..=whole.len() {
        for end in [Event::TransactionEnded, EHLO, HELO] {
            let mut session = after(relay(), true, &whole[..length]);
            session.advance(end);
            assert_eq!(code(&session, "DATA"), "503 5.5.1");
            assert_eq!(code(&session, "RCPT TO:<a@b.example>"), "503 5.5.1");
            assert_eq!(code(&session, "MAIL FROM:<>"), "250");
        }
    }
}

#[test]
fn a_refused_recipient_does_not_take_away_the_others() {
    // RCPT 1 accepted, RCPT 2 refused (no event): DATA goes to the first.
    let session = after(relay(), true, &[EHLO, MAIL, Event::RcptAccepted]);
    assert_eq!(code(&session, "DATA"), "250");
    // All refused: no event either.
    assert_eq!(code(&after(relay(), true, &[EHLO, MAIL]), "DATA"), "503 5.5.1");
}

#[test]
fn rfc3030_2_chunks_and_data_do_not_mix() {
    let mut session = after(relay(), true, &[EHLO, MAIL, Event::RcptAccepted, Event::ChunkAccepted]);
    for line in ["DATA", "MAIL FROM:<>", "RCPT TO:<a@b.example>", "AUTH PLAIN", "STARTTLS"] {
        assert_eq!(code(&session, line), "503 5.5.1", "{line}");
    }
    assert_eq!(code(&session, "BDAT 1 LAST"), "250");
    session.advance(Event::TransactionEnded);
    assert_eq!(code(&session, "BDAT 1 LAST"), "503 5.5.1");
}

#[test]
fn authentication_outlives_rset_and_ehlo() {
    let session = after(submission(), true, &[EHLO, Event::Authenticated, Event::TransactionEnded, EHLO]);
    assert_eq!(session.state(), State::Authenticated);
    assert_eq!(code(&session, "MAIL FROM:<>"), "250");
}

#[test]
fn inside_data_and_after_the_end_nothing_is_allowed() {
    let inside = after(relay(), true, &[EHLO, MAIL, Event::RcptAccepted, Event::DataStarted]);
    let closed = after(relay(), true, &[EHLO, Event::Closed, EHLO, Event::TlsStarted, MAIL]);
    assert_eq!(closed.state(), State::Closed);
    for line in ["NOOP", "RSET", "QUIT", "EHLO a", "MAIL FROM:<>", "DATA", "XCLIENT LOGIN=a"] {
        assert_eq!(code(&inside, line), "503 5.5.1");
        assert_eq!(code(&closed, line), "503 5.5.1");
    }
}

#[test]
fn what_is_not_offered_is_refused() {
    let bare = Rules { offer: Capabilities::default(), ..relay() };
    let session = after(bare.clone(), false, &[EHLO]);
    for line in ["STARTTLS", "AUTH PLAIN", "EXPN a"] {
        assert_eq!(code(&session, line), "502 5.5.1", "{line}");
    }
    for parameter in ["SIZE=1", "BODY=8BITMIME", "BODY=7BIT", "SMTPUTF8", "RET=FULL", "ENVID=a", "AUTH=<>"] {
        assert_eq!(code(&session, &format!("MAIL FROM:<> {parameter}")), "555 5.5.4", "{parameter}");
        assert_eq!(
            code(&after(relay(), false, &[EHLO]), &format!("MAIL FROM:<> {parameter}")),
            "250",
            "{parameter}"
        );
    }
    assert_eq!(code(&after(relay(), false, &[EHLO]), "MAIL FROM:<> BODY=BINARYMIME"), "555 5.5.4");
    let session = after(bare, false, &[EHLO, MAIL, Event::RcptAccepted]);
    assert_eq!(code(&session, "BDAT 1"), "502 5.5.1");
    assert_eq!(code(&session, "RCPT TO:<a@b.example> NOTIFY=NEVER"), "555 5.5.4");
    assert_eq!(code(&session, "XCLIENT LOGIN=a"), "500 5.5.1");
}

#[test]
fn rfc6531_3_3_utf8_recipient_needs_a_utf8_transaction() {
    let line = "RCPT TO:<\u{e9}@a.example>";
    assert_eq!(code(&after(relay(), true, &[EHLO, MAIL]), line), "553 5.6.7");
    let mut session = after(relay(), true, &[EHLO, Event::MailAccepted { smtputf8: true }]);
    assert_eq!(code(&session, line), "250");
    session.advance(Event::TransactionEnded);
    session.advance(MAIL);
    assert_eq!(code(&session, line), "553 5.6.7");
}

#[test]
fn offer_follows_the_session() {
    let offer = |tls, events: &[Event]| {
        let offer = after(submission(), tls, events).offer();
        (offer.starttls, !offer.auth.is_empty())
    };
    assert_eq!(offer(false, &[EHLO]), (true, false));
    assert_eq!(offer(true, &[EHLO]), (false, true));
    assert_eq!(offer(true, &[EHLO, Event::Authenticated]), (false, false));
    assert!(after(relay(), false, &[]).offer().starttls);
}

#[test]
fn after_xclient_the_session_begins_anew_and_tls_stays() {
    let offer = Capabilities { xclient: vec!["LOGIN".to_owned()], ..everything() };
    let rules = Rules { offer, ..relay() };
    for (events, expected) in [
        (&[][..], "503 5.5.1"),
        (&[HELO], "503 5.5.1"),
        (&[EHLO], "250"),
        (&[EHLO, MAIL], "503 5.5.1"),
        (&[EHLO, MAIL, Event::RcptAccepted], "503 5.5.1"),
        (&[EHLO, MAIL, Event::TransactionEnded], "250"),
    ] {
        assert_eq!(code(&after(rules.clone(), true, events), "XCLIENT LOGIN=a"), expected, "{events:?}");
    }
    let session = after(rules.clone(), true, &[EHLO, Event::ClientGiven]);
    assert_eq!((session.state(), session.is_tls()), (State::Connected, true));
    assert_eq!(code(&session, "MAIL FROM:<>"), "503 5.5.1");
    let session = after(rules, true, &[EHLO, MAIL, Event::ClientGiven]);
    assert_eq!(session.state(), State::Greeted, "inside a transaction it ends that and nothing else");
}

#[test]
fn no_misfit_event_opens_anything() {
    let mut session =
        after(relay(), true, &[Event::Authenticated, MAIL, Event::RcptAccepted, Event::DataStarted]);
    assert_eq!(session.state(), State::Connected);
    session.advance(EHLO);
    session.advance(Event::RcptAccepted);
    session.advance(Event::DataStarted);
    assert_eq!(session.state(), State::Greeted);
}
