use proptest::prelude::*;

use super::*;

fn begin(mechanism: Mechanism, initial: &str) -> Result<AuthStep, AuthError> {
    Exchange::begin(mechanism, Some(&InitialResponse::new(initial)))
}

fn plain_of(message: &str) -> Result<AuthStep, AuthError> {
    begin(Mechanism::Plain, &STANDARD.encode(message))
}

fn asked(step: Result<AuthStep, AuthError>) -> Exchange {
    match step {
        Ok(AuthStep::Ask(exchange)) => exchange,
        other => panic!("{other:?}"),
    }
}

fn checks(login: &str, password: &str) -> Result<AuthStep, AuthError> {
    Credentials::new(login, password).map(AuthStep::Check)
}

#[test]
fn rfc4616_2_plain_message() {
    assert_eq!(begin(Mechanism::Plain, "AHRpbQB0YW5zdGFhZnRhbnN0YWFm"), checks("tim", "tanstaaftanstaaf"));
    assert_eq!(plain_of("tim\0tim\0pass"), checks("tim", "pass"));
    assert_eq!(plain_of("\0t\u{ef}m\0 p\u{e4}ss\n"), checks("t\u{ef}m", " p\u{e4}ss\n"));
}

#[test]
fn rfc4616_2_plain_faults() {
    assert_eq!(plain_of("ursel\0kurt\0pass"), Err(AuthError::OtherIdentity));
    assert_eq!(plain_of("\0tim\0"), Err(AuthError::Empty));
    assert_eq!(plain_of("\0\0pass"), Err(AuthError::Empty));
    assert_eq!(plain_of("\0ti\nm\0pass"), Err(AuthError::Malformed));
    for message in ["", "tim", "\0tim", "\0tim\0pass\0", "\0tim\0pa\0ss"] {
        assert_eq!(plain_of(message), Err(AuthError::Malformed), "{message:?}");
    }
    assert_eq!(begin(Mechanism::Plain, &STANDARD.encode(b"\0t\xff\0p")), Err(AuthError::Malformed));
}

#[test]
fn rfc4954_4_equals_sign_is_the_empty_response() {
    assert_eq!(begin(Mechanism::Plain, "="), Err(AuthError::Malformed));
    assert_eq!(begin(Mechanism::Login, "="), Err(AuthError::Empty));
    // Only as an initial response.
    let exchange = asked(Exchange::begin(Mechanism::Plain, None));
    assert_eq!(exchange.answer(b"="), Err(AuthError::NotBase64));
}

#[test]
fn rfc4954_4_star_cancels() {
    for mechanism in [Mechanism::Plain, Mechanism::Login] {
        let error = asked(Exchange::begin(mechanism, None)).answer(b"*").unwrap_err();
        assert_eq!((error, error.reply().code()), (AuthError::Cancelled, 501));
    }
}

#[test]
fn base64_is_strict() {
    // No padding, too much, white space, the other alphabet, unused bits that are set.
    for text in ["AHQAcA", "AHQAcA===", "AHQA cA==", " AHQAcA==", "AHQA-_==", "AHQAcB==", "*"] {
        assert_eq!(begin(Mechanism::Plain, text), Err(AuthError::NotBase64), "{text:?}");
    }
    assert_eq!(begin(Mechanism::Plain, "AHQAcA=="), checks("t", "p"));
}

#[test]
fn plain_without_initial_response_is_asked() {
    let exchange = asked(Exchange::begin(Mechanism::Plain, None));
    assert_eq!(exchange.challenge(), Reply::new(334, None, ""));
    assert_eq!(exchange.answer(b"AHQAcA=="), checks("t", "p"));
}

#[test]
fn login_asks_for_both() {
    let exchange = asked(Exchange::begin(Mechanism::Login, None));
    assert_eq!(exchange.challenge(), Reply::new(334, None, "VXNlcm5hbWU6"));
    let exchange = asked(exchange.answer(b"dGlt"));
    assert_eq!(exchange.challenge(), Reply::new(334, None, "UGFzc3dvcmQ6"));
    assert_eq!(exchange.answer(b"cGFzcw=="), checks("tim", "pass"));
}

#[test]
fn login_takes_the_name_with_the_command() {
    let exchange = asked(begin(Mechanism::Login, "dGlt"));
    assert_eq!(exchange.challenge(), Reply::new(334, None, "UGFzc3dvcmQ6"));
    assert_eq!(exchange.answer(b""), Err(AuthError::Empty));
}

#[test]
fn debug_shows_no_password() {
    let shown = format!(
        "{:?} {:?} {:?}",
        plain_of("\0tim\0secret"),
        InitialResponse::new("c2VjcmV0"),
        Credentials::new("tim", "secret")
    );
    assert!(shown.contains("tim") && !shown.contains("secret") && !shown.contains("c2Vj"), "{shown}");
}

#[test]
fn mechanisms_have_names() {
    assert_eq!(Mechanism::parse("plain"), Some(Mechanism::Plain));
    assert_eq!(Mechanism::parse("LOGIN"), Some(Mechanism::Login));
    assert_eq!(Mechanism::parse("CRAM-MD5"), None);
}

proptest! {
    #[test]
    fn what_a_client_sends_a_server_reads(login in "[^\\x00-\\x1f\\x7f-\\x9f]{1,20}", password in "[^\\x00]{1,20}") {
        let credentials = Credentials::new(&login, &password).unwrap();
        let check = Ok(AuthStep::Check(credentials.clone()));
        prop_assert_eq!(&begin(Mechanism::Plain, &credentials.plain_response()), &check);
        let [name, secret] = credentials.login_responses();
        prop_assert_eq!(&asked(begin(Mechanism::Login, &name)).answer(secret.as_bytes()), &check);
    }

    #[test]
    fn answers_never_panic(line in any::<Vec<u8>>(), octets in any::<Vec<u8>>()) {
        for mechanism in [Mechanism::Plain, Mechanism::Login] {
            let _ = asked(Exchange::begin(mechanism, None)).answer(&line);
            let _ = asked(Exchange::begin(mechanism, None)).answer(STANDARD.encode(&octets).as_bytes());
        }
    }
}
