//! The octets after BDAT (RFC 3030): no dots to unstuff, the same line discipline as DATA.
//! Called by the SMTP doors, which count the octets of each chunk.

use super::body::{Body, Stop};
use super::data::DataFault;
use crate::limits::Limits;

/// The decoder of one message that arrives in chunks. Line ends may be cut by chunk borders.
///
/// The caller gives it exactly the octets that each `BDAT` announced. Chunks are joined as they
/// come, so many tiny ones cost no more memory than one.
#[derive(Debug)]
pub struct ChunkDecoder {
    stop: Stop,
    body: Body,
    received: u64,
}

impl ChunkDecoder {
    /// A decoder that stores at most [`Limits::message_bytes`] octets, with lines of at most
    /// [`Limits::line_hard`] octets without CRLF.
    pub const fn new(limits: &Limits) -> Self {
        Self { stop: Stop::LineStart, body: Body::new(limits), received: 0 }
    }

    /// Takes all octets, in any cutting.
    pub fn push(&mut self, input: &[u8]) {
        self.received = self.received.saturating_add(input.len() as u64);
        let mut rest = input;
        while !rest.is_empty() {
            (self.stop, rest) = match (self.stop, rest) {
                (Stop::Cr, [b'\n', after @ ..]) => {
                    self.body.end_line();
                    (Stop::LineStart, after)
                }
                (Stop::Cr, _) => {
                    self.body.refuse(DataFault::BareCr);
                    (Stop::Text, rest)
                }
                _ => self.body.text(rest),
            };
        }
    }

    /// The message after the chunk that was the last. One that does not end with CRLF gets it here,
    /// so that what is judged is what can be sent with DATA.
    ///
    /// # Errors
    /// The first fault.
    pub fn finish(mut self) -> Result<Vec<u8>, DataFault> {
        match self.stop {
            Stop::LineStart => {}
            Stop::Text => self.body.end_line(),
            Stop::Cr => self.body.refuse(DataFault::BareCr),
        }
        self.body.finish()
    }

    /// Lets go of the octets and stores no more: the receiver has no room for them and says so in
    /// words of its own.
    pub fn discard(&mut self) {
        self.body.discard();
    }

    /// The first fault so far.
    pub const fn fault(&self) -> Option<DataFault> {
        self.body.fault()
    }

    /// Octets received so far in all chunks.
    pub const fn received(&self) -> u64 {
        self.received
    }

    /// Octets held in memory now; 0 after a fault.
    pub const fn stored(&self) -> usize {
        self.body.stored()
    }

    /// Octets of the longest line so far, without CRLF, up to the first fault.
    pub const fn line_longest(&self) -> usize {
        self.body.line_longest()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decode(pieces: &[&[u8]]) -> Result<Vec<u8>, DataFault> {
        let mut decoder = ChunkDecoder::new(&Limits::default());
        pieces.iter().for_each(|piece| decoder.push(piece));
        decoder.finish()
    }

    #[test]
    fn rfc3030_2_line_end_may_be_cut_by_a_chunk_border() {
        assert_eq!(decode(&[b"a\r", b"\n.", b"\r\nb\r\n"]), Ok(b"a\r\n.\r\nb\r\n".to_vec()));
    }

    #[test]
    fn end_of_data_mark_means_nothing_in_a_chunk() {
        assert_eq!(decode(&[b"a\r\n.\r\nb\r\n"]), Ok(b"a\r\n.\r\nb\r\n".to_vec()));
    }

    #[test]
    fn message_without_final_line_end_gets_one() {
        assert_eq!(decode(&[b"a"]), Ok(b"a\r\n".to_vec()));
        assert_eq!(decode(&[]), Ok(Vec::new()));
    }

    #[test]
    fn bare_line_ends_and_nul_are_faults_across_chunks() {
        assert_eq!(decode(&[b"a\r", b"b"]), Err(DataFault::BareCr));
        assert_eq!(decode(&[b"a\r"]), Err(DataFault::BareCr));
        assert_eq!(decode(&[b"a", b"\nb"]), Err(DataFault::BareLf));
        assert_eq!(decode(&[b"a\0"]), Err(DataFault::Nul));
    }

    #[test]
    fn final_line_end_counts_against_the_size() {
        let limits = Limits { message_bytes: 4, ..Limits::default() };
        let mut decoder = ChunkDecoder::new(&limits);
        decoder.push(b"abc");
        assert_eq!(decoder.finish(), Err(DataFault::TooBig));
    }

    proptest! {
        #[test]
        fn any_cut_gives_the_same_message(
            input in prop::collection::vec(prop::sample::select(b"ab.\r\n\0".to_vec()), 0..40),
            cut in 0usize..40,
        ) {
            let (head, tail) = input.split_at(cut.min(input.len()));
            prop_assert_eq!(decode(&[head, tail]), decode(&[&input]));
        }
    }
}
