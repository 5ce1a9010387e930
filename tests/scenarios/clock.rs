//! The clock: what happens because time passes. The server runs in this process where time must be moved,
//! with a clock that the test sets; else it is the real program.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use countersign::boot::{House, Running, Sockets};
use countersign::clock::Clock;
use countersign::config;
use countersign::custody::{self, State};
use countersign::doors::clock::Clockwork;
use countersign_core::ids::Ref;
use jiff::Timestamp;

use crate::client::Client;
use crate::world::{KEPT, Plan, World, letter, within};

#[tokio::test]
async fn custody_ends_by_itself_when_its_time_is_over() {
    let timed = Timed::of(Plan::default()).await;
    let reference = timed.held().await;
    timed.pass(5 * DAY - 60).await;
    assert_eq!(timed.state(reference).await, State::Held, "a minute is left");
    timed.pass(61).await;
    assert_eq!(timed.state(reference).await, State::Expired);
    assert_eq!(timed.jobs().await, 0, "the job went with the leaf");
    assert_eq!(timed.world.sink.taken(), 0);
    timed.close().await.cli(&["ledger", "verify"]).await.expect_code(0);
}

#[tokio::test]
async fn held_mail_of_a_blocked_account_does_not_expire() {
    let timed = Timed::of(Plan::default()).await;
    let reference = timed.held().await;
    timed.world.cli(&["account", "block", "acme", "--reason", "a stolen password"]).await.expect_code(0);
    timed.pass(6 * DAY).await;
    timed.pass(6 * DAY).await;
    assert_eq!(timed.state(reference).await, State::Held);
    timed.world.cli(&["account", "unblock", "acme"]).await.expect_code(0);
    timed.pass(DAY - 60).await;
    assert_eq!(timed.state(reference).await, State::Held, "there is a day to look at it");
    timed.pass(3600).await;
    assert_eq!(timed.state(reference).await, State::Expired);
    timed.close().await.cli(&["ledger", "verify"]).await.expect_code(0);
}

#[tokio::test]
async fn held_mail_of_a_blocked_domain_or_login_does_not_expire() {
    for blocked in [&["acme", "--domain", KEPT][..], &["--domain", KEPT], &["acme", "--credential", "acme"]] {
        let timed = Timed::of(Plan::default()).await;
        let reference = timed.held().await;
        let block = [&["account", "block"], blocked, &["--reason", "a test"]].concat();
        timed.world.cli(&block).await.expect_code(0);
        timed.pass(6 * DAY).await;
        assert_eq!(timed.state(reference).await, State::Held, "{blocked:?}");
        timed.world.cli(&[&["account", "unblock"], blocked].concat()).await.expect_code(0);
        timed.pass(DAY - 60).await;
        assert_eq!(timed.state(reference).await, State::Held, "there is a day to look at it: {blocked:?}");
        timed.pass(3600).await;
        assert_eq!(timed.state(reference).await, State::Expired, "{blocked:?}");
        timed.close().await;
    }
}

#[tokio::test]
async fn held_mail_expires_when_only_something_else_is_blocked() {
    let timed = Timed::of(Plan::default()).await;
    let reference = timed.held().await;
    let block = ["account", "block", "acme", "--domain", "other.example", "--reason", "a test"];
    timed.world.cli(&block).await.expect_code(0);
    timed.pass(5 * DAY + 1).await;
    assert_eq!(timed.state(reference).await, State::Expired);
    timed.close().await;
}

#[tokio::test]
async fn mail_that_was_released_or_refused_leaves_no_job() {
    let timed = Timed::of(Plan::default()).await;
    let (one, two) = (timed.held().await, timed.held().await);
    assert_eq!(timed.jobs().await, 2);
    timed.world.cli(&["held", "release", one.as_str()]).await.expect_code(0);
    timed.world.cli(&["held", "refuse", two.as_str()]).await.expect_code(0);
    assert_eq!(timed.jobs().await, 0);
    timed.pass(9 * DAY).await;
    assert_eq!((timed.state(one).await, timed.state(two).await), (State::Released, State::Refused));
    timed.close().await;
}

#[tokio::test]
async fn two_clocks_on_one_store_end_a_custody_once() {
    let timed = Timed::of(Plan::default()).await;
    let mut references = Vec::new();
    for _ in 0..20 {
        references.push(timed.held().await);
    }
    timed.set(5 * DAY + 1);
    let other = Clockwork { name: "another node".to_owned(), ..timed.clockwork() };
    let (one, two) = (timed.clockwork(), other);
    let (one, two) = tokio::join!(one.round(), two.round());
    one.and(two).unwrap();
    for reference in references {
        assert_eq!(timed.state(reference).await, State::Expired);
    }
    let commands = "SELECT COUNT(*) AS n FROM entries WHERE kind = 'command' AND account_id = 'acme'";
    assert_eq!(timed.number(commands).await, 20, "one leaf each");
    timed.close().await;
}

