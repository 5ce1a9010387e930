//! One SMTP conversation: reads a command, asks the table, carries it out, answers.
//! The listener starts one for each connection, and another after STARTTLS.

mod introduction;
mod receive;
mod replies;
mod sign_in;

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use countersign_core::request::Client;
use countersign_wire::smtp::command::{Command, Mail, Rcpt};
use countersign_wire::smtp::reply::{FixedReply, Reply};
use countersign_wire::smtp::session::{CANNOT_VERIFY, Event, Rules, Session, State, Step};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::Instant;

use super::auth::SignedIn;
use super::letter::{Letter, Sending};
use super::lines::{Line, Lines};
use super::{Door, RelayAccount, Who};
use crate::transit::Passage;

use introduction::Introduction;
use receive::Chunks;
use replies::{
    AUTH_FIRST, BARE_LF, BYE, HELP, LATE, LINE_TOO_LONG, MAIL_FIRST, NO_ROOM, NO_SPACE, NOT_OFFERED, OK,
    READY_FOR_TLS, SENDER_OK, SHUTTING_DOWN, TOO_MANY_COMMANDS, TOO_MANY_RECIPIENTS,
};

/// Who is at the other end.
#[derive(Clone)]
pub(super) struct Peer {
    pub(super) ip: IpAddr,
    /// The balancer that says so.
    through: Option<IpAddr>,
    /// When the connection was made.
    pub(super) began: Instant,
    /// The door of the configuration that counts now.
    current: watch::Receiver<Arc<Door>>,
    closing: watch::Receiver<Closing>,
}

/// Whether sessions have to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Closing {
    No,
    /// Between two transactions.
    AtBoundary,
    /// Wherever they wait for their client.
    Now,
}

impl Peer {
    /// A peer that has connected just now.
    pub(super) fn new(
        ip: IpAddr,
        current: watch::Receiver<Arc<Door>>,
        closing: watch::Receiver<Closing>,
    ) -> Self {
        Self { ip: ip.to_canonical(), through: None, began: Instant::now(), current, closing }
    }

    /// The same, as a balancer says.
    pub(super) fn through(self, balancer: IpAddr) -> Self {
        Self { through: Some(balancer.to_canonical()), ..self }
    }

    /// Whether what it says crosses no network: the loopback of a balancer is not ours.
    pub(super) fn is_on_loopback(&self) -> bool {
        self.ip.is_loopback() && self.through.is_none_or(|balancer| balancer.is_loopback())
    }

    /// Waits until a session has to end, wherever it stands.
    async fn cut(&mut self) {
        if self.closing.wait_for(|closing| *closing == Closing::Now).await.is_err() {
            // Who could say so is gone, and the session with it.
            std::future::pending::<()>().await;
        }
    }
}

/// One connection's conversation.
pub(super) struct Conversation<S> {
    door: Arc<Door>,
    lines: Lines<S>,
    peer: Peer,
    session: Session,
    client: Client,
    signed_in: Option<SignedIn>,
    introduction: Introduction,
    letter: Option<Letter>,
    chunks: Option<Chunks>,
    /// The last message that was accepted, until the client shows that it heard so.
    unheard: Option<Passage>,
    commands: usize,
    /// RCPT commands of the transaction, whatever became of them.
    recipients: usize,
    failures: usize,
    stress: watch::Receiver<bool>,
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
    pub(super) fn new(door: Arc<Door>, socket: S, peer: Peer, rules: Rules, tls: bool) -> Self {
        let client = Client { ip: Some(peer.ip), helo: String::new(), tls };
        let stress = door.capacity.stress.watch();
        Self {
            door,
            lines: Lines::new(socket),
            peer,
            session: Session::new(rules, tls),
            client,
            signed_in: None,
            introduction: Introduction::default(),
            letter: None,
            chunks: None,
            unheard: None,
            commands: 0,
            recipients: 0,
            failures: 0,
            stress,
        }
    }

    /// After the handshake of STARTTLS: everything is forgotten, and there is no second greeting.
    pub(super) fn after_starttls(door: Arc<Door>, socket: S, peer: Peer, rules: Rules) -> Self {
        let mut conversation = Self::new(door, socket, peer, rules, true);
        conversation.session.advance(Event::TlsStarted);
        conversation
    }

