//! A command line of a client (RFC 5321 4.1), read strictly into words.
//! Called by the SMTP doors for every line outside of DATA, BDAT and AUTH.

use std::fmt;

use thiserror::Error;

use super::auth::InitialResponse;
use super::parameters::{MailParameters, ParameterError, RcptParameters};
use super::path::{Bracketed, Path, PathError, read_bracketed};
use super::reply::{FixedReply, Reply};
use super::xclient::Xclient;

/// A command with its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// `EHLO name`: what the client calls itself, unchecked printable ASCII of 1 to 255 octets.
    Ehlo(String),
    /// `HELO name`
    Helo(String),
    /// `MAIL FROM:<...>`
    Mail(Mail),
    /// `RCPT TO:<...>`
    Rcpt(Rcpt),
    /// `DATA`
    Data,
    /// `BDAT size [LAST]` (RFC 3030). `size` octets follow the line *even when the command is
    /// refused*: read and drop them, or close; never read them as commands.
    Bdat {
        /// Octets that follow the command line.
        size: u64,
        /// This chunk ends the message.
        last: bool,
    },
    /// `RSET`
    Rset,
    /// `NOOP [anything]`
    Noop,
    /// `QUIT`
    Quit,
    /// `VRFY string`
    Vrfy(String),
    /// `EXPN string`
    Expn(String),
    /// `HELP [string]`
    Help,
    /// `STARTTLS` (RFC 3207)
    StartTls,
    /// `AUTH mechanism [initial-response]` (RFC 4954)
    Auth {
        /// In capitals; may be one that nobody knows.
        mechanism: String,
        /// Base64 as it came.
        initial: Option<InitialResponse>,
    },
    /// `XCLIENT NAME=value ...`, of Postfix.
    Xclient(Box<Xclient>),
    /// Anything else, such as `XFORWARD`.
    Unknown {
        /// The first word, in capitals.
        verb: String,
        /// What follows the first space; empty when nothing does.
        arguments: String,
    },
}

/// `MAIL FROM:`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// `None` is the null reverse-path `<>` (RFC 5321 4.5.5).
    pub sender: Option<Path>,
    /// What follows the path.
    pub parameters: MailParameters,
}

/// `RCPT TO:`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rcpt {
    /// To whom. UTF-8 is read here; whether the transaction allows it, the session knows.
    pub recipient: Recipient,
    /// What follows the path.
    pub parameters: RcptParameters,
}

/// A forward-path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recipient {
    /// `<postmaster>`, in any case and without a domain (RFC 5321 4.1.1.3).
    Postmaster,
    /// `<local@domain>`
    Mailbox(Path),
}

/// The verb of a command: one axis of the session's table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each variant is the SMTP verb of its name")]
pub enum Verb {
    Ehlo,
    Helo,
    Mail,
    Rcpt,
    Data,
    Bdat,
    Rset,
    Noop,
    Quit,
    Vrfy,
    Expn,
    Help,
    StartTls,
    Auth,
    Xclient,
    Unknown,
}

/// Why a line is not a command. [`CommandError::reply`] is what the client reads.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CommandError {
    /// Nothing but spaces.
    #[error("command line is empty")]
    Empty,
    /// A control octet, so also a bare CR or LF, a NUL, a tab.
    #[error("command line has the control octet `{0:#04x}`")]
    Control(u8),
    /// Octets above 127 that are not UTF-8, or stand outside of MAIL and RCPT (RFC 6531 3.3).
    #[error("command line is not ASCII")]
    NotAscii,
    /// Arguments that are missing, too many or malformed.
    #[error("arguments of `{0}` are malformed")]
    Arguments(Verb),
    /// The path of MAIL.
    #[error("sender is refused: {0}")]
    Sender(PathError),
    /// The path of RCPT.
    #[error("recipient is refused: {0}")]
    Recipient(PathError),
    /// A parameter of MAIL or RCPT.
    #[error(transparent)]
    Parameter(#[from] ParameterError),
    /// RFC 6531 3.3: a path that is not ASCII without the parameter SMTPUTF8.
    #[error("sender is not ASCII, and the parameter `SMTPUTF8` is not given")]
    Utf8Sender,
    /// Any fault of a BDAT line: nobody knows how many octets follow.
    #[error("command `BDAT` is malformed: the size of its chunk is unknown")]
    Chunk,
}

