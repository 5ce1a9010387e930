//! A message file: its octets with CRLF line ends. SMTP never changes line ends; files do.

use std::path::Path;

use bytes::Bytes;
use countersign_wire::limits::Limits;
use countersign_wire::smtp::data::{DataFault, dot_stuff};

use super::super::exit::{Code, Failure};

/// A message from a file.
pub(super) struct MessageFile {
    pub(super) bytes: Bytes,
    /// It had LF or mixed line ends.
    pub(super) normalised: bool,
}

impl MessageFile {
    /// Only a regular file, or a link to one: a pipe may never end.
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        let unreadable = |why: &dyn std::fmt::Display| {
            Failure::new(Code::Unreachable, format!("`{}` cannot be read: {why}", path.display()))
        };
        if !std::fs::metadata(path).map_err(|e| unreadable(&e))?.is_file() {
            return Err(unreadable(&"it is no regular file"));
        }
        let octets = std::fs::read(path).map_err(|e| unreadable(&e))?;
        Ok(Self::of(&octets))
    }

    fn of(octets: &[u8]) -> Self {
        let crlf = with_crlf(octets);
        let normalised = crlf.len() != octets.len();
        Self { bytes: Bytes::from(crlf), normalised }
    }

    /// What SMTP would have refused on the wire.
    pub(super) fn fault(&self, limits: &Limits) -> Option<DataFault> {
        if self.bytes.len() > limits.message_bytes {
            return Some(DataFault::TooBig);
        }
        if let Err(fault) = dot_stuff(&self.bytes, &mut Vec::new()) {
            return Some(fault);
        }
        let longest = self.bytes.split(|octet| *octet == b'\n').map(<[u8]>::len).max().unwrap_or(0);
        (longest > limits.line_hard + 1).then_some(DataFault::LineTooLong)
    }
}

/// LF becomes CRLF; CRLF stays; a CR alone stays and is refused.
fn with_crlf(octets: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(octets.len() + octets.len() / 32);
    let mut before = 0;
    for octet in octets {
        if *octet == b'\n' && before != b'\r' {
            out.push(b'\r');
        }
        out.push(*octet);
        before = *octet;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_not_crlf_is_normalised() {
        let file = |text: &str| MessageFile::of(text.as_bytes());
        assert!(!file("a\r\nb\r\n").normalised);
        let mixed = file("a\nb\r\nc\n");
        assert!(mixed.normalised);
        assert_eq!(&mixed.bytes[..], b"a\r\nb\r\nc\r\n");
        assert_eq!(file("a\rb\r\n").fault(&Limits::default()), Some(DataFault::BareCr));
    }

    #[test]
    fn a_long_line_is_refused_as_on_the_wire() {
        let line = |n: usize| MessageFile::of(format!("{}\r\n", "x".repeat(n)).as_bytes());
        assert_eq!(line(2048).fault(&Limits::default()), None);
        assert_eq!(line(2049).fault(&Limits::default()), Some(DataFault::LineTooLong));
    }
}
