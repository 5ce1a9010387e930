//! A mail client that speaks raw SMTP and checks nothing: what a scenario writes is what goes out.
//! Worlds open it; it shares no code with the server.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;

use crate::world::within;

/// A connection to a door.
pub(crate) struct Client {
    stream: Box<dyn Both>,
    ahead: Vec<u8>,
}

/// What a client reads and writes: plain or TLS.
trait Both: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Both for T {}

/// A reply: its code, and its lines without code and line end.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) code: u16,
    pub(crate) lines: Vec<String>,
}

impl Client {
    /// Over a connection on which nothing was heard yet.
    pub(crate) fn over(stream: TcpStream) -> Self {
        Self { stream: Box::new(stream), ahead: Vec::new() }
    }

    /// Connects and hears the greeting.
    pub(crate) async fn connect(door: SocketAddr) -> Self {
        let stream = TcpStream::connect(door).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let mut client = Self { stream: Box::new(stream), ahead: Vec::new() };
        assert_eq!(client.hear().await.code, 220);
        client
    }

    /// Connects from an address of loopback; what is said first may be a refusal.
    pub(crate) async fn connect_from(address: &str, door: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::new(address.parse().unwrap(), 0)).unwrap();
        Self::over(socket.connect(door).await.unwrap())
    }

    /// The reply to a password, in a session of its own.
    pub(crate) async fn try_password(address: &str, door: SocketAddr, login: &str, password: &str) -> Reply {
        let mut client = Self::connect_from(address, door).await;
        assert_eq!(client.hear().await.code, 220);
        client.ask("EHLO client.example").await;
        client.ask(&format!("AUTH PLAIN {}", plain(login, password))).await
    }

    /// Connects, greets and signs in with the password of the world's accounts.
    pub(crate) async fn sign_in(door: SocketAddr, login: &str) -> Self {
        let mut client = Self::connect(door).await;
        assert_eq!(client.ask("EHLO client.example").await.code, 250);
        let reply = client.ask(&format!("AUTH PLAIN {}", plain(login, &password(login)))).await;
        assert_eq!(reply.code, 235, "{reply:?}");
        client
    }

    /// STARTTLS; the certificate may be anybody's.
    pub(crate) async fn start_tls(mut self) -> Self {
        assert_eq!(self.ask("STARTTLS").await.code, 220);
        self.handshake().await
    }

    /// The handshake that follows a 220 to STARTTLS.
    pub(crate) async fn handshake(self) -> Self {
        assert!(self.ahead.is_empty(), "octets in the clear after 220: {:?}", self.ahead);
        let config = Arc::new(countersign::net::tls::unverified_client_config().unwrap());
        let name = ServerName::try_from("gate.esp.example").unwrap();
        let handshake = TlsConnector::from(config).connect(name, self.stream);
        let stream = within(10, "the TLS handshake", handshake).await.unwrap();
        Self { stream: Box::new(stream), ahead: Vec::new() }
    }

    /// A command and its reply.
    pub(crate) async fn ask(&mut self, command: &str) -> Reply {
        self.write(format!("{command}\r\n").as_bytes()).await;
        self.hear().await
    }

    /// MAIL, RCPT and DATA: the last reply, or the first that is no yes.
    pub(crate) async fn envelope(&mut self, mail_from: &str, recipients: &[&str]) -> Reply {
        self.try_envelope(mail_from, recipients).await.expect(CLOSED)
    }

    /// A whole letter to one recipient: the reply that decides it. The message has no stuffed dots.
    pub(crate) async fn send(&mut self, mail_from: &str, message: &[u8]) -> Reply {
        self.try_send(mail_from, message).await.expect(CLOSED)
    }

    /// As `send`; nothing when the connection ends before the reply.
    pub(crate) async fn try_send(&mut self, mail_from: &str, message: &[u8]) -> Option<Reply> {
        let reply = self.try_envelope(mail_from, &["bo@reader.example"]).await?;
        if reply.code != 354 {
            return Some(reply);
        }
        self.write(&stuffed(message)).await;
        self.try_hear().await
    }

    async fn try_envelope(&mut self, mail_from: &str, recipients: &[&str]) -> Option<Reply> {
        let mail = format!("MAIL FROM:<{mail_from}>\r\n");
        let rcpts = recipients.iter().map(|recipient| format!("RCPT TO:<{recipient}>\r\n"));
        for command in std::iter::once(mail).chain(rcpts) {
            self.write(command.as_bytes()).await;
            let reply = self.try_hear().await?;
            if reply.code != 250 {
                return Some(reply);
            }
        }
        self.write(b"DATA\r\n").await;
        self.try_hear().await
    }

    /// Octets as they are. That nobody reads them any more is noticed when a reply is missing.
    pub(crate) async fn write(&mut self, octets: &[u8]) {
        let _gone = self.stream.write_all(octets).await;
        let _gone = self.stream.flush().await;
    }

    /// Octets in two segments. What is heard must not depend on whether the pause between them was long enough.
    pub(crate) async fn write_cut(&mut self, octets: &[u8], cut: usize) {
        let (one, two) = octets.split_at(cut);
        self.write(one).await;
        tokio::time::sleep(Duration::from_millis(2)).await;
        self.write(two).await;
    }

    /// The next reply.
    pub(crate) async fn hear(&mut self) -> Reply {
        self.try_hear().await.expect(CLOSED)
    }

    pub(crate) async fn try_hear(&mut self) -> Option<Reply> {
        let mut lines = Vec::new();
        loop {
            let line = self.line().await?;
            let (code, rest) = line.split_at(3);
            lines.push(rest.get(1..).unwrap_or_default().to_owned());
            if !rest.starts_with('-') {
                return Some(Reply { code: code.parse().unwrap(), lines });
            }
        }
    }

    /// Everything that is still said, once the server has closed.
    pub(crate) async fn until_closed(self) -> Vec<Reply> {
        self.until_closed_within(10).await
    }

    /// As `until_closed`, for what takes so many seconds.
    pub(crate) async fn until_closed_within(mut self, seconds: u64) -> Vec<Reply> {
        let mut replies = Vec::new();
        while within(seconds, "the end of the connection", self.fill()).await > 0 {}
        while !self.ahead.is_empty() {
            replies.push(self.hear().await);
        }
        replies
    }

    async fn line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.ahead.windows(2).position(|pair| pair == b"\r\n") {
                let line: Vec<u8> = self.ahead.drain(..end + 2).collect();
                return Some(String::from_utf8(line[..end].to_vec()).unwrap());
            }
            if within(120, "a reply", self.fill()).await == 0 {
                return None;
            }
        }
    }

    /// A connection that was reset is closed, too.
    async fn fill(&mut self) -> usize {
        self.stream.read_buf(&mut self.ahead).await.unwrap_or(0)
    }
}

