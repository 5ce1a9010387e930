//! One connection to the sink: commands in, replies out, one write for each reply.
//! Called by `sink` for every connection.

use std::io;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio_rustls::TlsAcceptor;

use super::{Act, On, Received, SinkTls, State};

pub(super) type Stream = Box<dyn Both>;

/// What a session reads and writes: plain or TLS.
pub(super) trait Both: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Both for T {}

struct Session<'a> {
    stream: BufReader<Stream>,
    state: &'a State,
    connection: usize,
    tls: bool,
    helo: String,
    /// The arguments of the last XCLIENT.
    client: String,
    /// It said LHLO: there is a reply for each recipient (RFC 2033).
    lmtp: bool,
    signed_in: bool,
    envelope: Option<Envelope>,
}

struct Envelope {
    mail_from: String,
    mail_parameters: String,
    recipients: Vec<String>,
    recipient_parameters: Vec<String>,
}

/// Does the session go on?
#[derive(PartialEq, Eq)]
enum Next {
    GoOn,
    StartTls,
    Close,
}

/// Serves until the peer leaves, QUIT or a fault.
pub(super) async fn run(stream: Stream, connection: usize, state: &State, tls: bool) -> io::Result<()> {
    let stream = BufReader::new(stream);
    let (helo, client) = (String::new(), String::new());
    let mut session = Session {
        stream,
        state,
        connection,
        tls,
        helo,
        client,
        lmtp: false,
        signed_in: false,
        envelope: None,
    };
    let mut next = session.speak(&On::Connect, "220 sink.example ESMTP").await?;
    while next != Next::Close {
        if next == Next::StartTls {
            session = session.secured().await?;
        }
        let Some(line) = session.line().await? else { break };
        next = session.command(line.trim_end()).await?;
    }
    Ok(())
}

