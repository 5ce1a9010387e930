//! A command line: what is read prints as it was sent, and what is refused gets a reply that is one.
//! The fuzz target `smtp_line`.

use countersign_wire::limits::Limits;
use countersign_wire::smtp::command::{Command, Recipient};
use countersign_wire::smtp::reply::{Reply, ReplyParser};

/// The octets are a line without its CRLF.
pub(crate) fn smtp_line(line: &[u8]) {
    match Command::parse(line) {
        Ok(command) => check_command(&command, line),
        Err(error) => {
            check_reply(&error.reply());
            let chunk = line.get(..4).is_some_and(|verb| verb.eq_ignore_ascii_case(b"BDAT"));
            assert_eq!(error.must_close(), chunk, "who knows how many octets follow?");
        }
    }
}

fn check_command(command: &Command, line: &[u8]) {
    assert!(!line.iter().any(u8::is_ascii_control), "a control octet is accepted");
    let text = String::from_utf8_lossy(line);
    if let Command::Mail(mail) = command {
        let sender = mail.sender.as_ref().map(ToString::to_string).unwrap_or_default();
        assert!(text.contains(&format!("<{sender}>")), "the sender is not the text that was sent");
        assert!(mail.parameters.smtputf8 || sender.is_ascii());
    }
    if let Command::Rcpt(rcpt) = command
        && let Recipient::Mailbox(path) = &rcpt.recipient
    {
        assert!(text.contains(&format!("<{path}>")), "the recipient is not the text that was sent");
    }
    if let Some(printed) = print(command) {
        assert_eq!(
            Command::parse(printed.as_bytes()).as_ref(),
            Ok(command),
            "`{printed}` is another command"
        );
        assert!(!printed.contains(['\r', '\n']));
    }
}

/// The command as a client would send it; `None` for an initial response, which is not shown to anybody.
fn print(command: &Command) -> Option<String> {
    let verb = command.verb();
    Some(match command {
        Command::Ehlo(text) | Command::Helo(text) | Command::Vrfy(text) | Command::Expn(text) => {
            format!("{verb} {text}")
        }
        Command::Mail(mail) => mail.to_string(),
        Command::Rcpt(rcpt) => rcpt.to_string(),
        Command::Bdat { size, last: false } => format!("{verb} {size}"),
        Command::Bdat { size, last: true } => format!("{verb} {size} LAST"),
        Command::Auth { mechanism, initial: None } => format!("{verb} {mechanism}"),
        Command::Auth { initial: Some(_), .. } => return None,
        Command::Xclient(said) => said.to_string(),
        Command::Unknown { verb, arguments } => format!("{verb} {arguments}"),
        Command::Data | Command::Rset | Command::Noop | Command::Quit | Command::Help | Command::StartTls => {
            verb.to_string()
        }
    })
}

/// RFC 5321 4.2 and 4.5.3.1.5: three digits, a space or hyphen, ASCII, at most 512 octets with CRLF; and
/// our own reader of replies reads what was meant.
pub(crate) fn check_reply(reply: &Reply) {
    let mut written = Vec::new();
    reply.write(&mut written, &Limits::default());
    let text = written.strip_suffix(b"\r\n");
    assert!(text.is_some(), "the reply does not end with CRLF");
    let text = String::from_utf8_lossy(text.unwrap_or_default()).into_owned();
    let lines: Vec<&str> = text.split("\r\n").collect();
    for (at, line) in lines.iter().enumerate() {
        let separator = if at + 1 == lines.len() { ' ' } else { '-' };
        let (code, rest) = line.split_at_checked(3).unwrap_or_default();
        assert_eq!(code.parse(), Ok(reply.code()), "{line}");
        assert!(rest.starts_with(separator), "{line}");
        assert!(line.len() <= 510, "a line of {} octets", line.len());
        assert!(line.bytes().all(|octet| octet == b' ' || octet.is_ascii_graphic()), "{line}");
    }
    // Long lines are wrapped, so a limit on their number is no concern of this check.
    let limits = Limits { upstream_reply_lines: usize::MAX, ..Limits::default() };
    let read = ReplyParser::new(&limits).push(&written);
    let code = read.as_ref().ok().and_then(|progress| progress.reply.as_ref()).map(Reply::code);
    assert_eq!(code, Some(reply.code()), "{read:?}");
}
