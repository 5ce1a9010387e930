//! A text cut into pieces at places that a number decides: the same number cuts alike.
//! Called by the oracles of everything that reads from a socket.

/// Pieces of 1 to 16 octets; together they are the text.
pub(crate) fn pieces(seed: u8, text: &[u8]) -> Vec<&[u8]> {
    let mut state = u32::from(seed) | 0x100;
    let mut rest = text;
    let mut pieces = Vec::new();
    while !rest.is_empty() {
        state = state.wrapping_mul(1_103_515_245).wrapping_add(12_345);
        let length = 1 + usize::from(state.to_be_bytes()[1] % 16);
        let (piece, after) = rest.split_at_checked(length).unwrap_or((rest, &[]));
        pieces.push(piece);
        rest = after;
    }
    pieces
}

/// The first octet decides what is decided by chance; the others are the text.
pub(crate) fn split_seed(octets: &[u8]) -> (u8, &[u8]) {
    octets.split_first().map_or((0, octets), |(seed, text)| (*seed, text))
}
