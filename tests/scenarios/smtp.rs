//! The protocol: replies that are no rulings, TLS and AUTH, pipelining, and the end of every transaction.
//! What the upstream says, the client hears in the upstream's words.

use countersign::sandbox::sink::{Act, On};

use crate::client::{Client, password, plain, stuffed};
use crate::letters::reasons;
use crate::world::{Plan, World, letter};

/// Commands in one session without AUTH, and the replies: none of them is a ruling, none has a ref.
const BEFORE_AUTH: [(&str, u16, &str); 19] = [
    ("MAIL FROM:<news@acme.example>", 503, "5.5.1"),
    ("STARTTLS", 503, "5.5.1"),
    ("NOOP", 250, "2.0.0"),
    ("HELO client.example", 250, ""),
    ("AUTH PLAIN", 503, "5.5.1"),
    ("EHLO client.example", 250, ""),
    ("MAIL FROM:<news@acme.example>", 530, "5.7.0"),
    ("RCPT TO:<bo@reader.example>", 503, "5.5.1"),
    ("DATA", 503, "5.5.1"),
    ("VRFY bo", 530, "5.7.0"),
    ("EXPN staff", 502, "5.5.1"),
    ("XCLIENT LOGIN=acme", 500, "5.5.1"),
    ("WHAT IS THIS", 500, "5.5.1"),
    ("AUTH CRAM-MD5", 504, "5.5.4"),
    ("AUTH PLAIN not=base64", 501, "5.5.2"),
    ("AUTH PLAIN AGFjbWUAd3Jvbmc=", 535, "5.7.8"),
    ("NOOP", 250, "2.0.0"),
    ("RSET", 250, "2.0.0"),
    ("QUIT", 221, "2.0.0"),
];

#[tokio::test]
async fn what_is_out_of_order_or_unknown_is_told_so() {
    let world = World::usual().await;
    let mut client = Client::connect(world.door("send.0")).await;
    for (command, code, enhanced) in BEFORE_AUTH {
        let reply = client.ask(command).await;
        assert_eq!(reply.code, code, "{command}: {reply:?}");
        assert!(enhanced.is_empty() || reply.enhanced() == enhanced, "{command}: {reply:?}");
        assert_eq!(reply.reference(), None, "{command}");
    }
    assert_eq!(client.until_closed().await, []);
}

/// Commands in one session after AUTH.
const AFTER_AUTH: [(&str, u16, &str); 14] = [
    ("AUTH PLAIN AGFjbWUAd3Jvbmc=", 503, "5.5.1"),
    ("VRFY bo", 252, "2.5.2"),
    ("RCPT TO:<bo@reader.example>", 503, "5.5.1"),
    ("MAIL FROM:<news@acme.example", 501, "5.1.7"),
    ("MAIL FROM:<news@acme.example> COLOUR=red", 555, "5.5.4"),
    ("MAIL FROM:<news@acme.example> BODY=BINARYMIME", 555, "5.5.4"),
    ("MAIL FROM:<news@acme.example> BODY=8BITMIME SIZE=500", 250, "2.1.0"),
    ("MAIL FROM:<news@acme.example>", 503, "5.5.1"),
    ("DATA", 503, "5.5.1"),
    ("RCPT TO:<bo@[192.0.2.1]>", 553, "5.1.3"),
    ("RCPT TO:<bo@reader.example>", 250, "2.1.5"),
    ("STARTTLS", 503, "5.5.1"),
    ("RSET", 250, "2.0.0"),
    ("DATA", 503, "5.5.1"),
];

#[tokio::test]
async fn a_transaction_keeps_its_order() {
    let world = World::usual().await;
    let mut client = world.client("acme").await;
    for (command, code, enhanced) in AFTER_AUTH {
        let reply = client.ask(command).await;
        assert_eq!((reply.code, reply.enhanced()), (code, enhanced), "{command}: {reply:?}");
    }
    assert_eq!(client.send("news@acme.example", &letter("news@acme.example")).await.code, 250);
    assert_eq!(world.sink.taken(), 1);
}

#[tokio::test]
async fn a_line_that_is_too_long_is_refused_and_one_with_a_bare_lf_ends_the_session() {
    let world = World::usual().await;
    let mut client = Client::connect(world.door("send.0")).await;
    let reply = client.ask(&format!("NOOP {}", "x".repeat(20_000))).await;
    assert_eq!((reply.code, reply.enhanced()), (500, "5.5.2"), "{reply:?}");
    assert_eq!(client.ask("NOOP").await.code, 250);
    client.write(b"NOOP\nNOOP\r\n").await;
    let replies = client.until_closed().await;
    assert_eq!(replies.iter().map(|reply| reply.code).collect::<Vec<_>>(), [500], "{replies:?}");
}

