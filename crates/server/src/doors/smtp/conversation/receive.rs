//! The message of a transaction as it arrives: after DATA, or in chunks after BDAT (RFC 3030).

use std::io;

use countersign_wire::smtp::chunk::ChunkDecoder;
use countersign_wire::smtp::reply::{Enhanced, FixedReply, Reply};
use countersign_wire::smtp::session::Event;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use super::super::capacity::Share;
use super::super::letter::{Letter, Submitted};
use super::super::lines::{Received, Trouble, endless};
use super::super::pace::Pace;
use super::replies::{CHUNK_TOO_BIG, MAIL_FIRST, NO_ROOM};
use super::{Conversation, Next};

/// A message that comes in chunks. However many they are, it costs its octets and no more.
pub(super) struct Chunks {
    decoder: ChunkDecoder,
    share: Share,
    count: usize,
    no_room: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Conversation<S> {
    pub(super) async fn data(&mut self) -> io::Result<Next> {
        let Some(letter) = self.letter.take() else { return self.answer(&MAIL_FIRST).await };
        self.session.advance(Event::DataStarted);
        self.say(&Reply::new(354, NO_CODE, "end the message with a line that has only a dot")).await?;
        let mut share = self.door.capacity.budget.share();
        self.lines.begin_message(self.pace());
        let received = tokio::select! {
            received = self.lines.message(&self.door.settings.limits, &mut share) => received,
            () = self.peer.cut() => {
                letter.abandon(&self.door).await;
                return self.shut_down().await;
            }
        };
        self.lines.end_message();
        match received {
            Ok(received) => self.submit(letter, received, share).await,
            Err(error) => {
                letter.abandon(&self.door).await;
                Err(error)
            }
        }
    }

    /// One chunk: its octets are read whatever is said to them.
    pub(super) async fn chunk(&mut self, size: u64, last: bool) -> io::Result<Next> {
        let mut chunks = match self.chunks.take() {
            Some(chunks) => chunks,
            None => {
                self.lines.begin_message(self.pace());
                Chunks {
                    decoder: ChunkDecoder::new(&self.door.settings.limits),
                    share: self.door.capacity.budget.share(),
                    count: 0,
                    no_room: false,
                }
            }
        };
        chunks.count += 1;
        let most = endless(&self.door.settings.limits);
        if chunks.decoder.received().saturating_add(size) > most {
            return self.end_chunks(chunks, "limit-message-bytes", true).await;
        }
        let came = tokio::select! {
            came = self.lines.chunk(size, &mut chunks.decoder, &mut chunks.share) => came?,
            () = self.peer.cut() => return self.shut_down().await,
        };
        match came {
            Some(Trouble::TooSlow) => return self.give_up_slow().await,
            Some(_) => chunks.no_room = true,
            None => {}
        }
        if chunks.count > self.door.settings.limits.chunks {
            return self.end_chunks(chunks, "limit-chunks", false).await;
        }
        if last {
            return self.last_chunk(chunks).await;
        }
        self.chunks = Some(chunks);
        self.session.advance(Event::ChunkAccepted);
        // RFC 3030 2: "A 250 response MUST be sent to each successful BDAT data block within a mail
        // transaction." What is wrong with the octets is said to the last.
        self.say(&Reply::new(250, Some(Enhanced::new(2, 0, 0)), &format!("{size} octets received"))).await?;
        Ok(Next::Go)
    }

    /// RFC 3030 2: the octets of a chunk that is refused must be read and dropped before the reply. The
    /// transaction ends with it: a client that pipelines sends the chunks that follow all the same, and what
    /// is left of a message must never pass for a whole one. More than a little is not read for nothing: the
    /// session is closed.
    pub(super) async fn refuse_chunk(&mut self, size: u64, reply: &'static FixedReply) -> io::Result<Next> {
        self.end_transaction().await;
        if size > MOST_DROPPED {
            return self.leave(&CHUNK_TOO_BIG).await;
        }
        self.lines.drop_octets(size, self.patience()).await?;
        self.answer(reply).await
    }

    /// A message that comes too slowly holds room and a connection to the upstream: it is given up.
    pub(super) async fn give_up_slow(&mut self) -> io::Result<Next> {
        self.end_transaction().await;
        self.session.advance(Event::Closed);
        let rate = self.door.settings.min_data_rate;
        let text = format!("the message comes more slowly than {rate} octets a second; goodbye");
        self.say(&Reply::new(451, Some(Enhanced::new(4, 4, 2)), &text)).await?;
        Ok(Next::Close)
    }

    async fn last_chunk(&mut self, chunks: Chunks) -> io::Result<Next> {
        let Some(letter) = self.letter.take() else { return self.answer(&MAIL_FIRST).await };
        self.lines.end_message();
        let octets = chunks.decoder.received();
        let message = match chunks.no_room {
            true => Err(Trouble::NoRoom),
            false => chunks.decoder.finish().map_err(Trouble::Fault),
        };
        // Octets are counted: whatever is in them, both ends agree where the message stopped.
        self.submit(letter, Received { message, desynchronised: false, octets }, chunks.share).await
    }

    /// Refuses a message before its last chunk.
    async fn end_chunks(&mut self, chunks: Chunks, code: &str, close: bool) -> io::Result<Next> {
        drop(chunks);
        let Some(letter) = self.letter.take() else { return self.answer(&MAIL_FIRST).await };
        let reply = letter.refuse(&self.door, code, "").await;
        self.end_transaction().await;
        self.say(&reply).await?;
        Ok(if close { Next::Close } else { Next::Go })
    }

    /// The message is whole, or never will be.
    async fn submit(&mut self, letter: Letter, received: Received, share: Share) -> io::Result<Next> {
        let desynchronised = received.desynchronised;
        let (message, octets) = match received.message {
            Err(Trouble::TooSlow) => {
                self.letter = Some(letter);
                return self.give_up_slow().await;
            }
            Err(Trouble::NoRoom) => {
                letter.abandon(&self.door).await;
                self.session.advance(Event::TransactionEnded);
                self.answer(&NO_ROOM).await?;
                return Ok(if desynchronised { Next::Close } else { Next::Go });
            }
            Err(Trouble::Fault(fault)) => (Err(fault), received.octets),
            Ok(message) => (Ok(message), received.octets),
        };
        // On the heap: the other commands need not carry the room that this takes.
        let submitted = Box::pin(letter.submit(&self.door, message, octets));
        let Submitted { reply, outcome, passage } = submitted.await;
        drop(share);
        self.session.advance(Event::TransactionEnded);
        // A client that sends messages may go on as long as it likes, also when they are refused.
        self.commands = 0;
        // The upstream has it, whether the client is still there or not.
        outcome.into_iter().for_each(|outcome| self.door.gate.settle(outcome));
        // What the client sent before it hears this does not show that it will.
        self.lines.look_ahead();
        self.say(&reply).await?;
        self.unheard = passage;
        // The two ends may disagree about where the message stopped.
        Ok(if desynchronised { Next::Close } else { Next::Go })
    }

    fn pace(&self) -> Pace {
        Pace::new(self.door.settings.min_data_rate, Instant::now())
    }
}

/// RFC 2034 4: only 2yz, 4yz and 5yz have an enhanced code.
const NO_CODE: Option<Enhanced> = None;
const MOST_DROPPED: u64 = 1_048_576;
