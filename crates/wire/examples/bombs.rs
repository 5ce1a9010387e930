//! How long the pre-scan and the header splitter take with what wants to exhaust them.
//! `cargo run --release -p countersign-wire --example bombs`

use std::time::Instant;

use countersign_wire::header::{self, authentication_results, encoded_word};
use countersign_wire::limits::Limits;
use countersign_wire::mime;

fn main() {
    let none = Limits {
        header_bytes: usize::MAX,
        header_fields: usize::MAX,
        mime_depth: usize::MAX,
        mime_parts: usize::MAX,
        field_parameters: usize::MAX,
        mime_parameters: usize::MAX,
        ..Limits::default()
    };
    let deep = Limits { mime_depth: 20, ..none };
    println!("{:<46} {:>9} {:>9} {:>9} {:>9}", "", "octets", "usual ms", "no limit", "split");
    for (name, bomb) in bombs() {
        // Without a limit of depth each line would be compared with each open boundary: that one stays.
        let unlimited = if name.contains("in each other") { &deep } else { &none };
        let usual = milliseconds(|| mime::scan(&bomb, &Limits::default()).is_ok());
        let scanned = milliseconds(|| mime::scan(&bomb, unlimited).is_ok());
        let split = milliseconds(|| header::split(&bomb, &none).is_ok());
        println!("{name:<46} {:>9} {usual:>9.1} {scanned:>9.1} {split:>9.1}", bomb.len());
    }
    let words = "=?utf-8?q?a?= ".repeat(500_000);
    let open = "=?".repeat(5_000_000);
    let comments = [vec![b'('; 5_000_000], vec![b')'; 5_000_000]].concat();
    let forged = b"A: b\r\nT: c\r\n".repeat(1_000_000);
    println!("500,000 encoded words: {:.1} ms", milliseconds(|| encoded_word::decode(&words).words > 0));
    println!("5,000,000 open words: {:.1} ms", milliseconds(|| encoded_word::decode(&open).broken));
    let id = || authentication_results::authserv_id(&comments).is_none();
    println!("5,000,000 comments before an authserv-id: {:.1} ms", milliseconds(id));
    let strip = || header::strip(&forged, |field| field.is("t")).len() < forged.len();
    println!("1,000,000 forged fields stripped: {:.1} ms", milliseconds(strip));
}

fn bombs() -> Vec<(&'static str, Vec<u8>)> {
    let nest = |n: usize| format!("Content-Type: multipart/mixed; boundary={n}\r\n\r\n--{n}\r\n");
    let open = |name: &str, count: usize| -> String {
        let one = |n: usize| {
            format!("Content-Type: multipart/mixed; boundary=\"{name}{n:02}\"\r\n\r\n--{name}{n:02}\r\n")
        };
        (0..count).map(one).collect()
    };
    let long = "b".repeat(68);
    let pieces: String = (0..10_000).map(|n| format!(";\r\n name*{n}*=x")).collect();
    let multipart = "Content-Type: multipart/mixed; boundary=b\r\n\r\n";
    [
        ("1,000,000 parts", format!("{multipart}{}", "--b\r\n\r\n".repeat(1_000_000))),
        ("1,000,000 header fields", "A: b\r\n".repeat(1_000_000)),
        ("1,000,000 folded lines", format!("A: b\r\n{}", " x\r\n".repeat(1_000_000))),
        (
            "1,000,000 folded lines of Content-Type",
            format!("Content-Type: b\r\n{}", " x\r\n".repeat(1_000_000)),
        ),
        ("100,000 multiparts in each other", (0..100_000).map(nest).collect()),
        ("90,000 letters in each other", "Content-Type: message/rfc822\r\n\r\n".repeat(90_000)),
        ("10,000 RFC 2231 pieces", format!("Content-Type: text/plain{pieces}\r\n\r\n")),
        (
            "1,000,000 parameters",
            format!("Content-Type: multipart/mixed{}\r\n\r\n", ";\r\n a=b".repeat(1_000_000)),
        ),
        ("25 MB of `--`, 20 open boundaries", format!("{}\r\n{}", open("-", 20), "--\r\n".repeat(6_250_000))),
        (
            "25 MB of near misses, 20 boundaries of 70",
            format!("{}\r\n{}", open(&long, 20), format!("--{long}\r\n").repeat(347_000)),
        ),
        ("25 MB of one line", "x".repeat(25_000_000)),
        ("1,000,000 comments in Content-Type", format!("Content-Type: {}\r\n\r\n", "(".repeat(1_000_000))),
        (
            "an open quote of 10 MB",
            format!("Content-Type: multipart/mixed; boundary=\"{}\r\n\r\n", "b".repeat(10_000_000)),
        ),
    ]
    .map(|(name, text)| (name, text.into_bytes()))
    .into()
}

fn milliseconds(work: impl FnOnce() -> bool) -> f64 {
    let start = Instant::now();
    std::hint::black_box(work());
    start.elapsed().as_secs_f64() * 1000.0
}
