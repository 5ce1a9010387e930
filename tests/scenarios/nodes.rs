//! Nodes: two servers with a directory each on one Postgres and one Redis. A block, a limit and a guess count on both;
//! who is cut off from the store passes nothing, and who is cut off from Redis has a share.

mod wire;

use std::time::{Duration, Instant};

use countersign_services::{Postgres, Redis};
use tokio::task::JoinSet;

use crate::client::Client;
use crate::service::get;
use crate::world::{Plan, World, letter, within};

use wire::{Mode, Wire};

/// Two nodes, and what they share.
struct Pair {
    one: World,
    two: World,
    redis: Redis,
    /// Between the second node and the store.
    wire: Wire,
}

impl Pair {
    /// Both up, with these tables in their configuration; nothing, after saying so, where services are missing.
    async fn with(more: &str) -> Option<Self> {
        let (postgres, redis) = (Postgres::shared().await?, Redis::start(&[]).await?);
        let plan = || Plan {
            store: format!("shared = \"{}\"", redis.url()),
            more: more.to_owned(),
            ..Plan::default()
        };
        let database = postgres.database().unwrap();
        let wire = Wire::to(postgres.port()).await;
        let through = database.url().replace(&postgres.port().to_string(), &wire.port().to_string());
        let mut one = World::over(plan(), database).await;
        one.cli(&["apply", "accounts.toml", "--trust-proof"]).await.expect_code(0);
        one.start().await;
        let mut two = World::at(plan(), through, None).await;
        let key = std::fs::read(one.path("data/root.key")).unwrap();
        two.write_secret("data/root.key", &key);
        two.start().await;
        let pair = Self { one, two, redis, wire };
        pair.both_say("countersign_shared_up 1").await;
        pair.both_say("countersign_nodes 2").await;
        Some(pair)
    }

