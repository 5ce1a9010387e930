//! The PROXY protocol: behind a load balancer the client is who the header says, and nobody else is believed.
//! The balancer is played with its octets.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde_json::Value;

use crate::client::{Client, password, plain};
use crate::world::{Plan, World, account, letter};

/// `send.2` takes headers from 127.0.0.2, `send.3` from 127.0.0.2 inside of which TLS begins at once.
async fn world(more: &str) -> World {
    let listener = |lines: &str| {
        format!(
            "[[send.listener]]\nlisten = \"127.0.0.1:0\"\nproxy_protocol = [\"127.0.0.2\"]\n\
             plaintext = \"loopback\"\n{lines}\n"
        )
    };
    let relay =
        "kind = \"relay\"\ntls = \"off\"\ntrusted = [\"192.0.2.0/28\"]\naccount_from = \"account:acme\"";
    let relay = listener(relay).replace("plaintext = \"loopback\"\n", "");
    let listeners = [listener(""), listener("tls = \"implicit\""), relay];
    let networks = "id = \"acme\"\nnetworks = [\"192.0.2.9\", \"2001:db8::/32\"]\n";
    let acme = account("acme", &["acme.example"]).replacen("id = \"acme\"\n", networks, 1);
    let accounts = acme + &account("globex", &["globex.example"]);
    World::of(Plan { accounts, more: format!("{more}\n{}", listeners.concat()), ..Plan::default() }).await
}

/// A header of version 2 for TCP.
fn header(client: &str) -> Vec<u8> {
    let (family, addresses) = match client.parse().unwrap() {
        IpAddr::V4(v4) => (0x11, [v4.octets(), Ipv4Addr::LOCALHOST.octets()].concat()),
        IpAddr::V6(v6) => (0x21, [v6.octets(), Ipv6Addr::LOCALHOST.octets()].concat()),
    };
    let length = u16::try_from(addresses.len() + 4).unwrap().to_be_bytes();
    [b"\r\n\r\n\0\r\nQUIT\n\x21", &[family][..], &length, &addresses, &[0xc0, 1, 2, 0x4b]].concat()
}

const LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";
const BALANCER: &str = "127.0.0.2";

/// A connection of the balancer that has sent these octets.
async fn balanced(world: &World, door: &str, octets: &[u8]) -> Client {
    let mut client = Client::connect_from(BALANCER, world.door(door)).await;
    client.write(octets).await;
    client
}

/// The same, greeted.
pub(crate) async fn greeted(world: &World, door: &str, client: &str) -> Client {
    let mut client = balanced(world, door, &header(client)).await;
    assert_eq!(client.hear().await.code, 220);
    client.ask("EHLO client.example").await;
    client
}

async fn ruled_ip(world: &World, reference: &str) -> Value {
    world.json(&["explain", reference, "--json"]).await[0]["payload"]["client"]["ip"].clone()
}

#[tokio::test]
async fn who_the_header_names_is_the_client_for_networks_and_the_ledger() {
    let world = world("").await;
    for (ip, code) in [("192.0.2.9", 250), ("2001:db8::9", 250), ("198.51.100.9", 550)] {
        let client = greeted(&world, "send.2", ip).await.start_tls().await;
        let reply = sent(client).await;
        assert_eq!(reply.code, code, "{ip}: {reply:?}");
        let trace = world.sink.messages().last().map(|message| message.message.clone()).unwrap();
        let reference = match reply.reference() {
            Some(reference) => reference.to_owned(),
            None => String::from_utf8_lossy(&trace).split("ref=").nth(1).unwrap()[..10].to_owned(),
        };
        assert_eq!(ruled_ip(&world, &reference).await, ip);
    }
}

async fn sent(mut client: Client) -> crate::client::Reply {
    client.ask("EHLO client.example").await;
    assert_eq!(client.ask(&format!("AUTH PLAIN {}", plain("acme", &password("acme")))).await.code, 235);
    let reply = client.send("news@acme.example", &letter("news@acme.example")).await;
    assert_eq!(client.ask("QUIT").await.code, 221);
    reply
}

#[tokio::test]
async fn the_header_comes_before_tls() {
    let world = world("").await;
    let mut client = balanced(&world, "send.3", &header("192.0.2.9")).await.handshake().await;
    assert_eq!(client.hear().await.code, 220);
    assert_eq!(sent(client).await.code, 250);
}

