//! One connection to an upstream: opened, greeted, secured, signed in; then commands and replies.
//! Called by `upstream` (opens), `transaction` (speaks) and `pool` (keeps). Replies are hostile input.

use std::future::ready;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use countersign_wire::smtp::capabilities::Capabilities;
use countersign_wire::smtp::reply::{Reply, ReplyParser};
use countersign_wire::smtp::xclient::Xclient;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::upstream::{Scheme, UpstreamError, UpstreamSettings, UpstreamTimeouts};

mod deliver;

/// An open connection, in a transaction or between two.
pub(super) struct Connection {
    stream: Stream,
    incoming: Incoming,
    timeouts: UpstreamTimeouts,
    pub(super) capabilities: Capabilities,
    /// Transactions that were begun on it.
    pub(super) transactions: u32,
    /// Whom the upstream takes for its client; nobody was named when it is absent.
    introduced: Option<Box<Xclient>>,
}

type Stream = Box<dyn Both>;

/// Plain or TLS.
trait Both: AsyncRead + AsyncWrite + Unpin + Send + Sync {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send + Sync> Both for T {}

/// What has come from the upstream and has not been read as a reply.
struct Incoming {
    parser: ReplyParser,
    unread: Vec<u8>,
}

impl Connection {
    /// Connects, reads the greeting, says EHLO, secures and signs in: ready for MAIL.
    pub(super) async fn open(settings: &UpstreamSettings) -> Result<Self, UpstreamError> {
        let timeouts = settings.timeouts;
        let stream = within(timeouts.connect, "connecting", dial(settings)).await?;
        let connection = Self {
            stream,
            incoming: Incoming { parser: ReplyParser::new(&settings.limits), unread: Vec::new() },
            timeouts,
            capabilities: Capabilities::default(),
            transactions: 0,
            introduced: None,
        };
        // A connection that breaks before it is ready is one that never was.
        connection.greeted(settings).await.map_err(|error| match error {
            UpstreamError::Closed { cause, .. } => UpstreamError::Unreachable(cause),
            error => error,
        })
    }

    /// Sends a command and reads its reply, whatever that says.
    pub(super) async fn command(&mut self, line: &str) -> Result<Reply, UpstreamError> {
        self.exchange(&[line]).await
    }

    /// Sends two commands in one write (RFC 2920 3.1) and reads their replies; only the first one's when that says
    /// that the upstream leaves.
    pub(super) async fn commands(
        &mut self,
        first: &str,
        second: &str,
    ) -> Result<(Reply, Option<Reply>), UpstreamError> {
        let reply = self.exchange(&[first, second]).await?;
        if reply.code() == CLOSING {
            return Ok((reply, None));
        }
        let second = self.incoming.reply(&mut self.stream);
        Ok((reply, Some(within(self.timeouts.command, "waiting for a reply", second).await?)))
    }

    /// Writes lines together and reads one reply.
    async fn exchange(&mut self, lines: &[&str]) -> Result<Reply, UpstreamError> {
        if lines.iter().any(|line| line.bytes().any(|octet| octet.is_ascii_control())) {
            return Err(UpstreamError::Protocol("a command of ours has a control character".to_owned()));
        }
        // A reply that nobody asked for would be taken for the next one, and so on for ever.
        if self.incoming.is_pending() {
            return Err(UpstreamError::Protocol("it replies without being asked".to_owned()));
        }
        let octets: String = lines.iter().flat_map(|line| [line, "\r\n"]).collect();
        let (stream, incoming) = (&mut self.stream, &mut self.incoming);
        let exchange = async {
            stream.write_all(octets.as_bytes()).await.map_err(closed)?;
            stream.flush().await.map_err(closed)?;
            incoming.reply(stream).await
        };
        within(self.timeouts.command, "waiting for a reply", exchange).await
    }

