//! An AUTH exchange: it ends after two lines, and credentials that it gives would give themselves again.
//! The fuzz target `auth`.

use countersign_wire::smtp::auth::{AuthError, AuthStep, Credentials, Exchange, Mechanism};
use countersign_wire::smtp::command::Command;

use crate::smtp_line::check_reply;

/// The octets are the lines of a client: the AUTH command, then its responses.
pub(crate) fn auth(octets: &[u8]) {
    let mut lines = octets.split(|octet| *octet == b'\n');
    let Ok(Command::Auth { mechanism, initial }) = Command::parse(lines.next().unwrap_or_default()) else {
        return;
    };
    let Some(mechanism) = Mechanism::parse(&mechanism) else { return };
    let mut step = Exchange::begin(mechanism, initial.as_ref());
    let mut asked = 0;
    while let Ok(AuthStep::Ask(exchange)) = step {
        asked += 1;
        assert!(asked <= 2, "the client is asked a third time");
        check_reply(&exchange.challenge());
        assert!(exchange.challenge().is_intermediate());
        let line = lines.next().unwrap_or(b"*");
        step = exchange.answer(line);
        assert!(line != b"*" || step == Err(AuthError::Cancelled));
    }
    match step {
        Ok(AuthStep::Check(credentials)) => check_credentials(&credentials),
        Err(error) => check_reply(&error.reply()),
        Ok(AuthStep::Ask(_)) => {}
    }
}

fn check_credentials(credentials: &Credentials) {
    let (login, password) = (credentials.login(), credentials.password());
    assert!(!login.is_empty() && !login.chars().any(char::is_control), "{login:?}");
    assert!(!password.is_empty() && !password.contains('\0'));
    let other = Credentials::new(login, "another password");
    assert_eq!(
        other.map(|other| format!("{other:?}")),
        Ok(format!("{credentials:?}")),
        "the password is shown"
    );

    let expected = AuthStep::Check(credentials.clone());
    let plain = ask(Mechanism::Plain).and_then(|step| answer(step, &credentials.plain_response()));
    assert_eq!(plain.as_ref(), Ok(&expected));
    let [name, secret] = credentials.login_responses();
    let login =
        ask(Mechanism::Login).and_then(|step| answer(step, &name)).and_then(|step| answer(step, &secret));
    assert_eq!(login.as_ref(), Ok(&expected));
}

fn ask(mechanism: Mechanism) -> Result<AuthStep, AuthError> {
    Exchange::begin(mechanism, None)
}

fn answer(step: AuthStep, line: &str) -> Result<AuthStep, AuthError> {
    match step {
        AuthStep::Ask(exchange) => exchange.answer(line.as_bytes()),
        done @ AuthStep::Check(_) => Ok(done),
    }
}
