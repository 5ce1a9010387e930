//! Lines and messages from a socket, replies to it. Each reply is one write.
//! The conversation reads and writes through it.

use std::io;
use std::time::Duration;

use countersign_wire::limits::Limits;
use countersign_wire::smtp::chunk::ChunkDecoder;
use countersign_wire::smtp::data::{DataDecoder, DataFault};
use countersign_wire::smtp::reply::Reply;
use futures_util::FutureExt;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::Instant;

use super::capacity::Share;
use super::pace::Pace;

/// A socket, and what was read from it ahead.
pub(super) struct Lines<S> {
    socket: S,
    ahead: Vec<u8>,
    /// The line under way is too long: the rest of it is read and dropped. It outlives a cancelled read.
    skipping: bool,
    replies: Vec<u8>,
    /// While a message is under way.
    pace: Option<Pace>,
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
    /// It did not come in time.
    Late,
    /// A message is under way and comes too slowly.
    TooSlow,
}

/// A message as decoded, and whether the two ends may disagree about where it stopped: a bare CR or LF was
/// in it, or it was not read to its end.
pub(super) struct Received {
    pub(super) message: Result<Vec<u8>, Trouble>,
    pub(super) desynchronised: bool,
    pub(super) octets: u64,
}

/// Why a message is none.
pub(super) enum Trouble {
    Fault(DataFault),
    /// There was no room for it among all that are under way.
    NoRoom,
    TooSlow,
}

/// What a read brought.
enum Filled {
    Octets,
    Closed,
    Late,
    TooSlow,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Lines<S> {
    pub(super) fn new(socket: S) -> Self {
        Self { socket, ahead: Vec::new(), skipping: false, replies: Vec::new(), pace: None }
    }

    /// The next line without CRLF, if it comes until then.
    pub(super) async fn line(&mut self, most: usize, until: Instant) -> io::Result<Line> {
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
            match self.fill(until, COMMANDS).await? {
                Filled::Octets => {}
                Filled::Closed => return Ok(Line::Closed),
                Filled::Late => return Ok(Line::Late),
                Filled::TooSlow => return Ok(Line::TooSlow),
            }
        }
    }

    /// A message begins: from now on it has to come so fast.
    pub(super) fn begin_message(&mut self, pace: Pace) {
        self.pace = Some(pace);
    }

    /// The message is over, whatever became of it.
    pub(super) fn end_message(&mut self) {
        self.pace = None;
    }

    /// The octets after 354, to the end of the message.
    pub(super) async fn message(&mut self, limits: &Limits, share: &mut Share) -> io::Result<Received> {
        let mut decoder = DataDecoder::new(limits);
        let (mut cut, mut trouble) = (false, None);
        loop {
            let progress = decoder.push(&self.ahead);
            self.ahead.drain(..progress.consumed.min(self.ahead.len()));
            if trouble.is_none() && !share.grow_to(decoder.stored() as u64) {
                decoder.discard();
                share.give_back();
                trouble = Some(Trouble::NoRoom);
            }
            if progress.finished {
                break;
            }
            // A message that is too big is read to its end, so that the client hears why; not for ever.
            cut = decoder.received() > endless(limits);
            if cut {
                break;
            }
            if self.fill_message().await? {
                continue;
            }
            (trouble, cut) = (Some(Trouble::TooSlow), true);
            break;
        }
        let (desynchronised, octets) = (cut || decoder.bare_line_end(), decoder.received());
        let message = match trouble {
            Some(trouble) => Err(trouble),
            None => decoder.finish().map_err(Trouble::Fault),
        };
        Ok(Received { message, desynchronised, octets })
    }

    /// The octets of a chunk, all of them, into a decoder.
    pub(super) async fn chunk(
        &mut self,
        size: u64,
        decoder: &mut ChunkDecoder,
        share: &mut Share,
    ) -> io::Result<Option<Trouble>> {
        let (mut left, mut trouble) = (size, None);
        while left > 0 {
            if self.ahead.is_empty() && !self.fill_message().await? {
                return Ok(Some(Trouble::TooSlow));
            }
            let taken = usize::try_from(left).map_or(self.ahead.len(), |left| left.min(self.ahead.len()));
            decoder.push(self.ahead.get(..taken).unwrap_or_default());
            self.ahead.drain(..taken);
            left = left.saturating_sub(taken as u64);
            if trouble.is_none() && !share.grow_to(decoder.stored() as u64) {
                decoder.discard();
                share.give_back();
                trouble = Some(Trouble::NoRoom);
            }
        }
        Ok(trouble)
    }