#[tokio::test]
async fn a_balancer_that_says_nothing_or_nonsense_hears_nothing() {
    let world = world("").await;
    let mut long = header("192.0.2.9");
    long[14] = 0x20;
    for (octets, why) in [
        (b"EHLO client.example\r\n".to_vec(), "no PROXY header"),
        (b"PROXY TCP4 192.0.2.9 127.0.0.1 49153 587\r\nEHLO a\r\n".to_vec(), "send-proxy-v2"),
        (b"PROXY UNKNOWN\r\n".to_vec(), "send-proxy-v2"),
        (long, "more than are read"),
        (header("192.0.2.9")[..20].to_vec(), "within 5 s"),
        (Vec::new(), "within 5 s"),
    ] {
        let replies = balanced(&world, "send.2", &octets).await.until_closed_within(20).await;
        assert!(replies.is_empty(), "{why}: {replies:?}");
        let log = world.log();
        let line = log.lines().rfind(|line| line.contains("a connection of a balancer is closed")).unwrap();
        assert!(line.contains(why) && line.contains("127.0.0.2"), "{why}: {line}");
    }
}

#[tokio::test]
async fn a_peer_that_is_no_balancer_is_not_believed() {
    let world = world("").await;
    let mut client = Client::connect_from("127.0.0.1", world.door("send.2")).await;
    assert_eq!(client.hear().await.code, 220, "it is a client like any other");
    client.write(&header("192.0.2.9")).await;
    let replies = client.until_closed().await;
    assert!(replies.iter().all(|reply| reply.code == 500) && !replies.is_empty(), "{replies:?}");
}

#[tokio::test]
async fn a_check_of_the_balancer_is_the_balancer_itself() {
    let world = world("").await;
    let mut client = balanced(&world, "send.2", LOCAL).await;
    assert_eq!(client.hear().await.code, 220);
    assert_eq!(client.ask("QUIT").await.code, 221);
}

#[tokio::test]
async fn the_loopback_of_the_balancer_is_ours_only_if_the_balancer_is() {
    let world = world("").await;
    for (ip, offered) in [("127.0.0.1", true), ("192.0.2.9", false)] {
        let mut client = balanced(&world, "send.2", &header(ip)).await;
        assert_eq!(client.hear().await.code, 220);
        let offer = client.ask("EHLO client.example").await.lines;
        assert_eq!(offer.iter().any(|line| line.starts_with("AUTH")), offered, "{ip}: {offer:?}");
    }
}

#[tokio::test]
async fn sessions_and_guesses_are_counted_for_whom_the_header_names() {
    let limits = "[limits]\nconnections_per_ip = 1\n[limits.auth_failures]\nnet = 1";
    let world = world(limits).await;
    let first = greeted(&world, "send.2", "192.0.2.9").await;
    let mut second = balanced(&world, "send.2", &header("192.0.2.9")).await;
    assert_eq!(second.hear().await.code, 421);
    let mut other = greeted(&world, "send.2", "192.0.2.10").await.start_tls().await;
    drop(first);
    other.ask("EHLO client.example").await;
    let wrong = format!("AUTH PLAIN {}", plain("nobody", "wrong"));
    assert_eq!(other.ask(&wrong).await.code, 535);
    assert_eq!(other.ask(&wrong).await.code, 454, "the network 192.0.2.0/24 has had its guess");
    let mut elsewhere = greeted(&world, "send.2", "198.51.100.9").await.start_tls().await;
    elsewhere.ask("EHLO client.example").await;
    assert_eq!(elsewhere.ask(&wrong).await.code, 535, "another has not");
}

#[tokio::test]
async fn a_relay_behind_a_balancer_is_trusted_by_its_own_address() {
    let world = world("").await;
    let mut relay = balanced(&world, "send.4", &header("192.0.2.9")).await;
    assert_eq!(relay.hear().await.code, 220);
    let mut stranger = balanced(&world, "send.4", &header("198.51.100.9")).await;
    assert_eq!(stranger.hear().await.code, 554);
    let mut balancer = balanced(&world, "send.4", LOCAL).await;
    assert_eq!(balancer.hear().await.code, 554);
}
