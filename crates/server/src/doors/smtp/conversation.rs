//! One SMTP conversation: reads a command, asks the table, carries it out, answers.
//! The listener starts one for each connection, and another after STARTTLS.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use countersign_core::request::Client;
use countersign_wire::smtp::auth::{AuthError, AuthStep, Credentials, Exchange, InitialResponse, Mechanism};
use countersign_wire::smtp::command::{Command, Mail, Rcpt};
use countersign_wire::smtp::reply::{Enhanced, FixedReply, Reply};
use countersign_wire::smtp::session::{CANNOT_VERIFY, Event, Rules, Session, State, Step};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;

use super::Door;
use super::auth::{SignInError, SignedIn};
use super::letter::{Letter, Submitted};
use super::lines::{Line, Lines};
use crate::transit::Passage;

/// One connection's conversation.
pub(super) struct Conversation<S> {
    door: Arc<Door>,
    lines: Lines<S>,
    peer: SocketAddr,
    session: Session,
    client: Client,
    signed_in: Option<SignedIn>,
    letter: Option<Letter>,
    /// The last message that was accepted, until the client shows that it heard so.
    unheard: Option<Passage>,
    commands: usize,
    failures: usize,
    stop: watch::Receiver<bool>,
}

/// How a conversation ended.
pub(super) enum End<S> {
    Closed,
    /// STARTTLS was answered with 220; what was read ahead is gone.
    StartTls(S),
}