impl Command {
    /// Reads a line without its CRLF. The caller has kept the line within
    /// [`command_line`](crate::limits::Limits::command_line), and takes off only a CRLF: a line that
    /// ends with a bare LF comes with it and is refused.
    ///
    /// # Errors
    /// See [`CommandError`]. Close the connection when [`CommandError::must_close`] says so.
    pub fn parse(line: &[u8]) -> Result<Self, CommandError> {
        let chunk = line.get(..4).is_some_and(|verb| verb.eq_ignore_ascii_case(b"BDAT"));
        parse_line(line).map_err(|error| if chunk { CommandError::Chunk } else { error })
    }

    /// The verb.
    pub const fn verb(&self) -> Verb {
        match self {
            Self::Ehlo(_) => Verb::Ehlo,
            Self::Helo(_) => Verb::Helo,
            Self::Mail(_) => Verb::Mail,
            Self::Rcpt(_) => Verb::Rcpt,
            Self::Data => Verb::Data,
            Self::Bdat { .. } => Verb::Bdat,
            Self::Rset => Verb::Rset,
            Self::Noop => Verb::Noop,
            Self::Quit => Verb::Quit,
            Self::Vrfy(_) => Verb::Vrfy,
            Self::Expn(_) => Verb::Expn,
            Self::Help => Verb::Help,
            Self::StartTls => Verb::StartTls,
            Self::Auth { .. } => Verb::Auth,
            Self::Xclient(_) => Verb::Xclient,
            Self::Unknown { .. } => Verb::Unknown,
        }
    }
}

fn parse_line(line: &[u8]) -> Result<Command, CommandError> {
    if let Some(octet) = line.iter().find(|octet| octet.is_ascii_control()) {
        return Err(CommandError::Control(*octet));
    }
    let line = std::str::from_utf8(line).map_err(|_| CommandError::NotAscii)?;
    // RFC 5321 4.1.1: "In the interest of improved interoperability, SMTP receivers SHOULD tolerate
    // trailing white space before the terminating <CRLF>." Spaces are; a tab is a control octet.
    let line = line.trim_end_matches(' ');
    let (verb, arguments) = line.split_once(' ').unwrap_or((line, ""));
    let verb = verb.to_ascii_uppercase();
    if !line.is_ascii() && !matches!(verb.as_str(), "MAIL" | "RCPT") {
        return Err(CommandError::NotAscii);
    }
    match verb.as_str() {
        "EHLO" => name(arguments).map(Command::Ehlo).ok_or(CommandError::Arguments(Verb::Ehlo)),
        "HELO" => name(arguments).map(Command::Helo).ok_or(CommandError::Arguments(Verb::Helo)),
        "MAIL" => Mail::parse(arguments).map(Command::Mail),
        "RCPT" => Rcpt::parse(arguments).map(Command::Rcpt),
        "BDAT" => chunk(arguments),
        "AUTH" => auth(arguments),
        "VRFY" => text(arguments).map(Command::Vrfy).ok_or(CommandError::Arguments(Verb::Vrfy)),
        "EXPN" => text(arguments).map(Command::Expn).ok_or(CommandError::Arguments(Verb::Expn)),
        "XCLIENT" => xclient(arguments),
        "HELP" => Ok(Command::Help),
        "NOOP" => Ok(Command::Noop),
        "DATA" => alone(Command::Data, arguments),
        "RSET" => alone(Command::Rset, arguments),
        "QUIT" => alone(Command::Quit, arguments),
        "STARTTLS" => alone(Command::StartTls, arguments),
        "" => Err(CommandError::Empty),
        _ => Ok(Command::Unknown { verb, arguments: arguments.to_owned() }),
    }
}

