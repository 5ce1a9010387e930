//! The octets after DATA: decoded strictly from a client, dot-stuffed for an upstream.
//! Called by the SMTP doors ([`DataDecoder`]) and by the upstream client ([`dot_stuff`]).

use thiserror::Error;

use super::body::{Body, Stop, split_at_special};
use crate::limits::Limits;

/// Why a message was not taken. The first fault of a message counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DataFault {
    /// A CR that no LF follows (RFC 5321 2.3.8).
    #[error("message has a carriage return without a line feed (end lines with CRLF)")]
    BareCr,
    /// A LF that no CR precedes (RFC 5321 2.3.8).
    #[error("message has a line feed without a carriage return (end lines with CRLF)")]
    BareLf,
    /// A NUL octet (RFC 5322 4.1 calls it obsolete).
    #[error("message has a NUL octet")]
    Nul,
    /// A line of more than [`Limits::line_hard`] octets without CRLF.
    #[error("message has a line that is too long (fold it, or encode the body)")]
    LineTooLong,
    /// More than [`Limits::message_bytes`] octets.
    #[error("message is too big")]
    TooBig,
    /// The connection ended before the message did.
    #[error("message ends before its end-of-data mark")]
    Unfinished,
}

/// What one push did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Octets of the input that belong to the message. What follows them are commands.
    pub consumed: usize,
    /// The end of the message has been seen: call `finish`.
    pub finished: bool,
}

/// The decoder of one message after `354`. Only CRLF.CRLF ends it, and a faulty message is read to
/// its true end too, so that its octets are never taken for commands.
#[derive(Debug)]
pub struct DataDecoder {
    at: At,
    body: Body,
    received: u64,
}

/// Which octets came last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    LineStart,
    Text,
    Cr,
    LineStartDot,
    LineStartDotCr,
    End,
}

impl DataDecoder {
    /// A decoder that stores at most [`Limits::message_bytes`] octets after un-stuffing, with lines
    /// of at most [`Limits::line_hard`] octets without CRLF.
    pub const fn new(limits: &Limits) -> Self {
        // RFC 5321 4.1.1.4: the CRLF of the DATA line is the first CRLF of an empty message.
        Self { at: At::LineStart, body: Body::new(limits), received: 0 }
    }

    /// Takes octets up to the end of the message and never beyond it. Any cutting of the same
    /// input gives the same result. After the end it takes nothing.
    pub fn push(&mut self, input: &[u8]) -> Progress {
        let mut rest = input;
        while self.at != At::End && !rest.is_empty() {
            rest = self.step(rest);
        }
        let consumed = input.len() - rest.len();
        self.received = self.received.saturating_add(consumed as u64);
        Progress { consumed, finished: self.at == At::End }
    }

    /// The message without its stuffed dots and its end mark, or the first fault (RFC 5321 4.5.2).
    ///
    /// # Errors
    /// The first fault; [`DataFault::Unfinished`] when the end has not been seen.
    pub fn finish(self) -> Result<Vec<u8>, DataFault> {
        let message = self.body.finish()?;
        if self.at == At::End { Ok(message) } else { Err(DataFault::Unfinished) }
    }

    /// Lets go of the octets and stores no more: the receiver has no room for them and says so in
    /// words of its own. The message is still read to its end.
    pub fn discard(&mut self) {
        self.body.discard();
    }

    /// The first fault so far.
    pub const fn fault(&self) -> Option<DataFault> {
        self.body.fault()
    }

    /// A bare CR or LF has been seen, whether or not it was the first fault. The two ends may then
    /// disagree about where the message stops: close the connection after the reply.
    pub const fn bare_line_end(&self) -> bool {
        self.body.bare_line_end()
    }

    /// Octets received so far, with stuffed dots and the end mark.
    pub const fn received(&self) -> u64 {
        self.received
    }

    /// Octets held in memory now; 0 after a fault.
    pub const fn stored(&self) -> usize {
        self.body.stored()
    }

    /// Octets of the longest line so far, without CRLF, up to the first fault. More than
    /// [`Limits::line_soft`] is worth a finding.
    pub const fn line_longest(&self) -> usize {
        self.body.line_longest()
    }

    /// One transition; takes at least one octet or leaves a line start.
    fn step<'a>(&mut self, input: &'a [u8]) -> &'a [u8] {
        let (at, rest) = match (self.at, input) {
            // RFC 5321 4.5.2: "If the first character is a period and there are other characters
            // on the line, the first character is deleted."
            (At::LineStart, [b'.', rest @ ..]) => (At::LineStartDot, rest),
            (At::LineStartDot, [b'\r', rest @ ..]) => (At::LineStartDotCr, rest),
            (At::LineStartDotCr, [b'\n', rest @ ..]) => (At::End, rest),
            (At::Cr, [b'\n', rest @ ..]) => {
                self.body.end_line();
                (At::LineStart, rest)
            }
            (At::Cr | At::LineStartDotCr, _) => {
                self.body.refuse(DataFault::BareCr);
                (At::Text, input)
            }
            (At::LineStart | At::Text | At::LineStartDot, _) => {
                let (stop, rest) = self.body.text(input);
                (At::from(stop), rest)
            }
            (At::End, _) => (At::End, input),
        };
        self.at = at;
        rest
    }
}

impl From<Stop> for At {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::LineStart => Self::LineStart,
            Stop::Text => Self::Text,
            Stop::Cr => Self::Cr,
        }
    }
}

/// Appends a message to `out` as it is sent after `354`: dots stuffed (RFC 5321 4.5.2), a final
/// CRLF added when there is none, then the end mark.
///
/// # Errors
/// A bare CR, bare LF or NUL: some upstream would see another end of the message than we do.
/// `out` is then as it was.
pub fn dot_stuff(message: &[u8], out: &mut Vec<u8>) -> Result<(), DataFault> {
    let before = out.len();
    out.reserve(message.len() + 64);
    let stuffed = stuff_lines(message, out);
    if stuffed.is_err() {
        out.truncate(before);
    }
    stuffed
}

fn stuff_lines(message: &[u8], out: &mut Vec<u8>) -> Result<(), DataFault> {
    let mut rest = message;
    while !rest.is_empty() {
        // RFC 5321 4.5.2: "If it is a period, one additional period is inserted at the beginning
        // of the line."
        if rest.first() == Some(&b'.') {
            out.push(b'.');
        }
        let (line, tail) = split_at_special(rest);
        out.extend_from_slice(line);
        out.extend_from_slice(b"\r\n");
        rest = match tail {
            [] => tail,
            [b'\r', b'\n', after @ ..] => after,
            [b'\r', ..] => return Err(DataFault::BareCr),
            [b'\n', ..] => return Err(DataFault::BareLf),
            _ => return Err(DataFault::Nul),
        };
    }
    out.extend_from_slice(b".\r\n");
    Ok(())
}

#[cfg(test)]
mod tests;