/// What follows a command.
enum Next {
    Go,
    Close,
    StartTls,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Conversation<S> {
    pub(super) fn new(
        door: Arc<Door>,
        socket: S,
        peer: SocketAddr,
        rules: Rules,
        tls: bool,
        stop: watch::Receiver<bool>,
    ) -> Self {
        let client = Client { ip: Some(peer.ip().to_canonical()), helo: String::new(), tls };
        Self {
            door,
            lines: Lines::new(socket),
            peer,
            session: Session::new(rules, tls),
            client,
            signed_in: None,
            letter: None,
            unheard: None,
            commands: 0,
            failures: 0,
            stop,
        }
    }

    /// After the handshake of STARTTLS: everything is forgotten, and there is no second greeting.
    pub(super) fn after_starttls(
        door: Arc<Door>,
        socket: S,
        peer: SocketAddr,
        rules: Rules,
        stop: watch::Receiver<bool>,
    ) -> Self {
        let mut conversation = Self::new(door, socket, peer, rules, true, stop);
        conversation.session.advance(Event::TlsStarted);
        conversation
    }

    /// Talks until one side closes.
    pub(super) async fn run(mut self) -> io::Result<End<S>> {
        let ended = self.talk().await;
        // A transaction in which we refused a recipient is recorded however it ends.
        if let Some(letter) = self.letter.take() {
            letter.abandon(&self.door).await;
        }
        match ended? {
            Next::StartTls => Ok(End::StartTls(self.lines.into_socket())),
            Next::Go | Next::Close => Ok(End::Closed),
        }
    }

    async fn talk(&mut self) -> io::Result<Next> {
        // After STARTTLS the client speaks first (RFC 3207 4.2); in every other case we do.
        if !self.session.is_tls() || self.door.implicit_tls {
            let greeting = format!("{} ESMTP Countersign", self.door.hostname);
            self.say(&Reply::new(220, None, &greeting)).await?;
        }
        loop {
            if *self.stop.borrow() && !self.session.in_transaction() {
                return self.leave(&SHUTTING_DOWN).await;
            }
            // Nothing is cut off half-way in a write: what waits is written before waiting for the client.
            self.lines.flush_unless_more().await?;
            let most = self.door.limits.command_line;
            // What was sent before our answer went out does not show that it was heard.
            let answers_us = !self.lines.has_ahead();
            let line = tokio::select! {
                line = self.lines.line(most) => line?,
                Ok(()) = self.stop.changed() => continue,
            };
            if answers_us && !matches!(line, Line::Closed) {
                self.unheard.take().into_iter().for_each(|passage| self.door.gate.heard(&passage));
            }
            let next = match line {
                Line::Closed => Next::Close,
                Line::BareLf => self.leave(&BARE_LF).await?,
                Line::TooLong => self.answer(&LINE_TOO_LONG).await?,
                Line::Text(line) => self.take(&line).await?,
            };
            if !matches!(next, Next::Go) {
                self.lines.flush().await?;
                return Ok(next);
            }
        }
    }

    async fn take(&mut self, line: &[u8]) -> io::Result<Next> {
        let command = Command::parse(line);
        // Recipients have a limit of their own.
        if !matches!(command, Ok(Command::Rcpt(_))) || self.letter.is_none() {
            self.commands += 1;
        }
        if self.commands > self.door.limits.commands {
            return self.leave(&TOO_MANY_COMMANDS).await;
        }
        let command = match command {
            Ok(command) => command,
            Err(error) => {
                self.say(&error.reply()).await?;
                return Ok(if error.must_close() { Next::Close } else { Next::Go });
            }
        };
        match self.session.judge(&command) {
            Step::Allow => self.carry_out(command).await,
            // Its octets follow all the same, and may read like commands.
            Step::Refuse(reply) if matches!(command, Command::Bdat { .. }) => self.leave(reply).await,
            Step::Refuse(reply) => self.answer(reply).await,
        }
    }

    async fn carry_out(&mut self, command: Command) -> io::Result<Next> {
        match command {
            Command::Ehlo(name) => self.greet(name, true).await,
            Command::Helo(name) => self.greet(name, false).await,
            Command::Mail(mail) => self.mail(mail).await,
            Command::Rcpt(rcpt) => self.rcpt(rcpt).await,
            Command::Data => self.data().await,
            Command::Auth { mechanism, initial } => self.auth(&mechanism, initial).await,
            Command::StartTls => {
                self.say(&READY_FOR_TLS.reply()).await?;
                Ok(Next::StartTls)
            }
            Command::Rset => {
                self.end_transaction().await;
                self.answer(&OK).await
            }
            Command::Noop => self.answer(&OK).await,
            Command::Help => self.answer(&HELP).await,
            Command::Vrfy(_) => self.answer(&CANNOT_VERIFY).await,
            Command::Quit => {
                // What has to be recorded is, before the client hears goodbye.
                self.end_transaction().await;
                self.leave(&BYE).await
            }
            // The table refuses these; should it ever not, so does this line.
            Command::Bdat { .. } | Command::Expn(_) | Command::Unknown { .. } => {
                self.leave(&NOT_OFFERED).await
            }
        }
    }

    async fn greet(&mut self, name: String, esmtp: bool) -> io::Result<Next> {
        self.end_transaction().await;
        self.client.helo = name;
        self.session.advance(Event::Greeted { esmtp });
        let hostname = self.door.hostname.to_string();
        let reply = match esmtp {
            true => self.session.offer().reply(&hostname),
            false => Reply::new(250, None, &hostname),
        };
        self.say(&reply).await?;
        Ok(Next::Go)
    }

    async fn auth(&mut self, mechanism: &str, initial: Option<InitialResponse>) -> io::Result<Next> {
        let Some(mechanism) = Mechanism::parse(mechanism) else { return self.answer(&NOT_OFFERED).await };
        let credentials = match self.exchange(mechanism, initial.as_ref()).await? {
            Some(Ok(credentials)) => credentials,
            Some(Err(error)) => {
                self.say(&error.reply()).await?;
                return Ok(Next::Go);
            }
            None => return Ok(Next::Close),
        };
        let ip = self.peer.ip().to_canonical();
        match self.door.sign_in(&credentials, ip).await {
            Ok(signed_in) => {
                tracing::info!("account.id" = %signed_in.account, login = signed_in.login, %ip, "signed in");
                self.signed_in = Some(signed_in);
                self.session.advance(Event::Authenticated);
                self.answer(&SIGNED_IN).await
            }
            Err(error @ SignInError::Directory(_)) => {
                tracing::error!(%error, "sign-in cannot be checked");
                self.answer(&TRY_LATER).await
            }
            Err(error) => {
                tracing::warn!(login = credentials.login(), %ip, %error, "sign-in refused");
                self.failures += 1;
                let reply = if self.failures >= MOST_FAILURES { &TOO_MANY_FAILURES } else { &WRONG };
                if self.failures >= MOST_FAILURES {
                    self.leave(reply).await
                } else {
                    self.answer(reply).await
                }
            }
        }
    }

    /// The lines of a SASL exchange; `None` when the peer is gone.
    async fn exchange(
        &mut self,
        mechanism: Mechanism,
        initial: Option<&InitialResponse>,
    ) -> io::Result<Option<Result<Credentials, AuthError>>> {
        let mut step = Exchange::begin(mechanism, initial);
        loop {
            let exchange = match step {
                Ok(AuthStep::Ask(exchange)) => exchange,
                Ok(AuthStep::Check(credentials)) => return Ok(Some(Ok(credentials))),
                Err(error) => return Ok(Some(Err(error))),
            };
            self.say(&exchange.challenge()).await?;
            step = match self.lines.line(self.door.limits.auth_line).await? {
                Line::Text(line) => exchange.answer(&line),
                Line::TooLong => Err(AuthError::TooLong),
                Line::BareLf | Line::Closed => return Ok(None),
            };
        }
    }

    async fn mail(&mut self, mail: Mail) -> io::Result<Next> {
        let Some(signed_in) = &self.signed_in else { return self.answer(&AUTH_FIRST).await };
        let smtputf8 = mail.parameters.smtputf8;
        let opened = Letter::open(&self.door, signed_in, self.client.clone(), mail).await;
        match opened {
            Ok(letter) => {
                self.letter = Some(letter);
                self.session.advance(Event::MailAccepted { smtputf8 });
                self.answer(&SENDER_OK).await
            }
            Err(reply) => {
                self.session.advance(Event::TransactionEnded);
                self.say(&reply).await?;
                Ok(Next::Go)
            }
        }
    }

    async fn rcpt(&mut self, rcpt: Rcpt) -> io::Result<Next> {
        let Some(letter) = &mut self.letter else { return self.answer(&MAIL_FIRST).await };
        let reply = letter.address(&self.door, rcpt).await;
        if reply.is_positive() {
            self.session.advance(Event::RcptAccepted);
        }
        self.say(&reply).await?;
        Ok(Next::Go)
    }

    async fn data(&mut self) -> io::Result<Next> {
        let Some(letter) = self.letter.take() else { return self.answer(&MAIL_FIRST).await };
        self.session.advance(Event::DataStarted);
        self.say(&SEND_MESSAGE.reply()).await?;
        let received = match self.lines.message(&self.door.limits).await {
            Ok(received) => received,
            Err(error) => {
                letter.abandon(&self.door).await;
                return Err(error);
            }
        };
        let desynchronised = received.desynchronised;
        let Submitted { reply, outcome, passage } = letter.submit(&self.door, received).await;
        self.session.advance(Event::TransactionEnded);
        // A client that sends messages may go on as long as it likes, also when they are refused.
        self.commands = 0;
        // The upstream has it, whether the client is still there or not.
        outcome.into_iter().for_each(|outcome| self.door.gate.settle(outcome));
        self.say(&reply).await?;
        self.unheard = passage;
        // The two ends may disagree about where the message stopped.
        Ok(if desynchronised { Next::Close } else { Next::Go })
    }

    async fn end_transaction(&mut self) {
        if let Some(letter) = self.letter.take() {
            letter.abandon(&self.door).await;
        }
        if self.session.state() != State::Connected {
            self.session.advance(Event::TransactionEnded);
        }
    }

    async fn answer(&mut self, reply: &FixedReply) -> io::Result<Next> {
        self.say(&reply.reply()).await?;
        Ok(Next::Go)
    }

    async fn leave(&mut self, reply: &FixedReply) -> io::Result<Next> {
        self.session.advance(Event::Closed);
        self.say(&reply.reply()).await?;
        Ok(Next::Close)
    }

    async fn say(&mut self, reply: &Reply) -> io::Result<()> {
        self.lines.say(reply, &self.door.limits).await
    }
}

pub(super) static TOO_MANY_CONNECTIONS: FixedReply =
    FixedReply::new(421, (4, 7, 0), "too many connections from your address; try again later");
static OK: FixedReply = FixedReply::new(250, (2, 0, 0), "OK");
static SENDER_OK: FixedReply = FixedReply::new(250, (2, 1, 0), "sender OK");
static HELP: FixedReply = FixedReply::new(
    214,
    (2, 0, 0),
    "see RFC 5321; refusals carry a ref, and `countersign explain REF` explains it",
);
static BYE: FixedReply = FixedReply::new(221, (2, 0, 0), "goodbye");
static READY_FOR_TLS: FixedReply = FixedReply::new(220, (2, 0, 0), "ready to start TLS");
static SIGNED_IN: FixedReply = FixedReply::new(235, (2, 7, 0), "authentication succeeded");
static WRONG: FixedReply = FixedReply::new(535, (5, 7, 8), "authentication credentials invalid");
static TOO_MANY_FAILURES: FixedReply =
    FixedReply::new(421, (4, 7, 0), "too many failed authentications; goodbye");
static AUTH_FIRST: FixedReply = FixedReply::new(530, (5, 7, 0), "authentication required; send AUTH first");
static MAIL_FIRST: FixedReply = FixedReply::new(503, (5, 5, 1), "send MAIL first");
static NOT_OFFERED: FixedReply = FixedReply::new(502, (5, 5, 1), "command not offered here");
static TRY_LATER: FixedReply =
    FixedReply::new(454, (4, 7, 0), "authentication cannot be checked now; try again later");
static LINE_TOO_LONG: FixedReply = FixedReply::new(500, (5, 5, 2), "command line is too long");
static TOO_MANY_COMMANDS: FixedReply = FixedReply::new(421, (4, 7, 0), "too many commands without a message");
static BARE_LF: FixedReply =
    FixedReply::new(500, (5, 5, 2), "a line ended without CR; lines end with CRLF; goodbye");
static SHUTTING_DOWN: FixedReply = FixedReply::new(421, (4, 3, 2), "this server is shutting down; try again");
static SEND_MESSAGE: Intermediate = Intermediate("end the message with a line that has only a dot");

/// 354 has no enhanced code (RFC 2034 4: only 2yz, 4yz and 5yz have one).
struct Intermediate(&'static str);

impl Intermediate {
    fn reply(&self) -> Reply {
        let none: Option<Enhanced> = None;
        Reply::new(354, none, self.0)
    }
}

const MOST_FAILURES: usize = 3;
