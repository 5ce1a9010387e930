//! SASL PLAIN (RFC 4616) and LOGIN over SMTP AUTH (RFC 4954): base64 in, credentials out.
//! Called by the submission door after `session` allowed AUTH, and by the upstream client.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use thiserror::Error;

use super::reply::{FixedReply, Reply};

/// Why an exchange failed before any password was checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AuthError {
    /// RFC 4954 4: the client sent `*`.
    #[error("client cancelled the authentication")]
    Cancelled,
    /// A response line of more than [`auth_line`](crate::limits::Limits::auth_line) octets. The
    /// caller reads the lines and says this.
    #[error("authentication response is too long")]
    TooLong,
    /// Not strict base64: alphabet, padding, unused bits.
    #[error("authentication response is not base64")]
    NotBase64,
    /// Not UTF-8, a NUL or a control character in a log-in, or not three parts for PLAIN.
    #[error("authentication response is malformed")]
    Malformed,
    /// RFC 4616 2: log-in and password have at least one character.
    #[error("log-in or password is empty")]
    Empty,
    /// RFC 4616 2: an authorization identity that is not the log-in itself.
    #[error("client asks to act as somebody else than it logs in as")]
    OtherIdentity,
}

impl AuthError {
    /// What the client reads (RFC 4954 4 and 6).
    pub fn reply(&self) -> Reply {
        let fixed = match self {
            Self::Cancelled => &CANCELLED,
            Self::TooLong => &TOO_LONG,
            Self::NotBase64 => &NOT_BASE64,
            Self::Malformed | Self::Empty => &MALFORMED,
            Self::OtherIdentity => &OTHER_IDENTITY,
        };
        fixed.reply()
    }
}

/// A mechanism that we speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mechanism {
    /// RFC 4616
    Plain,
    /// Never standardised; old clients know nothing else.
    Login,
}

impl Mechanism {
    /// `PLAIN` or `LOGIN`, in any case.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Plain, Self::Login].into_iter().find(|mechanism| mechanism.name().eq_ignore_ascii_case(name))
    }

    /// As it stands in the EHLO reply.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
        }
    }
}

/// A log-in and its password. `Debug` does not show the password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    login: String,
    password: String,
}

impl Credentials {
    /// Both not empty, both without NUL; a log-in without control characters, as it is logged.
    ///
    /// # Errors
    /// [`AuthError::Empty`] or [`AuthError::Malformed`].
    pub fn new(login: &str, password: &str) -> Result<Self, AuthError> {
        check_login(login)?;
        match password {
            "" => Err(AuthError::Empty),
            _ if password.contains('\0') => Err(AuthError::Malformed),
            _ => Ok(Self { login: login.to_owned(), password: password.to_owned() }),
        }
    }

    /// The log-in as the client sent it. RFC 4616 2 asks for SASLprep before it is compared, which
    /// is left to who compares.
    pub fn login(&self) -> &str {
        &self.login
    }

    /// The password in the clear.
    pub fn password(&self) -> &str {
        &self.password
    }

    /// The response of a client of PLAIN, without authorization identity (RFC 4616 2), in base64.
    pub fn plain_response(&self) -> String {
        STANDARD.encode(format!("\0{}\0{}", self.login, self.password))
    }

    /// The two responses of a client of LOGIN, in base64.
    pub fn login_responses(&self) -> [String; 2] {
        [STANDARD.encode(&self.login), STANDARD.encode(&self.password)]
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("login", &self.login).finish_non_exhaustive()
    }
}

/// The initial response of an AUTH command, base64 as it came. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct InitialResponse(String);

impl InitialResponse {
    pub(super) fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// RFC 4954 4: "If the client is transmitting an initial response of zero length, it MUST
    /// instead transmit the response as a single equals sign ("=")."
    fn base64(&self) -> &str {
        if self.0 == "=" { "" } else { &self.0 }
    }
}

impl fmt::Debug for InitialResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InitialResponse(..)")
    }
}