    /// Says whose mail comes next, unless the upstream knows already. Whether it was asked anything. A connection on
    /// which somebody was named serves nobody else but who can be named in turn.
    pub(super) async fn introduce(
        &mut self,
        settings: &UpstreamSettings,
        client: Option<&Xclient>,
    ) -> Result<bool, UpstreamError> {
        if client == self.introduced.as_deref() {
            return Ok(false);
        }
        let said = client.map(|client| client.limited_to(&self.capabilities.xclient)).unwrap_or_default();
        if said.is_empty() {
            let forgotten = lost("it has been told another client");
            return if self.introduced.is_none() { Ok(false) } else { Err(forgotten) };
        }
        let reply = self.command(&said.to_string()).await?;
        if reply.code() == CLOSING {
            return Err(lost("it closes"));
        }
        expect("it answers XCLIENT with", &reply, 220)?;
        // XCLIENT_README: after success the session is as new, and EHLO has to be said again.
        self.hello(settings).await?;
        self.introduced = client.cloned().map(Box::new);
        Ok(true)
    }

    /// An idle upstream says nothing. If it did, or if it left, the connection is of no use.
    pub(super) async fn is_quiet(&mut self) -> bool {
        let mut octet = [0; 1];
        tokio::select! {
            biased;
            _ = self.stream.read(&mut octet) => false,
            () = ready(()) => !self.incoming.is_pending(),
        }
    }

    /// Says QUIT, in the background: nobody waits for the answer.
    pub(super) fn part(mut self) {
        tokio::spawn(async move {
            let _ = timeout(LAST_WORD, self.command("QUIT")).await;
        });
    }

    async fn greeted(mut self, settings: &UpstreamSettings) -> Result<Self, UpstreamError> {
        let greeting = within(settings.timeouts.command, "waiting for its greeting", async {
            self.incoming.reply(&mut self.stream).await
        });
        expect("it greets with", &greeting.await?, 220)?;
        self.hello(settings).await?;
        let mut secure = settings.scheme == Scheme::Smtps;
        if !secure && settings.starttls && self.capabilities.starttls {
            self = self.secured(settings).await?;
            // RFC 3207 4.2: "The client MUST discard any knowledge obtained from the server, such
            // as the list of SMTP service extensions"
            self.hello(settings).await?;
            secure = true;
        }
        if settings.tls_required && !secure {
            let cause = "it offers no STARTTLS, and nothing is said to it in the clear (use `smtps://`, or \
                         set `tls_verify = false`)";
            return Err(UpstreamError::Unfit(cause.to_owned()));
        }
        self.sign_in(settings, secure).await?;
        Ok(self)
    }

    async fn hello(&mut self, settings: &UpstreamSettings) -> Result<(), UpstreamError> {
        // RFC 2033 4.1: "The HELO and EHLO commands of ESMTP are replaced by the LHLO command."
        let lmtp = settings.scheme == Scheme::Lmtp;
        let verb = if lmtp { "LHLO" } else { "EHLO" };
        let mut reply = self.command(&format!("{verb} {}", settings.helo)).await?;
        self.capabilities = Capabilities::from_reply(&reply);
        // RFC 5321 3.2: "If the EHLO command is not acceptable to the SMTP server ... the client
        // ... SHOULD ... use HELO"
        if reply.is_permanent() && !lmtp {
            reply = self.command(&format!("HELO {}", settings.helo)).await?;
        }
        expect(&format!("it answers {verb} with"), &reply, 250)
    }

    async fn secured(mut self, settings: &UpstreamSettings) -> Result<Self, UpstreamError> {
        let reply = self.command("STARTTLS").await?;
        expect("it answers STARTTLS with", &reply, 220)?;
        // Octets that came in the clear behind the 220 are not from whom the certificate names.
        if self.incoming.is_pending() {
            return Err(UpstreamError::Protocol("it goes on in the clear after STARTTLS".to_owned()));
        }
        let handshake = handshake(self.stream, settings);
        let stream = within(settings.timeouts.connect, "negotiating TLS", handshake).await?;
        Ok(Self { stream, ..self })
    }

