//! Day caps: a login sends so many messages in a day, an account writes to so many new people, and no more,
//! whoever asks at the same time.

use std::time::Duration;

use countersign::sandbox::sink::{Act, On};
use tokio::task::JoinSet;

use crate::client::{Client, Reply, stuffed};
use crate::clock::Timed;
use crate::world::{Plan, World, account, letter, within};

#[tokio::test]
async fn a_login_sends_no_more_in_a_day_than_it_may() {
    let timed = Timed::of(capped("per_credential_day = 3")).await;
    for _ in 0..3 {
        assert_eq!(send(&mut timed.client("acme").await, &["bo@reader.example"]).await.code, 250);
    }
    let mut client = timed.client("acme").await;
    let reply = send(&mut client, &["bo@reader.example"]).await;
    assert_eq!(reply.code, 451, "{reply:?}");
    assert!(reply.text().contains("4.7.1 This login has sent as many messages today"), "{reply:?}");
    let reference = reply.reference().unwrap().to_owned();
    let ruling = timed.world.recorded(&reference, "ruling").await["ruling"].clone();
    assert_eq!(ruling["reasons"][0]["code"], "limit-credential-day");
    let limits = ruling["evidence"].as_array().unwrap().iter().find(|e| e["kind"] == "limits").unwrap();
    assert_eq!((&limits["value"]["sent_today"], &limits["value"]["credential_cap"]), (&3.into(), &3.into()));
    let mut other = timed.client("globex").await;
    let globex = other.send("news@globex.example", &letter("news@globex.example")).await;
    assert_eq!(globex.code, 250, "another login has its own count: {globex:?}");
    timed.pass(86_400).await;
    assert_eq!(send(&mut client, &["bo@reader.example"]).await.code, 250, "tomorrow is another day");
    timed.close().await.cli(&["ledger", "verify"]).await.expect_code(0);
}

#[tokio::test]
async fn the_smaller_cap_wins() {
    let mut plan = capped("per_credential_day = 3");
    plan.accounts = plan.accounts.replace("login = \"acme\"\n", "login = \"acme\"\ndaily_cap = 1\n");
    plan.accounts = plan.accounts.replace("login = \"globex\"\n", "login = \"globex\"\ndaily_cap = 900\n");
    let world = World::of(plan).await;
    let mut acme = world.client("acme").await;
    assert_eq!(send(&mut acme, &["bo@reader.example"]).await.code, 250);
    assert_eq!(send(&mut acme, &["bo@reader.example"]).await.code, 451);
    let mut globex = world.client("globex").await;
    for number in 0..4 {
        let reply = send_as(&mut globex, "news@globex.example", &["bo@reader.example"]).await;
        assert_eq!(reply.code, if number < 3 { 250 } else { 451 }, "{reply:?}");
    }
}

#[tokio::test]
async fn many_at_once_do_not_exceed_a_cap() {
    let world = World::of(capped("per_credential_day = 5\nnew_recipients_day = 1000")).await;
    let mut clients = Vec::new();
    for _ in 0..16 {
        clients.push(world.client("acme").await);
    }
    let mut sending = JoinSet::new();
    for (number, mut client) in clients.into_iter().enumerate() {
        sending.spawn(async move { send(&mut client, &[&format!("r{number}@reader.example")]).await });
    }
    let mut replies = sending.join_all().await;
    replies.sort_unstable_by_key(|reply| reply.code);
    let codes: Vec<u16> = replies.iter().map(|reply| reply.code).collect();
    assert_eq!((&codes[..5], &codes[5..]), (&[250; 5][..], &[451; 11][..]));
    for reply in &replies[5..] {
        assert!(reply.text().contains("This login has sent as many messages today"), "{reply:?}");
    }
    assert_eq!(world.sink.taken(), 5);
    world.cli(&["ledger", "verify"]).await.expect_code(0);
}

#[tokio::test]
async fn a_message_that_the_mail_server_did_not_take_is_not_counted() {
    let world = World::of(capped("per_credential_day = 1\nnew_recipients_day = 1")).await;
    let mut client = world.client("acme").await;
    let faults = ["451 4.3.0 busy", "554 5.6.0 no"].map(|reply| Act::Reply(reply.to_owned()));
    for (number, fault) in faults.into_iter().enumerate() {
        world.sink.once(On::End, fault.clone());
        let reply = send(&mut client, &["bo@reader.example"]).await;
        assert_eq!(Act::Reply(format!("{} {}", reply.code, reply.text())), fault);
        until_outcomes(&world, number + 1).await;
    }
    world.sink.once(On::End, Act::Close);
    let doubtful = send(&mut client, &["bo@reader.example"]).await;
    assert_eq!(world.outcome(doubtful.reference().unwrap()).await["result"], "in-doubt");
    let reply = send(&mut client, &["bo@reader.example"]).await;
    assert_eq!(reply.code, 451, "one that may have been sent is counted: {reply:?}");
    assert!(reply.text().contains("This login has sent as many messages today"), "{reply:?}");
    assert_eq!(world.sink.taken(), 0);
}