/// Where an exchange is after the client has spoken.
#[derive(Debug, PartialEq, Eq)]
pub enum AuthStep {
    /// Send [`Exchange::challenge`], read a line, give it to [`Exchange::answer`].
    Ask(Exchange),
    /// The client has said all: check it.
    Check(Credentials),
}

/// The server's side of an exchange that waits for a line.
#[derive(Debug, PartialEq, Eq)]
pub struct Exchange {
    waits_for: WaitsFor,
}

#[derive(Debug, PartialEq, Eq)]
enum WaitsFor {
    Plain,
    LoginName,
    LoginPassword { login: String },
}

impl Exchange {
    /// Begins with the initial response of the AUTH command, if it had one. An initial response to
    /// LOGIN is the log-in, as clients use it.
    ///
    /// # Errors
    /// See [`AuthError`].
    pub fn begin(mechanism: Mechanism, initial: Option<&InitialResponse>) -> Result<AuthStep, AuthError> {
        let waits_for = match mechanism {
            Mechanism::Plain => WaitsFor::Plain,
            Mechanism::Login => WaitsFor::LoginName,
        };
        let exchange = Self { waits_for };
        match initial {
            Some(response) => exchange.respond(response.base64().as_bytes()),
            None => Ok(AuthStep::Ask(exchange)),
        }
    }

    /// What the client is asked: `334 ` and base64 (RFC 4954 4), empty for PLAIN.
    pub fn challenge(&self) -> Reply {
        let question = match &self.waits_for {
            WaitsFor::Plain => "",
            WaitsFor::LoginName => "Username:",
            WaitsFor::LoginPassword { .. } => "Password:",
        };
        Reply::new(334, None, &STANDARD.encode(question))
    }

    /// Takes the client's line without CRLF.
    ///
    /// # Errors
    /// See [`AuthError`]; the exchange is over.
    pub fn answer(self, line: &[u8]) -> Result<AuthStep, AuthError> {
        // RFC 4954 4: a line with a single `*` cancels, and the answer is 501.
        if line == b"*" { Err(AuthError::Cancelled) } else { self.respond(line) }
    }

    fn respond(self, base64: &[u8]) -> Result<AuthStep, AuthError> {
        let octets = STANDARD.decode(base64).map_err(|_| AuthError::NotBase64)?;
        let text = String::from_utf8(octets).map_err(|_| AuthError::Malformed)?;
        match self.waits_for {
            WaitsFor::Plain => plain(&text).map(AuthStep::Check),
            WaitsFor::LoginName => {
                check_login(&text)?;
                Ok(AuthStep::Ask(Self { waits_for: WaitsFor::LoginPassword { login: text } }))
            }
            WaitsFor::LoginPassword { login } => Credentials::new(&login, &text).map(AuthStep::Check),
        }
    }
}

/// RFC 4616 2: `message = [authzid] UTF8NUL authcid UTF8NUL passwd`.
fn plain(message: &str) -> Result<Credentials, AuthError> {
    let mut parts = message.split('\0');
    let (Some(identity), Some(login), Some(password), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(AuthError::Malformed);
    };
    let credentials = Credentials::new(login, password)?;
    if identity.is_empty() || identity == login { Ok(credentials) } else { Err(AuthError::OtherIdentity) }
}

fn check_login(login: &str) -> Result<(), AuthError> {
    match login {
        "" => Err(AuthError::Empty),
        _ if login.chars().any(char::is_control) => Err(AuthError::Malformed),
        _ => Ok(()),
    }
}

static CANCELLED: FixedReply = FixedReply::new(501, (5, 7, 0), "authentication cancelled");
static TOO_LONG: FixedReply = FixedReply::new(500, (5, 5, 6), "authentication response is too long");
static NOT_BASE64: FixedReply = FixedReply::new(501, (5, 5, 2), "authentication response is not base64");
static MALFORMED: FixedReply = FixedReply::new(501, (5, 5, 2), "authentication response is malformed");
static OTHER_IDENTITY: FixedReply = FixedReply::new(535, (5, 7, 8), "authentication credentials invalid");

#[cfg(test)]
mod tests;
