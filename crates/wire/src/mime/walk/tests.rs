//! Tests of the MIME walk: shapes, ambiguities, and what wants to exhaust us.

use proptest::prelude::*;

use super::*;

fn read(message: &str) -> Result<Structure, MimeFault> {
    scan(message.replace('\n', "\r\n").as_bytes(), &Limits::default())
}

fn codes(message: &str) -> Vec<&'static str> {
    read(message).unwrap().ambiguities.iter().map(MimeAmbiguity::code).collect()
}

const MIXED: &str = "Content-Type: multipart/mixed; boundary=out\n\n--out\n\na\n--out\n\
    Content-Type: multipart/alternative; boundary=\"in\"\n\n--in\n\nb\n--in\n\nc\n--in--\n--out--\nend\n";

#[test]
fn parts_and_depth_are_counted() {
    let plain = read("From: a\n\nhé\n").unwrap();
    assert_eq!((plain.parts, plain.depth, plain.longest_line, plain.has_8bit), (1, 0, 7, true));
    let mixed = read(MIXED).unwrap();
    assert_eq!((mixed.parts, mixed.depth, mixed.ambiguities), (5, 2, vec![]));
    assert_eq!(read("").unwrap().parts, 1);
}

#[test]
fn attached_messages_are_entered() {
    let forward = "Content-Type: multipart/mixed; boundary=out\n\n--out\nContent-Type: message/rfc822\n\n\
        Content-Type: multipart/mixed; boundary=in\n\n--in\n\na\n--in--\n--out--\n";
    let found = read(forward).unwrap();
    assert_eq!((found.parts, found.depth), (4, 3));
    let encoded = "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nQUJD\n";
    assert_eq!(read(encoded).unwrap().depth, 0);
    let quoted = "Content-Type: message/rfc822\nContent-Transfer-Encoding: quoted-printable\n\nA: b\n";
    assert_eq!(read(quoted).unwrap().depth, 1);
}

#[test]
fn rfc2046_5_1_5_parts_of_a_digest_are_messages() {
    let digest =
        "Content-Type: multipart/digest; boundary=d\n\n--d\n\nFrom: a\n\nx\n--d\n\nFrom: b\n\ny\n--d--\n";
    let found = read(digest).unwrap();
    assert_eq!((found.parts, found.depth), (5, 2));
}

#[test]
fn a_missing_end_is_fine() {
    assert_eq!(codes("Content-Type: multipart/mixed; boundary=b\n\n--b\n\na\n"), [""; 0]);
}

#[test]
fn boundaries_that_begin_alike_are_told_apart() {
    let message = "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: multipart/mixed; boundary=b1\n\n\
        --b1\n\nx\n--b1\n\ny\n--b1--\n--b--\n";
    let found = read(message).unwrap();
    assert_eq!((found.parts, found.depth, found.ambiguities), (4, 2, vec![]));
}

#[test]
fn ambiguities_are_told() {
    let two_types = "Content-Type: text/plain\nContent-Type: text/html\n\nx\n";
    assert_eq!(codes(two_types), ["two-content-types"]);
    let two_encodings = "Content-Transfer-Encoding: 7bit\ncontent-transfer-encoding: base64\n\nx\n";
    assert_eq!(codes(two_encodings), ["two-encodings"]);
    assert_eq!(codes("Content-Type: multipart/mixed; boundary=a; boundary=b\n\n"), ["two-boundaries"]);
    assert_eq!(
        codes("Content-Type: multipart/mixed; boundary*0=a;\n boundary*1=b\n\n"),
        ["boundary-in-pieces"]
    );
    assert_eq!(codes("Content-Type: multipart/mixed; boundary=\"a\"b\n\n"), ["boundary-form"]);
    assert_eq!(codes("Content-Type: multipart/mixed; x boundary=a\n\n"), ["no-boundary"]);
    assert_eq!(codes("Content-Type: multipart/mixed; x boundary=a; boundary=b\n\n"), ["type-form"]);
    assert_eq!(codes("Content-Type: multipart; boundary=a\n\n"), ["type-form"]);
    let same = "Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: multipart/mixed; boundary=a\n\n--a--\n";
    assert_eq!(codes(same), ["same-boundary"]);
    let encoded = "Content-Type: multipart/mixed; boundary=a\nContent-Transfer-Encoding: base64\n\n--a--\n";
    assert_eq!(codes(encoded), ["encoded-multipart"]);
    let after =
        "Content-Type: multipart/mixed; boundary=a\n\n--a\n\nx\n--a--\n--a\nContent-Type: text/html\n\ny\n";
    assert_eq!(codes(after), ["part-after-end"]);
    let loose = "Content-Type: multipart/mixed; boundary=a\n\n--a\n\nx\n--abc\n\ny\n--a--\n";
    assert_eq!(codes(loose), ["loose-boundary"]);
    for line in ["no colon", " folded first", "X Y: z", "Content-Type : text/html"] {
        let header = format!("Content-Type: multipart/mixed; boundary=a\n\n--a\n{line}\n\nx\n--a--\n");
        assert_eq!(codes(&header), ["part-header"], "{line}");
    }
    let part = "Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: text/plain\nContent-Type: text/html\n\nx\n";
    assert_eq!(codes(part), ["two-content-types"]);
}

