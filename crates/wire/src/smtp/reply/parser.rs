//! The replies of an upstream, read from whatever it sends.
//! Called by the upstream client, which treats every error as a broken connection.

use thiserror::Error;

use super::{Enhanced, Reply, without_controls};
use crate::limits::Limits;

/// Why the octets of an upstream are not a reply. The connection is of no use afterwards.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ReplyError {
    /// A line exceeds [`Limits::upstream_reply_line`].
    #[error("reply of the upstream has a line that is too long")]
    LineTooLong,
    /// More lines than [`Limits::upstream_reply_lines`].
    #[error("reply of the upstream has too many lines")]
    TooManyLines,
    /// A CR without LF, or a LF without CR (RFC 5321 2.3.8).
    #[error("reply of the upstream has a bare carriage return or line feed")]
    BareLineEnd,
    /// RFC 5321 4.2.1: all lines of one reply have the same code.
    #[error("reply of the upstream begins with code `{first}` and goes on with `{then}`")]
    MixedCodes {
        /// The code of the first line.
        first: u16,
        /// The code of the line that differs.
        then: u16,
    },
    /// A line that does not begin with a code and `-`, space or the line end.
    #[error("upstream sent a line that is not a reply: `{}`", .0.escape_default())]
    NotAReply(String),
}

/// What one push did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplyProgress {
    /// Octets taken; what follows belongs to the next reply.
    pub consumed: usize,
    /// The reply, once its last line is complete.
    pub reply: Option<Reply>,
}

/// An incremental reader of replies; ready for the next reply after each one.
#[derive(Debug)]
pub struct ReplyParser {
    line: Vec<u8>,
    reply: Option<Reply>,
    line_max: usize,
    lines_max: usize,
}

/// One line of a reply.
struct Line {
    code: u16,
    last: bool,
    text: String,
}

impl ReplyParser {
    /// A parser with [`Limits::upstream_reply_line`] and [`Limits::upstream_reply_lines`].
    pub const fn new(limits: &Limits) -> Self {
        let (line_max, lines_max) = (limits.upstream_reply_line, limits.upstream_reply_lines);
        Self { line: Vec::new(), reply: None, line_max, lines_max }
    }

    /// Takes octets up to the end of the next reply and never beyond it (RFC 5321 4.2.1).
    ///
    /// # Errors
    /// See [`ReplyError`]; close the connection.
    pub fn push(&mut self, input: &[u8]) -> Result<ReplyProgress, ReplyError> {
        let mut rest = input;
        while !rest.is_empty() {
            let line_end = rest.iter().position(|octet| *octet == b'\n');
            let taken = line_end.map_or(rest.len(), |index| index + 1);
            let (piece, tail) = rest.split_at_checked(taken).unwrap_or((rest, &[]));
            if self.line.len() + piece.len() > self.line_max {
                return Err(ReplyError::LineTooLong);
            }
            self.line.extend_from_slice(piece);
            rest = tail;
            if line_end.is_some()
                && let Some(reply) = self.end_line()?
            {
                return Ok(ReplyProgress { consumed: input.len() - rest.len(), reply: Some(reply) });
            }
        }
        Ok(ReplyProgress { consumed: input.len(), reply: None })
    }

    /// A reply has begun: the end of the connection here is a reply cut off.
    pub const fn is_midway(&self) -> bool {
        self.reply.is_some() || !self.line.is_empty()
    }

    fn end_line(&mut self) -> Result<Option<Reply>, ReplyError> {
        let line = read_line(&std::mem::take(&mut self.line))?;
        let last = line.last;
        let reply = match self.reply.take() {
            None => first_line(&line),
            Some(reply) if reply.code != line.code => {
                return Err(ReplyError::MixedCodes { first: reply.code, then: line.code });
            }
            Some(reply) if reply.lines.len() >= self.lines_max => return Err(ReplyError::TooManyLines),
            Some(reply) => next_line(reply, &line.text),
        };
        if last {
            return Ok(Some(reply));
        }
        self.reply = Some(reply);
        Ok(None)
    }
}

fn read_line(line: &[u8]) -> Result<Line, ReplyError> {
    let line = line.strip_suffix(b"\r\n").ok_or(ReplyError::BareLineEnd)?;
    if line.contains(&b'\r') {
        return Err(ReplyError::BareLineEnd);
    }
    let not_a_reply = || ReplyError::NotAReply(String::from_utf8_lossy(line).chars().take(64).collect());
    let (code, rest) = read_code(line).ok_or_else(not_a_reply)?;
    // RFC 5321 4.2: a client must also take a line that ends right after its code.
    let (last, text) = match rest {
        [] => (true, rest),
        [b' ', text @ ..] => (true, text),
        [b'-', text @ ..] => (false, text),
        _ => return Err(not_a_reply()),
    };
    // Before the enhanced code is read: a tab after it is a space to whoever reads what we write.
    Ok(Line { code, last, text: without_controls(&String::from_utf8_lossy(text)) })
}

/// Three digits, the first 2 to 5. The second is not checked: RFC 5321 4.2.1 lists 0 to 5, and
/// servers send others (`571`).
fn read_code(line: &[u8]) -> Option<(u16, &[u8])> {
    let [hundreds @ b'2'..=b'5', tens @ b'0'..=b'9', ones @ b'0'..=b'9', rest @ ..] = line else {
        return None;
    };
    let digit = |octet: &u8| u16::from(octet - b'0');
    Some((digit(hundreds) * 100 + digit(tens) * 10 + digit(ones), rest))
}

fn first_line(line: &Line) -> Reply {
    let (word, text) = line.text.split_once(' ').unwrap_or((&line.text, ""));
    let enhanced = Enhanced::parse(word).filter(|code| u16::from(code.class) == line.code / 100);
    let text = if enhanced.is_some() { text } else { &line.text };
    Reply::new(line.code, enhanced, text)
}

/// A later line repeats the enhanced code or has none; another one is kept as text.
fn next_line(reply: Reply, text: &str) -> Reply {
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    let repeated = reply.enhanced.is_some() && Enhanced::parse(word) == reply.enhanced;
    reply.with_line(if repeated { rest } else { text })
}
