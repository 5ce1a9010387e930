//! A message after 354: out in large blocks, with an ear on what the upstream says meanwhile.
//! Called by `transaction`. Here it is decided whether a lost connection leaves us in doubt.

use std::time::Duration;

use countersign_wire::smtp::data::dot_stuff;
use countersign_wire::smtp::reply::Reply;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, split};
use tokio::time::timeout;

use super::{Connection, Incoming, closed, within};
use crate::net::upstream::UpstreamError;

impl Connection {
    /// Sends the message, in pieces of whole lines, with stuffed dots and its end mark, and reads the final reply. The
    /// connection comes back only if both sides agree where the message ended.
    pub(in crate::net) async fn deliver(
        mut self,
        message: &[&[u8]],
    ) -> Result<(Reply, Option<Self>), UpstreamError> {
        let (mut reader, mut writer) = split(&mut self.stream);
        let incoming = &mut self.incoming;
        // Reading while writing: an upstream that talks and does not listen cannot block us, and one
        // that refuses half-way is heard.
        let sent = tokio::select! {
            biased;
            sent = write_message(&mut writer, message, self.timeouts.command) => sent,
            reply = incoming.reply(&mut reader) => {
                return Ok((reply.and_then(early)?, None));
            }
        };
        match sent {
            Ok(()) => {}
            Err(error @ UpstreamError::Closed { .. }) => {
                return Ok((last_word(incoming, &mut reader).await.ok_or(error)?, None));
            }
            Err(error) => return Err(error),
        }
        let reply = incoming.reply(&mut reader);
        let reply =
            within(self.timeouts.end, "waiting for the final reply", reply).await.map_err(in_doubt)?;
        if reply.is_intermediate() {
            return Err(in_doubt(UpstreamError::Protocol(format!("the final reply is `{reply}`"))));
        }
        Ok((reply, Some(self)))
    }
}

/// A refusal before the end mark counts. Consent to half a message does not, but may mean something.
fn early(reply: Reply) -> Result<Reply, UpstreamError> {
    if reply.is_transient() || reply.is_permanent() {
        return Ok(reply);
    }
    Err(in_doubt(UpstreamError::Protocol(format!("before the message ended it said `{reply}`"))))
}

/// An upstream that closes half-way may have said why.
async fn last_word(incoming: &mut Incoming, reader: &mut (impl AsyncRead + Unpin)) -> Option<Reply> {
    let reply = timeout(LAST_WORD, incoming.reply(reader)).await.ok()?.ok()?;
    (reply.is_transient() || reply.is_permanent()).then_some(reply)
}

async fn write_message(
    writer: &mut (impl AsyncWrite + Unpin),
    message: &[&[u8]],
    time: Duration,
) -> Result<(), UpstreamError> {
    let (mut rest, mut pieces) = next_piece(message);
    let mut block = Vec::new();
    loop {
        let (lines, tail) = whole_lines(rest);
        let last = tail.is_empty() && next_piece(pieces).0.is_empty();
        block.clear();
        dot_stuff(lines, &mut block)?;
        if !last {
            block.truncate(block.len().saturating_sub(END_MARK.len()));
        }
        // An error here leaves no doubt: the last octets of the end mark were not accepted.
        let written = async { writer.write_all(&block).await.map_err(closed) };
        within(time, "sending the message", written).await?;
        if last {
            break;
        }
        rest = tail;
        if tail.is_empty() {
            (rest, pieces) = next_piece(pieces);
        }
    }
    let flushed = async { writer.flush().await.map_err(closed) };
    within(time, "sending the end of the message", flushed).await.map_err(in_doubt)
}

/// The first piece that is not empty, and those after it.
fn next_piece<'a, 'b>(mut pieces: &'b [&'a [u8]]) -> (&'a [u8], &'b [&'a [u8]]) {
    while let Some((first, others)) = pieces.split_first() {
        if !first.is_empty() {
            return (first, others);
        }
        pieces = others;
    }
    (&[], &[])
}

/// Cuts after the last line end of the first block, or after the first one beyond it.
fn whole_lines(rest: &[u8]) -> (&[u8], &[u8]) {
    let Some((block, beyond)) = rest.split_at_checked(BLOCK) else { return (rest, &[]) };
    let is_end = |octet: &u8| *octet == b'\n';
    let cut = match block.iter().rposition(is_end) {
        Some(position) => position + 1,
        None => BLOCK + beyond.iter().position(is_end).map_or(beyond.len(), |position| position + 1),
    };
    rest.split_at_checked(cut).unwrap_or((rest, &[]))
}

/// The end mark is out: whatever goes wrong now, the upstream may have the message.
fn in_doubt(error: UpstreamError) -> UpstreamError {
    let cause = match error {
        UpstreamError::Closed { cause, .. } => cause,
        error => error.to_string(),
    };
    UpstreamError::Closed { in_doubt: true, cause }
}

const BLOCK: usize = 65_536;
const END_MARK: &[u8] = b".\r\n";
const LAST_WORD: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    async fn written(message: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        write_message(&mut out, &[message], Duration::from_secs(5)).await.unwrap();
        out
    }

    #[tokio::test]
    async fn a_message_in_pieces_is_the_message_in_one() {
        let (head, lines) = (b"Trace: 1\r\n".as_slice(), b".first\r\nmore\r\n".repeat(20_000));
        for rest in [lines.as_slice(), b"", b".", b"no line end"] {
            let mut out = Vec::new();
            write_message(&mut out, &[b"", head, b"", rest], Duration::from_secs(5)).await.unwrap();
            assert_eq!(out, written(&[head, rest].concat()).await);
        }
    }

    #[tokio::test]
    async fn a_message_in_blocks_is_the_message_in_one() {
        let lines = b".first\r\n..\r\n\r\nmore\r\n".repeat(20_000);
        let long_line = [vec![b'x'; 3 * BLOCK], b"\r\n.\r\n".repeat(BLOCK)].concat();
        for message in [lines.as_slice(), &long_line, b"no line end", b"", b".", b".\r\n"] {
            let mut whole = Vec::new();
            dot_stuff(message, &mut whole).unwrap();
            assert_eq!(written(message).await, whole);
        }
    }

    proptest! {
        #[test]
        fn cutting_loses_nothing(length in 0..3 * BLOCK, ends in prop::collection::vec(0..3 * BLOCK, 0..4)) {
            let mut message = vec![b'x'; length];
            for end in ends {
                if let Some(octet) = message.get_mut(end) {
                    *octet = b'\n';
                }
            }
            let (lines, tail) = whole_lines(&message);
            prop_assert!([lines, tail].concat() == message);
            prop_assert!(tail.is_empty() || lines.ends_with(b"\n"));
            prop_assert!(length == 0 || !lines.is_empty());
        }
    }
}
