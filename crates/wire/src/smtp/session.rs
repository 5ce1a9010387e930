//! The order of commands in an SMTP session: one table, the conditions beside it, one `reset`.
//! Called by the SMTP doors: `judge` before a command is carried out, `advance` after it was.

use super::capabilities::Capabilities;
use super::command::{Command, Mail, Recipient, Verb};
use super::parameters::BodyKind;
use super::reply::FixedReply;

/// Where a session is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Before EHLO or HELO.
    Connected,
    /// After EHLO or HELO, no transaction.
    Greeted,
    /// After AUTH, no transaction.
    Authenticated,
    /// MAIL was accepted.
    Mail,
    /// At least one RCPT was accepted.
    Rcpt,
    /// 354 was sent: the octets that come are the message's.
    Data,
    /// At least one BDAT that is not the last was accepted.
    Chunks,
    /// After QUIT, or we gave up.
    Closed,
}

/// The answer to "may this command be carried out now?"
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Carry it out.
    Allow,
    /// Send this reply; the state stays as it was.
    Refuse(&'static FixedReply),
}

impl Step {
    /// The next check, unless this one has refused.
    fn then(self, next: impl FnOnce() -> Self) -> Self {
        match self {
            Self::Allow => next(),
            Self::Refuse(_) => self,
        }
    }
}

/// The order of RFC 5321 4.1.4, RFC 3030, RFC 3207 and RFC 4954. The first line that fits counts.
pub const fn order(state: State, verb: Verb) -> Step {
    use Step::{Allow, Refuse};
    match (state, verb) {
        (State::Closed, _) => Refuse(&CLOSED),
        (State::Data, _) => Refuse(&INSIDE_DATA),

        (_, Verb::Ehlo | Verb::Helo | Verb::Rset | Verb::Noop | Verb::Help | Verb::Quit) => Allow,
        (_, Verb::Unknown) => Refuse(&UNKNOWN),
        (_, Verb::Expn) => Refuse(&NOT_IMPLEMENTED),

        (State::Connected, _) => Refuse(&GREET_FIRST),
        (_, Verb::Vrfy) => Allow,

        (State::Greeted | State::Authenticated, Verb::StartTls) => Allow,
        (State::Mail | State::Rcpt | State::Chunks, Verb::StartTls) => Refuse(&INSIDE_TRANSACTION),

        (State::Greeted, Verb::Auth) => Allow,
        // RFC 4954 4: "After a successful AUTH command completes, a server MUST reject any further
        // AUTH commands with a 503 reply."
        (State::Authenticated, Verb::Auth) => Refuse(&AUTHENTICATED),
        // RFC 4954 4: "An AUTH command issued during a mail transaction MUST be rejected with a 503
        // reply."
        (State::Mail | State::Rcpt | State::Chunks, Verb::Auth) => Refuse(&INSIDE_TRANSACTION),

        (State::Greeted | State::Authenticated, Verb::Xclient) => Allow,
        // XCLIENT_README: "503" stands for "the client is in the middle of a mail transaction".
        (State::Mail | State::Rcpt | State::Chunks, Verb::Xclient) => Refuse(&INSIDE_TRANSACTION),

        (State::Greeted | State::Authenticated, Verb::Mail) => Allow,
        // RFC 5321 4.1.4: "a 503 failure reply MUST be returned and the SMTP server MUST stay in
        // the same state": the first sender stands.
        (State::Mail | State::Rcpt | State::Chunks, Verb::Mail) => Refuse(&NESTED_MAIL),

        // RFC 5321 3.3: "If a RCPT command appears without a previous MAIL command, the server MUST
        // return a 503 "Bad sequence of commands" response."
        (State::Greeted | State::Authenticated, Verb::Rcpt | Verb::Data | Verb::Bdat) => Refuse(&MAIL_FIRST),
        (State::Mail | State::Rcpt, Verb::Rcpt) => Allow,
        (State::Chunks, Verb::Rcpt) => Refuse(&INSIDE_CHUNKS),

        (State::Mail, Verb::Data | Verb::Bdat) => Refuse(&RCPT_FIRST),
        (State::Rcpt, Verb::Data | Verb::Bdat) => Allow,
        (State::Chunks, Verb::Bdat) => Allow,
        // RFC 3030 2: "DATA and BDAT commands cannot be used in the same transaction."
        (State::Chunks, Verb::Data) => Refuse(&INSIDE_CHUNKS),
    }
}

