use proptest::prelude::*;

use super::*;

/// The sequences of SMTP smuggling that a strict receiver must not take for an end.
const SMUGGLED: [(&[u8], DataFault); 10] = [
    (b"\n.\n", DataFault::BareLf),
    (b"\n.\r", DataFault::BareLf),
    (b"\r.\n", DataFault::BareCr),
    (b"\r.\r", DataFault::BareCr),
    (b"\n.\r\n", DataFault::BareLf),
    (b"\r.\r\n", DataFault::BareCr),
    (b"\r\n.\r\r\n", DataFault::BareCr),
    (b"\r\r\n.\r\r\n", DataFault::BareCr),
    (b"\r\n\0.\r\n", DataFault::Nul),
    (b"\r\n.\n", DataFault::BareLf),
];

/// What a decoder says about an input: octets taken, whether it ended, and the outcome.
type Outcome = (usize, bool, Result<Vec<u8>, DataFault>);

fn decode_pieces<'a>(limits: &Limits, pieces: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
    let mut decoder = DataDecoder::new(limits);
    let mut taken = 0;
    let mut finished = false;
    for piece in pieces {
        let progress = decoder.push(piece);
        taken += progress.consumed;
        finished = progress.finished;
        assert!(progress.consumed == piece.len() || finished);
    }
    assert_eq!(decoder.received(), taken as u64);
    (taken, finished, decoder.finish())
}

fn decode(input: &[u8]) -> Outcome {
    decode_pieces(&Limits::default(), [input])
}

/// Whole, cut in two at every octet, octet by octet: all must agree.
fn decode_every_way(limits: &Limits, input: &[u8]) -> Outcome {
    let whole = decode_pieces(limits, [input]);
    assert_eq!(decode_pieces(limits, input.chunks(1)), whole, "octet by octet: {input:?}");
    for cut in 0..=input.len() {
        let (head, tail) = input.split_at(cut);
        assert_eq!(decode_pieces(limits, [head, tail]), whole, "cut at {cut}: {input:?}");
    }
    whole
}

/// RFC 5321 4.1.1.4 read octet by octet in the dullest way: the index after the first CRLF.CRLF.
fn true_end(input: &[u8]) -> Option<usize> {
    let seen = [b"\r\n", input].concat();
    seen.windows(5).position(|window| window == b"\r\n.\r\n").map(|start| start + 3)
}

#[test]
fn rfc5321_4_1_1_4_empty_message_ends_at_once() {
    assert_eq!(decode_every_way(&Limits::default(), b".\r\n"), (3, true, Ok(Vec::new())));
}

#[test]
fn rfc5321_4_5_2_stuffed_dots_are_removed() {
    let outcome = decode_every_way(&Limits::default(), b"..a\r\n.b\r\n...\r\nc.\r\n.\r\n");
    assert_eq!(outcome, (21, true, Ok(b".a\r\nb\r\n..\r\nc.\r\n".to_vec())));
}

#[test]
fn octets_after_the_end_are_left_for_the_next_command() {
    let (taken, finished, message) = decode(b"a\r\n.\r\nMAIL FROM:<>\r\n.\r\n");
    assert_eq!((taken, finished, message), (6, true, Ok(b"a\r\n".to_vec())));
}

#[test]
fn a_finished_decoder_takes_nothing() {
    let mut decoder = DataDecoder::new(&Limits::default());
    decoder.push(b".\r\n");
    assert_eq!(decoder.push(b"QUIT\r\n"), Progress { consumed: 0, finished: true });
    assert_eq!(decoder.received(), 3);
}

#[test]
fn rfc5321_4_1_1_4_smuggled_ends_do_not_end_a_message() {
    for (sequence, fault) in SMUGGLED {
        for head in [&b"a"[..], b"", b"a\r\n"] {
            let early = [head, sequence, b"MAIL FROM:<x@a.example>\r\nb"].concat();
            let whole = [&early[..], b"\r\n.\r\n"].concat();
            let outcome = decode_every_way(&Limits::default(), &whole);
            // At a line start `.\r\n` alone would be a true end; none of these begins with a dot.
            assert_eq!(outcome, (whole.len(), true, Err(fault)), "{head:?} {sequence:?}");
            let (_, finished, _) = decode(&early);
            assert!(!finished, "{sequence:?}");
        }
    }
}

#[test]
fn stray_cr_before_a_true_end_is_a_fault_and_still_an_end() {
    let outcome = decode_every_way(&Limits::default(), b"a\r\r\n.\r\nNOOP");
    assert_eq!(outcome, (7, true, Err(DataFault::BareCr)));
}

#[test]
fn first_fault_counts_and_a_bare_line_end_stays_readable() {
    let mut decoder = DataDecoder::new(&Limits::default());
    decoder.push(b"a\0");
    assert_eq!((decoder.fault(), decoder.bare_line_end()), (Some(DataFault::Nul), false));
    decoder.push(b"\n");
    assert_eq!((decoder.fault(), decoder.bare_line_end()), (Some(DataFault::Nul), true));
    assert_eq!(decoder.stored(), 0);
}

