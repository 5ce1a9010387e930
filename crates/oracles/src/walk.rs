//! Random walks over the session: each command is judged by the table and by the model, and they agree.
//! The fuzz target `session_walk`, the example `walks`, and the scenario that walks over the wire.

use std::sync::LazyLock;

use countersign_wire::smtp::capabilities::Capabilities;
use countersign_wire::smtp::command::Command;
use countersign_wire::smtp::session::{Event, Rules, Session, State, Step};

use crate::model::Model;

/// The lines of a walk. What is probable stands more than once.
pub const LINES: [&str; 32] = [
    "EHLO a",
    "EHLO a",
    "HELO a",
    "MAIL FROM:<>",
    "MAIL FROM:<a@b.example>",
    "MAIL FROM:<a@b.example> SIZE=5 BODY=8BITMIME",
    "MAIL FROM:<\u{e9}@b.example> SMTPUTF8",
    "MAIL FROM:<a@b.example> BODY=BINARYMIME",
    "MAIL FROM:<a@b.example> RET=FULL",
    "RCPT TO:<a@b.example>",
    "RCPT TO:<a@b.example>",
    "RCPT TO:<postmaster>",
    "RCPT TO:<\u{e9}@b.example>",
    "RCPT TO:<a@b.example> NOTIFY=NEVER",
    "DATA",
    "DATA",
    "DATA",
    "BDAT 5",
    "BDAT 0",
    "BDAT 5 LAST",
    "BDAT 0 LAST",
    "RSET",
    "NOOP",
    "VRFY a",
    "EXPN a",
    "STARTTLS",
    "AUTH PLAIN",
    "AUTH PLAIN",
    "AUTH LOGIN",
    "XCLIENT LOGIN=a",
    "QUIT",
    "NOOP",
];

static COMMANDS: LazyLock<Vec<Command>> =
    LazyLock::new(|| LINES.iter().filter_map(|line| Command::parse(line.as_bytes()).ok()).collect());

/// A walk that octets decide: two for the listener, then one for each move.
pub(crate) fn session_walk(octets: &[u8]) {
    if let [first, second, moves @ ..] = octets {
        let listener = u16::from_be_bytes([*first, *second]);
        walk(listener, moves.iter().take(400).map(|octet| Move { line: octet & 31, luck: octet >> 5 }));
    }
}

/// One move: which of [`LINES`], and how the rest of the world takes it.
#[derive(Debug, Clone, Copy)]
pub struct Move {
    /// 0 to 31.
    pub line: u8,
    /// 0 to 7: at 0 an allowed command is refused by policy or by the upstream.
    pub luck: u8,
}

impl Move {
    /// The move that a number says. Policy refuses one command of eight.
    #[must_use]
    pub const fn of(number: u64) -> Self {
        let [line, luck, ..] = number.to_le_bytes();
        Self { line: line & 31, luck: luck & 7 }
    }
}

/// How many moves there were. Panics where the session and the model differ.
pub fn walk(listener: u16, moves: impl Iterator<Item = Move>) -> u64 {
    let flags: [bool; 11] = std::array::from_fn(|bit| listener >> bit & 1 == 1);
    let [auth_required, plaintext_auth, tls, ..] = flags;
    let rules = Rules { auth_required, plaintext_auth, offer: offer(flags, auth_required) };
    let mut walker = Walker { model: Model::new(&rules, tls), session: Session::new(rules, tls) };
    moves.map(|next| walker.take(next)).count() as u64
}

fn offer(flags: [bool; 11], auth_required: bool) -> Capabilities {
    let [_, _, _, starttls, auth, eight_bit, smtputf8, chunking, dsn, size, xclient] = flags;
    Capabilities {
        size: size.then_some(1000),
        starttls,
        auth: if auth || auth_required { vec!["PLAIN".to_owned()] } else { Vec::new() },
        eight_bit,
        smtputf8,
        chunking,
        dsn,
        pipelining: true,
        enhanced: true,
        xclient: if xclient { vec!["LOGIN".to_owned()] } else { Vec::new() },
    }
}

struct Walker {
    model: Model,
    session: Session,
}

impl Walker {
    fn take(&mut self, next: Move) {
        let at = usize::from(next.line % 32);
        // QUIT ends a walk, so it is rare.
        let at = if LINES.get(at) == Some(&"QUIT") && next.luck > 0 { 31 } else { at };
        let (Some(line), Some(command)) = (LINES.get(at).copied(), COMMANDS.get(at)) else { return };
        let judged = match self.session.judge(command) {
            Step::Allow => 250,
            Step::Refuse(fixed) => fixed.code,
        };
        assert_eq!(judged, self.model.answer(line), "`{line}` in {:?}", self.session.state());
        if judged == 250 {
            let accepted = next.luck > 0;
            self.model.happened(line, accepted);
            event_of(command, accepted).into_iter().for_each(|event| self.advance(event));
        } else if self.session.state() == State::Data {
            // The message ends, one way or the other.
            self.model.message_ended();
            self.advance(Event::TransactionEnded);
        } else if matches!(command, Command::Bdat { .. }) {
            self.model.refused(line);
            self.advance(Event::TransactionEnded);
        }
        assert_eq!(self.session.in_transaction(), self.model.in_transaction(), "after `{line}`");
        assert_eq!(self.session.state() == State::Data, self.model.is_reading_message(), "after `{line}`");
    }

    fn advance(&mut self, event: Event) {
        self.session.advance(event);
        if event == Event::TransactionEnded {
            for command in [&Command::Data, &Command::Bdat { size: 5, last: true }] {
                let step = self.session.judge(command);
                let is_503 = matches!(step, Step::Refuse(fixed) if fixed.code == 503);
                assert!(is_503, "{command:?} after the end of a transaction: {step:?}");
            }
        }
    }
}

/// What a door does with a command that was allowed.
fn event_of(command: &Command, accepted: bool) -> Option<Event> {
    match command {
        Command::Ehlo(_) => accepted.then_some(Event::Greeted { esmtp: true }),
        Command::Helo(_) => accepted.then_some(Event::Greeted { esmtp: false }),
        Command::Mail(mail) if accepted => Some(Event::MailAccepted { smtputf8: mail.parameters.smtputf8 }),
        Command::Rcpt(_) => accepted.then_some(Event::RcptAccepted),
        Command::Data if accepted => Some(Event::DataStarted),
        Command::Bdat { last: false, .. } if accepted => Some(Event::ChunkAccepted),
        Command::Mail(_) | Command::Data | Command::Bdat { .. } | Command::Rset => {
            Some(Event::TransactionEnded)
        }
        Command::StartTls => accepted.then_some(Event::TlsStarted),
        Command::Xclient(_) => accepted.then_some(Event::ClientGiven),
        Command::Auth { .. } => accepted.then_some(Event::Authenticated),
        Command::Quit => Some(Event::Closed),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_a_command() {
        assert_eq!(COMMANDS.len(), LINES.len());
    }

    #[test]
    #[should_panic(expected = "`DATA` in Greeted")]
    fn a_session_that_differs_from_the_model_is_found() {
        let mut session = Session::new(
            Rules { auth_required: false, plaintext_auth: false, offer: Capabilities::default() },
            false,
        );
        let mut model = Model::new(
            &Rules { auth_required: false, plaintext_auth: false, offer: Capabilities::default() },
            false,
        );
        session.advance(Event::Greeted { esmtp: true });
        for line in ["EHLO a", "MAIL FROM:<>", "RCPT TO:<postmaster>"] {
            model.happened(line, true);
        }
        Walker { model, session }.take(Move { line: 14, luck: 1 });
    }
}
