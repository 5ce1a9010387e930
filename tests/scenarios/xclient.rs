//! Relays that say who their client is: by XCLIENT, or by MAIL FROM alone.
//! What nginx, Dovecot and Postfix's own tools send is sent here.

use serde_json::Value;

use crate::client::{Client, Reply};
use crate::letters::reasons;
use crate::relay::{relay, relay_listener};
use crate::world::{Plan, World, account, letter};

/// `send.2` reads XCLIENT, `send.3` maps MAIL FROM, `send.4` reads XCLIENT of nobody here.
async fn world(accounts: &str) -> World {
    let listeners = [
        relay_listener("127.0.0.1", "xclient"),
        relay_listener("127.0.0.1", "mail-from-map"),
        relay_listener("192.0.2.0/24", "xclient"),
    ];
    let plan = Plan { more: listeners.concat(), ..Plan::default() };
    let accounts = format!("{}{accounts}", plan.accounts);
    World::of(Plan { accounts, ..plan }).await
}

/// A session in which XCLIENT was answered with a new greeting, and EHLO said again.
async fn introduced(world: &World, attributes: &str) -> Client {
    let mut client = relay(world, "send.2").await;
    let reply = client.ask(&format!("XCLIENT {attributes}")).await;
    assert_eq!(reply.code, 220, "{attributes}: {reply:?}");
    assert!(reply.text().starts_with("gate.esp.example ESMTP"), "{reply:?}");
    assert_eq!(client.ask("MAIL FROM:<news@acme.example>").await.code, 503, "the session begins anew");
    assert_eq!(client.ask("EHLO relay.esp.example").await.code, 250);
    client
}

/// An account whose login has another name.
fn login_of(id: &str, login: &str) -> String {
    account(id, &[&format!("{id}.example")])
        .replace(&format!("login = \"{id}\""), &format!("login = \"{login}\""))
        .replace(&format!("secrets/{id}"), &format!("secrets/{login}"))
}

async fn entry(world: &World, reply: &Reply) -> Value {
    world.json(&["explain", reply.reference().unwrap(), "--json"]).await[0]["payload"].clone()
}

async fn send(client: &mut Client, from: &str) -> Reply {
    client.send(from, &letter(from)).await
}

#[tokio::test]
async fn the_login_of_xclient_names_the_credential_and_its_account() {
    let world = world("").await;
    let attributes =
        "NAME=[UNAVAILABLE] ADDR=192.0.2.9 PORT=49153 PROTO=ESMTP HELO=pc.acme.example LOGIN=acme";
    let mut client = introduced(&world, attributes).await;
    let message = letter("news@acme.example");
    assert_eq!(client.send("news@acme.example", &message).await.code, 250);
    assert_eq!(world.arrival(1).await.message, message);
    let reply = send(&mut client, "news@globex.example").await;
    assert_eq!(reply.code, 550, "{reply:?}");
    let entry = entry(&world, &reply).await;
    assert_eq!(entry["ruling"]["account"], "acme");
    assert_eq!(entry["actor"], "credential:acme");
    let expected = serde_json::json!({ "ip": "192.0.2.9", "helo": "pc.acme.example", "tls": false });
    assert_eq!(entry["client"], expected);
}

#[tokio::test]
async fn attributes_of_several_commands_add_up_and_the_last_word_counts() {
    let world = world("").await;
    let mut client = introduced(&world, "LOGIN=globex").await;
    assert_eq!(client.ask("XCLIENT ADDR=IPV6:2001:db8::9").await.code, 220);
    client.ask("EHLO relay.esp.example").await;
    assert_eq!(send(&mut client, "news@globex.example").await.code, 250);
    assert_eq!(client.ask("XCLIENT LOGIN=acme ADDR=[UNAVAILABLE]").await.code, 220);
    client.ask("EHLO relay.esp.example").await;
    let reply = send(&mut client, "news@globex.example").await;
    assert_eq!(reply.code, 550, "{reply:?}");
    let entry = entry(&world, &reply).await;
    assert_eq!(entry["client"]["ip"], Value::Null);
    assert_eq!(entry["ruling"]["account"], "acme");
}

#[tokio::test]
async fn an_account_without_that_login_is_named_by_its_id() {
    let initech = login_of("initech", "web");
    let world = world(&initech).await;
    for (login, credential) in [("initech", ""), ("web", "web")] {
        let mut client = introduced(&world, &format!("LOGIN={login}")).await;
        let reply = send(&mut client, "news@acme.example").await;
        let entry = entry(&world, &reply).await;
        assert_eq!(entry["ruling"]["account"], "initech", "{reply:?}");
        assert_eq!(entry["actor"], format!("credential:{credential}"));
    }
}

