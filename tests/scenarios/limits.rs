//! Limits: what anybody may ask of the server, each met over the wire, and who is served when much is in use.

use crate::client::{Client, Reply, password, stuffed};
use crate::letters::reasons;
use crate::service::get;
use crate::world::{Plan, World, account, letter, within};

const FROM: &str = "news@acme.example";

async fn limited(limits: &str) -> World {
    World::of(Plan { more: format!("[limits]\n{limits}"), ..Plan::default() }).await
}

/// A reply of the protocol: no ruling, no ref.
fn assert_protocol(reply: &Reply, code: u16, enhanced: &str) {
    assert_eq!((reply.code, reply.enhanced(), reply.reference()), (code, enhanced, None), "{reply:?}");
}

#[tokio::test]
async fn an_address_has_so_many_sessions_over_all_listeners() {
    let world = limited("connections_per_ip = 2").await;
    let first = Client::connect(world.door("send.0")).await;
    let _second = Client::connect(world.door("send.1")).await;
    for door in ["send.0", "send.1"] {
        let mut third = Client::connect_from("127.0.0.1", world.door(door)).await;
        assert_protocol(&third.hear().await, 421, "4.7.0");
        assert_eq!(third.until_closed().await, []);
    }
    let mut other = Client::connect_from("127.0.0.2", world.door("send.0")).await;
    assert_eq!(other.hear().await.code, 220);
    drop(first);
    let free = async {
        while Client::connect_from("127.0.0.1", world.door("send.0")).await.hear().await.code != 220 {}
    };
    within(10, "the place of the session that left", free).await;
}

#[tokio::test]
async fn a_network_has_so_many_sessions() {
    let world = limited("connections_per_net = 2").await;
    let mut stay = Vec::new();
    for (address, code) in [("127.0.5.1", 220), ("127.0.5.2", 220), ("127.0.5.3", 421), ("127.0.6.1", 220)] {
        let mut client = Client::connect_from(address, world.door("send.0")).await;
        let reply = client.hear().await;
        assert_eq!(reply.code, code, "{address}");
        assert_eq!(reply.text().contains("too many connections from your network"), code == 421, "{reply:?}");
        stay.push(client);
    }
}

#[tokio::test]
async fn at_eight_tenths_newcomers_wait_and_who_is_known_comes_in() {
    let world = limited("connections = 10").await;
    drop(world.client("acme").await);
    let mut strangers = Vec::new();
    let crowd = async {
        loop {
            let mut client = Client::connect_from("127.0.0.9", world.door("send.0")).await;
            let reply = client.hear().await;
            if reply.code != 220 {
                return reply;
            }
            strangers.push(client);
        }
    };
    let refused = within(10, "a refusal", crowd).await;
    assert_protocol(&refused, 421, "4.3.2");
    assert!((7..=8).contains(&strangers.len()), "{} strangers of 10 sessions", strangers.len());

    // 127.0.0.1 has signed in before, and does so now.
    let mut known = world.client("acme").await;
    assert_eq!(known.send(FROM, &letter(FROM)).await.code, 250);
    // The strangers have 10 s in all to sign in; the one who has signed in stays.
    let last = within(30, "a goodbye", strangers[0].hear()).await;
    assert_protocol(&last, 421, "4.4.2");
    assert_eq!(known.send(FROM, &letter(FROM)).await.code, 250);
}

#[tokio::test]
async fn all_sessions_have_an_end_and_nobody_is_let_in_beyond() {
    let world = limited("connections = 3").await;
    let mut known = Vec::new();
    for _ in 0..3 {
        known.push(world.client("acme").await);
    }
    let mut more = Client::connect_from("127.0.0.1", world.door("send.0")).await;
    assert_protocol(&more.hear().await, 421, "4.3.2");
    assert_eq!(known[0].send(FROM, &letter(FROM)).await.code, 250);
}

#[tokio::test]
async fn a_message_that_comes_too_slowly_is_given_up() {
    let world = limited("min_data_rate = 2000000").await;
    let (mut data, mut chunks, mut between) =
        (world.client("acme").await, world.client("acme").await, world.client("acme").await);
    assert_eq!(data.envelope(FROM, &["bo@reader.example"]).await.code, 354);
    data.write(&letter(FROM)).await;
    for (client, octets) in
        [(&mut chunks, b"BDAT 100\r\nFrom:".as_slice()), (&mut between, b"BDAT 5\r\nFrom:")]
    {
        for command in ["MAIL FROM:<news@acme.example>", "RCPT TO:<bo@reader.example>"] {
            assert_eq!(client.ask(command).await.code, 250);
        }
        client.write(octets).await;
    }
    assert_eq!(between.hear().await.code, 250);
    for client in [data, chunks, between] {
        let replies = within(30, "the end of a slow message", client.until_closed_within(30)).await;
        let [reply] = replies.as_slice() else { panic!("{replies:?}") };
        assert_protocol(reply, 451, "4.4.2");
        assert!(reply.text().contains("2000000 octets a second"), "{reply:?}");
    }
    // Between transactions nobody is hurried, and a quick message is taken.
    assert_eq!(world.send("acme", FROM, &letter(FROM)).await.code, 250);
    assert_eq!(world.sink.taken(), 1);
}

