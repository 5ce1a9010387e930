//! Blocks: an account, one of its logins, a domain. What is blocked lets nothing pass, whatever was under way,
//! also while the ledger cannot write.

use countersign::sandbox::dns::Fault;
use countersign::sandbox::sink::{Act, On};
use rustix::process::{Pid, Resource, Rlimit, prlimit};

use crate::client::{Client, Reply, stuffed};
use crate::world::{KEPT, Plan, World, account, letter, within};

const SENDER: &str = "news@acme.example";

/// Why a reply refuses, as `explain` tells it.
async fn why(world: &World, reply: &Reply) -> String {
    let reference = reply.reference().unwrap_or_else(|| panic!("no ref: {reply:?}"));
    let ruling = world.recorded(reference, "ruling").await;
    ruling["ruling"]["reasons"][0]["code"].as_str().unwrap().to_owned()
}

async fn block(world: &World, arguments: &[&str]) {
    let all: Vec<&str> = [&["account", "block"], arguments, &["--reason", "a stolen password"]].concat();
    world.cli(&all).await.expect_code(0);
}

/// acme with two logins and two domains.
fn two_logins() -> Plan {
    let acme = format!(
        "{}[[account.credential]]\nlogin = \"acme-shop\"\nsecret_file = \"secrets/acme-shop\"\n",
        account("acme", &["acme.example", KEPT])
    );
    Plan { accounts: format!("{acme}{}", account("globex", &["globex.example"])), ..Plan::default() }
}

#[tokio::test]
async fn a_blocked_login_neither_signs_in_nor_sends_and_others_of_the_account_do() {
    let world = World::of(two_logins()).await;
    let (mut stolen, mut other) = (world.client("acme-shop").await, world.client("acme").await);
    let mut inside = world.client("acme-shop").await;
    assert_eq!(inside.envelope(SENDER, &["bo@reader.example"]).await.code, 354);
    block(&world, &["acme", "--credential", "acme-shop"]).await;

    inside.write(&stuffed(&letter(SENDER))).await;
    let late = inside.hear().await;
    assert_eq!((late.code, why(&world, &late).await.as_str()), (550, "credential-blocked"), "{late:?}");
    let open = stolen.ask(&format!("MAIL FROM:<{SENDER}>")).await;
    assert_eq!((open.code, why(&world, &open).await.as_str()), (550, "credential-blocked"), "{open:?}");
    let mut again = Client::connect(world.door("send.0")).await;
    again.ask("EHLO client.example").await;
    let auth = crate::client::plain("acme-shop", &crate::client::password("acme-shop"));
    assert_eq!(again.ask(&format!("AUTH PLAIN {auth}")).await.code, 535);
    assert_eq!(other.send(SENDER, &letter(SENDER)).await.code, 250);

    world.cli(&["account", "unblock", "acme", "--credential", "acme-shop"]).await.expect_code(0);
    assert_eq!(stolen.send(SENDER, &letter("shop@acme.example")).await.code, 250);
    assert_eq!(world.sink.taken(), 2);
}

#[tokio::test]
async fn a_blocked_domain_stops_mail_as_it_and_below_it_for_one_account_or_for_all() {
    let world = World::of(two_logins()).await;
    let (mut acme, mut globex) = (world.client("acme").await, world.client("globex").await);
    block(&world, &["acme", "--domain", "acme.example"]).await;
    let mail = acme.ask(&format!("MAIL FROM:<{SENDER}>")).await;
    assert_eq!((mail.code, why(&world, &mail).await.as_str()), (550, "domain-blocked"), "{mail:?}");
    let from = acme.send("", &letter(SENDER)).await;
    assert_eq!((from.code, why(&world, &from).await.as_str()), (550, "domain-blocked"), "{from:?}");
    assert_eq!(globex.send("a@globex.example", &letter("a@globex.example")).await.code, 250);

    block(&world, &["--domain", "globex.example"]).await;
    let from = globex.send("", &letter("a@globex.example")).await;
    assert_eq!((from.code, why(&world, &from).await.as_str()), (550, "domain-blocked"), "{from:?}");
    for arguments in [&["acme", "--domain", "acme.example"][..], &["--domain", "globex.example"]] {
        world.cli(&[&["account", "unblock"], arguments].concat()).await.expect_code(0);
    }
    assert_eq!(acme.send(SENDER, &letter(SENDER)).await.code, 250);
    assert_eq!(globex.send("", &letter("b@globex.example")).await.code, 250);
}