/// What a listener demands and offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// MAIL needs a successful AUTH.
    pub auth_required: bool,
    /// AUTH is allowed without TLS (a peer on loopback).
    pub plaintext_auth: bool,
    /// All that is offered at some point of the session; see [`Session::offer`].
    pub offer: Capabilities,
}

/// What happened, told after the reply was decided. A refused command has no event, but for a
/// refusal that ends the transaction ([`Event::TransactionEnded`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// EHLO (`esmtp`) or HELO was answered with 250.
    Greeted {
        /// The command was EHLO.
        esmtp: bool,
    },
    /// The TLS handshake after STARTTLS is done. Octets that came before it and were not read as
    /// commands must have been thrown away.
    TlsStarted,
    /// XCLIENT was answered with 220: the session begins anew.
    ClientGiven,
    /// AUTH was answered with 235.
    Authenticated,
    /// MAIL was answered with 250.
    MailAccepted {
        /// It had the parameter SMTPUTF8.
        smtputf8: bool,
    },
    /// RCPT was answered with 250.
    RcptAccepted,
    /// DATA was answered with 354.
    DataStarted,
    /// A BDAT that is not the last was answered with 250.
    ChunkAccepted,
    /// RSET; the message accepted or refused; MAIL refused; DATA or a chunk refused: in each case
    /// the next DATA is 503.
    TransactionEnded,
    /// QUIT was answered with 221, or we sent 421.
    Closed,
}

/// One connection's state.
#[derive(Debug, Clone)]
pub struct Session {
    state: State,
    tls: bool,
    greeted: bool,
    esmtp: bool,
    authenticated: bool,
    smtputf8: bool,
    rules: Rules,
}

impl Session {
    /// A new connection; `tls` when it began with a handshake (implicit TLS).
    pub const fn new(rules: Rules, tls: bool) -> Self {
        Self {
            state: State::Connected,
            tls,
            greeted: false,
            esmtp: false,
            authenticated: false,
            smtputf8: false,
            rules,
        }
    }

    /// May this command be carried out now? Changes nothing.
    ///
    /// A BDAT that is refused still has its octets behind it; see [`Command::Bdat`]. `SIZE=` is not
    /// judged here: a message that is too big is a ruling, not a fault of protocol.
    pub fn judge(&self, command: &Command) -> Step {
        order(self.state, self.known(command.verb()))
            .then(|| self.judge_conditions(command.verb()))
            .then(|| self.judge_arguments(command))
    }

    /// Who is not offered XCLIENT does not learn that there is such a command.
    const fn known(&self, verb: Verb) -> Verb {
        match verb {
            Verb::Xclient if self.rules.offer.xclient.is_empty() => Verb::Unknown,
            verb => verb,
        }
    }

    /// Tells what happened.
    ///
    /// INVARIANT: an event that does not fit the state ends the transaction. No order of events
    /// leads into [`State::Data`] but MAIL, RCPT, DATA.
    pub fn advance(&mut self, event: Event) {
        match (self.state, event) {
            (State::Closed, _) => {}
            (_, Event::Closed) => self.state = State::Closed,
            (_, Event::Greeted { esmtp }) => self.greet(esmtp),
            (_, Event::TlsStarted) => *self = Self::new(self.rules.clone(), true),
            (State::Greeted | State::Authenticated, Event::ClientGiven) => {
                *self = Self::new(self.rules.clone(), self.tls);
            }
            (State::Greeted, Event::Authenticated) => self.authenticate(),
            (State::Greeted | State::Authenticated, Event::MailAccepted { smtputf8 }) => {
                self.smtputf8 = smtputf8;
                self.state = State::Mail;
            }
            (State::Mail | State::Rcpt, Event::RcptAccepted) => self.state = State::Rcpt,
            (State::Rcpt, Event::DataStarted) => self.state = State::Data,
            (State::Rcpt | State::Chunks, Event::ChunkAccepted) => self.state = State::Chunks,
            _ => self.reset(),
        }
    }