#[tokio::test]
async fn a_session_has_so_many_commands_and_so_many_passwords() {
    let world = World::usual().await;
    let mut client = Client::connect(world.door("send.0")).await;
    client.write("NOOP\r\n".repeat(1001).as_bytes()).await;
    let replies = client.until_closed().await;
    assert_eq!(replies.len(), 1001);
    assert!(replies[..1000].iter().all(|reply| reply.code == 250));
    assert_eq!(replies[1000].code, 421);

    let mut client = Client::connect(world.door("send.0")).await;
    client.ask("EHLO client.example").await;
    for code in [535, 535, 421] {
        let reply = client.ask(&format!("AUTH PLAIN {}", plain("acme", "a guess"))).await;
        assert_eq!(reply.code, code, "{reply:?}");
    }
    assert_eq!(client.until_closed().await, []);
}

#[tokio::test]
async fn passwords_wait_for_tls() {
    let world = World::usual().await;
    let mut client = Client::connect(world.door("send.1")).await;
    let offer = client.ask("EHLO client.example").await.lines;
    assert!(
        offer.contains(&"STARTTLS".to_owned()) && !offer.iter().any(|line| line.starts_with("AUTH")),
        "{offer:?}"
    );
    let reply = client.ask(&format!("AUTH PLAIN {}", plain("acme", &password("acme")))).await;
    assert_eq!((reply.code, reply.enhanced()), (538, "5.7.11"), "{reply:?}");
    assert_eq!(client.ask("MAIL FROM:<news@acme.example>").await.code, 530);

    let mut client = client.start_tls().await;
    assert_eq!(client.ask("MAIL FROM:<news@acme.example>").await.code, 503, "the greeting is forgotten");
    let offer = client.ask("EHLO client.example").await.lines;
    assert!(
        offer.contains(&"AUTH PLAIN LOGIN".to_owned()) && !offer.contains(&"STARTTLS".to_owned()),
        "{offer:?}"
    );
    assert_eq!(client.ask("STARTTLS").await.code, 503);
    for (line, code) in [("AUTH LOGIN", 334), ("YWNtZQ==", 334), ("YWNtZS1oYXMtdGhpcy1zZWNyZXQ=", 235)] {
        assert_eq!(client.ask(line).await.code, code, "{line}");
    }
    assert_eq!(client.send("news@acme.example", &letter("news@acme.example")).await.code, 250);
    let trace = world.arrival(1).await.trace;
    let reference = trace.split_once("ref=").unwrap().1[..10].to_owned();
    let entries = world.json(&["explain", &reference, "--json"]).await;
    assert_eq!(entries[0]["payload"]["client"]["tls"], true);
}

#[tokio::test]
async fn commands_in_the_clear_behind_starttls_are_thrown_away() {
    let world = World::usual().await;
    let mut client = Client::connect(world.door("send.1")).await;
    client.ask("EHLO client.example").await;
    client.write(b"STARTTLS\r\nEHLO attacker.example\r\nNOOP\r\nMAIL FROM:<a@bank.example>\r\n").await;
    assert_eq!(client.hear().await.code, 220);
    let mut client = client.handshake().await;
    assert_eq!(client.ask("VRFY bo").await.code, 503, "nobody has greeted, and nothing else is answered");
    assert_eq!(client.ask("EHLO client.example").await.code, 250);
    assert_eq!(client.ask("QUIT").await.code, 221);
    assert_eq!(client.until_closed().await, []);
}

#[tokio::test]
async fn a_chunk_that_is_refused_is_never_read_as_commands() {
    let world = World::usual().await;
    let mut client = world.client("acme").await;
    client.write(b"BDAT 49 LAST\r\nMAIL FROM:<news@acme.example>\r\nNOOP\r\nNOOP\r\nNOOP\r\nQUIT\r\n").await;
    let replies = client.until_closed().await;
    assert_eq!(replies.iter().map(|reply| reply.code).collect::<Vec<_>>(), [503, 221], "{replies:?}");
    let mut client = world.client("acme").await;
    client.write(b"BDAT 99999999999 LAST\r\nNOOP\r\nNOOP\r\n").await;
    let replies = client.until_closed().await;
    assert_eq!(replies.iter().map(|reply| reply.code).collect::<Vec<_>>(), [421], "{replies:?}");
}

