//! Extensions of SMTP: chunks (BDAT), DSN parameters and SMTPUTF8, through the real server to a mail server.
//! What the mail server lacks is not offered, but for chunks, which are ours alone.

use countersign::sandbox::sink::{Act, On, SinkSettings};

use crate::client::{Client, Reply, stuffed};
use crate::letters::reasons;
use crate::world::{KEPT, Plan, World, letter};

const FROM: &str = "news@acme.example";

/// MAIL and RCPT, both accepted.
async fn addressed(client: &mut Client) {
    for command in ["MAIL FROM:<news@acme.example>", "RCPT TO:<bo@reader.example>"] {
        assert_eq!(client.ask(command).await.code, 250, "{command}");
    }
}

/// A chunk and its reply.
async fn chunk(client: &mut Client, octets: &[u8], last: &str) -> Reply {
    client.write(&[format!("BDAT {}{last}\r\n", octets.len()).as_bytes(), octets].concat()).await;
    client.hear().await
}

#[tokio::test]
async fn a_message_in_chunks_is_the_message_however_it_is_cut() {
    let world = World::usual().await;
    let mut client = world.client("acme").await;
    let offer = client.ask("EHLO client.example").await.lines;
    assert!(offer.contains(&"CHUNKING".to_owned()), "{offer:?}");
    assert!(
        !offer.iter().any(|line| matches!(line.as_str(), "BINARYMIME" | "DSN" | "SMTPUTF8")),
        "{offer:?}"
    );
    let message = [&letter(FROM)[..], b".\r\n..\r\n.leading dots\r\n\r\n.\r\nQUIT\r\n"].concat();
    for (number, size) in [1, 2, 7, 100, 100_000].into_iter().enumerate() {
        addressed(&mut client).await;
        for piece in message.chunks(size) {
            assert_eq!(chunk(&mut client, piece, "").await.code, 250);
        }
        let reply = chunk(&mut client, b"", " LAST").await;
        assert_eq!((reply.code, reply.text().as_str()), (250, "2.0.0 kept"), "cut at {size}");
        assert_eq!(world.arrival(number + 1).await.message, message, "cut at {size}");
    }
}

#[tokio::test]
async fn chunks_in_one_packet_are_answered_in_their_order() {
    let world = World::usual().await;
    let mut client = world.client("acme").await;
    let message = letter(FROM);
    let (head, tail) = message.split_at(40);
    let commands = "MAIL FROM:<news@acme.example>\r\nRCPT TO:<bo@reader.example>\r\nBDAT 40\r\n";
    let last = format!("BDAT {} LAST\r\n", tail.len());
    let packet = [commands.as_bytes(), head, last.as_bytes(), tail, b"QUIT\r\n"].concat();
    client.write(&packet).await;
    let codes: Vec<u16> = client.until_closed().await.iter().map(|reply| reply.code).collect();
    assert_eq!(codes, [250, 250, 250, 250, 221]);
    assert_eq!(world.arrival(1).await.message, message);
}

#[tokio::test]
async fn faults_in_chunks_are_refused_at_the_last_and_the_transaction_is_over() {
    let world = World::usual().await;
    let mut client = world.client("acme").await;
    let long = vec![b'x'; 2049];
    let cases: [(&[&[u8]], &str); 6] = [
        (&[b"From: news@acme.example\r\n\r\nbare\r", b"CR\r\n"], "bare-line-ending"),
        (&[b"From: news@acme.example\r\n\r\nbare", b"\nLF\r\n"], "bare-line-ending"),
        (&[b"From: news@acme.example\r\n\r\nNUL", b"\0\r\n"], "bare-line-ending"),
        (&[b"From: news@acme.example\r\n\r\n", &long, b"\r\n"], "line-too-long"),
        (
            &[b"From: news@acme.example\r\n\r\ntext\r\n.\r", b".\r\nMAIL FROM:<a@bank.example>\r\n"],
            "bare-line-ending",
        ),
        (&[b""], "from-ambiguous"),
    ];
    for (pieces, reason) in cases {
        addressed(&mut client).await;
        let (last, before) = pieces.split_last().unwrap();
        for piece in before {
            assert_eq!(chunk(&mut client, piece, "").await.code, 250, "{reason}");
        }
        let reply = chunk(&mut client, last, " LAST").await;
        assert_eq!(reasons(&world, &reply).await, [reason], "{reply:?}");
        assert_eq!(client.ask("DATA").await.code, 503, "after {reason}");
        assert_eq!(chunk(&mut client, b"BDAT", " LAST").await.code, 503, "after {reason}");
    }
    assert_eq!(client.send(FROM, &letter(FROM)).await.code, 250, "and all goes on");
    assert_eq!(world.sink.taken(), 1);
}