    /// Ends the transaction, whatever it was; forgets nothing else.
    pub const fn reset(&mut self) {
        self.smtputf8 = false;
        self.state = match (self.state, self.greeted, self.authenticated) {
            (State::Closed, _, _) => State::Closed,
            (_, false, _) => State::Connected,
            (_, true, false) => State::Greeted,
            (_, true, true) => State::Authenticated,
        };
    }

    /// What the reply to EHLO offers now: STARTTLS only before TLS, AUTH only where it can be used.
    pub fn offer(&self) -> Capabilities {
        let mut offer = self.rules.offer.clone();
        offer.starttls &= !self.tls;
        if self.authenticated || !self.may_send_password() {
            offer.auth.clear();
        }
        offer
    }

    /// Where the session is.
    pub const fn state(&self) -> State {
        self.state
    }

    /// The connection is encrypted.
    pub const fn is_tls(&self) -> bool {
        self.tls
    }

    /// AUTH succeeded.
    pub const fn is_authenticated(&self) -> bool {
        self.authenticated
    }

    /// The last greeting was EHLO.
    pub const fn is_esmtp(&self) -> bool {
        self.esmtp
    }

    /// MAIL was accepted and its transaction has not ended.
    pub const fn in_transaction(&self) -> bool {
        matches!(self.state, State::Mail | State::Rcpt | State::Data | State::Chunks)
    }

    /// RFC 5321 4.1.4: a later greeting resets the state as RSET does.
    const fn greet(&mut self, esmtp: bool) {
        self.greeted = true;
        self.esmtp = esmtp;
        self.reset();
    }

    const fn authenticate(&mut self) {
        self.authenticated = true;
        self.reset();
    }

    const fn may_send_password(&self) -> bool {
        self.tls || self.rules.plaintext_auth
    }

    fn judge_conditions(&self, verb: Verb) -> Step {
        let offer = &self.rules.offer;
        match verb {
            Verb::StartTls | Verb::Auth | Verb::Bdat | Verb::Xclient if !self.esmtp => {
                Step::Refuse(&EHLO_FIRST)
            }
            Verb::StartTls if self.tls => Step::Refuse(&TLS_ACTIVE),
            Verb::StartTls if !offer.starttls => Step::Refuse(&NOT_IMPLEMENTED),
            Verb::Auth if offer.auth.is_empty() => Step::Refuse(&NOT_IMPLEMENTED),
            Verb::Auth if !self.may_send_password() => Step::Refuse(&TLS_FIRST),
            Verb::Bdat if !offer.chunking => Step::Refuse(&NOT_IMPLEMENTED),
            // RFC 4954 6: "This response SHOULD be returned by any command other than AUTH, EHLO,
            // HELO, NOOP, RSET, or QUIT". RCPT, DATA and BDAT cannot come here without MAIL.
            Verb::Mail | Verb::Vrfy if self.rules.auth_required && !self.authenticated => {
                Step::Refuse(&AUTH_FIRST)
            }
            _ => Step::Allow,
        }
    }

    fn judge_arguments(&self, command: &Command) -> Step {
        let offer = &self.rules.offer;
        let has_dsn = self.esmtp && offer.dsn;
        match command {
            Command::Auth { mechanism, .. } if !offer.auth.contains(mechanism) => Step::Refuse(&MECHANISM),
            Command::Mail(mail) => self.judge_mail(mail),
            Command::Rcpt(rcpt) if !rcpt.parameters.is_empty() && !has_dsn => {
                Step::Refuse(&PARAMETER_NOT_OFFERED)
            }
            // RFC 6531 3.3: a path that is not ASCII needs SMTPUTF8, which is given with MAIL.
            Command::Rcpt(rcpt) => match &rcpt.recipient {
                Recipient::Mailbox(path) if !path.is_ascii() && !self.smtputf8 => {
                    Step::Refuse(&UTF8_RECIPIENT)
                }
                Recipient::Mailbox(_) | Recipient::Postmaster => Step::Allow,
            },
            _ => Step::Allow,
        }
    }