    /// Talks until one side closes.
    pub(super) async fn run(mut self) -> io::Result<End<S>> {
        let ended = self.talk().await;
        // A transaction in which a recipient was refused is recorded however it ends.
        if let Some(letter) = self.letter.take() {
            Box::pin(letter.abandon(&self.door)).await;
        }
        match ended? {
            Next::StartTls => Ok(End::StartTls(self.lines.into_socket())),
            Next::Go | Next::Close => Ok(End::Closed),
        }
    }

    async fn talk(&mut self) -> io::Result<Next> {
        // After STARTTLS the client speaks first (RFC 3207 4.2); in every other case we do.
        if !self.session.is_tls() || self.door.settings.implicit_tls {
            self.say_hello().await?;
        }
        loop {
            let closing = *self.peer.closing.borrow_and_update();
            let at_boundary = !self.session.in_transaction();
            if closing == Closing::Now || closing == Closing::AtBoundary && at_boundary {
                return self.shut_down().await;
            }
            // Nothing is cut off half-way in a write: what waits is written before waiting for the client.
            self.lines.flush_unless_more().await?;
            // What was sent before our answer went out does not show that it was heard.
            let answers_us = !self.lines.has_ahead();
            let (most, until) = (self.door.settings.limits.command_line, self.patience());
            let line = tokio::select! {
                line = self.lines.line(most, until) => line?,
                Ok(()) = self.peer.closing.changed() => continue,
                Ok(()) = self.stress.changed() => continue,
            };
            if answers_us && matches!(line, Line::Text(_) | Line::TooLong | Line::BareLf) {
                self.unheard.take().into_iter().for_each(|passage| self.door.gate.heard(&passage));
            }
            // What a command needs lives on the heap, and only while it is carried out.
            let next = Box::pin(self.hear(line)).await?;
            if !matches!(next, Next::Go) {
                self.lines.flush().await?;
                return Ok(next);
            }
        }
    }

    async fn say_hello(&mut self) -> io::Result<()> {
        let greeting = format!("{} ESMTP Countersign", self.door.settings.hostname);
        self.say(&Reply::new(220, None, &greeting)).await
    }

    /// Until when the next command must have come. Who has not signed in has little time, under stress less.
    fn patience(&self) -> Instant {
        let began = self.peer.began;
        if self.signed_in.is_none() && !self.is_relay() {
            if self.door.capacity.stress.is_on() {
                return began + UNDER_STRESS;
            }
            if !self.session.is_tls() {
                return began + STRANGER;
            }
        }
        Instant::now() + COMMAND
    }

    fn is_relay(&self) -> bool {
        matches!(self.door.settings.who, Who::Relays { .. })
    }

    async fn hear(&mut self, line: Line) -> io::Result<Next> {
        match line {
            Line::Closed => Ok(Next::Close),
            Line::BareLf => self.leave(&BARE_LF).await,
            Line::TooLong => self.answer(&LINE_TOO_LONG).await,
            Line::Late => self.leave(&LATE).await,
            Line::TooSlow => self.give_up_slow().await,
            Line::Text(line) => self.take(&line).await,
        }
    }

    async fn take(&mut self, line: &[u8]) -> io::Result<Next> {
        let command = Command::parse(line);
        self.count(command.as_ref().ok());
        if self.commands > self.door.settings.limits.commands {
            return self.leave(&TOO_MANY_COMMANDS).await;
        }
        let command = match command {
            Ok(command) => command,
            Err(error) => {
                self.say(&error.reply()).await?;
                return Ok(if error.must_close() { Next::Close } else { Next::Go });
            }
        };
        match (self.session.judge(&command), command) {
            (Step::Allow, command) => self.carry_out(command).await,
            (Step::Refuse(reply), Command::Bdat { size, .. }) => self.refuse_chunk(size, reply).await,
            (Step::Refuse(reply), _) => self.answer(reply).await,
        }
    }

    /// Counts a command. Recipients and chunks of a transaction have limits of their own.
    fn count(&mut self, command: Option<&Command>) {
        match command {
            Some(Command::Rcpt(_)) if self.letter.is_some() => {}
            Some(Command::Bdat { .. }) if self.letter.is_some() => {}
            _ => self.commands += 1,
        }
    }

    async fn carry_out(&mut self, command: Command) -> io::Result<Next> {
        match command {
            Command::Ehlo(name) => self.greet(name, true).await,
            Command::Helo(name) => self.greet(name, false).await,
            Command::Mail(mail) => self.mail(mail).await,
            Command::Rcpt(rcpt) => self.rcpt(rcpt).await,
            Command::Data => self.data().await,
            Command::Bdat { size, last } => self.chunk(size, last).await,
            Command::Auth { mechanism, initial } => self.auth(&mechanism, initial).await,
            Command::Xclient(said) => self.introduce(&said).await,
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
            Command::Expn(_) | Command::Unknown { .. } => self.leave(&NOT_OFFERED).await,
        }
    }