#[tokio::test]
async fn commands_in_one_packet_are_answered_in_their_order() {
    let world = World::usual().await;
    world.sink.always(On::Rcpt("nobody@".to_owned()), Act::Reply("550 5.1.1 nobody here".to_owned()));
    let mut client = world.client("acme").await;
    let commands = "MAIL FROM:<news@acme.example>\r\nRCPT TO:<nobody@reader.example>\r\n\
                    RCPT TO:<bo@reader.example>\r\nDATA\r\n";
    client.write(commands.as_bytes()).await;
    for code in [250, 550, 250, 354] {
        assert_eq!(client.hear().await.code, code);
    }
    let first = letter("news@acme.example");
    // The end of one letter, the whole of the next, and the goodbye.
    let second = "RSET\r\nMAIL FROM:<>\r\nRCPT TO:<bo@reader.example>\r\nDATA\r\n";
    client
        .write(&[stuffed(&first), second.as_bytes().to_vec(), stuffed(&first), b"QUIT\r\n".to_vec()].concat())
        .await;
    let replies = client.until_closed().await;
    let codes: Vec<u16> = replies.iter().map(|reply| reply.code).collect();
    assert_eq!(codes, [250, 250, 250, 250, 354, 250, 221], "{replies:?}");
    assert_eq!(world.arrival(2).await.message, first);

    let mut client = world.client("acme").await;
    client.write(b"MAIL FROM:<>\r\nRCPT TO:<nobody@reader.example>\r\nDATA\r\nRSET\r\n").await;
    for code in [250, 550, 503, 250] {
        assert_eq!(client.hear().await.code, code);
    }
}

#[tokio::test]
async fn a_message_that_is_too_big_is_refused_with_a_ref_at_mail_and_in_data() {
    let more = "[limits]\nmessage_bytes = 10000".to_owned();
    let world = World::of(Plan { more, ..Plan::default() }).await;
    let mut client = world.client("acme").await;
    let early = client.ask("MAIL FROM:<news@acme.example> SIZE=10001").await;
    let mut big = letter("news@acme.example");
    big.extend_from_slice("a line of the message\r\n".repeat(1000).as_bytes());
    let late = client.send("news@acme.example", &big).await;
    for reply in [early, late] {
        assert_eq!((reply.code, reply.enhanced()), (552, "5.3.4"), "{reply:?}");
        assert_eq!(reasons(&world, &reply).await, ["limit-message-bytes"]);
    }
    assert_eq!(client.send("news@acme.example", &letter("news@acme.example")).await.code, 250);

    // Of one that does not end, enough is enough: it is refused before its end, and the connection closed.
    assert_eq!(client.envelope("news@acme.example", &["bo@reader.example"]).await.code, 354);
    client.write(&big.repeat(3)).await;
    let replies = client.until_closed().await;
    let [reply] = replies.as_slice() else { panic!("{replies:?}") };
    assert_eq!((reply.code, reply.enhanced()), (552, "5.3.4"), "{reply:?}");
    assert_eq!(reasons(&world, reply).await, ["limit-message-bytes"]);
    assert_eq!(world.sink.taken(), 1);
}

#[tokio::test]
async fn recipients_over_the_limit_are_452_and_recorded() {
    let more = "[limits]\nrcpts = 2".to_owned();
    let world = World::of(Plan { more, ..Plan::default() }).await;
    for ending in ["DATA", "RSET", "QUIT"] {
        let mut client = world.client("acme").await;
        client.ask("MAIL FROM:<news@acme.example>").await;
        for name in ["ana", "bo"] {
            assert_eq!(client.ask(&format!("RCPT TO:<{name}@reader.example>")).await.code, 250);
        }
        let over = client.ask("RCPT TO:<cy@reader.example>").await;
        assert_eq!((over.code, over.enhanced()), (452, "4.5.3"), "{over:?}");
        client.ask(ending).await;
        if ending == "DATA" {
            client.write(&stuffed(&letter("news@acme.example"))).await;
            assert_eq!(client.hear().await.code, 250);
        }
        let refused = &world.recorded(over.reference().unwrap(), "ruling").await["recipients"];
        assert_eq!(refused.as_array().unwrap().len(), 1, "{ending}: {refused}");
        assert_eq!(refused[0]["address"], "cy@reader.example");
        assert_eq!((&refused[0]["by"], &refused[0]["reason"]), (&"us".into(), &"limit-recipients".into()));
    }
    assert_eq!(world.arrival(1).await.envelope.recipients, ["ana@reader.example", "bo@reader.example"]);
}