#[test]
fn what_two_readers_decode_differently_is_told() {
    let part =
        |header: &str| format!("Content-Type: multipart/mixed; boundary=a\n\n--a\n{header}\n\nx\n--a--\n");
    for (header, code) in [
        ("Content-Disposition: inline\nContent-Disposition: attachment; filename=a.exe", "two-dispositions"),
        ("Content-Type: text/plain; charset=utf-8; Charset=utf-7", "two-charsets"),
        ("Content-Transfer-Encoding: base64;", "encoding-form"),
        ("Content-Transfer-Encoding: \"Quoted-Printable\"", "encoding-form"),
        ("Content-Transfer-Encoding: x-base64", "encoding-form"),
        ("Content-Type: multipart/mixed", "no-boundary"),
        ("Content-Type: multipart/mixed; boundary=\"\"", "no-boundary"),
        ("Content-Type: multipart/mixed boundary=b", "no-boundary"),
        ("Content-Type: message/partial; id=a; number=1; total=2", "partial"),
    ] {
        assert_eq!(codes(&part(header)), [code], "{header}");
    }
    for header in [
        "Content-Type: text/plain; charset=utf-8; charset=\"UTF-8\"",
        "Content-Transfer-Encoding: BASE64 (as ever)",
        "Content-Transfer-Encoding: x-uuencode",
        "Content-Disposition: attachment; filename=base64",
    ] {
        assert_eq!(codes(&part(header)), [""; 0], "{header}");
    }
}

#[test]
fn the_faults_of_an_attached_message_are_its_authors() {
    let forward = "Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: message/rfc822\n\n\
        From mbox\nFrom: b@bank.example\n\nx\n--a--\n";
    assert_eq!(codes(forward), [""; 0]);
}

#[test]
fn ambiguities_are_capped() {
    let part = "--a\nContent-Type: a/b\nContent-Type: c/d\n\nx\n";
    let message = format!("Content-Type: multipart/mixed; boundary=a\n\n{}", part.repeat(100));
    assert_eq!(codes(&message).len(), Structure::AMBIGUITIES);
}

#[test]
fn both_of_two_content_types_are_followed() {
    let level = "Content-Type: text/plain\nContent-Type: message/rfc822\n\n".repeat(30);
    assert!(matches!(read(&level), Err(MimeFault::Depth { limit: 20, .. })));
}

fn scanned(message: &[u8]) -> Result<Structure, MimeFault> {
    scan(message, &Limits::default())
}

#[test]
fn nested_messages_run_out_of_depth() {
    for levels in [22_000, 90_000] {
        let bomb = b"Content-Type: message/rfc822\r\n\r\n".repeat(levels);
        assert_eq!(scanned(&bomb), Err(MimeFault::Depth { line: 42, limit: 20 }));
    }
    assert_eq!(read(&"Content-Type: message/rfc822\n\n".repeat(20)).unwrap().depth, 20);
}

#[test]
fn nested_multiparts_run_out_of_depth() {
    let bomb: String = (0..100_000)
        .map(|n| format!("Content-Type: multipart/mixed; boundary={n}\r\n\r\n--{n}\r\n"))
        .collect();
    assert!(matches!(scanned(bomb.as_bytes()), Err(MimeFault::Depth { limit: 20, .. })));
}

#[test]
fn a_million_parts_run_out_of_parts() {
    let mut bomb = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n".to_vec();
    bomb.extend(b"--b\r\n\r\n".repeat(1_000_000));
    assert!(matches!(scanned(&bomb), Err(MimeFault::Parts { limit: 1000, .. })));
}

