//! The octets of a message as they arrive: kept while they are legal, counted always.
//! Used by `data` (after DATA) and `chunk` (after BDAT), so that both doors refuse the same bytes.

use super::data::DataFault;
use crate::limits::Limits;

/// A message under way: its octets until the first fault, and the fault.
#[derive(Debug)]
pub(super) struct Body {
    message: Vec<u8>,
    message_max: usize,
    line: usize,
    line_max: usize,
    line_longest: usize,
    fault: Option<DataFault>,
    bare_line_end: bool,
}

/// Where [`Body::text`] stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// After a CRLF.
    LineStart,
    /// Inside a line.
    Text,
    /// After a CR that was the last octet of the input: LF must follow.
    Cr,
}

impl Body {
    pub(super) const fn new(limits: &Limits) -> Self {
        Self {
            message: Vec::new(),
            message_max: limits.message_bytes,
            line: 0,
            line_max: limits.line_hard,
            line_longest: 0,
            fault: None,
            bare_line_end: false,
        }
    }

    /// Takes octets up to and including the next line end or faulty octet; returns the rest.
    /// The fast path is one scan and one copy a line.
    pub(super) fn text<'a>(&mut self, input: &'a [u8]) -> (Stop, &'a [u8]) {
        let (run, tail) = split_at_special(input);
        self.store(run);
        match tail {
            [b'\r', b'\n', rest @ ..] => {
                self.end_line();
                (Stop::LineStart, rest)
            }
            [b'\r'] => (Stop::Cr, &[]),
            [b'\r', rest @ ..] => {
                self.refuse(DataFault::BareCr);
                (Stop::Text, rest)
            }
            [b'\n', rest @ ..] => {
                self.refuse(DataFault::BareLf);
                (Stop::Text, rest)
            }
            [_, rest @ ..] => {
                self.refuse(DataFault::Nul);
                (Stop::Text, rest)
            }
            [] => (Stop::Text, &[]),
        }
    }

    /// Stores a CRLF whose both octets have been seen.
    pub(super) fn end_line(&mut self) {
        if self.fault.is_some() {
            return;
        }
        if self.message_max.saturating_sub(self.message.len()) < 2 {
            self.refuse(DataFault::TooBig);
            return;
        }
        self.append(b"\r\n");
        self.line = 0;
    }

    /// Remembers the first fault and lets go of what was stored.
    pub(super) fn refuse(&mut self, fault: DataFault) {
        self.bare_line_end |= matches!(fault, DataFault::BareCr | DataFault::BareLf);
        self.fault.get_or_insert(fault);
        self.message = Vec::new();
    }

    /// Lets go of what was stored and stores no more; a fault that has been seen stays the first.
    pub(super) fn discard(&mut self) {
        self.refuse(DataFault::TooBig);
    }

    pub(super) const fn fault(&self) -> Option<DataFault> {
        self.fault
    }

    pub(super) const fn bare_line_end(&self) -> bool {
        self.bare_line_end
    }

    pub(super) const fn line_longest(&self) -> usize {
        self.line_longest
    }

    pub(super) const fn stored(&self) -> usize {
        self.message.len()
    }

    /// The message, or the first fault.
    pub(super) fn finish(self) -> Result<Vec<u8>, DataFault> {
        self.fault.map_or(Ok(self.message), Err)
    }

    fn append(&mut self, octets: &[u8]) {
        let length = self.message.len().saturating_add(octets.len());
        if length > self.message.capacity() {
            let room = room(length, self.message_max).max(length);
            self.message.reserve_exact(room.saturating_sub(self.message.len()));
        }
        self.message.extend_from_slice(octets);
    }

    fn store(&mut self, run: &[u8]) {
        if self.fault.is_some() {
            return;
        }
        let line_room = self.line_max.saturating_sub(self.line);
        let message_room = self.message_max.saturating_sub(self.message.len());
        if run.len() <= line_room.min(message_room) {
            self.append(run);
            self.line += run.len();
            self.line_longest = self.line_longest.max(self.line);
        } else if message_room <= line_room {
            // Whichever limit is hit by the earlier octet is the fault, however the input is cut.
            self.refuse(DataFault::TooBig);
        } else {
            self.refuse(DataFault::LineTooLong);
        }
    }
}

/// How much room to make for a message of `length` octets that has outgrown what it has. A small one
/// gets a little more. A large one gets as much as it may need at most, at once: what is not written
/// to is not in memory, while every move would have all of it there twice.
const fn room(length: usize, message_max: usize) -> usize {
    if length < SMALL {
        let more = length / 8;
        return length.saturating_add(if more < LEAST_ROOM { LEAST_ROOM } else { more });
    }
    let large = length.saturating_mul(2);
    let large = if large < LARGE { LARGE } else { large };
    if large < message_max { large } else { message_max }
}

const LEAST_ROOM: usize = 4096;
const SMALL: usize = 1_048_576;
const LARGE: usize = 67_108_864;

/// Cuts before the first CR, LF or NUL.
pub(super) fn split_at_special(input: &[u8]) -> (&[u8], &[u8]) {
    let special = |octet: &u8| matches!(octet, b'\r' | b'\n' | 0);
    let length = input.iter().position(special).unwrap_or(input.len());
    input.split_at_checked(length).unwrap_or((input, &[]))
}