#[tokio::test]
async fn who_names_nobody_or_two_sends_for_nobody() {
    let clash = login_of("shop", "globex");
    let plain = Plan::default();
    let acme = account("acme", &["acme.example"]);
    let globex = login_of("globex", "globex-web");
    let expired = acme.replace("secret_file", "expires = \"2020-01-01T00:00:00Z\"\nsecret_file");
    let bank = account("bank", &["bank.example"])
        .replace("secret_file", "networks = [\"192.0.2.0/28\"]\nsecret_file");
    let accounts = format!("{expired}{globex}{clash}{bank}");
    let more = relay_listener("127.0.0.1", "xclient");
    let world = World::of(Plan { accounts, more, ..plain }).await;
    for (attributes, code, reason, says) in [
        ("ADDR=192.0.2.9", 550, "account-unknown", "no LOGIN was given"),
        ("LOGIN=[UNAVAILABLE]", 550, "account-unknown", "no LOGIN was given"),
        ("LOGIN=nobody", 550, "account-unknown", "`nobody` is neither a login nor the id of an account"),
        ("LOGIN=platform", 550, "account-unknown", "`platform` is neither"),
        ("LOGIN=globex", 550, "account-unknown", "login of account `shop` and the id of another"),
        ("LOGIN=acme", 550, "credential-not-usable", "it has expired"),
        (
            "LOGIN=bank ADDR=198.51.100.9",
            550,
            "credential-not-usable",
            "198.51.100.9 is in none of its networks",
        ),
        ("LOGIN=bank ADDR=[UNAVAILABLE]", 550, "credential-not-usable", "address is not known"),
    ] {
        let mut client = introduced(&world, attributes).await;
        let reply = client.ask("MAIL FROM:<news@acme.example>").await;
        assert_eq!(
            (reply.code, reasons(&world, &reply).await),
            (code, vec![reason.to_owned()]),
            "{attributes}"
        );
        assert!(reply.text().contains(says), "{attributes}: {reply:?}");
    }
    let mut client = introduced(&world, "LOGIN=[TEMPUNAVAIL]").await;
    assert_eq!(client.ask("MAIL FROM:<news@acme.example>").await.code, 451);
    let mut client = relay(&world, "send.2").await;
    let reply = client.ask("MAIL FROM:<news@acme.example>").await;
    assert_eq!(reasons(&world, &reply).await, ["account-unknown"], "without XCLIENT nobody is named");
    let mut client = introduced(&world, "LOGIN=bank ADDR=192.0.2.9").await;
    assert_eq!(client.ask("MAIL FROM:<news@bank.example>").await.code, 250);
    assert_eq!(world.sink.taken(), 0);
}

#[tokio::test]
async fn only_who_is_trusted_sees_xclient() {
    let world = world("").await;
    let mut relay = Client::connect(world.door("send.2")).await;
    let offer = relay.ask("EHLO relay.esp.example").await.lines;
    let line = "XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT";
    assert!(offer.contains(&line.to_owned()), "{offer:?}");
    for command in ["XCLIENT", "XCLIENT USER=acme", "XCLIENT LOGIN=a LOGIN=b", "XCLIENT ADDR=2001:db8::9"] {
        assert_eq!(relay.ask(command).await.code, 501, "{command}");
    }
    let mut stranger = Client::connect_from("127.0.0.1", world.door("send.4")).await;
    assert_eq!(stranger.hear().await.code, 554);
    for door in ["send.0", "send.3"] {
        let mut client = Client::connect(world.door(door)).await;
        let offer = client.ask("EHLO client.example").await.lines;
        assert!(!offer.iter().any(|line| line.starts_with("XCLIENT")), "{door}: {offer:?}");
        assert_eq!(client.ask("XCLIENT LOGIN=acme").await.code, 500, "{door}");
    }
}

#[tokio::test]
async fn xclient_inside_a_transaction_is_refused() {
    let world = world("").await;
    let mut client = introduced(&world, "LOGIN=acme").await;
    assert_eq!(client.ask("MAIL FROM:<news@acme.example>").await.code, 250);
    assert_eq!(client.ask("XCLIENT LOGIN=globex").await.code, 503);
    assert_eq!(client.ask("RSET").await.code, 250);
    assert_eq!(send(&mut client, "news@acme.example").await.code, 250);
}

#[tokio::test]
async fn a_blocked_login_is_blocked_also_through_xclient() {
    let world = world("").await;
    let block = ["account", "block", "acme", "--credential", "acme", "--reason", "a stolen password"];
    world.cli(&block).await.expect_code(0);
    let mut client = introduced(&world, "LOGIN=acme").await;
    let reply = client.ask("MAIL FROM:<news@acme.example>").await;
    assert_eq!(reasons(&world, &reply).await, ["credential-blocked"], "{reply:?}");
}

#[tokio::test]
async fn the_domain_of_mail_from_names_the_account() {
    let wide = account("wide", &["wide.example"])
        .replace("name = \"wide.example\"", "name = \"wide.example\"\nscope = \"subdomains\"");
    let twice = ["one", "two"].map(|id| account(id, &["both.example"]));
    let claim = account("claim", &["a.wide.example"]).replace("proved = true", "proved = false");
    let world = world(&format!("{wide}{}{claim}", twice.concat())).await;
    let mut client = relay(&world, "send.3").await;
    for from in ["news@acme.example", "news@globex.example"] {
        assert_eq!(send(&mut client, from).await.code, 250, "{from}");
    }
    let reply = client.send("news@acme.example", &letter("news@globex.example")).await;
    assert_eq!(reasons(&world, &reply).await, ["from-not-yours"], "{reply:?}");
    assert_eq!(entry(&world, &reply).await["ruling"]["account"], "acme");
    for (from, says) in [
        ("", "`<>`, which is nobody's"),
        ("a@nobody.example", "no account has proved `nobody.example`"),
        ("a@sub.acme.example", "no account has proved `sub.acme.example`"),
        ("a@both.example", "more than one account has proved `both.example`"),
    ] {
        let reply = client.ask(&format!("MAIL FROM:<{from}>")).await;
        assert_eq!(reasons(&world, &reply).await, ["account-unknown"], "{from}: {reply:?}");
        assert!(reply.text().contains(says), "{reply:?}");
    }
    for from in ["a@wide.example", "a@x.wide.example", "a@a.wide.example"] {
        assert_eq!(client.ask(&format!("MAIL FROM:<{from}>")).await.code, 250, "{from}");
        assert_eq!(client.ask("RSET").await.code, 250);
    }
    world.cli(&["account", "block", "globex", "--reason", "a stolen password"]).await.expect_code(0);
    let reply = client.ask("MAIL FROM:<news@globex.example>").await;
    assert_eq!(reasons(&world, &reply).await, ["account-blocked"], "{reply:?}");
}