#[tokio::test]
async fn messages_share_a_budget_of_octets() {
    let world = limited("message_bytes = 20000\nbytes_in_flight = 20000").await;
    let (mut large, mut small) = (world.client("acme").await, world.client("globex").await);
    let mut message = letter(FROM);
    message.extend_from_slice("a line of the message\r\n".repeat(600).as_bytes());
    assert_eq!(large.envelope(FROM, &["bo@reader.example"]).await.code, 354);
    large.write(&message).await;
    let taken = async {
        loop {
            let reply = small.ask("MAIL FROM:<news@globex.example> SIZE=10000").await;
            if reply.code != 250 {
                return reply;
            }
            small.ask("RSET").await;
        }
    };
    let early = within(10, "an early refusal", taken).await;
    assert_protocol(&early, 452, "4.3.1");
    let from = "news@globex.example";
    let other = [&letter(from)[..], &b"another line\r\n".repeat(800)].concat();
    assert_protocol(&small.send(from, &other).await, 452, "4.3.1");
    assert_eq!(small.ask("DATA").await.code, 503);
    let chunk = [format!("BDAT {} LAST\r\n", other.len()).as_bytes(), &other].concat();
    for command in ["MAIL FROM:<news@globex.example>", "RCPT TO:<bo@reader.example>"] {
        assert_eq!(small.ask(command).await.code, 250);
    }
    small.write(&chunk).await;
    assert_protocol(&small.hear().await, 452, "4.3.1");
    assert_eq!(small.send(from, &letter(from)).await.code, 250, "a small one still fits");

    large.write(b".\r\n").await;
    assert_eq!(large.hear().await.code, 250);
    assert_eq!(small.send(from, &other).await.code, 250, "the room is given back");
    // Also by those who leave in the middle.
    assert_eq!(large.envelope(FROM, &["bo@reader.example"]).await.code, 354);
    large.write(&message).await;
    drop(large);
    let again = async { while small.send(from, &other).await.code != 250 {} };
    within(10, "the room of a session that left", again).await;
}

#[tokio::test]
async fn an_account_has_a_quarter_of_the_pool() {
    let upstream = "egress = [\"192.0.2.0/28\"]\npool = 4".to_owned();
    let world = World::of(Plan { upstream, ..Plan::default() }).await;
    let mut first = world.client("acme").await;
    assert_eq!(first.envelope(FROM, &["bo@reader.example"]).await.code, 354);
    let mut second = world.client("acme").await;
    assert_eq!(second.ask("MAIL FROM:<news@acme.example>").await.code, 250);
    let busy = second.ask("RCPT TO:<bo@reader.example>").await;
    assert_eq!((busy.code, busy.enhanced()), (451, "4.3.2"), "{busy:?}");
    let from = "news@globex.example";
    assert_eq!(world.send("globex", from, &letter(from)).await.code, 250, "another account has its own");
    first.write(&stuffed(&letter(FROM))).await;
    assert_eq!(first.hear().await.code, 250);
    assert_eq!(second.ask("RCPT TO:<bo@reader.example>").await.code, 250, "the place is free again");
    assert_eq!(second.ask("RSET").await.code, 250);
    assert_eq!(reasons(&world, &busy).await, ["upstream-busy"]);
}

#[tokio::test]
async fn guesses_shut_a_login_for_everybody_and_no_other() {
    let world = limited("[limits.auth_failures]\naccount = 3").await;
    let door = world.door("send.0");
    for login in ["acme", "nobody"] {
        for host in 1..=3 {
            let address = format!("127.1.{host}.1");
            let reply = Client::try_password(&address, door, login, "a guess").await;
            assert_protocol(&reply, 535, "5.7.8");
        }
        // Whether there is such a login cannot be told, and neither can whether the password is right.
        for secret in ["a guess", &password(login)] {
            let reply = Client::try_password("127.1.9.1", door, login, secret).await;
            assert_protocol(&reply, 454, "4.7.0");
        }
    }
    assert_eq!(Client::try_password("127.1.1.1", door, "globex", &password("globex")).await.code, 235);
}

