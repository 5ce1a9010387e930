//! Relays: MTAs that are trusted by network, and the account that they name.
//! What nobody is named for passes to nobody.

use countersign::sandbox::sink::{Act, On};
use serde_json::Value;

use crate::client::{Client, Reply, stuffed};
use crate::letters::reasons;
use crate::world::{Plan, World, letter};

/// Three relay listeners: `send.2` is acme's, `send.3` reads a field, `send.4` trusts nobody here.
async fn world(more: &str) -> World {
    let listeners = [
        relay_listener("127.0.0.0/8", "account:acme"),
        relay_listener("127.0.0.1", "header:X-Account"),
        relay_listener("192.0.2.0/24", "account:acme"),
    ];
    World::of(Plan { more: format!("{more}\n{}", listeners.concat()), ..Plan::default() }).await
}

/// A table of the configuration.
pub(crate) fn relay_listener(trusted: &str, account: &str) -> String {
    format!(
        "[[send.listener]]\nlisten = \"127.0.0.1:0\"\nkind = \"relay\"\ntls = \"off\"\n\
         trusted = [\"{trusted}\"]\naccount_from = \"{account}\"\n"
    )
}

/// A session with the listener of that name.
pub(crate) async fn relay(world: &World, door: &str) -> Client {
    let mut client = Client::connect(world.door(door)).await;
    let offer = client.ask("EHLO relay.esp.example").await.lines;
    assert!(!offer.iter().any(|line| line.starts_with("AUTH")), "{offer:?}");
    client
}

fn named(fields: &str, from: &str) -> Vec<u8> {
    [fields.as_bytes(), &letter(from)].concat()
}

#[tokio::test]
async fn a_relay_sends_for_the_account_of_its_listener() {
    let world = world("").await;
    let mut client = relay(&world, "send.2").await;
    assert_eq!(client.ask("AUTH PLAIN AGFjbWUAd3Jvbmc=").await.code, 502);
    let message = letter("news@acme.example");
    assert_eq!(client.send("news@acme.example", &message).await.code, 250);
    let arrival = world.arrival(1).await;
    assert_eq!(arrival.message, message);
    let reply = client.send("news@globex.example", &letter("news@globex.example")).await;
    assert_eq!(reply.code, 550, "{reply:?}");
    assert_eq!(entry(&world, &reply).await["ruling"]["account"], "acme");
}

#[tokio::test]
async fn who_is_not_trusted_hears_only_that() {
    let world = world("").await;
    let stream = tokio::net::TcpStream::connect(world.door("send.4")).await.unwrap();
    let replies = Client::over(stream).until_closed().await;
    let [reply] = replies.as_slice() else { panic!("{replies:?}") };
    assert_eq!((reply.code, reply.enhanced(), reply.reference()), (554, "5.7.1", None));
}

#[tokio::test]
async fn the_first_field_names_the_account_and_is_taken_off() {
    let world = world("").await;
    let mut client = relay(&world, "send.3").await;
    for (number, (field, login)) in
        [("X-Account: acme\r\n", "acme"), ("x-account:globex\r\n", "globex")].into_iter().enumerate()
    {
        let from = format!("news@{login}.example");
        let reply = client.send(&from, &named(field, &from)).await;
        assert_eq!((reply.code, reply.text().as_str()), (250, "2.0.0 kept"));
        assert_eq!(
            world.arrival(number + 1).await.message,
            letter(&from),
            "not an octet of the field is left"
        );
    }
    let reply = client.send("a@acme.example", &named("X-Account: globex\r\n", "a@acme.example")).await;
    assert_eq!(reasons(&world, &reply).await, ["from-not-yours", "mail-from-not-yours"], "{reply:?}");
    assert_eq!(entry(&world, &reply).await["ruling"]["account"], "globex");
}