    /// Reads octets that belong to no message and drops them, if they come until then.
    pub(super) async fn drop_octets(&mut self, size: u64, until: Instant) -> io::Result<()> {
        let mut left = size;
        while left > 0 {
            if self.ahead.is_empty() {
                match self.fill(until, MESSAGE).await? {
                    Filled::Octets => {}
                    Filled::Closed => return Err(io::ErrorKind::UnexpectedEof.into()),
                    Filled::Late | Filled::TooSlow => return Err(io::ErrorKind::TimedOut.into()),
                }
            }
            let taken = usize::try_from(left).map_or(self.ahead.len(), |left| left.min(self.ahead.len()));
            self.ahead.drain(..taken);
            left = left.saturating_sub(taken as u64);
        }
        Ok(())
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

    /// Reads what the client has sent already, without waiting for more.
    pub(super) fn look_ahead(&mut self) {
        // That it is gone, or the connection broken, is found when it is read from again.
        let _read = self.socket.read_buf(&mut self.ahead).now_or_never();
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
            self.replies = Vec::new();
            self.socket.flush().await?;
        }
        Ok(())
    }

    /// Says no more, and reads for a moment what is under way still: a connection that is closed before it was
    /// read loses its last reply, too.
    pub(super) async fn linger(&mut self) -> io::Result<()> {
        self.flush().await?;
        let ended = async {
            self.socket.shutdown().await?;
            loop {
                self.ahead.clear();
                if self.socket.read_buf(&mut self.ahead).await? == 0 {
                    return Ok(());
                }
            }
        };
        tokio::time::timeout(LINGER, ended).await.unwrap_or(Ok(()))
    }

    /// The socket alone: what was read ahead is thrown away (RFC 3207 4.2).
    pub(super) fn into_socket(self) -> S {
        self.socket
    }

    /// More of a message; `false` when it comes too slowly.
    async fn fill_message(&mut self) -> io::Result<bool> {
        match self.fill(Instant::now() + READ, MESSAGE).await? {
            Filled::Octets => Ok(true),
            Filled::TooSlow => Ok(false),
            Filled::Closed => Err(io::ErrorKind::UnexpectedEof.into()),
            Filled::Late => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    async fn fill(&mut self, until: Instant, size: usize) -> io::Result<Filled> {
        self.flush().await?;
        // A session that only waits keeps no more than a small buffer.
        if self.ahead.is_empty() && self.ahead.capacity() > size {
            self.ahead = Vec::new();
        }
        if self.ahead.capacity() - self.ahead.len() < size / 2 {
            self.ahead.reserve_exact(size);
        }
        loop {
            let again = self.pace.as_ref().and_then(Pace::until).map_or(until, |pace| pace.min(until));
            let read = tokio::time::timeout_at(again, self.socket.read_buf(&mut self.ahead)).await;
            if let (Some(pace), Ok(Ok(read))) = (&mut self.pace, &read) {
                pace.came(*read);
            }
            if self.pace.as_mut().is_some_and(|pace| pace.is_too_slow(Instant::now())) {
                return Ok(Filled::TooSlow);
            }
            match read {
                Ok(Ok(0)) => return Ok(Filled::Closed),
                Ok(Ok(_)) => return Ok(Filled::Octets),
                Ok(Err(error)) => return Err(error),
                Err(_) if Instant::now() >= until => return Ok(Filled::Late),
                Err(_) => {}
            }
        }
    }
}

/// So many octets of one message are read, and no more: it is refused before its end, and the session closed.
pub(super) const fn endless(limits: &Limits) -> u64 {
    MOST_SIZES * limits.message_bytes as u64
}

/// RFC 5321 4.5.3.2.5: "DATA Block: 3 minutes" for a client; 4.5.3.2.7 has 5 for a server.
const READ: Duration = Duration::from_secs(300);
const WRITE: Duration = Duration::from_secs(60);
const LINGER: Duration = Duration::from_millis(500);
/// What a read asks for between commands and inside a message.
const COMMANDS: usize = 1024;
const MESSAGE: usize = 16_384;
const MOST_WAITING: usize = 8192;
const MOST_SIZES: u64 = 4;