#[tokio::test]
async fn mail_that_was_held_before_there_were_jobs_expires_too() {
    let mut world = World::usual().await;
    let reply = world.send("acme", "news@acme.example", &letter(&format!("a@{KEPT}"))).await;
    assert_eq!(reply.code, 250, "{reply:?}");
    world.terminate().await;
    // The store as the version before left it, with its time over.
    let before = [
        "DROP TABLE jobs",
        "DROP TABLE outbox",
        "DELETE FROM _sqlx_migrations WHERE version = 5",
        "UPDATE held SET until_us = 1",
    ];
    world.change(&before).await;
    world.start().await;
    within(30, "the end of custody", async {
        while world.json(&["held", "ls", "--all", "--json"]).await[0]["state"] != "expired" {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    assert_eq!(world.sink.taken(), 0);
    world.cli(&["ledger", "verify"]).await.expect_code(0);
}

/// A world with the server in this process, and its time in our hand.
pub(crate) struct Timed {
    pub(crate) world: World,
    running: Running,
    now: Arc<AtomicI64>,
    letters: AtomicI64,
}

impl Timed {
    pub(crate) async fn of(plan: Plan) -> Self {
        let world = World::without_server(plan).await;
        let now = Arc::new(AtomicI64::new(MORNING));
        let running = Self::open(&world, Arc::clone(&now)).await;
        Self { world, running, now, letters: AtomicI64::new(0) }
    }

    /// With an account in whose name notices go out.
    pub(crate) async fn posting(plan: Plan) -> Self {
        let world = World::without_server(plan).await;
        crate::notices::with_post(&world);
        let now = Arc::new(AtomicI64::new(MORNING));
        let running = Self::open(&world, Arc::clone(&now)).await;
        Self { world, running, now, letters: AtomicI64::new(0) }
    }

    /// Where /readyz is.
    pub(crate) fn metrics(&self) -> std::net::SocketAddr {
        self.running.ready.listeners["metrics"]
    }

    async fn open(world: &World, now: Arc<AtomicI64>) -> Running {
        let loaded = config::load(Some(&world.path("countersign.toml")), std::iter::empty()).unwrap();
        let time = move || Timestamp::from_second(now.load(Ordering::SeqCst)).unwrap();
        let house = House::build(loaded.config, Clock::of(Arc::new(time))).await.unwrap();
        Running::open(house, Sockets::default()).await.unwrap()
    }

    /// Lets so many seconds pass, and the clock do what is due then.
    pub(crate) async fn pass(&self, seconds: i64) {
        self.set(seconds);
        self.clockwork().round().await.unwrap();
        self.settled().await;
    }

    /// The server's own clock may have taken some of what was due.
    pub(crate) async fn settled(&self) {
        within(30, "the end of what is under way", async {
            let under_way = "SELECT (SELECT COUNT(*) FROM jobs WHERE lease_us IS NOT NULL) \
                 + (SELECT COUNT(*) FROM outbox WHERE lease_us IS NOT NULL) AS n";
            while self.number(under_way).await > 0 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
    }

    fn set(&self, seconds: i64) {
        self.now.fetch_add(seconds, Ordering::SeqCst);
    }

    fn clockwork(&self) -> Clockwork {
        self.running.house.clockwork()
    }

    /// A client that has signed in.
    pub(crate) async fn client(&self, login: &str) -> Client {
        Client::sign_in(self.running.ready.listeners["send.0"], login).await
    }

    /// A letter of acme that is held.
    pub(crate) async fn held(&self) -> Ref {
        let mut message = letter(&format!("a@{KEPT}"));
        // Another letter each time: one that comes again is recognised.
        message.extend(format!("number {}\r\n", self.letters.fetch_add(1, Ordering::SeqCst)).bytes());
        let reply = self.client("acme").await.send("news@acme.example", &message).await;
        assert_eq!(reply.code, 250, "{reply:?}");
        Ref::parse(reply.reference().unwrap()).unwrap()
    }

    pub(crate) async fn state(&self, reference: Ref) -> State {
        custody::load(&self.running.house.data.store, &self.running.house.data.keys, reference)
            .await
            .unwrap()
            .unwrap()
            .0
            .state
    }

    async fn jobs(&self) -> i64 {
        self.number("SELECT COUNT(*) AS n FROM jobs").await
    }

    async fn number(&self, statement: &'static str) -> i64 {
        self.running.house.data.store.row(statement, vec![]).await.unwrap().unwrap().get("n").unwrap()
    }

    pub(crate) async fn close(self) -> World {
        self.running.close().await;
        self.world
    }
}

const DAY: i64 = 86_400;
/// 2026-11-24T06:00:00Z
pub(crate) const MORNING: i64 = 1_795_500_000;