#[test]
fn rfc5321_4_5_3_1_6_stuffed_dot_does_not_count_for_the_line() {
    let limits = Limits { line_hard: 4, ..Limits::default() };
    let fits = decode_every_way(&limits, b"..bcd\r\n.\r\n");
    assert_eq!(fits, (10, true, Ok(b".bcd\r\n".to_vec())));
    let exceeds = decode_every_way(&limits, b"abcde\r\n.\r\n");
    assert_eq!(exceeds, (10, true, Err(DataFault::LineTooLong)));
}

#[test]
fn size_counts_what_is_kept_with_its_line_ends() {
    let limits = Limits { message_bytes: 6, ..Limits::default() };
    assert_eq!(decode_every_way(&limits, b"..a\r\n..\r\n.\r\n").2, Err(DataFault::TooBig));
    assert_eq!(decode_every_way(&limits, b"..ab\r\n.\r\n").2, Ok(b".ab\r\n".to_vec()));
    assert_eq!(decode_every_way(&limits, b"abcd\r\n.\r\n").2, Ok(b"abcd\r\n".to_vec()));
    assert_eq!(decode_every_way(&limits, b"abcde\r\n.\r\n").2, Err(DataFault::TooBig));
}

#[test]
fn lost_connection_never_gives_a_message() {
    for input in [&b""[..], b"a\r\n", b"a\r\n.", b"a\r\n.\r", b"a\r"] {
        assert_eq!(decode(input).2, Err(DataFault::Unfinished), "{input:?}");
    }
}

#[test]
fn longest_line_is_known() {
    let mut decoder = DataDecoder::new(&Limits::default());
    decoder.push(b"a\r\n.bbb");
    decoder.push(b"b\r\nc\r\n.\r\n");
    assert_eq!(decoder.line_longest(), 4);
}

#[test]
fn dot_stuff_writes_what_rfc5321_4_5_2_says() {
    let stuff = |message: &[u8]| {
        let mut out = Vec::new();
        dot_stuff(message, &mut out).map(|()| out)
    };
    assert_eq!(stuff(b""), Ok(b".\r\n".to_vec()));
    assert_eq!(stuff(b"a\r\n.\r\n..b"), Ok(b"a\r\n..\r\n...b\r\n.\r\n".to_vec()));
    assert_eq!(stuff(b"a\r\n\r\n"), Ok(b"a\r\n\r\n.\r\n".to_vec()));
}

#[test]
fn dot_stuff_never_emits_a_smuggled_end() {
    for (sequence, fault) in SMUGGLED {
        let message = [b"a", sequence, b"b"].concat();
        let mut out = b"before".to_vec();
        assert_eq!(dot_stuff(&message, &mut out), Err(fault), "{sequence:?}");
        assert_eq!(out, b"before");
    }
}

fn wire_octets() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"\r\n.\r\n".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(b".".to_vec()),
        prop::sample::select(b"ab.\r\n\0\xff".to_vec()).prop_map(|octet| vec![octet]),
    ];
    prop::collection::vec(piece, 0..30).prop_map(|pieces| pieces.concat())
}

fn legal_message() -> impl Strategy<Value = Vec<u8>> {
    let octet = any::<u8>().prop_filter("line octets", |octet| !matches!(octet, b'\r' | b'\n' | 0));
    let line = prop::collection::vec(prop_oneof![octet, Just(b'.')], 0..40);
    prop::collection::vec(line, 0..12)
        .prop_map(|lines| lines.iter().flat_map(|line| line.iter().copied().chain(*b"\r\n")).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn only_the_true_end_ends_a_message_in_any_cutting(input in wire_octets()) {
        let limits = Limits { line_hard: 6, message_bytes: 20, ..Limits::default() };
        let (taken, finished, _) = decode_every_way(&limits, &input);
        prop_assert_eq!(finished.then_some(taken), true_end(&input));
    }

    #[test]
    fn decode_of_encode_is_identity(message in legal_message(), tail in any::<Vec<u8>>()) {
        let mut wire = Vec::new();
        prop_assert_eq!(dot_stuff(&message, &mut wire), Ok(()));
        let length = wire.len();
        wire.extend_from_slice(&tail);
        prop_assert_eq!(decode(&wire), (length, true, Ok(message)));
    }

    #[test]
    fn what_was_decoded_encodes_and_decodes_to_itself(input in wire_octets()) {
        if let (_, _, Ok(message)) = decode(&input) {
            let mut wire = Vec::new();
            prop_assert_eq!(dot_stuff(&message, &mut wire), Ok(()));
            prop_assert_eq!(decode(&wire), (wire.len(), true, Ok(message)));
        }
    }
}