#[tokio::test]
async fn a_message_that_names_no_one_account_is_refused() {
    let world = world("").await;
    let mut client = relay(&world, "send.3").await;
    for (fields, why) in [
        ("", "no such field"),
        ("Received: by mx.example\r\nX-Account: acme\r\n", "not the first"),
        ("X-Account: acme\r\nX-Account: acme\r\n", "more than once"),
        ("X-Account: acme\r\nReceived: by mx.example\r\nx-account : globex\r\n", "more than once"),
        ("X-Account: acme\r\n globex\r\n", "several lines"),
        ("X-Account : acme\r\n", "white space stands before its colon"),
        ("X-Account: initech\r\n", "there is no account `initech`"),
        ("X-Account: platform\r\n", "there is no account `platform`"),
        ("X-Account: a b\r\n", "X-Account: `a b` is no account id"),
        ("X-Account:\r\n", "X-Account: `` is no account id"),
    ] {
        let reply = client.send("news@acme.example", &named(fields, "news@acme.example")).await;
        assert_eq!((reply.code, reply.enhanced()), (550, "5.7.1"), "{fields}: {reply:?}");
        assert!(reply.text().contains(why), "{fields}: {reply:?}");
        assert_eq!(reasons(&world, &reply).await, ["account-unknown"], "{fields}");
        assert_eq!(entry(&world, &reply).await["ruling"]["account"], "platform");
        assert_eq!(client.ask("DATA").await.code, 503);
    }
    assert_eq!(world.sink.taken(), 0);
}

#[tokio::test]
async fn a_relay_is_not_held_to_what_an_address_may_have() {
    let world = world("[limits]\nconnections_per_ip = 1\nconnections_per_net = 1").await;
    let mut relays = Vec::new();
    for _ in 0..3 {
        relays.push(relay(&world, "send.2").await);
    }
    let customer = world.client("acme").await;
    let mut another = Client::connect_from("127.0.0.1", world.door("send.0")).await;
    assert_eq!(another.hear().await.code, 421, "a customer is");
    drop(customer);
    let message = letter("news@acme.example");
    assert_eq!(relays[2].send("news@acme.example", &message).await.code, 250);
}

#[tokio::test]
async fn a_relay_of_no_account_is_warned_of_at_the_start() {
    let listeners = ["account:acme", "account:initech"].map(|from| relay_listener("127.0.0.1", from));
    let world = World::of(Plan { more: listeners.concat(), ..Plan::default() }).await;
    let log = world.log();
    let warned: Vec<&str> = log.lines().filter(|line| line.contains("a relay names an account")).collect();
    let [line] = warned.as_slice() else { panic!("{log}") };
    assert!(line.contains("there is no account `initech`"), "{line}");
}

#[tokio::test]
async fn a_blocked_account_is_refused_at_the_end_also_through_a_relay() {
    let world = world("").await;
    world.cli(&["account", "block", "acme", "--reason", "a stolen password"]).await.expect_code(0);
    let mut client = relay(&world, "send.3").await;
    let message = named("X-Account: acme\r\n", "news@acme.example");
    let reply = client.send("news@acme.example", &message).await;
    assert_eq!(reasons(&world, &reply).await, ["account-blocked"], "{reply:?}");
    let from = "news@globex.example";
    assert_eq!(client.send(from, &named("X-Account: globex\r\n", from)).await.code, 250);
}

#[tokio::test]
async fn a_refused_recipient_fails_a_message_whose_account_was_not_known_yet() {
    let world = world("").await;
    let mut client = relay(&world, "send.3").await;
    let message = named("X-Account: acme\r\n", "news@acme.example");
    for (words, code, reason) in
        [("550 5.1.1 nobody here", 550, "recipient-refused"), ("450 4.2.1 later", 451, "recipient-deferred")]
    {
        world.sink.once(On::Rcpt("bo@".to_owned()), Act::Reply(words.to_owned()));
        assert_eq!(
            client.envelope("news@acme.example", &["cy@reader.example", "bo@reader.example"]).await.code,
            354
        );
        client.write(&stuffed(&message)).await;
        let reply = client.hear().await;
        assert_eq!(reply.code, code, "{reply:?}");
        assert!(reply.text().contains(words), "{reply:?}");
        assert_eq!(reasons(&world, &reply).await, [reason]);
    }
    world.sink.close_connections();
    world.sink.once(On::Connect, Act::Close);
    let reply = client.send("news@acme.example", &message).await;
    assert_eq!((reply.code, reasons(&world, &reply).await), (451, vec!["upstream-unavailable".to_owned()]));
    assert_eq!(world.sink.taken(), 0);
    assert_eq!(client.send("news@acme.example", &message).await.code, 250);
}

async fn entry(world: &World, reply: &Reply) -> Value {
    world.json(&["explain", reply.reference().unwrap(), "--json"]).await[0]["payload"].clone()
}
