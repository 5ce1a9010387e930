//! Lines and messages from a socket, replies to it. Each reply is one write.
//! The conversation reads and writes through it.

use std::io;
use std::time::Duration;

use countersign_wire::limits::Limits;
use countersign_wire::smtp::data::{DataDecoder, DataFault};
use countersign_wire::smtp::reply::Reply;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// A socket, and what was read from it ahead.
pub(super) struct Lines<S> {
    socket: S,
    ahead: Vec<u8>,
    /// The line under way is too long: the rest of it is read and dropped. It outlives a cancelled read.
    skipping: bool,
    replies: Vec<u8>,
}

/// A line, or why there is none.
pub(super) enum Line {
    Text(Vec<u8>),
    /// Longer than allowed; it was read to its end and dropped.
    TooLong,
    /// It ended with a bare LF: the two ends may disagree about where lines stop.
    BareLf,
    /// The peer is gone.
    Closed,
}

/// A message as decoded, and whether the two ends may disagree about where it stopped: a bare CR or LF was
/// in it, or it was not read to its end.
pub(super) struct Received {
    pub(super) message: Result<Vec<u8>, DataFault>,
    pub(super) desynchronised: bool,
    pub(super) octets: u64,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Lines<S> {
    pub(super) fn new(socket: S) -> Self {
        Self { socket, ahead: Vec::new(), skipping: false, replies: Vec::new() }
    }

    /// The next line without CRLF.
    pub(super) async fn line(&mut self, most: usize) -> io::Result<Line> {
        loop {
            if let Some(end) = self.ahead.iter().position(|octet| *octet == b'\n') {
                let mut line: Vec<u8> = self.ahead.drain(..=end).collect();
                let skipped = std::mem::take(&mut self.skipping);
                line.pop();
                return Ok(match line.pop() {
                    _ if skipped || end > most => Line::TooLong,
                    Some(b'\r') => Line::Text(line),
                    _ => Line::BareLf,
                });
            }
            if self.ahead.len() > most {
                self.skipping = true;
                self.ahead.clear();
            }
            if self.fill().await? == 0 {
                return Ok(Line::Closed);
            }
        }
    }

    /// The octets after 354, to the end of the message.
    pub(super) async fn message(&mut self, limits: &Limits) -> io::Result<Received> {
        let mut decoder = DataDecoder::new(limits);
        let mut cut = false;
        loop {
            let progress = decoder.push(&self.ahead);
            self.ahead.drain(..progress.consumed.min(self.ahead.len()));
            if progress.finished {
                break;
            }
            // A message that is too big is read to its end, so that the client hears why; not for ever.
            if decoder.received() > MOST_SIZES * limits.message_bytes as u64 {
                cut = true;
                break;
            }
            if self.fill().await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        let (desynchronised, octets) = (cut || decoder.bare_line_end(), decoder.received());
        Ok(Received { message: decoder.finish(), desynchronised, octets })
    }

    /// Writes a reply; while the client has more commands under way, replies wait for each other and
    /// leave together (RFC 2920 3.2).
    pub(super) async fn say(&mut self, reply: &Reply, limits: &Limits) -> io::Result<()> {
        reply.write(&mut self.replies, limits);
        if self.ahead.contains(&b'\n') && self.replies.len() < MOST_WAITING {
            return Ok(());
        }
        self.flush().await
    }

    /// Whether the client has sent something that is not read yet.
    pub(super) fn has_ahead(&self) -> bool {
        !self.ahead.is_empty()
    }

    /// Writes what waits, unless the client's next command is here already.
    pub(super) async fn flush_unless_more(&mut self) -> io::Result<()> {
        if self.ahead.contains(&b'\n') { Ok(()) } else { self.flush().await }
    }

    /// Writes what waits.
    pub(super) async fn flush(&mut self) -> io::Result<()> {
        if !self.replies.is_empty() {
            let written = tokio::time::timeout(WRITE, self.socket.write_all(&self.replies)).await;
            written.map_err(|_| io::ErrorKind::TimedOut)??;
            self.replies.clear();
            self.socket.flush().await?;
        }
        Ok(())
    }

    /// The socket alone: what was read ahead is thrown away (RFC 3207 4.2).
    pub(super) fn into_socket(self) -> S {
        self.socket
    }

    async fn fill(&mut self) -> io::Result<usize> {
        self.flush().await?;
        if self.ahead.capacity() - self.ahead.len() < CHUNK / 2 {
            self.ahead.reserve(CHUNK);
        }
        let read = tokio::time::timeout(READ, self.socket.read_buf(&mut self.ahead)).await;
        read.map_err(|_| io::ErrorKind::TimedOut)?
    }
}

/// Says one thing to a peer that is not let in.
pub(super) async fn say_and_close<S: AsyncWrite + Unpin>(socket: &mut S, reply: &Reply, limits: &Limits) {
    let mut octets = Vec::new();
    reply.write(&mut octets, limits);
    // The peer may be gone already; there is nobody else to tell.
    let _gone = tokio::time::timeout(WRITE, socket.write_all(&octets)).await;
}

/// RFC 5321 4.5.3.2.7: "An SMTP server SHOULD have a timeout of at least 5 minutes".
const READ: Duration = Duration::from_secs(300);
const WRITE: Duration = Duration::from_secs(60);
const CHUNK: usize = 16_384;
const MOST_WAITING: usize = 8192;
const MOST_SIZES: u64 = 4;