#[tokio::test]
async fn an_account_writes_to_so_many_new_people_in_a_day() {
    let timed = Timed::of(capped("new_recipients_day = 2")).await;
    let mut client = timed.client("acme").await;
    let (bo, cy, di) = ("bo@reader.example", "cy@reader.example", "di@reader.example");
    let reply = send(&mut client, &[bo, cy, di]).await;
    assert_eq!(reply.code, 451, "{reply:?}");
    assert!(reply.text().contains("as many new recipients today"), "{reply:?}");
    assert_eq!(send(&mut client, &[bo, cy]).await.code, 250);
    assert_eq!(send(&mut client, &[di]).await.code, 451);
    assert_eq!(send(&mut client, &[cy, "BO@reader.example"]).await.code, 250, "they are known by now");
    timed.pass(86_400).await;
    assert_eq!(send(&mut client, &[bo, di]).await.code, 250);
    let world = timed.close().await;
    assert!(world.anybody_reads("acme"), "what is no secret is read");
    assert!(!world.anybody_reads(bo), "nobody reads an address in the store");
}

#[tokio::test]
async fn observe_lets_pass_what_exceeds_a_cap_and_says_so() {
    let mut plan = capped("per_credential_day = 1");
    plan.send = "mode = \"observe\"".to_owned();
    let world = World::of(plan).await;
    let mut client = world.client("acme").await;
    assert_eq!(send(&mut client, &["bo@reader.example"]).await.code, 250);
    assert_eq!(send(&mut client, &["bo@reader.example"]).await.code, 250);
    let trace = world.arrival(2).await.trace;
    assert!(trace.contains("decision=hold; mode=observe"), "{trace}");
}

#[tokio::test]
async fn what_cannot_be_counted_waits() {
    let world = World::of(capped("per_credential_day = 5")).await;
    let mut client = world.client("acme").await;
    assert_eq!(send(&mut client, &["bo@reader.example"]).await.code, 250);
    world.change(&["ALTER TABLE day_counts RENAME TO gone"]).await;
    let reply = send(&mut client, &["bo@reader.example"]).await;
    assert_eq!(reply.code, 451, "{reply:?}");
    assert!(reply.text().contains("cannot count now"), "{reply:?}");
    world.change(&["ALTER TABLE gone RENAME TO day_counts"]).await;
    assert_eq!(send(&mut client, &["bo@reader.example"]).await.code, 250);
}

#[tokio::test]
async fn without_a_cap_nothing_is_counted() {
    let world = World::usual().await;
    assert_eq!(send(&mut world.client("acme").await, &["bo@reader.example"]).await.code, 250);
    for table in ["SELECT COUNT(*) AS n FROM day_counts", "SELECT COUNT(*) AS n FROM known_recipients"] {
        assert_eq!(world.number(table).await, 0, "{table}");
    }
}

/// The count is given back with the outcome, which is recorded soon after the reply.
async fn until_outcomes(world: &World, count: usize) {
    let recorded = "SELECT COUNT(*) AS n FROM entries WHERE kind = 'outcome'";
    within(10, "an outcome", async {
        while world.number(recorded).await < count as i64 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}

fn capped(limits: &str) -> Plan {
    let accounts =
        format!("{}{}", account("acme", &["acme.example"]), account("globex", &["globex.example"]));
    Plan { accounts, more: format!("[limits]\n{limits}\n"), ..Plan::default() }
}

async fn send(client: &mut Client, recipients: &[&str]) -> Reply {
    send_as(client, "news@acme.example", recipients).await
}

/// A letter that is not one of before.
async fn send_as(client: &mut Client, author: &str, recipients: &[&str]) -> Reply {
    use std::sync::atomic::{AtomicU64, Ordering};

    static LETTERS: AtomicU64 = AtomicU64::new(0);
    let reply = client.envelope(author, recipients).await;
    assert_eq!(reply.code, 354, "{reply:?}");
    let mut message = letter(author);
    message.extend(format!("number {}\r\n", LETTERS.fetch_add(1, Ordering::SeqCst)).bytes());
    client.write(&stuffed(&message)).await;
    client.hear().await
}
