//! Postfix on both sides: in front of a relay listener, which finds the account by MAIL FROM, and behind us, told
//! with XCLIENT whose mail it is.

use std::time::Duration;

use super::mta::{self, Postfix};
use crate::client::Client;
use crate::letters::reasons;
use crate::proxy;
use crate::relay::relay_listener;
use crate::world::{Plan, World, account, letter, repository, within};

#[tokio::test]
async fn a_postfix_in_front_hands_its_customers_answers_on() {
    if !mta::is_here() {
        return;
    }
    let more = relay_listener("127.0.0.1", "mail-from-map");
    let world = World::of(Plan { more, ..Plan::default() }).await;
    let port = mta::free_port();
    let filter = format!("  -o smtpd_proxy_filter=127.0.0.1:{}\n", world.door("send.2").port());
    let mut postfix = Postfix::start_with(port, world.sink.address(), &filter).await;
    let mut customer = Client::connect(([127, 0, 0, 1], port).into()).await;
    assert_eq!(customer.ask("EHLO customer.example").await.code, 250);
    let reply = customer.send("news@acme.example", &letter("news@acme.example")).await;
    assert_eq!((reply.code, reply.text().as_str()), (250, "2.0.0 kept"), "{reply:?}");
    let arrival = world.arrival(1).await;
    assert!(arrival.trace.contains("decision=allow"), "{}", arrival.trace);
    assert!(arrival.message.ends_with(&letter("news@acme.example")), "behind Postfix's own Received");
    for (from, author, reason) in [
        ("news@acme.example", "news@globex.example", "from-not-yours"),
        ("a@nobody.example", "a@nobody.example", "account-unknown"),
    ] {
        let reply = customer.send(from, &letter(author)).await;
        assert_eq!(reply.code, 550, "{from}: {reply:?}");
        assert_eq!(reasons(&world, &reply).await, [reason], "{reply:?}");
    }
    assert_eq!(world.sink.taken(), 1);
    within(10, "the end of Postfix", postfix.stop()).await;
}

#[tokio::test]
async fn a_postfix_behind_us_sees_the_customer() {
    if !mta::is_here() {
        return;
    }
    let port = mta::free_port();
    let acme = account("acme", &["acme.example"]).replacen(
        "id = \"acme\"",
        "id = \"acme\"\nupstream = \"postfix\"",
        1,
    );
    let more = format!(
        "[[send.upstream]]\nname = \"postfix\"\nurl = \"smtp://127.0.0.1:{port}\"\negress = [\"192.0.2.0/28\"]\n\
         xclient = true\n[[send.listener]]\nlisten = \"127.0.0.1:0\"\nproxy_protocol = [\"127.0.0.2\"]\n"
    );
    let mut world = World::without_server(Plan { accounts: acme, more, ..Plan::default() }).await;
    // As docs/how-to/relay.md says.
    let page = std::fs::read_to_string(repository().join("docs/how-to/relay.md")).unwrap();
    let believes = page.split("```").find(|block| block.contains("smtpd_authorized_xclient_hosts")).unwrap();
    // This Postfix speaks IPv4 only, and believes nobody about an address that it does not know.
    let believes = format!("{}  -o inet_protocols=all\n", believes.trim_start_matches('\n'));
    let mut postfix = Postfix::start_with(port, world.sink.address(), &believes).await;
    world.start().await;
    for ip in ["192.0.2.9", "2001:db8::9"] {
        let mut client = proxy::greeted(&world, "send.2", ip).await.start_tls().await;
        client.ask("EHLO pc.acme.example").await;
        let plain = crate::client::plain("acme", &crate::client::password("acme"));
        assert_eq!(client.ask(&format!("AUTH PLAIN {plain}")).await.code, 235);
        let message = [letter("news@acme.example"), ip.as_bytes().to_vec()].concat();
        let reply = client.send("news@acme.example", &message).await;
        assert!(reply.code == 250 && reply.text().contains("queued as"), "{reply:?}");
    }
    assert_eq!(world.sink.wait_for(2, Duration::from_secs(20)).await.len(), 2, "{}", postfix.log());
    let log = postfix.log();
    for ip in ["192.0.2.9", "2001:db8::9"] {
        let line = log.lines().find(|line| line.contains(&format!("client=unknown[{ip}]")));
        let line = line.unwrap_or_else(|| panic!("{ip} is not known to Postfix:\n{log}"));
        assert!(line.contains("sasl_username=acme"), "{line}");
    }
    assert_eq!(world.terminate().await.0, Some(0));
    within(10, "the end of Postfix", postfix.stop()).await;
}