    async fn sign_in(&mut self, settings: &UpstreamSettings, secure: bool) -> Result<(), UpstreamError> {
        let Some(credentials) = &settings.auth else { return Ok(()) };
        if !secure && !is_loopback(&settings.host) {
            let cause = "it offers no STARTTLS, and a password is not sent in the clear (use `smtps://`)";
            return Err(UpstreamError::Unfit(cause.to_owned()));
        }
        let offered = |name: &str| self.capabilities.auth.iter().any(|mechanism| mechanism == name);
        let mut lines = if offered("PLAIN") {
            vec![format!("AUTH PLAIN {}", credentials.plain_response())]
        } else if offered("LOGIN") {
            [vec!["AUTH LOGIN".to_owned()], credentials.login_responses().to_vec()].concat()
        } else {
            let cause = match !secure && self.capabilities.starttls {
                true => {
                    "it offers AUTH only after STARTTLS, which is not said on loopback unless its issuer is named \
                     (set `ca_file`)"
                }
                false => "it offers neither AUTH PLAIN nor AUTH LOGIN (remove `auth_file`)",
            };
            return Err(UpstreamError::Unfit(cause.to_owned()));
        };
        let last = lines.pop().unwrap_or_default();
        for line in lines {
            accepted(&self.command(&line).await?, 334)?;
        }
        accepted(&self.command(&last).await?, 235)
    }
}

impl Incoming {
    /// Reads until a reply is whole. What was read stays here when the caller gives up waiting.
    async fn reply(&mut self, reader: &mut (impl AsyncRead + Unpin)) -> Result<Reply, UpstreamError> {
        loop {
            let progress =
                self.parser.push(&self.unread).map_err(|error| UpstreamError::Protocol(error.to_string()))?;
            self.unread.drain(..progress.consumed);
            if let Some(reply) = progress.reply {
                return Ok(reply);
            }
            if reader.read_buf(&mut self.unread).await.map_err(closed)? == 0 {
                return Err(lost("it closed the connection"));
            }
        }
    }

    const fn is_pending(&self) -> bool {
        !self.unread.is_empty() || self.parser.is_midway()
    }
}

async fn dial(settings: &UpstreamSettings) -> Result<Stream, UpstreamError> {
    let (host, port) = (settings.host.as_str(), settings.port);
    let unreachable = |cause: io::Error| UpstreamError::Unreachable(format!("`{host}:{port}`: {cause}"));
    let stream = TcpStream::connect((host, port)).await.map_err(unreachable)?;
    stream.set_nodelay(true).map_err(unreachable)?;
    match settings.scheme {
        Scheme::Smtp | Scheme::Lmtp => Ok(Box::new(stream)),
        Scheme::Smtps => handshake(Box::new(stream), settings).await,
    }
}

async fn handshake(stream: Stream, settings: &UpstreamSettings) -> Result<Stream, UpstreamError> {
    let host = &settings.host;
    let failed = |cause: String| {
        let remedy = match cause.contains("not valid for name") {
            true => "name it in `url` as its certificate does, or set `tls_verify = false`",
            false => "trust its issuer with `ca_file`, or set `tls_verify = false`",
        };
        UpstreamError::Unfit(format!("TLS with `{host}`: {cause} ({remedy})"))
    };
    let name = ServerName::try_from(host.clone()).map_err(|cause| failed(cause.to_string()))?;
    let connector = TlsConnector::from(settings.tls.clone());
    let stream = connector.connect(name, stream).await.map_err(|cause| failed(cause.to_string()))?;
    Ok(Box::new(stream))
}

/// A deadline for one phase. Silence is not a lost connection: it is not tried again.
async fn within<T>(
    time: Duration,
    doing: &str,
    work: impl Future<Output = Result<T, UpstreamError>>,
) -> Result<T, UpstreamError> {
    let late = || UpstreamError::Unreachable(format!("nothing came for {time:?} while {doing}"));
    timeout(time, work).await.unwrap_or_else(|_| Err(late()))
}

fn expect(what: &str, reply: &Reply, code: u16) -> Result<(), UpstreamError> {
    if reply.code() == code { Ok(()) } else { Err(UpstreamError::Unreachable(format!("{what} `{reply}`"))) }
}

/// A step of signing in. What the reply says stands in the log; the password never does.
fn accepted(reply: &Reply, code: u16) -> Result<(), UpstreamError> {
    let refused = || format!("it answers AUTH with `{reply}` (check user and password in `auth_file`)");
    if reply.code() == code { Ok(()) } else { Err(UpstreamError::Unfit(refused())) }
}

/// Whether nobody stands between us and this host.
pub(crate) fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` gives")]
fn closed(cause: io::Error) -> UpstreamError {
    lost(&cause.to_string())
}

pub(super) fn lost(cause: &str) -> UpstreamError {
    UpstreamError::Closed { in_doubt: false, cause: cause.to_owned() }
}

/// RFC 5321 3.8: the server closes the connection.
pub(super) const CLOSING: u16 = 421;
const LAST_WORD: Duration = Duration::from_secs(5);
