//! A customer's mail program: speaks SMTP to the door and says what it heard.
//! `try` sends with it; it knows nothing of the server's insides.

use std::io;
use std::net::SocketAddr;

use countersign_wire::limits::Limits;
use countersign_wire::smtp::auth::Credentials;
use countersign_wire::smtp::reply::{Reply, ReplyParser};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A letter to send.
#[derive(Debug, Clone)]
pub struct Letter<'a> {
    pub credentials: &'a Credentials,
    pub mail_from: &'a str,
    pub recipients: &'a [&'a str],
    /// The octets between 354 and the end mark, as they go out: already dot-stuffed, no end mark.
    pub octets: &'a [u8],
}

/// Sends a letter and returns the reply that decided it: the final one, or the first that was no yes.
///
/// # Errors
/// When the door cannot be reached or does not speak SMTP.
pub async fn send(door: SocketAddr, letter: &Letter<'_>) -> io::Result<Reply> {
    let mut line = Line::connect(door).await?;
    let greeting = line.hear().await?;
    if !greeting.is_positive() {
        return Ok(greeting);
    }
    let sign_in = format!("AUTH PLAIN {}", letter.credentials.plain_response());
    let mut commands =
        vec!["EHLO sender.example".to_owned(), sign_in, format!("MAIL FROM:<{}>", letter.mail_from)];
    commands.extend(letter.recipients.iter().map(|recipient| format!("RCPT TO:<{recipient}>")));
    for command in commands {
        let reply = line.ask(command.as_bytes()).await?;
        if !reply.is_positive() {
            line.leave().await;
            return Ok(reply);
        }
    }
    let go_on = line.ask(b"DATA").await?;
    if !go_on.is_intermediate() {
        return Ok(go_on);
    }
    let reply = line.ask(&[letter.octets, b"\r\n."].concat()).await?;
    line.leave().await;
    Ok(reply)
}

struct Line {
    socket: TcpStream,
    ahead: Vec<u8>,
    limits: Limits,
}

impl Line {
    async fn connect(door: SocketAddr) -> io::Result<Self> {
        let socket = TcpStream::connect(door).await?;
        socket.set_nodelay(true)?;
        Ok(Self { socket, ahead: Vec::new(), limits: Limits::default() })
    }

    async fn ask(&mut self, command: &[u8]) -> io::Result<Reply> {
        self.socket.write_all(&[command, b"\r\n"].concat()).await?;
        self.hear().await
    }

    async fn hear(&mut self) -> io::Result<Reply> {
        let mut parser = ReplyParser::new(&self.limits);
        loop {
            let progress = parser.push(&self.ahead).map_err(io::Error::other)?;
            self.ahead.drain(..progress.consumed.min(self.ahead.len()));
            if let Some(reply) = progress.reply {
                return Ok(reply);
            }
            if self.socket.read_buf(&mut self.ahead).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Says goodbye; a door that has closed already has heard enough.
    async fn leave(&mut self) {
        let _gone = self.ask(b"QUIT").await;
    }
}