impl Mail {
    fn parse(arguments: &str) -> Result<Self, CommandError> {
        let path = after_keyword(arguments, "FROM:").ok_or(CommandError::Arguments(Verb::Mail))?;
        let (bracketed, rest) = read_bracketed(path).map_err(CommandError::Sender)?;
        let sender = match bracketed {
            Bracketed::Null => None,
            Bracketed::Postmaster => return Err(CommandError::Sender(PathError::NoDomain)),
            Bracketed::Mailbox(path) => Some(path),
        };
        let parameters = MailParameters::parse(rest)?;
        if sender.as_ref().is_some_and(|path| !path.is_ascii()) && !parameters.smtputf8 {
            return Err(CommandError::Utf8Sender);
        }
        Ok(Self { sender, parameters })
    }
}

impl Rcpt {
    fn parse(arguments: &str) -> Result<Self, CommandError> {
        let path = after_keyword(arguments, "TO:").ok_or(CommandError::Arguments(Verb::Rcpt))?;
        let (bracketed, rest) = read_bracketed(path).map_err(CommandError::Recipient)?;
        let recipient = match bracketed {
            Bracketed::Null => return Err(CommandError::Recipient(PathError::NoDomain)),
            Bracketed::Postmaster => Recipient::Postmaster,
            Bracketed::Mailbox(path) => Recipient::Mailbox(path),
        };
        Ok(Self { recipient, parameters: RcptParameters::parse(rest)? })
    }
}

/// RFC 5321 3.3: "spaces are not permitted on either side of the colon following FROM in the MAIL
/// command or TO in the RCPT command." One space after it is taken all the same, because real
/// clients send it; it can be read in only one way. Nothing else is tolerated.
fn after_keyword<'a>(arguments: &'a str, keyword: &str) -> Option<&'a str> {
    let (head, rest) = arguments.split_at_checked(keyword.len())?;
    head.eq_ignore_ascii_case(keyword).then(|| rest.strip_prefix(' ').unwrap_or(rest))
}

/// The name in a greeting. RFC 5321 4.1.1.1 wants a domain or an address literal, but real clients
/// send any word, and 4.1.4 forbids to refuse mail because of it.
fn name(arguments: &str) -> Option<String> {
    let legal =
        (1..=255).contains(&arguments.len()) && arguments.bytes().all(|octet| octet.is_ascii_graphic());
    legal.then(|| arguments.to_owned())
}

fn text(arguments: &str) -> Option<String> {
    (!arguments.is_empty()).then(|| arguments.to_owned())
}

fn alone(command: Command, arguments: &str) -> Result<Command, CommandError> {
    if arguments.is_empty() { Ok(command) } else { Err(CommandError::Arguments(command.verb())) }
}

/// RFC 3030 2: `bdat-cmd ::= "BDAT" SP chunk-size [ SP end-marker ] CR LF`.
fn chunk(arguments: &str) -> Result<Command, CommandError> {
    let (size, last) = match arguments.split_once(' ') {
        None => (arguments, false),
        Some((size, marker)) if marker.eq_ignore_ascii_case("LAST") => (size, true),
        Some(_) => return Err(CommandError::Chunk),
    };
    let digits = size.bytes().all(|octet| octet.is_ascii_digit());
    let size = size.parse().ok().filter(|_| digits).ok_or(CommandError::Chunk)?;
    Ok(Command::Bdat { size, last })
}

/// RFC 4954 4: `AUTH SP sasl-mech [SP initial-response]`; RFC 4422 3.1: a mechanism has 1 to 20
/// letters, digits, hyphens and underscores.
fn auth(arguments: &str) -> Result<Command, CommandError> {
    let (mechanism, initial) = arguments.split_once(' ').map_or((arguments, None), |(m, i)| (m, Some(i)));
    let mechanism_is_legal = (1..=20).contains(&mechanism.len())
        && mechanism.bytes().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_'));
    let initial_is_legal = initial.is_none_or(|text| !text.is_empty() && !text.contains(' '));
    if !mechanism_is_legal || !initial_is_legal {
        return Err(CommandError::Arguments(Verb::Auth));
    }
    Ok(Command::Auth {
        mechanism: mechanism.to_ascii_uppercase(),
        initial: initial.map(InitialResponse::new),
    })
}

fn xclient(arguments: &str) -> Result<Command, CommandError> {
    let said = Xclient::parse(arguments).map_err(|_| CommandError::Arguments(Verb::Xclient))?;
    Ok(Command::Xclient(Box::new(said)))
}

