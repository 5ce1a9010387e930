//! DNS that fails, and DNS that says no: nothing passes on missing evidence, and a no is told as what it is.
//! Silence is 451 within its budget, heals by itself, and never stands in the way of a plain refusal.

use std::time::Duration;

use countersign::net::record::RecordKind;
use countersign::sandbox::dns::{Fault, ZoneMap};
use tokio::time::Instant;

use crate::client::Reply;
use crate::letters::reasons;
use crate::world::{Plan, World, account, letter, zones};

#[tokio::test]
async fn nothing_passes_on_missing_evidence_and_recovery_needs_no_restart() {
    tokio::join!(
        fails_closed_and_recovers(Fault::Silent),
        fails_closed_and_recovers(Fault::ServFail),
        fails_closed_and_recovers(Fault::Refused),
        fails_closed_and_recovers(Fault::Garbage),
        fails_closed_and_recovers(Fault::Slow(4000)),
    );
}

async fn fails_closed_and_recovers(fault: Fault) {
    let world = World::usual().await;
    world.dns.set_fault(fault);
    let mut client = world.client("acme").await;
    let began = Instant::now();
    let reply = client.send("news@acme.example", &letter("news@acme.example")).await;
    let took = began.elapsed();
    println!("{fault:?}: 451 after {} ms", took.as_millis());
    assert_eq!((reply.code, reply.enhanced()), (451, "4.7.1"), "{reply:?}");
    assert_eq!(reasons(&world, &reply).await, ["domain-unavailable", "spf-unavailable"]);
    assert!(took < Duration::from_secs(6), "{took:?}");

    let foreign = world.send("acme", "news@acme.example", &letter("service@bank.example")).await;
    assert_eq!(foreign.code, 550, "{foreign:?}");
    assert_eq!(reasons(&world, &foreign).await, ["from-not-yours"]);
    let asked = world.dns.asked();
    assert!(!asked.iter().any(|(name, _)| name.contains("bank")), "a plain refusal asks nobody: {asked:?}");
    assert_eq!(world.sink.taken(), 0);

    world.dns.set_fault(Fault::None);
    let healed = Instant::now();
    while acme(&world).await.code != 250 {
        assert!(healed.elapsed() < Duration::from_secs(10), "no recovery");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    println!("{fault:?}: recovery after {} ms", healed.elapsed().as_millis());
    assert_eq!(world.arrival(1).await.message, letter("news@acme.example"));
}

async fn acme(world: &World) -> Reply {
    world.send("acme", "news@acme.example", &letter("news@acme.example")).await
}

#[tokio::test]
async fn a_gap_in_the_evidence_is_451_and_names_the_gap() {
    let ours = "v=spf1 include:spf.esp.example -all";
    let zones = zones()
        .mx("half.example", 10, "mx.esp.example")
        .txt("half.example", "v=spf1 include:dead.example -all")
        .mx("other.example", 10, "mx.esp.example")
        .txt("other.example", "v=spf1 include:broken.example -all")
        .txt("unheard.example", ours)
        .silent("dead.example")
        .servfail("broken.example")
        .fault("mail.unheard.example", Fault::Silent);
    let zones = zones.mx("mail.unheard.example", 10, "mx.esp.example");
    let domains = ["acme.example", "half.example", "other.example", "mail.unheard.example"];
    let world = World::of(Plan { zones, accounts: account("acme", &domains), ..Plan::default() }).await;
    let expected: [(&str, &[&str]); 3] = [
        ("half.example", &["spf-unavailable"]),
        ("other.example", &["spf-unavailable"]),
        ("mail.unheard.example", &["domain-unavailable", "spf-unavailable"]),
    ];
    for (domain, codes) in expected {
        let reply = from(&world, domain).await;
        assert_eq!(reply.code, 451, "{domain}: {reply:?}");
        assert_eq!(reasons(&world, &reply).await, codes, "{domain}");
    }
    assert_eq!(world.sink.taken(), 0);
}

#[tokio::test]
async fn a_record_that_takes_too_long_is_451_within_the_budget() {
    let slow = ["a", "b", "c", "d", "e", "f"].map(|label| format!("{label}.slow.example"));
    let zones = zones().mx("chain.example", 10, "mx.esp.example").fault("slow.example", Fault::Slow(1200));
    let zones = slow.iter().fold(zones, |zones, name| zones.txt(name, &record_to(name)));
    let zones = zones.txt("chain.example", "v=spf1 include:a.slow.example -all");
    let world =
        World::of(Plan { zones, accounts: account("acme", &["chain.example"]), ..Plan::default() }).await;
    let mut client = world.client("acme").await;
    let began = Instant::now();
    let reply = client.send("", &letter("a@chain.example")).await;
    println!("a slow chain: 451 after {} ms", began.elapsed().as_millis());
    assert_eq!(reply.code, 451, "{reply:?}");
    assert_eq!(reasons(&world, &reply).await, ["spf-unavailable"]);
    assert!(began.elapsed() < Duration::from_secs(6));
}

/// A record that includes the next name of the chain; the last one authorises us.
fn record_to(name: &str) -> String {
    match name.as_bytes()[0] {
        b'f' => "v=spf1 ip4:192.0.2.0/28 -all".to_owned(),
        label => format!("v=spf1 include:{}.slow.example -all", char::from(label + 1)),
    }
}

/// What DNS says of a domain, and what the sender hears.
const NO: [(&str, &str, &str); 9] = [
    ("gone.example", "5.1.8", "domain-not-found"),
    ("empty.example", "5.1.8", "domain-not-found"),
    ("null.example", "5.7.27", "domain-null-mx"),
    ("fail.example", "5.7.23", "spf-fail"),
    ("soft.example", "5.7.23", "spf-fail"),
    ("neutral.example", "5.7.23", "spf-fail"),
    ("none.example", "5.7.23", "spf-fail"),
    ("everyone.example", "5.7.23", "spf-fail"),
    ("broken.example", "5.7.23", "spf-fail"),
];

fn zones_that_say_no() -> ZoneMap {
    let records = [
        ("null.example", "v=spf1 include:spf.esp.example -all"),
        ("fail.example", "v=spf1 ip4:203.0.113.7 -all"),
        ("soft.example", "v=spf1 ip4:203.0.113.7 ~all"),
        ("neutral.example", "v=spf1 ?all"),
        ("everyone.example", "v=spf1 +all"),
        ("broken.example", "v=spf1 ip4:not-an-address -all"),
    ];
    let zones = records.iter().fold(zones(), |zones, (domain, record)| zones.txt(domain, record));
    let zones = zones.txt("empty.example", "a text").txt("none.example", "a text").mx("null.example", 0, ".");
    NO[3..].iter().fold(zones, |zones, (domain, _, _)| zones.mx(domain, 10, "mx.esp.example"))
}

#[tokio::test]
async fn what_dns_denies_is_refused_with_its_own_code() {
    let domains = NO.map(|(domain, _, _)| domain);
    let accounts = account("acme", &domains);
    let world = World::of(Plan { zones: zones_that_say_no(), accounts, ..Plan::default() }).await;
    for (domain, enhanced, code) in NO {
        let reply = from(&world, domain).await;
        assert_eq!((reply.code, reply.enhanced()), (550, enhanced), "{domain}: {reply:?}");
        assert!(reply.text().contains(domain), "{reply:?}");
        assert_eq!(reasons(&world, &reply).await[0], code, "{domain}");
    }
    assert_eq!(world.sink.taken(), 0);
}

#[tokio::test]
async fn an_egress_address_that_spf_does_not_cover_is_named() {
    for uncovered in ["198.51.100.7", "2001:db8::25"] {
        let upstream = format!("egress = [\"192.0.2.0/28\", \"{uncovered}\"]");
        let world = World::of(Plan { upstream, ..Plan::default() }).await;
        let reply = acme(&world).await;
        assert_eq!((reply.code, reply.enhanced()), (550, "5.7.23"), "{reply:?}");
        let entries = world.json(&["explain", reply.reference().unwrap(), "--json"]).await;
        let evidence = entries[0]["payload"]["ruling"]["evidence"].as_array().unwrap().clone();
        let spf = evidence.iter().find(|fact| fact["kind"] == "spf").unwrap();
        assert_eq!((&spf["finding"], &spf["value"]["address"]), (&"fail".into(), &uncovered.into()), "{spf}");
        let story = world.cli(&["explain", reply.reference().unwrap()]).await.expect_code(0).stdout;
        assert!(story.contains(&format!("gives `fail` for {uncovered}")), "{story}");
    }
}

#[tokio::test]
async fn an_authorisation_that_is_lost_holds_the_letter() {
    let domains = ["acme.example", "short.example"];
    let zones = zones().ttl(0).mx("short.example", 10, "mx.esp.example");
    let zones = zones.txt("short.example", "v=spf1 include:spf.esp.example -all");
    let world = World::of(Plan { zones, accounts: account("acme", &domains), ..Plan::default() }).await;
    // One session: its next command shows that the first letter's answer was heard.
    let mut client = world.client("acme").await;
    let message = letter("a@short.example");
    assert_eq!(client.send("", &message).await.code, 250);
    world.dns.remove("short.example", RecordKind::Txt);
    let reply = client.send("", &message).await;
    assert!(reply.text().starts_with("2.0.0 held ref="), "{reply:?}");
    assert_eq!(reasons(&world, &reply).await, ["spf-lost"]);
    assert_eq!(world.sink.taken(), 1);
}

/// A letter of acme by an author in a domain.
async fn from(world: &World, domain: &str) -> Reply {
    world.send("acme", "", &letter(&format!("a@{domain}"))).await
}

#[tokio::test]
async fn a_reverse_path_that_spf_does_not_authorise_is_refused_in_its_own_name() {
    let zones = zones().mx("bounces.example", 10, "mx.esp.example").txt("bounces.example", "v=spf1 -all");
    let accounts = account("acme", &["acme.example", "bounces.example"]);
    let world = World::of(Plan { zones, accounts, ..Plan::default() }).await;
    assert_eq!(acme(&world).await.code, 250, "the author's own SPF has passed");
    let reply = world.send("acme", "b@bounces.example", &letter("news@acme.example")).await;
    assert_eq!((reply.code, reply.enhanced()), (550, "5.7.23"), "not held: {reply:?}");
    assert_eq!(reasons(&world, &reply).await, ["spf-fail"]);
    assert!(reply.lines.join(" ").contains("bounces.example"), "{reply:?}");
}