#[tokio::test]
async fn guesses_shut_a_network_and_at_last_everybody() {
    let world = limited("[limits.auth_failures]\nnet = 4\nall = 6").await;
    let door = world.door("send.0");
    let right = password("globex");
    for guess in 0..4 {
        let address = format!("127.2.0.{}", guess + 1);
        assert_eq!(Client::try_password(&address, door, &format!("login{guess}"), "x").await.code, 535);
    }
    assert_eq!(Client::try_password("127.2.0.99", door, "globex", &right).await.code, 454);
    assert_eq!(
        Client::try_password("127.2.1.1", door, "acme", &password("acme")).await.code,
        235,
        "not its neighbours"
    );
    for guess in 4..6 {
        assert_eq!(Client::try_password("127.2.2.1", door, &format!("login{guess}"), "x").await.code, 535);
    }
    assert_eq!(Client::try_password("127.2.1.1", door, "globex", &right).await.code, 454);
    assert_eq!(
        Client::try_password("127.2.1.2", door, "acme", &password("acme")).await.code,
        235,
        "but not who has signed in from there before"
    );
}

#[tokio::test]
async fn who_is_at_home_is_locked_out_by_nobody_else() {
    let world = limited("[limits.auth_failures]\naccount = 3\nall = 8").await;
    let (door, right) = (world.door("send.0"), password("acme"));
    assert_eq!(Client::try_password("127.3.0.1", door, "acme", &right).await.code, 235);
    for guess in 0..3 {
        let address = format!("127.4.{guess}.1");
        assert_eq!(Client::try_password(&address, door, "acme", "a guess").await.code, 535);
    }
    assert_eq!(Client::try_password("127.4.9.1", door, "acme", &right).await.code, 454, "a stranger");
    assert_eq!(Client::try_password("127.3.0.2", door, "acme", &right).await.code, 235, "the owner");
    for guess in 3..8 {
        let (address, login) = (format!("127.4.{guess}.1"), format!("login{guess}"));
        assert_eq!(Client::try_password(&address, door, &login, "a guess").await.code, 535);
    }
    assert_eq!(Client::try_password("127.3.0.2", door, "acme", &right).await.code, 235, "all are shut out");
    // Next door to the owner a wrong secret hears what it would hear anywhere, and there are few of them.
    for login in ["acme", "nobody"] {
        for _ in 0..3 {
            let reply = Client::try_password("127.3.0.3", door, login, "a guess").await;
            assert_protocol(&reply, 454, "4.7.0");
        }
    }
    assert_eq!(Client::try_password("127.3.0.1", door, "acme", &right).await.code, 454);
}

#[tokio::test]
async fn a_login_with_networks_is_at_home_there_from_the_first() {
    let networks = "networks = [\"127.3.0.0/16\"]\n[[account.domain]]";
    let accounts = account("acme", &["acme.example"]).replacen("[[account.domain]]", networks, 1);
    let more = "[limits.auth_failures]\naccount = 3".to_owned();
    let world = World::of(Plan { accounts, more, ..Plan::default() }).await;
    let (door, right) = (world.door("send.0"), password("acme"));
    for guess in 0..3 {
        let address = format!("127.4.{guess}.1");
        assert_eq!(Client::try_password(&address, door, "acme", "a guess").await.code, 535);
    }
    assert_eq!(Client::try_password("127.4.9.1", door, "acme", &right).await.code, 454);
    assert_eq!(Client::try_password("127.3.0.1", door, "acme", &right).await.code, 235);
}

#[tokio::test]
async fn guesses_are_forgotten_after_their_window() {
    let world = limited("[limits.auth_failures]\naccount = 1\nwindow_s = 1").await;
    let door = world.door("send.0");
    assert_eq!(Client::try_password("127.0.0.1", door, "acme", "a guess").await.code, 535);
    let open = async {
        while Client::try_password("127.0.0.1", door, "acme", &password("acme")).await.code != 235 {}
    };
    within(20, "the end of the window", open).await;
}

#[tokio::test]
async fn mail_waits_while_the_volume_is_short_of_space() {
    let limits = |octets: usize| format!("[limits]\nmessage_bytes = {octets}\nbytes_in_flight = {octets}");
    for (octets, code) in [(10_000_000, 250), (60_000_000, 452)] {
        let mut world = World::without_server(Plan { more: limits(octets), ..Plan::default() }).await;
        if world.start_on_small_volume("data", 100).await.is_none() {
            return;
        }
        let mut client = world.client("acme").await;
        let reply = client.ask("MAIL FROM:<news@acme.example>").await;
        assert_eq!((reply.code, reply.reference()), (code, None), "{octets}: {reply:?}");
        if code == 452 {
            assert_protocol(&reply, 452, "4.3.1");
            assert_eq!(client.ask("RCPT TO:<bo@reader.example>").await.code, 503);
        }
    }
}

#[tokio::test]
async fn metrics_say_how_much_is_in_use() {
    let world = World::usual().await;
    let mut client = world.client("acme").await;
    assert_eq!(client.send(FROM, &letter(FROM)).await.code, 250);
    let (_, text) = get(world.door("metrics"), "/metrics").await;
    for line in ["countersign_sessions 1", "countersign_bytes_in_flight 0", "countersign_stress 0"] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
}
