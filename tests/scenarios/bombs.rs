//! Bombs: letters made to exhaust whoever reads them. Each is refused or held, and the server lives.
//! The first one ends a published parser by overflowing its stack.

use tokio::time::Instant;

use crate::client::{Client, Reply};
use crate::letters::reasons;
use crate::world::{World, letter};

const HEAD: &str = "From: news@acme.example\r\nTo: bo@reader.example\r\n";

fn bombs() -> Vec<(&'static str, Vec<u8>, Option<&'static str>)> {
    let message = |count: usize| "Content-Type: message/rfc822\r\n\r\n".repeat(count);
    let segments: String = (0..10_000).map(|n| format!(";\r\n name*{n}*=x")).collect();
    let addresses: String = (0..100_000).map(|n| format!(",\r\n a{n}@reader.example")).collect();
    let nest = |n: usize| format!("Content-Type: multipart/mixed; boundary=b{n}\r\n\r\n--b{n}\r\n");
    let multiparts: String = (0..100_000).map(nest).collect();
    let parts = "--b\r\n\r\na part\r\n".repeat(100_000);
    let comments =
        format!("From: {}{} news@acme.example\r\n", "(\r\n ".repeat(12_000), ")\r\n ".repeat(12_000));
    let unclosed = format!("From: {} news@acme.example\r\n", "(\r\n ".repeat(24_000));
    let words = "\r\n =?utf-8?q?a?=".repeat(6_000);
    let boundary = "b".repeat(900);
    [
        (
            "22,000 letters in each other",
            format!("{HEAD}{}\r\nHello\r\n", message(22_000)),
            Some("limit-mime-depth"),
        ),
        (
            "90,000 letters in each other",
            format!("{HEAD}{}\r\nHello\r\n", message(90_000)),
            Some("limit-mime-depth"),
        ),
        (
            "10,000 segments of a parameter",
            format!("{HEAD}Content-Type: text/plain{segments}\r\n\r\nx\r\n"),
            Some("limit-headers"),
        ),
        (
            "100,000 addresses",
            format!("{HEAD}Cc: bo@reader.example{addresses}\r\n\r\nx\r\n"),
            Some("limit-headers"),
        ),
        ("100,000 multiparts in each other", format!("{HEAD}{multiparts}"), Some("limit-mime-depth")),
        (
            "100,000 parts",
            format!("{HEAD}Content-Type: multipart/mixed; boundary=b\r\n\r\n{parts}--b--\r\n"),
            Some("limit-mime-parts"),
        ),
        ("100,000 fields", format!("{HEAD}{}\r\n", "X: y\r\n".repeat(100_000)), Some("limit-headers")),
        (
            "a field of a million lines",
            format!("{HEAD}X:{}\r\n\r\n", "\r\n x".repeat(1_000_000)),
            Some("limit-headers"),
        ),
        ("a line of 10 MB", format!("{HEAD}\r\n{}\r\n", "x".repeat(10_000_000)), Some("line-too-long")),
        ("10 MB without a line end", "x".repeat(10_000_000), Some("line-too-long")),
        ("12,000 comments in each other", format!("{comments}\r\n"), Some("from-ambiguous")),
        ("24,000 comments that never close", format!("{unclosed}\r\n"), None),
        ("6,000 encoded words", format!("From:{words} <service@bank.example>\r\n\r\n"), None),
        (
            "lines that all begin like the boundary",
            {
                let line = format!("--{boundary}\r\n\r\n");
                format!(
                    "{HEAD}Content-Type: multipart/mixed;\r\n boundary={boundary}\r\n\r\n{}",
                    line.repeat(5_000)
                )
            },
            None,
        ),
    ]
    .map(|(name, text, reason)| (name, text.into_bytes(), reason))
    .into()
}

#[tokio::test]
async fn the_server_outlives_every_bomb() {
    let world = World::usual().await;
    let mut client: Client = world.client("acme").await;
    for (name, bomb, reason) in bombs() {
        let began = Instant::now();
        let reply: Reply = client.send("news@acme.example", &bomb).await;
        println!("{name}: {} octets, {} ms: {reply:?}", bomb.len(), began.elapsed().as_millis());
        assert!(reply.code >= 400 || reply.text().contains("held"), "{name}: {reply:?}");
        let reasons = reasons(&world, &reply).await;
        assert!(reason.is_none_or(|reason| reasons == [reason]), "{name}: {reasons:?}");
        let alive = client.send("news@acme.example", &letter("news@acme.example")).await;
        assert_eq!(alive.code, 250, "after {name}");
    }
    assert_eq!(world.sink.taken(), bombs().len());
    assert!(peak(&world) <= 512 * 1024, "{} KiB of memory", peak(&world));
}

#[tokio::test]
async fn a_field_that_harms_scripts_is_a_field() {
    let world = World::usual().await;
    let message = format!("{HEAD}__proto__: polluted\r\nconstructor: x\r\n\r\nhello\r\n").into_bytes();
    assert_eq!(world.send("acme", "news@acme.example", &message).await.code, 250);
    assert_eq!(world.arrival(1).await.message, message);
}

/// The most memory that the server has had, in KiB.
fn peak(world: &World) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", world.ready()["pid"])).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