#[tokio::test]
async fn a_block_that_comes_while_dns_is_asked_is_seen_before_the_message_passes() {
    let world = World::usual().await;
    world.dns.set_fault(Fault::Slow(1000));
    let mut client = world.client("acme").await;
    assert_eq!(client.envelope(SENDER, &["bo@reader.example"]).await.code, 354);
    client.write(&stuffed(&letter(SENDER))).await;
    within(10, "the first question", async {
        while world.dns.asked().is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    block(&world, &["acme"]).await;
    let reply = client.hear().await;
    assert_eq!((reply.code, why(&world, &reply).await.as_str()), (550, "account-blocked"), "{reply:?}");
    assert_eq!(world.sink.taken(), 0);
}

#[tokio::test]
async fn held_mail_of_a_blocked_login_or_domain_is_not_released_and_not_deleted() {
    let world = World::of(two_logins()).await;
    let held = world.send("acme", SENDER, &letter(&format!("ana@{KEPT}"))).await;
    let reference = held.reference().unwrap().to_owned();
    for arguments in [&["acme", "--credential", "acme"][..], &["acme", "--domain", KEPT], &["acme"]] {
        block(&world, arguments).await;
        world.cli(&["held", "release", &reference]).await.expect_code(5);
        world.cli(&[&["account", "unblock"], arguments].concat()).await.expect_code(0);
    }
    world.cli(&["held", "release", &reference]).await.expect_code(0);
    assert_eq!(world.sink.taken(), 1);
}

/// From now on no ruling is recorded: no file may grow, or a table of Postgres is gone. Gives what was before.
async fn fill(world: &World) -> Option<(Option<Pid>, Rlimit)> {
    if world.database.is_some() {
        world.change(&["ALTER TABLE payloads RENAME TO gone"]).await;
        return None;
    }
    let server = Pid::from_raw(world.ready()["pid"].as_i64().unwrap().try_into().unwrap());
    let size = std::fs::metadata(world.path("data/countersign.db-wal")).unwrap().len();
    let full = Rlimit { current: Some(size), maximum: None };
    Some((server, prlimit(server, Resource::Fsize, full).unwrap()))
}

async fn make_room(world: &World, before: Option<(Option<Pid>, Rlimit)>) {
    match before {
        Some((server, before)) => drop(prlimit(server, Resource::Fsize, before).unwrap()),
        None => world.change(&["ALTER TABLE gone RENAME TO payloads"]).await,
    }
}

#[tokio::test]
async fn an_unblock_that_comes_right_after_an_owed_block_is_the_last_word() {
    let mut world = World::usual().await;
    assert_eq!(world.send("acme", SENDER, &letter(SENDER)).await.code, 250);
    let before = fill(&world).await;
    block(&world, &["acme"]).await;
    make_room(&world, before).await;
    world.cli(&["account", "unblock", "acme"]).await.expect_code(0);
    world.restart().await;
    let mail = world.client("acme").await.ask(&format!("MAIL FROM:<{SENDER}>")).await;
    assert_eq!(mail.code, 250, "{mail:?}");
    world.cli(&["ledger", "verify"]).await.expect_code(0);
}

#[tokio::test]
async fn a_block_works_while_the_ledger_cannot_write_and_is_recorded_when_it_can() {
    let mut world = World::usual().await;
    let mut client = world.client("acme").await;
    assert_eq!(client.envelope(SENDER, &["bo@reader.example"]).await.code, 354);
    let before = fill(&world).await;

    let mut other = world.client("globex").await;
    let kept = other.send("a@globex.example", &letter("a@globex.example")).await;
    assert!([451, 452].contains(&kept.code), "nothing is accepted that cannot be recorded: {kept:?}");
    let said = world.cli(&["account", "block", "acme", "--reason", "a stolen password"]).await.expect_code(0);
    assert!(said.stderr.contains("owed"), "{said:?}");
    client.write(&stuffed(&letter(SENDER))).await;
    let late = client.hear().await;
    assert_eq!(late.code, 550, "{late:?}");

    make_room(&world, before).await;
    assert_eq!(why(&world, &late).await, "account-blocked");
    world.restart().await;
    let mail = world.client("acme").await.ask(&format!("MAIL FROM:<{SENDER}>")).await;
    assert_eq!((mail.code, why(&world, &mail).await.as_str()), (550, "account-blocked"), "after a restart");
    assert_eq!(world.send("globex", "a@globex.example", &letter("a@globex.example")).await.code, 250);
    world.cli(&["ledger", "verify"]).await.expect_code(0);
}

#[tokio::test]
async fn a_block_that_comes_while_the_upstream_dallies_is_seen_before_the_first_octet() {
    let world = World::usual().await;
    let held = world.send("acme", SENDER, &letter(&format!("ana@{KEPT}"))).await;
    let mut client = world.client("acme").await;
    assert_eq!(client.envelope(SENDER, &["bo@reader.example"]).await.code, 354);
    for _ in 0..2 {
        world.sink.once(On::Data, Act::Late(1500));
    }
    client.write(&stuffed(&letter(SENDER))).await;
    let command = ["held", "release", held.reference().unwrap()];
    let release = world.cli(&command);
    let block = async {
        within(10, "both at the sink's door", async {
            while world.sink.faults_left() > 0 {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        })
        .await;
        block(&world, &["acme"]).await;
    };
    let (released, ()) = tokio::join!(release, block);
    assert_ne!(released.code, 0, "{released:?}");
    assert_eq!(client.hear().await.code, 451);
    assert_eq!(world.sink.taken(), 0, "not an octet of either went out");
    assert_eq!(world.json(&["held", "ls", "--json"]).await.len(), 1, "nothing is deleted");
}

#[tokio::test]
async fn an_account_that_is_pruned_and_comes_again_is_still_blocked() {
    let mut world = World::usual().await;
    block(&world, &["globex"]).await;
    let both = std::fs::read_to_string(world.path("accounts.toml")).unwrap();
    world.write("accounts.toml", &account("acme", &["acme.example", KEPT]));
    world.cli(&["apply", "accounts.toml", "--trust-proof", "--prune"]).await.expect_code(0);
    world.write("accounts.toml", &both);
    world.cli(&["apply", "accounts.toml", "--trust-proof"]).await.expect_code(0);
    world.restart().await;
    let mut client = world.client("globex").await;
    let mail = client.ask("MAIL FROM:<a@globex.example>").await;
    assert_eq!((mail.code, why(&world, &mail).await.as_str()), (550, "account-blocked"), "{mail:?}");
    world.cli(&["account", "unblock", "globex"]).await.expect_code(0);
    assert_eq!(client.ask("MAIL FROM:<a@globex.example>").await.code, 250);
    world.cli(&["account", "unblock", "globex"]).await.expect_code(2);
}