#[tokio::test]
async fn the_upstream_s_refusal_of_a_recipient_is_heard_and_recorded() {
    let world = World::usual().await;
    let words = "550-5.1.1 No such user here,\r\n550 5.1.1 and there never was";
    world.sink.always(On::Rcpt("nobody@".to_owned()), Act::Reply(words.to_owned()));
    let mut client = world.client("acme").await;
    client.ask("MAIL FROM:<news@acme.example>").await;
    let reply = client.ask("RCPT TO:<nobody@reader.example>").await;
    let ours = format!("ref={}", reply.reference().unwrap());
    assert_eq!(
        (reply.code, reply.text().as_str()),
        (550, format!("5.1.1 No such user here,\n5.1.1 and there never was\n5.1.1 {ours}").as_str())
    );
    assert_eq!(client.ask("RCPT TO:<bo@reader.example>").await.code, 250);
    assert_eq!(client.ask("DATA").await.code, 354);
    client.write(&stuffed(&letter("news@acme.example"))).await;
    assert_eq!(client.hear().await.code, 250);

    let arrival = world.arrival(1).await;
    assert!(arrival.trace.contains(&ours), "{}", arrival.trace);
    assert_eq!(arrival.envelope.recipients, ["bo@reader.example"]);
    let reference = arrival.trace.split_once("ref=").unwrap().1[..10].to_owned();
    let entries = world.json(&["explain", &reference, "--json"]).await;
    let refused = &entries[0]["payload"]["recipients"][0];
    assert_eq!((&refused["address"], &refused["by"]), (&"nobody@reader.example".into(), &"upstream".into()));
    assert!(refused["reply"].as_str().unwrap().contains("No such user here"), "{refused}");
}

#[tokio::test]
async fn an_upstream_that_is_down_is_451_at_rcpt() {
    let world = World::usual().await;
    let mut client = world.client("acme").await;
    for act in
        [Act::Close, Act::Reply("421 4.3.2 closing".to_owned()), Act::Reply("554 5.7.1 go away".to_owned())]
    {
        world.sink.close_connections();
        world.sink.clear_faults();
        world.sink.always(On::Connect, act.clone());
        assert_eq!(client.ask("MAIL FROM:<news@acme.example>").await.code, 250);
        let reply = client.ask("RCPT TO:<bo@reader.example>").await;
        assert_eq!((reply.code, reply.enhanced()), (451, "4.4.1"), "{act:?}: {reply:?}");
        assert_eq!(client.ask("DATA").await.code, 503);
        assert_eq!(client.ask("RSET").await.code, 250);
        assert_eq!(reasons(&world, &reply).await, ["upstream-unavailable"]);
    }
    world.sink.clear_faults();
    assert_eq!(client.send("news@acme.example", &letter("news@acme.example")).await.code, 250);
}

#[tokio::test]
async fn what_the_upstream_says_to_the_message_is_heard_and_recorded() {
    let world = World::usual().await;
    let mut client = world.client("acme").await;
    let faults = [
        (On::End, "552 5.2.2 mailbox full"),
        (On::End, "451 4.3.0 try again"),
        (On::Data, "554 5.7.1 no data from you"),
    ];
    for (on, words) in &faults {
        world.sink.once(on.clone(), Act::Reply((*words).to_owned()));
        let reply = client.send("news@acme.example", &letter("news@acme.example")).await;
        assert_eq!(format!("{} {}", reply.code, reply.text()), *words);
    }
    world.sink.once(On::End, Act::Close);
    let doubt = client.send("news@acme.example", &letter("news@acme.example")).await;
    assert_eq!((doubt.code, doubt.enhanced()), (451, "4.4.1"), "{doubt:?}");
    assert_eq!(world.outcome(doubt.reference().unwrap()).await["result"], "in-doubt");
    assert_eq!(world.sink.taken(), 0);
}

#[tokio::test]
async fn a_client_that_gets_mail_through_may_go_on_and_one_that_does_not_is_cut() {
    let world = World::of(Plan { more: "[limits]\ncommands = 12".to_owned(), ..Plan::default() }).await;
    let mut client = world.client("acme").await;
    for _ in 0..6 {
        let reply = client.send("news@acme.example", &letter("news@acme.example")).await;
        assert_eq!(reply.code, 250, "{reply:?}");
    }
    let mut last = client.ask("NOOP").await;
    for _ in 0..12 {
        if last.code == 421 {
            break;
        }
        last = client.ask("NOOP").await;
    }
    assert_eq!(last.code, 421, "{last:?}");
}