#[tokio::test]
async fn chunks_keep_their_order_among_commands() {
    let world = World::usual().await;
    let mut client = world.client("acme").await;
    addressed(&mut client).await;
    assert_eq!(chunk(&mut client, b"From: a@bank.example\r\n", "").await.code, 250);
    for command in ["DATA", "MAIL FROM:<>", "RCPT TO:<cy@reader.example>", "AUTH PLAIN", "STARTTLS"] {
        assert_eq!(client.ask(command).await.code, 503, "{command}");
    }
    assert_eq!(client.ask("RSET").await.code, 250);
    assert_eq!(chunk(&mut client, b"\r\n", " LAST").await.code, 503, "RSET forgets the message");
    addressed(&mut client).await;
    assert_eq!(chunk(&mut client, &letter(FROM), " LAST").await.code, 250);
    assert_eq!(world.arrival(1).await.message, letter(FROM), "nothing is left of what was reset");

    // MAIL alone: the chunk is refused, and with it the transaction ends.
    assert_eq!(client.ask("MAIL FROM:<news@acme.example>").await.code, 250);
    assert_eq!(chunk(&mut client, b"x", "").await.code, 503);
    assert_eq!(client.ask("RCPT TO:<bo@reader.example>").await.code, 503);
}

#[tokio::test]
async fn too_much_in_chunks_is_dropped_and_refused_at_the_last() {
    let more = "[limits]\nmessage_bytes = 10000".to_owned();
    let world = World::of(Plan { more, ..Plan::default() }).await;
    let mut client = world.client("acme").await;
    let lines = "a line of the message\r\n".repeat(300);
    addressed(&mut client).await;
    for _ in 0..3 {
        assert_eq!(chunk(&mut client, lines.as_bytes(), "").await.code, 250);
    }
    let reply = chunk(&mut client, b"\r\n", " LAST").await;
    assert_eq!((reply.code, reply.enhanced()), (552, "5.3.4"), "{reply:?}");
    assert_eq!(reasons(&world, &reply).await, ["limit-message-bytes"]);
    assert_eq!(client.ask("DATA").await.code, 503);
    assert_eq!(client.send(FROM, &letter(FROM)).await.code, 250);

    // A chunk that would never end is not waited for.
    addressed(&mut client).await;
    client.write(b"BDAT 9999999999 LAST\r\n").await;
    let replies = client.until_closed().await;
    assert_eq!((replies.len(), replies[0].code), (1, 552), "{replies:?}");
    assert_eq!(reasons(&world, &replies[0]).await, ["limit-message-bytes"]);
}

#[tokio::test]
async fn chunks_have_a_limit_and_after_it_come_only_refusals() {
    let world = World::usual().await;
    let mut client = world.client("acme").await;
    addressed(&mut client).await;
    client.write("BDAT 1\r\nx".repeat(10_001).as_bytes()).await;
    for _ in 0..10_000 {
        assert_eq!(client.hear().await.code, 250);
    }
    let reply = client.hear().await;
    assert_eq!((reply.code, reply.enhanced()), (554, "5.5.0"), "{reply:?}");
    assert_eq!(reasons(&world, &reply).await, ["limit-chunks"]);
    // Who goes on all the same hears 503, and in the end goodbye.
    client.write("BDAT 1\r\nx".repeat(1001).as_bytes()).await;
    let codes: Vec<u16> = client.until_closed().await.iter().map(|reply| reply.code).collect();
    assert!(
        codes.iter().take(codes.len() - 1).all(|code| *code == 503) && codes.ends_with(&[421]),
        "{codes:?}"
    );
    assert_eq!(world.sink.taken(), 0);
}

/// A mail server that has them all.
pub(crate) fn rich() -> Plan {
    let extensions = ["PIPELINING", "SIZE", "8BITMIME", "ENHANCEDSTATUSCODES", "DSN", "SMTPUTF8"]
        .map(str::to_owned)
        .to_vec();
    Plan { sink: SinkSettings { extensions, ..SinkSettings::default() }, ..Plan::default() }
}

#[tokio::test]
async fn dsn_parameters_reach_the_upstream_as_they_were_given() {
    let world = World::of(rich()).await;
    let mut client = world.client("acme").await;
    for (command, code) in [
        ("MAIL FROM:<news@acme.example> RET=HDRS ENVID=QQ+2B314159 BODY=8BITMIME", 250),
        ("RCPT TO:<bo@reader.example> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;Bo+2Bold@reader.example", 250),
        ("RCPT TO:<cy@reader.example> NOTIFY=NEVER", 250),
        ("RCPT TO:<di@reader.example> NOTIFY=NEVER,DELAY", 501),
        ("RCPT TO:<di@reader.example>", 250),
        ("DATA", 354),
    ] {
        assert_eq!(client.ask(command).await.code, code, "{command}");
    }
    client.write(&stuffed(&letter(FROM))).await;
    assert_eq!(client.hear().await.code, 250);
    let envelope = world.arrival(1).await.envelope;
    let mut given: Vec<&str> = envelope.mail_parameters.split(' ').collect();
    given.sort_unstable();
    assert_eq!(given, ["BODY=8BITMIME", "ENVID=QQ+2B314159", "RET=HDRS"]);
    let expected = ["NOTIFY=SUCCESS,DELAY ORCPT=rfc822;Bo+2Bold@reader.example", "NOTIFY=NEVER", ""];
    assert_eq!(envelope.recipient_parameters, expected);
}