    /// RFC 5321 4.1.1.11: parameters are for extensions that were offered, and so for EHLO.
    fn judge_mail(&self, mail: &Mail) -> Step {
        let offer = &self.rules.offer;
        let parameters = &mail.parameters;
        let body_is_offered = match parameters.body {
            None => true,
            Some(BodyKind::SevenBit | BodyKind::EightBitMime) => offer.eight_bit,
            // Bare CR, LF and NUL are refused, so binary messages cannot be offered (RFC 3030 3).
            Some(BodyKind::BinaryMime) => false,
        };
        let offered = parameters.is_empty()
            || self.esmtp
                && body_is_offered
                && (offer.size.is_some() || parameters.size.is_none())
                && (offer.smtputf8 || !parameters.smtputf8)
                && (offer.dsn || !parameters.has_dsn())
                && (!offer.auth.is_empty() || parameters.auth.is_none());
        if offered { Step::Allow } else { Step::Refuse(&PARAMETER_NOT_OFFERED) }
    }
}

/// The reply to a VRFY that was allowed (RFC 5321 7.3): neither yes nor no.
pub static CANNOT_VERIFY: FixedReply = FixedReply::new(252, (2, 5, 2), "cannot verify; send the message");

static CLOSED: FixedReply = FixedReply::new(503, (5, 5, 1), "this session is over");
static INSIDE_DATA: FixedReply = FixedReply::new(503, (5, 5, 1), "end the message first");
static UNKNOWN: FixedReply = FixedReply::new(500, (5, 5, 1), "command not recognised");
static NOT_IMPLEMENTED: FixedReply = FixedReply::new(502, (5, 5, 1), "command not offered here");
static GREET_FIRST: FixedReply = FixedReply::new(503, (5, 5, 1), "send EHLO first");
static EHLO_FIRST: FixedReply = FixedReply::new(503, (5, 5, 1), "send EHLO first; HELO is not enough");
static INSIDE_TRANSACTION: FixedReply =
    FixedReply::new(503, (5, 5, 1), "not during a mail transaction; send RSET first");
static AUTHENTICATED: FixedReply = FixedReply::new(503, (5, 5, 1), "already authenticated");
static NESTED_MAIL: FixedReply = FixedReply::new(503, (5, 5, 1), "sender already given; send RSET first");
static MAIL_FIRST: FixedReply = FixedReply::new(503, (5, 5, 1), "send MAIL first");
static RCPT_FIRST: FixedReply = FixedReply::new(503, (5, 5, 1), "no valid recipients; send RCPT first");
static INSIDE_CHUNKS: FixedReply = FixedReply::new(503, (5, 5, 1), "send BDAT with LAST, or RSET, first");
static TLS_ACTIVE: FixedReply = FixedReply::new(503, (5, 5, 1), "TLS is already active");
static TLS_FIRST: FixedReply =
    FixedReply::new(538, (5, 7, 11), "encryption is required; send STARTTLS first");
static AUTH_FIRST: FixedReply = FixedReply::new(530, (5, 7, 0), "authentication required; send AUTH first");
static MECHANISM: FixedReply = FixedReply::new(504, (5, 5, 4), "authentication mechanism not offered");
static PARAMETER_NOT_OFFERED: FixedReply = FixedReply::new(555, (5, 5, 4), "parameter not offered");
static UTF8_RECIPIENT: FixedReply =
    FixedReply::new(553, (5, 6, 7), "this recipient needs the parameter SMTPUTF8 with MAIL");

#[cfg(test)]
mod tests;