#[test]
fn a_million_header_fields_run_out_of_fields() {
    assert!(matches!(
        scanned(&b"A: b\r\n".repeat(1_000_000)),
        Err(MimeFault::HeaderFields { line: 1001, .. })
    ));
    let folded = [b"A: b\r\n".as_slice(), &b" x\r\n".repeat(1_000_000)].concat();
    assert!(matches!(scanned(&folded), Err(MimeFault::HeaderBytes { limit: 102_400, .. })));
    let inner = [b"Content-Type: message/rfc822\r\n\r\n".as_slice(), &b"A: b\r\n".repeat(1_000_000)].concat();
    assert!(matches!(scanned(&inner), Err(MimeFault::HeaderFields { line: 1003, .. })));
}

#[test]
fn rfc2231_ten_thousand_pieces_run_out_of_parameters() {
    let pieces = |n: usize| (0..n).map(|at| format!(";\r\n name*{at}*=x")).collect::<String>();
    for field in ["Content-Type: text/plain", "Content-Disposition: attachment"] {
        let bomb = format!("{field}{}\r\n\r\n", pieces(10_000));
        assert_eq!(scanned(bomb.as_bytes()), Err(MimeFault::Parameters { line: 101, limit: 100 }));
        assert!(scanned(format!("{field}{}\r\n\r\n", pieces(100)).as_bytes()).is_ok());
    }
    let one_line = format!("Content-Type: text/plain{}\r\n\r\n", "; a=b".repeat(10_000));
    assert_eq!(scanned(one_line.as_bytes()), Err(MimeFault::Parameters { line: 1, limit: 100 }));
    let other = format!("X-Other: text/plain{}\r\n\r\n", pieces(1_000));
    assert!(scanned(other.as_bytes()).is_ok());
}

#[test]
fn parameters_of_all_parts_are_counted() {
    let part = format!("--b\r\nContent-Type: text/plain{}\r\n\r\n", ";a=b".repeat(100));
    let bomb = format!("Content-Type: multipart/mixed; boundary=b\r\n\r\n{}", part.repeat(100));
    assert!(matches!(scanned(bomb.as_bytes()), Err(MimeFault::Parameters { limit: 10_000, .. })));
}

#[test]
fn header_sections_of_parts_are_limited_like_the_first() {
    let part = |header: &str| format!("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n{header}\r\n");
    assert!(matches!(
        scanned(part(&"A: b\r\n".repeat(1_001)).as_bytes()),
        Err(MimeFault::HeaderFields { line: 1004, limit: 1000 })
    ));
    let folded = format!("A: b\r\n{}", " x\r\n".repeat(100_000));
    assert!(matches!(scanned(part(&folded).as_bytes()), Err(MimeFault::HeaderBytes { limit: 102_400, .. })));
}

#[test]
fn near_misses_of_twenty_long_boundaries_stay_linear() {
    let long = "b".repeat(4000);
    let mut bomb: String = (0..20)
        .map(|n| format!("Content-Type: multipart/mixed; boundary={long}{n:02}\r\n\r\n--{long}{n:02}\r\n"))
        .collect();
    bomb.push_str("\r\n");
    bomb.push_str(&format!("--{long}\r\n").repeat(2_000));
    let found = scanned(bomb.as_bytes()).unwrap();
    assert_eq!((found.depth, found.parts), (20, 21));
}

#[test]
fn twenty_megabytes_of_dashes_stay_linear() {
    let mut bomb = b"Content-Type: multipart/mixed; boundary=-\r\n\r\n".to_vec();
    bomb.extend(b"--\r\n".repeat(5_000_000));
    assert_eq!(scanned(&bomb).unwrap().parts, 1);
}

proptest! {
    #[test]
    fn arbitrary_bytes_end_in_an_answer(message in proptest::collection::vec(any::<u8>(), 0..800)) {
        let _ = scan(&message, &Limits::default());
    }

    #[test]
    fn arbitrary_shapes_keep_the_limits(
        message in "(--[ab](--)?\r\n|Content-Type: (multipart/(mixed|digest)|message/rfc822|text/plain)(; boundary=[ab]{1,2})?\r\n|\r\n|x\r\n){0,80}"
    ) {
        let limits = Limits { mime_depth: 3, mime_parts: 9, ..Limits::default() };
        if let Ok(found) = scan(message.as_bytes(), &limits) {
            prop_assert!(found.depth <= 3 && found.parts <= 9);
        }
    }
}
