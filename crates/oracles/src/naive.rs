//! The line discipline of DATA and BDAT, read octet by octet as the RFC says it, without any speed.
//! The second opinion of the decoders' oracles; shares no line with them.

use countersign_wire::limits::Limits;
use countersign_wire::smtp::data::DataFault;

/// What a decoder should say of its input.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Reading {
    /// Octets of the input that belong to the message.
    pub(crate) consumed: usize,
    /// The end mark was among them.
    pub(crate) finished: bool,
    /// A bare CR or LF was among them.
    pub(crate) bare_line_end: bool,
    /// The message, or its first fault.
    pub(crate) message: Result<Vec<u8>, DataFault>,
}

/// After DATA: lines end with CRLF, the line `.` ends the message, other first dots are taken off.
pub(crate) fn data(input: &[u8], limits: &Limits) -> Reading {
    let mut body = Body::default();
    let mut rest = input;
    loop {
        let (line, after) = first_line(rest);
        if line == b"." && after.is_some() {
            let consumed = input.len() - after.unwrap_or_default().len();
            return body.reading(consumed, true, Ok(()));
        }
        body.line(line.strip_prefix(b".").unwrap_or(line), after.is_some(), limits);
        match after {
            Some(after) => rest = after,
            None => return body.reading(input.len(), false, Err(DataFault::Unfinished)),
        }
    }
}

/// After BDAT: the same lines, no dots, and the end is where the octets end.
pub(crate) fn chunks(input: &[u8], limits: &Limits) -> Reading {
    let mut body = Body::default();
    let mut rest = input;
    loop {
        let (line, after) = first_line(rest);
        let last_cr = after.is_none() && line.ends_with(b"\r");
        let unended = after.is_none() && !line.is_empty() && !last_cr;
        body.line(line, after.is_some() || unended, limits);
        match after {
            Some(after) => rest = after,
            None => {
                let end = if last_cr { Err(DataFault::BareCr) } else { Ok(()) };
                return body.reading(input.len(), true, end);
            }
        }
    }
}

/// A line without its CRLF, and what follows it; `None` when no CRLF comes.
fn first_line(input: &[u8]) -> (&[u8], Option<&[u8]>) {
    match input.windows(2).position(|pair| pair == b"\r\n") {
        Some(at) => (input.get(..at).unwrap_or_default(), input.get(at + 2..)),
        None => (input, None),
    }
}

#[derive(Default)]
struct Body {
    message: Vec<u8>,
    fault: Option<DataFault>,
    bare_line_end: bool,
}

impl Body {
    fn line(&mut self, line: &[u8], ended: bool, limits: &Limits) {
        for (at, octet) in line.iter().enumerate() {
            let last_of_all = !ended && at + 1 == line.len();
            match octet {
                // The LF may still come.
                b'\r' if last_of_all => {}
                b'\r' => self.refuse(DataFault::BareCr),
                b'\n' => self.refuse(DataFault::BareLf),
                0 => self.refuse(DataFault::Nul),
                _ if self.message.len() >= limits.message_bytes => self.refuse(DataFault::TooBig),
                _ if at >= limits.line_hard => self.refuse(DataFault::LineTooLong),
                octet => self.message.push(*octet),
            }
        }
        if ended && self.message.len() + 2 > limits.message_bytes {
            self.refuse(DataFault::TooBig);
        } else if ended {
            self.message.extend_from_slice(b"\r\n");
        }
    }

    fn refuse(&mut self, fault: DataFault) {
        self.bare_line_end |= matches!(fault, DataFault::BareCr | DataFault::BareLf);
        self.fault.get_or_insert(fault);
    }

    fn reading(self, consumed: usize, finished: bool, end: Result<(), DataFault>) -> Reading {
        let fault = self.fault.or_else(|| end.err());
        let bare_line_end = self.bare_line_end;
        Reading { consumed, finished, bare_line_end, message: fault.map_or(Ok(self.message), Err) }
    }
}