#[tokio::test]
async fn what_was_said_beside_the_addresses_goes_on_when_held_mail_is_released() {
    let world = World::of(rich()).await;
    world.sink.once(On::Rcpt("nobody@".to_owned()), Act::Reply("550 5.1.1 nobody".to_owned()));
    let mut client = world.client("acme").await;
    for (command, code) in [
        ("MAIL FROM:<b\u{e4}cker@acme.example> SMTPUTF8 BODY=8BITMIME RET=HDRS ENVID=QQ+2B314159", 250),
        ("RCPT TO:<b\u{f6}@reader.example> NOTIFY=SUCCESS,DELAY", 250),
        ("RCPT TO:<nobody@reader.example> NOTIFY=FAILURE", 550),
        ("RCPT TO:<cy@reader.example> NOTIFY=NEVER ORCPT=rfc822;cy@old.example", 250),
        ("DATA", 354),
    ] {
        assert_eq!(client.ask(command).await.code, code, "{command}");
    }
    client.write(&stuffed(&letter(&format!("a@{KEPT}")))).await;
    let held = client.hear().await;
    assert_eq!(held.code, 250, "{held:?}");
    world.cli(&["held", "release", held.reference().unwrap()]).await.expect_code(0);
    let envelope = world.arrival(1).await.envelope;
    let mut given: Vec<&str> = envelope.mail_parameters.split(' ').collect();
    given.sort_unstable();
    assert_eq!(given, ["BODY=8BITMIME", "ENVID=QQ+2B314159", "RET=HDRS", "SMTPUTF8"]);
    assert_eq!(envelope.recipients, ["b\u{f6}@reader.example", "cy@reader.example"]);
    let expected = ["NOTIFY=SUCCESS,DELAY", "NOTIFY=NEVER ORCPT=rfc822;cy@old.example"];
    assert_eq!(envelope.recipient_parameters, expected);
}

#[tokio::test]
async fn what_the_upstream_lacks_is_neither_offered_nor_taken() {
    let world = World::usual().await;
    let mut client = world.client("acme").await;
    for (command, code) in [
        ("MAIL FROM:<news@acme.example> RET=FULL", 555),
        ("MAIL FROM:<news@acme.example> SMTPUTF8", 555),
        ("MAIL FROM:<b\u{e4}cker@acme.example>", 553),
        ("MAIL FROM:<news@acme.example>", 250),
        ("RCPT TO:<bo@reader.example> NOTIFY=NEVER", 555),
        ("RCPT TO:<b\u{f6}@reader.example>", 553),
    ] {
        let reply = client.ask(command).await;
        assert_eq!(reply.code, code, "{command}: {reply:?}");
    }
}

#[tokio::test]
async fn envelopes_in_utf8_pass_with_smtputf8_and_authors_stay_ascii() {
    let world = World::of(rich()).await;
    let mut client = world.client("acme").await;
    let sent = "From: B\u{e4}cker <news@acme.example>\r\nTo: b\u{f6}@reader.example\r\nSubject: Br\u{f6}tchen\r\n\r\n\r\n";
    // Who the author is must have one reading in every program: that address is ASCII.
    let author = sent.replace("news@", "b\u{e4}cker@");
    for (message, reason) in [(sent, None), (&author, Some("from-ambiguous"))] {
        for command in [
            "MAIL FROM:<b\u{e4}cker@acme.example> SMTPUTF8 BODY=8BITMIME",
            "RCPT TO:<b\u{f6}@reader.example>",
        ] {
            assert_eq!(client.ask(command).await.code, 250, "{command}");
        }
        assert_eq!(client.ask("DATA").await.code, 354);
        client.write(&stuffed(message.as_bytes())).await;
        let reply = client.hear().await;
        assert_eq!(reply.code, if reason.is_some() { 550 } else { 250 }, "{reply:?}");
        if let Some(reason) = reason {
            assert_eq!(reasons(&world, &reply).await, [reason]);
        }
    }
    let arrival = world.arrival(1).await;
    assert_eq!(arrival.message, sent.as_bytes());
    assert_eq!(arrival.envelope.mail_from, "b\u{e4}cker@acme.example");
    assert_eq!(arrival.envelope.recipients, ["b\u{f6}@reader.example"]);
    assert!(arrival.envelope.mail_parameters.contains("SMTPUTF8"), "{}", arrival.envelope.mail_parameters);

    // RFC 6531 wants the parameter for such fields; mail servers pass them without it, and so do we.
    assert_eq!(client.send(FROM, sent.as_bytes()).await.code, 250);
    assert_eq!(world.arrival(2).await.message, sent.as_bytes());
}