    async fn greet(&mut self, name: String, esmtp: bool) -> io::Result<Next> {
        self.end_transaction().await;
        self.client.helo = self.introduction.helo.clone().unwrap_or(name);
        self.session.advance(Event::Greeted { esmtp });
        let hostname = self.door.settings.hostname.to_string();
        let reply = match esmtp {
            true => self.session.offer().reply(&hostname),
            false => Reply::new(250, None, &hostname),
        };
        self.say(&reply).await?;
        Ok(Next::Go)
    }

    async fn mail(&mut self, mail: Mail) -> io::Result<Next> {
        // A transaction is judged by one configuration, the one that counts when it begins.
        self.door = Arc::clone(&self.peer.current.borrow());
        let Some(sending) = self.sending() else { return self.answer(&AUTH_FIRST).await };
        if let Some(reply) = self.short_of(mail.parameters.size) {
            self.session.advance(Event::TransactionEnded);
            return self.answer(reply).await;
        }
        let smtputf8 = mail.parameters.smtputf8;
        let opened = Letter::open(&self.door, sending, self.client.clone(), mail).await;
        match opened {
            Ok(letter) => {
                self.letter = Some(letter);
                self.recipients = 0;
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

    /// For whom this session sends; nobody before AUTH.
    fn sending(&self) -> Option<Sending> {
        let relayed = |account: &RelayAccount| match account {
            RelayAccount::Fixed(account) => {
                Sending::For(SignedIn { login: String::new(), account: account.clone() })
            }
            RelayAccount::Field(name) => Sending::Named(name.clone()),
            RelayAccount::Login => Sending::Introduced(self.introduction.login.clone()),
            RelayAccount::Sender => Sending::BySender,
        };
        match &self.door.settings.who {
            Who::Customers { .. } => self.signed_in.clone().map(Sending::For),
            Who::Relays { account, .. } => Some(relayed(account)),
        }
    }

    /// What there is too little of for a message now: disk, should it be held, or memory.
    fn short_of(&self, size: Option<u64>) -> Option<&'static FixedReply> {
        let (capacity, most) = (&self.door.capacity, self.door.settings.limits.message_bytes as u64);
        if !capacity.volume.has(most.saturating_mul(2)) {
            return Some(&NO_SPACE);
        }
        // One that is too big is refused for that, with a ref.
        let size = size.filter(|size| *size <= most).unwrap_or(0);
        (!capacity.budget.has(size)).then_some(&NO_ROOM)
    }

    async fn rcpt(&mut self, rcpt: Rcpt) -> io::Result<Next> {
        let Some(letter) = &mut self.letter else { return self.answer(&MAIL_FIRST).await };
        self.recipients += 1;
        if self.recipients > MOST_TRIES.saturating_mul(self.door.settings.limits.recipients) {
            return self.leave(&TOO_MANY_RECIPIENTS).await;
        }
        let reply = letter.address(&self.door, rcpt).await;
        if reply.is_positive() {
            self.session.advance(Event::RcptAccepted);
        }
        self.say(&reply).await?;
        Ok(Next::Go)
    }

    async fn end_transaction(&mut self) {
        self.chunks = None;
        self.lines.end_message();
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

    /// The server ends before the session does: the client hears so, also when it is saying something.
    async fn shut_down(&mut self) -> io::Result<Next> {
        let next = self.leave(&SHUTTING_DOWN).await?;
        self.lines.linger().await?;
        Ok(next)
    }

    async fn say(&mut self, reply: &Reply) -> io::Result<()> {
        self.lines.say(reply, &self.door.settings.limits).await
    }
}

/// RFC 5321 4.5.3.2.7: "An SMTP server SHOULD have a timeout of at least 5 minutes while it is awaiting the
/// next command from the sender."
const COMMAND: Duration = Duration::from_secs(300);
/// Until a stranger has signed in or begun TLS.
const STRANGER: Duration = Duration::from_secs(60);
/// Until somebody has signed in while much is in use.
const UNDER_STRESS: Duration = Duration::from_secs(10);
/// So many times the limit of recipients may be tried in one transaction, with those that are refused.
const MOST_TRIES: usize = 100;