impl CommandError {
    /// What the client reads. Nothing that it sent is in it.
    pub fn reply(&self) -> Reply {
        let fixed = match self {
            Self::Empty => &EMPTY,
            Self::Control(_) => &CONTROL,
            Self::NotAscii => &NOT_ASCII,
            Self::Arguments(_) | Self::Chunk => &ARGUMENTS,
            Self::Sender(PathError::SourceRoute) => &SENDER_ROUTE,
            Self::Sender(_) => &SENDER,
            Self::Recipient(PathError::SourceRoute) => &RECIPIENT_ROUTE,
            Self::Recipient(_) => &RECIPIENT,
            Self::Parameter(ParameterError::Unknown(_)) => &UNKNOWN_PARAMETER,
            Self::Parameter(ParameterError::Duplicate(_)) => &DUPLICATE_PARAMETER,
            Self::Parameter(ParameterError::Form | ParameterError::Value(_)) => &PARAMETER,
            Self::Utf8Sender => &UTF8_SENDER,
        };
        fixed.reply()
    }

    /// The two ends no longer agree about where the next command begins: reply, then close.
    pub const fn must_close(&self) -> bool {
        matches!(self, Self::Chunk)
    }
}

/// `MAIL FROM:<...> ...` as it is sent to an upstream, without CRLF.
impl fmt::Display for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sender = self.sender.as_ref().map(Path::to_string).unwrap_or_default();
        write!(f, "MAIL FROM:<{sender}>{}", self.parameters)
    }
}

/// `RCPT TO:<...> ...` as it is sent to an upstream, without CRLF.
impl fmt::Display for Rcpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RCPT TO:<{}>{}", self.recipient, self.parameters)
    }
}

/// Without brackets.
impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Postmaster => f.write_str("postmaster"),
            Self::Mailbox(path) => path.fmt(f),
        }
    }
}

/// The verb in capitals; `unknown` for the unknown.
impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ehlo => "EHLO",
            Self::Helo => "HELO",
            Self::Mail => "MAIL",
            Self::Rcpt => "RCPT",
            Self::Data => "DATA",
            Self::Bdat => "BDAT",
            Self::Rset => "RSET",
            Self::Noop => "NOOP",
            Self::Quit => "QUIT",
            Self::Vrfy => "VRFY",
            Self::Expn => "EXPN",
            Self::Help => "HELP",
            Self::StartTls => "STARTTLS",
            Self::Auth => "AUTH",
            Self::Xclient => "XCLIENT",
            Self::Unknown => "unknown",
        })
    }
}

static EMPTY: FixedReply = FixedReply::new(500, (5, 5, 2), "empty command line");
static CONTROL: FixedReply =
    FixedReply::new(500, (5, 5, 2), "control characters are not allowed in commands");
static NOT_ASCII: FixedReply = FixedReply::new(500, (5, 5, 2), "this command must be ASCII");
static ARGUMENTS: FixedReply = FixedReply::new(501, (5, 5, 4), "syntax error in arguments");
static SENDER: FixedReply = FixedReply::new(501, (5, 1, 7), "sender must be <local@domain> or <>");
static SENDER_ROUTE: FixedReply = FixedReply::new(501, (5, 1, 7), "source routes are not accepted");
static RECIPIENT: FixedReply = FixedReply::new(501, (5, 1, 3), "recipient must be <local@domain>");
static RECIPIENT_ROUTE: FixedReply = FixedReply::new(501, (5, 1, 3), "source routes are not accepted");
static PARAMETER: FixedReply = FixedReply::new(501, (5, 5, 4), "syntax error in a parameter");
static UNKNOWN_PARAMETER: FixedReply = FixedReply::new(555, (5, 5, 4), "parameter not recognised");
static DUPLICATE_PARAMETER: FixedReply = FixedReply::new(555, (5, 5, 4), "parameter given twice");
static UTF8_SENDER: FixedReply = FixedReply::new(553, (5, 6, 7), "this sender needs the parameter SMTPUTF8");

#[cfg(test)]
mod tests;