    /// Both have this line in their metrics, as soon as they have heard of it.
    async fn both_say(&self, line: &str) {
        for node in [&self.one, &self.two] {
            let door = node.door("metrics");
            within(30, line, async {
                while !get(door, "/metrics").await.1.lines().any(|said| said == line) {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            })
            .await;
        }
    }
}

#[tokio::test]
async fn a_block_on_one_node_counts_on_the_other() {
    let Some(pair) = Pair::with("").await else { return };
    let (one, two) = (&pair.one, &pair.two);
    let message = letter("news@acme.example");
    let mut standing = two.client("acme").await;
    assert_eq!(standing.send("news@acme.example", &message).await.code, 250);
    for how in ["with Redis", "without Redis"] {
        one.cli(&["account", "block", "acme", "--reason", "test"]).await.expect_code(0);
        let asked = Instant::now();
        let blocked = async { while standing.send("news@acme.example", &message).await.code != 550 {} };
        within(20, "the block on the other node", blocked).await;
        println!("{how}: blocked on the other node after {:?}", asked.elapsed());
        let reply = two.send("acme", "news@acme.example", &message).await;
        assert!(reply.code == 550 && reply.text().contains("blocked"), "{reply:?}");
        assert_eq!(two.send("globex", "news@globex.example", &letter("news@globex.example")).await.code, 250);
        two.cli(&["account", "unblock", "acme"]).await.expect_code(0);
        let freed = async { while one.send("acme", "news@acme.example", &message).await.code != 250 {} };
        within(20, "the end of the block on the first node", freed).await;
        let freed = async { while standing.send("news@acme.example", &message).await.code != 250 {} };
        within(20, "the end of the block where it was asked for", freed).await;
        pair.redis.kill().unwrap();
    }
}

#[tokio::test]
async fn a_limit_over_both_nodes_lets_exactly_so_many_through() {
    let Some(pair) = Pair::with("[limits]\nper_credential_day = 60").await else { return };
    let mut senders = JoinSet::new();
    for number in 0..8 {
        let door = if number % 2 == 0 { pair.one.door("send.0") } else { pair.two.door("send.0") };
        senders.spawn(async move {
            let (mut client, mut accepted) = (Client::sign_in(door, "acme").await, 0);
            for letter_number in 0..15 {
                let mut message = letter("news@acme.example");
                message.extend_from_slice(format!("number {number}-{letter_number}\r\n").as_bytes());
                let reply = client.send("news@acme.example", &message).await;
                assert!([250, 451].contains(&reply.code), "{reply:?}");
                accepted += usize::from(reply.code == 250);
            }
            accepted
        });
    }
    let accepted: usize = senders.join_all().await.into_iter().sum();
    assert_eq!(accepted, 60);
    assert_eq!(pair.one.sink.taken() + pair.two.sink.taken(), 60);
}

#[tokio::test]
async fn guesses_on_both_nodes_are_counted_together_and_without_redis_by_share() {
    let Some(pair) = Pair::with("[limits.auth_failures]\naccount = 4\nnet = 1000").await else { return };
    let doors = [pair.one.door("send.0"), pair.two.door("send.0")];
    let guess = async |node: usize, login: &str| {
        Client::try_password("127.0.0.1", doors[node], login, "wrong").await.code
    };
    let mut heard = Vec::new();
    for node in [0, 1, 0, 1, 0, 1] {
        heard.push(guess(node, "nobody-a").await);
    }
    assert_eq!(heard, [535, 535, 535, 535, 454, 454]);
    pair.redis.kill().unwrap();
    pair.both_say("countersign_shared_up 0").await;
    assert_eq!(guess(0, "nobody-a").await, 454, "what was shut stays shut");
    let mut heard = Vec::new();
    for node in [0, 0, 0, 1, 1, 1] {
        heard.push(guess(node, "nobody-b").await);
    }
    assert_eq!(heard, [535, 535, 454, 535, 535, 454], "of four each has two");
    assert_eq!(pair.one.send("acme", "news@acme.example", &letter("news@acme.example")).await.code, 250);
    pair.redis.start_again().await.unwrap();
    pair.both_say("countersign_shared_up 1").await;
    // The new one knows nothing: both tell it what they have counted.
    within(20, "both have told", async { while guess(0, "nobody-c").await != 454 {} }).await;
    assert_eq!((guess(1, "nobody-a").await, guess(0, "nobody-b").await), (454, 454));
}

#[tokio::test]
async fn a_node_that_is_cut_off_from_the_store_passes_nothing() {
    let Some(pair) = Pair::with("").await else { return };
    let (one, two) = (&pair.one, &pair.two);
    let message = letter("news@acme.example");
    let mut standing = two.client("acme").await;
    for mode in [Mode::Hangs, Mode::Refuses, Mode::Babbles] {
        assert_eq!(standing.send("news@acme.example", &message).await.code, 250, "before it {mode:?}");
        let before = two.sink.taken();
        pair.wire.set(mode);
        let asked = Instant::now();
        let reply = standing.send("news@acme.example", &message).await;
        println!("it {mode:?}: `{}` after {:?}", reply.code, asked.elapsed());
        assert_eq!(reply.code, 451, "while it {mode:?}: {reply:?}");
        assert_eq!(two.send("acme", "news@acme.example", &message).await.code, 451, "while it {mode:?}");
        assert_eq!(two.sink.taken(), before, "nothing passes while it {mode:?}");
        assert_eq!(one.send("acme", "news@acme.example", &message).await.code, 250, "the other node goes on");
        pair.wire.set(Mode::Through);
        let back = async { while standing.send("news@acme.example", &message).await.code != 250 {} };
        within(30, "the end of the trouble", back).await;
    }
    for world in [one, two] {
        world.cli(&["ledger", "verify"]).await.expect_code(0);
    }
}

#[tokio::test]
async fn another_program_takes_over_a_node_that_shares() {
    let Some(mut pair) = Pair::with("").await else { return };
    let ready = pair.two.ready().clone();
    pair.two.succeed().await;
    assert_eq!(pair.two.ready(), &ready);
    pair.both_say("countersign_nodes 2").await;
    assert_eq!(pair.two.send("acme", "news@acme.example", &letter("news@acme.example")).await.code, 250);
}
