//! The crash: `kill -9` under load. What was acknowledged is somewhere, and the ledger adds up.
//! Then somebody changes an octet of the ledger, and it says where.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use countersign::store::Value;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;

use crate::client::Client;
use crate::world::{Arrival, KEPT, World, letter, within};

/// An acknowledged letter: its octets, and the ref if it is held.
pub(crate) type Acknowledged = (Vec<u8>, Option<String>);

#[tokio::test]
async fn what_was_acknowledged_before_a_kill_is_sent_or_held() {
    let mut world = World::usual().await;
    let (told, mut acknowledged) = unbounded_channel();
    let mut senders = JoinSet::new();
    for sender in 0..SENDERS {
        senders.spawn(keep_sending(world.door("send.0"), sender, told.clone()));
    }
    drop(told);
    let mut letters: Vec<Acknowledged> = Vec::new();
    while letters.len() < ENOUGH {
        letters.push(within(30, "the next acknowledgement", acknowledged.recv()).await.unwrap());
    }
    world.kill().await;
    while senders.join_next().await.is_some() {}
    while let Ok(letter) = acknowledged.try_recv() {
        letters.push(letter);
    }

    world.start().await;
    let rows = world.json(&["held", "ls", "--json", "-n", "100000"]).await;
    let held: Vec<&str> = rows.iter().map(|row| row["ref"].as_str().unwrap()).collect();
    let references: Vec<&String> = letters.iter().filter_map(|(_, held)| held.as_ref()).collect();
    println!(
        "{} acknowledged, {} of them held, {} at the sink",
        letters.len(),
        references.len(),
        world.sink.taken()
    );
    assert!(references.len() > SENDERS && references.len() < letters.len(), "both kinds were under way");
    for reference in &references {
        assert!(held.contains(&reference.as_str()), "{reference} was acknowledged and is not held");
        world.cli(&["held", "release", reference]).await.expect_code(0);
    }
    let mut arrived = BTreeMap::new();
    for received in world.sink.messages() {
        *arrived.entry(Arrival::of(&received).message).or_insert(0) += 1;
    }
    for (message, _) in &letters {
        let text = String::from_utf8_lossy(message);
        assert_eq!(arrived.get(message), Some(&1), "acknowledged, and not at the sink once: {text}");
    }
    let verified = world.json(&["ledger", "verify", "--json"]).await;
    assert_eq!(verified[0]["verified"], true);
    assert!(verified[0]["leaves"].as_u64().unwrap() >= letters.len() as u64, "{verified:?}");
}

/// Sends numbered letters, every third of which the operator keeps, until the connection breaks.
pub(crate) async fn keep_sending(door: SocketAddr, sender: usize, told: UnboundedSender<Acknowledged>) {
    let mut client = Client::sign_in(door, "acme").await;
    for number in 0.. {
        let domain = if number % 3 == 2 { KEPT } else { "acme.example" };
        let mut message = letter(&format!("a@{domain}"));
        message.extend_from_slice(format!("number {sender}-{number}\r\n").as_bytes());
        let Some(reply) = client.try_send("news@acme.example", &message).await else { return };
        match reply.code {
            250 => told.send((message, reply.reference().map(str::to_owned))).unwrap(),
            code => assert_eq!(code, 451, "{reply:?}"),
        }
    }
}

#[tokio::test]
async fn a_changed_octet_of_the_ledger_is_found_and_named() {
    let mut world = World::usual().await;
    let mut client = world.client("acme").await;
    for _ in 0..4 {
        assert_eq!(client.send("news@acme.example", &letter("news@acme.example")).await.code, 250);
    }
    assert_eq!(world.terminate().await.0, Some(0));
    world.cli(&["ledger", "verify"]).await.expect_code(0);
    for (table, column, octet) in
        [("leaves", "leaf", 0), ("leaves", "leaf", 40), ("leaves", "hash", 31), ("payloads", "sealed", 60)]
    {
        flip(&world, table, column, octet).await;
        let said = world.cli(&["ledger", "verify", "--json"]).await.expect_code(20);
        assert!(said.stderr.contains(&format!("leaf {LEAF}")), "{table}.{column}: {said:?}");
        assert_eq!(said.json()[0]["leaf"], LEAF, "{table}.{column}");
        flip(&world, table, column, octet).await;
    }
    world.cli(&["ledger", "verify"]).await.expect_code(0);
    delete(&world).await;
    world.cli(&["ledger", "verify"]).await.expect_code(20);
}

/// Changes one bit of one octet of a value of the fourth leaf; a second time, it changes it back.
async fn flip(world: &World, table: &str, column: &str, octet: usize) {
    let leaf = Value::int(LEAF);
    let select = format!("SELECT {column} AS value FROM {table} WHERE idx = $1");
    let mut value: Vec<u8> = world.rows(&select, vec![leaf.clone()]).await[0].get("value").unwrap();
    value[octet] ^= 1;
    let update = format!("UPDATE {table} SET {column} = $1 WHERE idx = $2 RETURNING idx");
    let store = world.store().await;
    let mut transaction = store.begin().await.unwrap();
    let values = vec![Value::blob(value), leaf];
    assert_eq!(transaction.rows(sqlx::AssertSqlSafe(update), values).await.unwrap().len(), 1);
    transaction.commit().await.unwrap();
}

/// Takes the last leaf and its entry away, as somebody who hides something would.
async fn delete(world: &World) {
    let statements = [
        "DELETE FROM entries WHERE idx = (SELECT MAX(idx) FROM leaves)",
        "DELETE FROM payloads WHERE idx = (SELECT MAX(idx) FROM leaves)",
        "DELETE FROM leaves WHERE idx = (SELECT MAX(idx) FROM leaves)",
    ];
    world.change(&statements).await;
}

const SENDERS: usize = 8;
const ENOUGH: usize = 240;
/// The first letter's ruling stands in leaf 1, after that of `apply`.
const LEAF: i64 = 3;
