//! Postgres is killed, thrown out or stopped under load while the server runs: nothing that was answered is lost,
//! nothing passes that was not recorded, and it goes on without a restart.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use countersign::sandbox::sink::{Act, On};
use countersign_services::Postgres;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinSet;

use crate::client::{Client, password};
use crate::crash::{Acknowledged, keep_sending};
use crate::world::{Arrival, KEPT, Plan, World, letter, within};

const SENDER: &str = "news@acme.example";

/// A server of its own below a world with its server, and clients that send all the time.
struct Outage {
    postgres: Postgres,
    world: World,
    senders: JoinSet<()>,
    acknowledged: UnboundedReceiver<Acknowledged>,
    letters: Vec<Acknowledged>,
}

impl Outage {
    async fn begun() -> Option<Self> {
        let postgres = Postgres::start(&[]).await?;
        let mut world = World::over(Plan::default(), postgres.database().unwrap()).await;
        world.cli(&["apply", "accounts.toml", "--trust-proof"]).await.expect_code(0);
        world.start().await;
        let (told, acknowledged) = unbounded_channel();
        let mut senders = JoinSet::new();
        for sender in 0..6 {
            senders.spawn(keep_sending(world.door("send.0"), sender, told.clone()));
        }
        let mut outage = Self { postgres, world, senders, acknowledged, letters: Vec::new() };
        outage.hear(100).await;
        Some(outage)
    }

    /// So many more letters are acknowledged.
    async fn hear(&mut self, more: usize) {
        for _ in 0..more {
            let letter = within(60, "the next acknowledgement", self.acknowledged.recv()).await.unwrap();
            self.letters.push(letter);
        }
    }

    /// What was acknowledged is at the sink once, or held; the ledger adds up.
    async fn ends(mut self) {
        self.senders.shutdown().await;
        while let Ok(letter) = self.acknowledged.try_recv() {
            self.letters.push(letter);
        }
        let rows = self.world.json(&["held", "ls", "--json", "-n", "100000"]).await;
        let waiting: Vec<&str> = rows.iter().map(|row| row["ref"].as_str().unwrap()).collect();
        for reference in self.letters.iter().filter_map(|(_, held)| held.as_ref()) {
            assert!(waiting.contains(&reference.as_str()), "{reference} was acknowledged and is not held");
        }
        let mut arrived = BTreeMap::new();
        for received in self.world.sink.messages() {
            *arrived.entry(Arrival::of(&received).message).or_insert(0) += 1;
        }
        for (message, held) in &self.letters {
            let text = String::from_utf8_lossy(message);
            let expected = held.is_none().then_some(&1);
            assert_eq!(arrived.get(message), expected, "acknowledged, held: {held:?}: {text}");
        }
        println!("{} acknowledged, {} at the sink", self.letters.len(), self.world.sink.taken());
        assert_eq!(self.world.terminate().await.0, Some(0));
        self.world.cli(&["ledger", "verify"]).await.expect_code(0);
    }
}

/// What a letter is answered now, and after how long.
async fn answered(client: &mut Client) -> (u16, Duration) {
    let began = Instant::now();
    let reply = client.send("news@acme.example", &letter("news@acme.example")).await;
    assert!(reply.code == 250 || reply.code == 451, "{reply:?}");
    (reply.code, began.elapsed())
}

#[tokio::test]
async fn postgres_is_killed_under_load_and_comes_back() {
    let Some(mut outage) = Outage::begun().await else { return };
    for round in 0..2 {
        match round {
            0 => outage.postgres.kill().await.unwrap(),
            _ => outage.postgres.stop_immediately().unwrap(),
        }
        let (door, secret) = (outage.world.door("send.0"), password("acme"));
        let reply = Client::try_password("127.0.0.1", door, "acme", &secret).await;
        assert!([235, 454].contains(&reply.code), "whoever comes now may not even be known: {reply:?}");
        outage.postgres.start_again().await.unwrap();
        outage.hear(100).await;
    }
    outage.ends().await;
}

#[tokio::test]
async fn postgres_is_stopped_under_load_and_goes_on() {
    let Some(mut outage) = Outage::begun().await else { return };
    let mut client = outage.world.client("acme").await;
    assert_eq!(answered(&mut client).await.0, 250);
    let taken = outage.world.sink.taken();
    outage.postgres.pause().unwrap();
    // What was recorded before is still on its way; then nothing passes.
    let (code, took) = answered(&mut client).await;
    assert_eq!(code, 451);
    println!("451 after {took:?}");
    assert!(took < Duration::from_secs(20), "{took:?}");
    assert!(outage.world.sink.taken() <= taken + 6 * 4, "nothing new passes");
    outage.postgres.resume().unwrap();
    outage.hear(60).await;
    within(30, "a letter that passes", async { while answered(&mut client).await.0 != 250 {} }).await;
    outage.ends().await;
}

/// The outcome was only logged, and the mail stood there as held, and could not be released, until the next start.
#[tokio::test]
async fn a_release_that_ends_without_the_store_is_recorded_when_it_is_back() {
    let Some(postgres) = Postgres::start(&[]).await else { return };
    let mut world = World::over(Plan::default(), postgres.database().unwrap()).await;
    world.cli(&["apply", "accounts.toml", "--trust-proof"]).await.expect_code(0);
    world.start().await;
    let held = world.send("acme", SENDER, &letter(&format!("ana@{KEPT}"))).await;
    let reference = held.reference().unwrap().to_owned();
    world.sink.once(On::End, Act::Late(1500));
    let mut command = world.spawn(&["held", "release", &reference]);
    within(10, "the end mark at the sink", async {
        while world.sink.faults_left() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    postgres.kill().await.unwrap();
    within(30, "the end of the release", command.wait()).await.unwrap();
    postgres.start_again().await.unwrap();
    within(60, "the outcome", async {
        let list = ["held", "ls", "--all", "--json"];
        while world.cli(&list).await.json().first().is_none_or(|row| row["state"] != "released") {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
    .await;
    assert_eq!(world.outcome(&reference).await["result"], "released");
    assert_eq!(world.sink.taken(), 1);
}
