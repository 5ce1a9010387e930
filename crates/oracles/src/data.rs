//! The octets after DATA and BDAT: any cutting is the same, the naive reading is the same, and what comes
//! out can be sent on and comes out again.
//! The fuzz targets `data_decoder` and `chunk_decoder`.

use countersign_wire::limits::Limits;
use countersign_wire::smtp::chunk::ChunkDecoder;
use countersign_wire::smtp::data::{DataDecoder, dot_stuff};

use crate::naive::{self, Reading};
use crate::pieces::{pieces, split_seed};

/// The first octet chooses limits and cuts; the others come after `354`.
pub(crate) fn data_decoder(octets: &[u8]) {
    let (seed, input) = split_seed(octets);
    let limits = limits(seed);
    let whole = decode(&[input], &limits);
    assert_eq!(whole, naive::data(input, &limits), "the naive reading differs");
    assert_eq!(decode(&pieces(seed, input), &limits), whole, "a cut makes a difference");
    assert_eq!(decode(&input.chunks(1).collect::<Vec<_>>(), &limits), whole, "octet by octet differs");
    if let Ok(message) = &whole.message {
        check_message(message, &limits);
        assert!(input.get(..whole.consumed).is_some_and(|taken| taken.ends_with(b".\r\n")));
    }
}

/// The first octet chooses limits and cuts; the others come in chunks.
pub(crate) fn chunk_decoder(octets: &[u8]) {
    let (seed, input) = split_seed(octets);
    let limits = limits(seed);
    let whole = join(&[input], &limits);
    assert_eq!(whole, naive::chunks(input, &limits).message, "the naive reading differs");
    assert_eq!(join(&pieces(seed, input), &limits), whole, "a cut makes a difference");
    assert_eq!(join(&input.chunks(1).collect::<Vec<_>>(), &limits), whole, "octet by octet differs");
    if let Ok(message) = &whole {
        check_message(message, &limits);
    }
}

/// Small limits for a part of the inputs, so that short inputs meet them.
fn limits(seed: u8) -> Limits {
    let usual = Limits::default();
    match seed % 4 {
        0 => Limits { message_bytes: 20, line_hard: 8, ..usual },
        1 => Limits { message_bytes: 8, line_hard: 20, ..usual },
        2 => Limits { message_bytes: usize::from(seed), line_hard: 5, ..usual },
        _ => usual,
    }
}

fn decode(pieces: &[&[u8]], limits: &Limits) -> Reading {
    let mut decoder = DataDecoder::new(limits);
    let (mut consumed, mut finished) = (0, false);
    for piece in pieces {
        let progress = decoder.push(piece);
        assert!(progress.consumed <= piece.len());
        assert!(progress.finished || progress.consumed == piece.len(), "octets are left without an end");
        assert!(!finished || progress.consumed == 0, "octets are taken after the end");
        (consumed, finished) = (consumed + progress.consumed, progress.finished);
        assert!(decoder.stored() <= limits.message_bytes);
        assert!(decoder.fault().is_none() || decoder.stored() == 0, "a refused message is still kept");
    }
    assert_eq!(decoder.received(), consumed as u64);
    let bare_line_end = decoder.bare_line_end();
    Reading { consumed, finished, bare_line_end, message: decoder.finish() }
}

fn join(pieces: &[&[u8]], limits: &Limits) -> Result<Vec<u8>, countersign_wire::smtp::data::DataFault> {
    let mut decoder = ChunkDecoder::new(limits);
    pieces.iter().for_each(|piece| decoder.push(piece));
    assert_eq!(decoder.received(), pieces.iter().map(|piece| piece.len() as u64).sum::<u64>());
    assert!(decoder.stored() <= limits.message_bytes);
    decoder.finish()
}

/// What was taken has lines that end with CRLF, nothing bare, and survives the way to the upstream.
fn check_message(message: &[u8], limits: &Limits) {
    assert!(message.is_empty() || message.ends_with(b"\r\n"), "the last line is not ended");
    assert!(message.len() <= limits.message_bytes);
    let text: Vec<u8> = message.iter().copied().filter(|octet| !matches!(octet, b'\r' | b'\n')).collect();
    let ends = message.windows(2).filter(|pair| pair == b"\r\n").count();
    assert_eq!(text.len() + 2 * ends, message.len(), "there is a bare CR or LF");
    assert!(!text.contains(&0), "there is a NUL");

    let mut sent = Vec::new();
    assert_eq!(dot_stuff(message, &mut sent), Ok(()));
    sent.extend_from_slice(b"QUIT\r\n");
    let again = decode(&[&sent], &Limits::default());
    assert_eq!(again.consumed, sent.len() - b"QUIT\r\n".len(), "commands are taken for the message");
    assert!(again.finished);
    assert_eq!(again.message.as_deref(), Ok(message), "the upstream reads another message");
}