impl Session<'_> {
    async fn line(&mut self) -> io::Result<Option<String>> {
        let mut line = Vec::new();
        (&mut self.stream).take(LONGEST_LINE).read_until(b'\n', &mut line).await?;
        if line.ends_with(b"\n") { Ok(Some(String::from_utf8_lossy(&line).into_owned())) } else { Ok(None) }
    }

    async fn command(&mut self, line: &str) -> io::Result<Next> {
        let verb = line.get(..4).unwrap_or(line).to_ascii_uppercase();
        match verb.as_str() {
            "EHLO" | "LHLO" => {
                self.lmtp = verb == "LHLO";
                self.hello(line).await
            }
            "XCLI" if self.offers("XCLIENT") => {
                argument(line).clone_into(&mut self.client);
                self.envelope = None;
                self.say("220 sink.example ESMTP").await
            }
            "HELO" => {
                self.helo = argument(line).to_owned();
                self.speak(&On::Ehlo, "250 sink.example").await
            }
            "MAIL" => self.mail(line).await,
            "RCPT" => self.rcpt(line).await,
            "DATA" => self.data().await,
            "RSET" => {
                self.envelope = None;
                self.speak(&On::Rset, "250 2.0.0 reset").await
            }
            "NOOP" => self.say("250 2.0.0 ok").await,
            "AUTH" => self.auth(line).await,
            "STAR" if matches!(self.state.settings.tls, SinkTls::StartTls(_)) && !self.tls => {
                self.say("220 2.0.0 go ahead").await?;
                Ok(Next::StartTls)
            }
            "QUIT" => {
                self.say("221 2.0.0 bye").await?;
                Ok(Next::Close)
            }
            _ => self.say("502 5.5.1 unknown command").await,
        }
    }

    async fn hello(&mut self, line: &str) -> io::Result<Next> {
        self.helo = argument(line).to_owned();
        self.envelope = None;
        let mut lines = vec!["sink.example".to_owned()];
        lines.extend(self.state.settings.extensions.iter().cloned());
        if matches!(self.state.settings.tls, SinkTls::StartTls(_)) && !self.tls {
            lines.push("STARTTLS".to_owned());
        }
        if self.state.settings.auth.is_some() {
            lines.push("AUTH PLAIN".to_owned());
        }
        let last = lines.pop().unwrap_or_default();
        let mut reply: String = lines.iter().map(|line| format!("250-{line}\r\n")).collect();
        reply.push_str("250 ");
        reply.push_str(&last);
        self.speak(&On::Ehlo, &reply).await
    }

    fn offers(&self, name: &str) -> bool {
        self.state.settings.extensions.iter().any(|line| line.split(' ').next() == Some(name))
    }

    async fn mail(&mut self, line: &str) -> io::Result<Next> {
        if self.state.settings.auth.is_some() && !self.signed_in {
            return self.say("530 5.7.0 sign in first").await;
        }
        if self.envelope.is_some() {
            return self.say("503 5.5.1 one sender only").await;
        }
        let act = self.state.strike(&On::Mail, "");
        if matches!(act, None | Some(Act::Late(_))) {
            let (mail_from, mail_parameters) = path(line);
            self.envelope = Some(Envelope {
                mail_from,
                mail_parameters,
                recipients: Vec::new(),
                recipient_parameters: Vec::new(),
            });
        }
        self.act_or_say(act, "250 2.1.0 ok").await
    }

    async fn rcpt(&mut self, line: &str) -> io::Result<Next> {
        let (recipient, parameters) = path(line);
        let act = self.state.strike(&On::Rcpt(String::new()), &recipient);
        let Some(envelope) = &mut self.envelope else { return self.say("503 5.5.1 MAIL first").await };
        if matches!(act, None | Some(Act::Late(_))) {
            envelope.recipients.push(recipient);
            envelope.recipient_parameters.push(parameters);
        }
        self.act_or_say(act, "250 2.1.5 ok").await
    }

    async fn data(&mut self) -> io::Result<Next> {
        if self.envelope.as_ref().is_none_or(|envelope| envelope.recipients.is_empty()) {
            return self.say("503 5.5.1 RCPT first").await;
        }
        match self.state.strike(&On::Data, "") {
            Some(Act::Late(wait)) => tokio::time::sleep(Duration::from_millis(wait)).await,
            Some(act) => return self.act(act, "").await,
            None => {}
        }
        self.say("354 go ahead").await?;
        let Some(message) = self.body().await? else { return Ok(Next::Close) };
        let Some(envelope) = self.envelope.take() else { return Ok(Next::Close) };
        let others = if self.lmtp { envelope.recipients.len().saturating_sub(1) } else { 0 };
        let act = self.state.strike(&On::End, "");
        if matches!(act, None | Some(Act::Late(_) | Act::KeepThenClose)) {
            self.state.keep(Received {
                connection: self.connection,
                helo: self.helo.clone(),
                client: self.client.clone(),
                lmtp: self.lmtp,
                tls: self.tls,
                mail_from: envelope.mail_from,
                mail_parameters: envelope.mail_parameters,
                recipients: envelope.recipients,
                recipient_parameters: envelope.recipient_parameters,
                message,
            });
        }
        for _ in 0..others {
            self.say("250 2.0.0 kept").await?;
        }
        self.act_or_say(act, "250 2.0.0 kept").await
    }

    /// RFC 5321 4.1.1.4: the mail data end with a line that holds only a period, and a line ends
    /// with CRLF only: a period after a bare LF is text.
    async fn body(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut message = Vec::new();
        let mut at_line_start = true;
        let mut piece = Vec::new();
        loop {
            piece.clear();
            self.stream.read_until(b'\n', &mut piece).await?;
            if !piece.ends_with(b"\n") {
                return Ok(None);
            }
            let text = match piece.strip_prefix(b".") {
                Some(b"\r\n") if at_line_start => return Ok(Some(message)),
                Some(rest) if at_line_start => rest,
                _ => piece.as_slice(),
            };
            message.extend_from_slice(text);
            at_line_start = piece.ends_with(b"\r\n");
        }
    }

    async fn auth(&mut self, line: &str) -> io::Result<Next> {
        let Some((login, password)) = &self.state.settings.auth else {
            return self.say("502 5.5.1 not offered").await;
        };
        let expected = STANDARD.encode(format!("\0{login}\0{password}"));
        self.signed_in = line.split(' ').nth(2) == Some(expected.as_str());
        let reply = if self.signed_in { "235 2.7.0 welcome" } else { "535 5.7.8 wrong" };
        self.say(reply).await
    }

    /// What was sent before the handshake and is already in the buffer is thrown away.
    async fn secured(self) -> io::Result<Self> {
        let SinkTls::StartTls(config) = &self.state.settings.tls else { return Ok(self) };
        let stream = TlsAcceptor::from(config.clone()).accept(self.stream.into_inner()).await?;
        Ok(Self { stream: BufReader::new(Box::new(stream)), tls: true, envelope: None, ..self })
    }

    /// The usual reply, unless a fault strikes.
    async fn speak(&mut self, on: &On, usual: &str) -> io::Result<Next> {
        let act = self.state.strike(on, "");
        self.act_or_say(act, usual).await
    }

    async fn act_or_say(&mut self, act: Option<Act>, usual: &str) -> io::Result<Next> {
        match act {
            Some(act) => self.act(act, usual).await,
            None => self.say(usual).await,
        }
    }

    async fn act(&mut self, act: Act, usual: &str) -> io::Result<Next> {
        match act {
            Act::Reply(reply) => self.say(&reply).await,
            Act::Close | Act::KeepThenClose => Ok(Next::Close),
            Act::Silence => std::future::pending().await,
            Act::Late(wait) => {
                tokio::time::sleep(Duration::from_millis(wait)).await;
                self.say(usual).await
            }
        }
    }

    async fn say(&mut self, reply: &str) -> io::Result<Next> {
        self.stream.write_all(format!("{reply}\r\n").as_bytes()).await?;
        self.stream.flush().await?;
        Ok(Next::GoOn)
    }
}

fn argument(line: &str) -> &str {
    line.split_once(' ').map_or("", |(_, argument)| argument.trim())
}

/// `MAIL FROM:<a@b> SIZE=1` -> `("a@b", "SIZE=1")`
fn path(line: &str) -> (String, String) {
    let inner = line.split_once('<').map_or("", |(_, rest)| rest);
    let (path, parameters) = inner.rsplit_once('>').unwrap_or((inner, ""));
    (path.to_owned(), parameters.trim().to_owned())
}

const LONGEST_LINE: u64 = 65_536;