impl Reply {
    /// The enhanced status code: the first word.
    pub(crate) fn enhanced(&self) -> &str {
        self.lines[0].split(' ').next().unwrap()
    }

    /// The ref.
    pub(crate) fn reference(&self) -> Option<&str> {
        self.lines
            .iter()
            .find_map(|line| line.split_once("ref="))
            .map(|(_, rest)| rest.split(' ').next().unwrap())
    }

    pub(crate) fn text(&self) -> String {
        self.lines.join("\n")
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{} {}`", self.code, self.lines.join(" / "))
    }
}

/// The octets after 354: dots stuffed, and the end mark. A last line without its end gets one, for SMTP
/// cannot say it otherwise.
pub(crate) fn stuffed(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len() + 64);
    for line in message.split_inclusive(|octet| *octet == b'\n') {
        if line.starts_with(b".") {
            out.push(b'.');
        }
        out.extend_from_slice(line);
    }
    if !out.is_empty() && !out.ends_with(b"\r\n") {
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b".\r\n");
    out
}

/// The response of AUTH PLAIN.
pub(crate) fn plain(login: &str, password: &str) -> String {
    STANDARD.encode(format!("\0{login}\0{password}"))
}

/// The password of a login of the world.
pub(crate) fn password(login: &str) -> String {
    format!("{login}-has-this-secret")
}

const CLOSED: &str = "the server closed the connection in place of a reply";

/// How long scenarios wait for what must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
