//! Nodes over a Redis that is there, gone, stopped, emptied, or something else that answers nonsense.
//! Each test starts a Redis of its own on a socket in a temporary directory.

use std::io::{Read, Write as _};
use std::os::unix::net::UnixListener;

use countersign_services::Redis;
use futures_util::future::join_all;

use super::*;
use crate::seal::RootKey;
use crate::store::Store;

const WINDOW: Duration = Duration::from_secs(600);

/// What all nodes of one installation have.
struct Installation {
    dir: tempfile::TempDir,
    keys: Keys,
}

impl Installation {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("countersign.db")).await.unwrap();
        let clock = Arc::new(|| jiff::Timestamp::UNIX_EPOCH);
        let keys = Keys::open(&RootKey::of(&[7; 32]), store, clock).await.unwrap();
        Self { dir, keys }
    }

    /// A node that has not connected yet.
    fn node_at(&self, address: &str) -> Shared {
        Shared::redis(&RedisUrl::parse(address).unwrap(), self.keys.clone()).unwrap()
    }

    /// A node that counts together with the others.
    async fn node(&self, redis: &Redis) -> Shared {
        let node = self.node_at(&redis.url());
        eventually("a node connects", async || node.is_together() == Some(true)).await;
        node
    }
}

fn cap(node: &Shared, text: &str, most: u64) -> Cap {
    Cap { name: node.name("test", text), most }
}

async fn add(node: &Shared, text: &str, most: u64) -> bool {
    node.add(&[cap(node, text, most)], 1, WINDOW, Instant::now()).await.fits
}

/// How many of so many fit.
async fn fitting(node: &Shared, text: &str, most: u64, tries: usize) -> usize {
    let mut fit = 0;
    for _ in 0..tries {
        fit += usize::from(add(node, text, most).await);
    }
    fit
}

async fn has_room(node: &Shared, text: &str, most: u64) -> bool {
    node.add(&[cap(node, text, most)], 0, WINDOW, Instant::now()).await.fits
}

async fn gone(node: &Shared) {
    eventually("Redis is gone", async || node.is_together() == Some(false)).await;
}

async fn together(node: &Shared) {
    eventually("Redis is back", async || node.is_together() == Some(true)).await;
}

#[tokio::test]
async fn alone_a_counter_goes_to_its_cap_and_asking_counts_nothing() {
    let node = Shared::memory();
    for _ in 0..5 {
        assert!(has_room(&node, "a", 3).await);
    }
    assert_eq!(fitting(&node, "a", 3, 5).await, 3);
    assert!(!has_room(&node, "a", 3).await && has_room(&node, "b", 3).await);
    let both = [cap(&node, "a", 3), cap(&node, "b", 3)];
    let tally = node.add(&both, 1, WINDOW, Instant::now()).await;
    assert_eq!((tally.fits, tally.has_room(0), tally.has_room(1)), (false, false, true));
    assert_eq!(fitting(&node, "b", 3, 5).await, 3, "what does not fit in all is counted in none");
    assert_eq!(node.is_together(), None);
}

#[tokio::test]
async fn two_nodes_let_exactly_the_cap_through_however_many_ask_at_once() {
    let Some(redis) = Redis::start(&[]).await else { return };
    let installation = Installation::new().await;
    let (one, two) = (installation.node(&redis).await, installation.node(&redis).await);
    let asked = (0..200).map(|n| add(if n % 2 == 0 { &one } else { &two }, "a", 50));
    let fit = join_all(asked).await.into_iter().filter(|fits| *fits).count();
    assert_eq!(fit, 50);
    assert!(!has_room(&one, "a", 50).await && !has_room(&two, "a", 50).await);
    assert!(has_room(&two, "a", 51).await);
}

#[tokio::test]
async fn what_is_counted_is_forgotten_after_the_window_by_all() {
    let Some(redis) = Redis::start(&[]).await else { return };
    let installation = Installation::new().await;
    let (one, two) = (installation.node(&redis).await, installation.node(&redis).await);
    let short = Duration::from_secs(1);
    let ask = async |node: &Shared, by| node.add(&[cap(node, "a", 1)], by, short, Instant::now()).await.fits;
    assert!(ask(&one, 1).await && !ask(&two, 0).await);
    eventually("there is room again", async || ask(&two, 0).await).await;
    assert!(ask(&two, 1).await && !ask(&one, 1).await);
}

#[tokio::test]
async fn nothing_in_redis_tells_who_it_is_about() {
    let Some(redis) = Redis::start(&[]).await else { return };
    let installation = Installation::new().await;
    let node = installation.node(&redis).await;
    add(&node, "shop@shop.example 192.0.2.1", 5).await;
    node.mark(node.name("home", "shop@shop.example"), WINDOW, Instant::now());
    let keys = || redis.ask(&["KEYS", "*"]).unwrap();
    eventually("the mark", async || keys().contains(":m:")).await;
    assert!(keys().contains(":w:") && !keys().contains("shop") && !keys().contains("192.0.2"), "{}", keys());
}

#[tokio::test]
async fn installations_on_one_redis_do_not_meet() {
    let Some(redis) = Redis::start(&[]).await else { return };
    let (ours, theirs) = (Installation::new().await, Installation::new().await);
    let store = Store::open(&theirs.dir.path().join("other.db")).await.unwrap();
    let clock = Arc::new(|| jiff::Timestamp::UNIX_EPOCH);
    let keys = Keys::open(&RootKey::of(&[8; 32]), store, clock).await.unwrap();
    let (one, two) = (ours.node(&redis).await, Installation { keys, ..theirs }.node(&redis).await);
    assert!(add(&one, "a", 1).await && add(&two, "a", 1).await);
}

#[tokio::test]
async fn what_redis_loses_is_told_again() {
    let Some(redis) = Redis::start(&[]).await else { return };
    let installation = Installation::new().await;
    let (one, two) = (installation.node(&redis).await, installation.node(&redis).await);
    assert_eq!((fitting(&one, "a", 9, 3).await, fitting(&two, "a", 9, 2).await), (3, 2));
    redis.ask(&["FLUSHALL"]).unwrap();
    // By itself: neither is asked about this counter meanwhile.
    let told =
        async || redis.ask(&["--scan"]).unwrap().lines().filter(|key| key.contains(":w:")).count() == 1;
    eventually("they tell again", told).await;
    eventually("both have told", async || !has_room(&Shared::clone(&one), "a", 5).await).await;
    assert!(has_room(&one, "a", 6).await);
}

#[tokio::test]
async fn without_redis_each_node_has_its_share_and_together_they_go_on_where_they_were() {
    let Some(redis) = Redis::start(&[]).await else { return };
    let installation = Installation::new().await;
    let (one, two) = (installation.node(&redis).await, installation.node(&redis).await);
    [&one, &two].iter().for_each(|node| node.count_nodes(2));
    assert_eq!(fitting(&one, "a", 20, 4).await, 4);
    redis.kill().unwrap();
    gone(&one).await;
    gone(&two).await;
    // Of 20 each has 10; the first has counted 4 already.
    assert_eq!((fitting(&one, "a", 20, 30).await, fitting(&two, "a", 20, 30).await), (6, 10));
    assert_eq!(fitting(&one, "b", 1, 3).await, 1, "a share is never nothing");
    redis.start_again().await.unwrap();
    together(&one).await;
    together(&two).await;
    eventually("both have told", async || !has_room(&one, "a", 20).await).await;
    assert!(!add(&two, "a", 20).await && add(&two, "a", 21).await && !add(&one, "a", 21).await);
}

#[tokio::test]
async fn a_redis_that_hangs_holds_nobody_up_for_long() {
    let Some(redis) = Redis::start(&[]).await else { return };
    let installation = Installation::new().await;
    let node = installation.node(&redis).await;
    node.count_nodes(4);
    redis.pause().unwrap();
    let asked = join_all((0..40).map(|_| add(&node, "a", 40)));
    let fit = tokio::time::timeout(Duration::from_secs(10), asked).await.expect("nobody waits for ever");
    assert_eq!(fit.into_iter().filter(|fits| *fits).count(), 10, "its share, and no more");
    gone(&node).await;
    redis.resume().unwrap();
    together(&node).await;
    assert_eq!(fitting(&node, "a", 40, 40).await, 30);
}

#[tokio::test]
async fn whoever_answers_nonsense_is_gone() {
    let installation = Installation::new().await;
    // Noise; an answer to everything; what Redis says, but not to this question.
    for (number, answer) in [
        &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..],
        b"+OK\r\n+PONG\r\n+PONG\r\n*3\r\n:1\r\n$1\r\nx\r\n:-5\r\n",
        b":0\r\n",
        b"$-9\r\n\0\0",
    ]
    .into_iter()
    .enumerate()
    {
        let path = installation.dir.path().join(format!("{number}.sock"));
        babble(&path, answer);
        let node = installation.node_at(&format!("redis+unix://{}", path.display()));
        node.count_nodes(2);
        assert_eq!(fitting(&node, "a", 4, 50).await, 2, "{}", String::from_utf8_lossy(answer));
    }
}

/// Answers every octets that come with the same ones, whoever connects.
fn babble(path: &std::path::Path, answer: &'static [u8]) {
    let listener = UnixListener::bind(path).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            std::thread::spawn(move || {
                while stream.read(&mut [0; 4096]).is_ok_and(|length| length > 0)
                    && stream.write_all(answer).is_ok()
                {}
            });
        }
    });
}

#[tokio::test]
async fn a_redis_that_is_nowhere_is_looked_for_until_it_is_there() {
    let Some(redis) = Redis::start(&[]).await else { return };
    redis.kill().unwrap();
    let installation = Installation::new().await;
    let node = installation.node_at(&redis.url());
    assert_eq!(fitting(&node, "a", 3, 5).await, 3, "nobody has said that there are more nodes");
    assert_eq!(node.is_together(), Some(false));
    redis.start_again().await.unwrap();
    together(&node).await;
    eventually("it has told", async || redis.ask(&["KEYS", "*"]).unwrap().contains(":w:")).await;
    let other = installation.node(&redis).await;
    assert!(!add(&other, "a", 3).await);
}

#[tokio::test]
async fn words_reach_every_other_node() {
    let Some(redis) = Redis::start(&[]).await else { return };
    let installation = Installation::new().await;
    let (one, two) = (installation.node(&redis).await, installation.node(&redis).await);
    let (mut at_one, mut at_two) = (one.listen(), two.listen());
    let acme = Word::Blocked(countersign_core::ids::AccountId::parse("acme").unwrap());
    // Until it listens, what is called is lost.
    eventually("both listen", async || redis.listeners().unwrap() == 2).await;
    two.tell(&acme);
    assert_eq!(next(&mut at_one, &acme).await, acme);
    let channel = redis.ask(&["PUBSUB", "CHANNELS", "*"]).unwrap();
    for nonsense in ["nonsense", "other unblocked:acme", "\u{fffd}"] {
        redis.ask(&["PUBLISH", &channel, nonsense]).unwrap();
    }
    one.tell(&acme);
    assert_eq!(next(&mut at_two, &acme).await, acme);
    assert!(at_one.try_recv().is_err(), "nobody hears itself");
    // Whoever was away looks everything up.
    redis.kill().unwrap();
    gone(&one).await;
    redis.start_again().await.unwrap();
    assert_eq!(next(&mut at_one, &Word::Changed).await, Word::Changed);
}

/// The next word of this kind.
async fn next(heard: &mut broadcast::Receiver<Word>, kind: &Word) -> Word {
    let next = async {
        loop {
            let word = heard.recv().await.unwrap();
            if word == *kind {
                return word;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), next).await.expect("a word")
}

#[tokio::test]
async fn a_mark_is_known_everywhere_and_without_redis_where_it_was_asked_for() {
    let Some(redis) = Redis::start(&[]).await else { return };
    let installation = Installation::new().await;
    let (one, two) = (installation.node(&redis).await, installation.node(&redis).await);
    let (name, now) = (one.name("home", "acme"), Instant::now());
    assert_eq!(name, two.name("home", "acme"));
    assert!(!two.is_marked(name, now).await);
    one.mark(name, WINDOW, now);
    assert!(one.is_marked(name, now).await);
    eventually("the other node knows it", async || two.is_marked(name, Instant::now()).await).await;
    redis.kill().unwrap();
    let three = installation.node_at(&redis.url());
    assert!(two.is_marked(name, now).await && !three.is_marked(name, now).await);
    assert!(!two.is_marked(name, now + WINDOW * 2).await);
}

#[tokio::test]
async fn a_password_comes_from_the_address_or_from_a_file() {
    let Some(redis) = Redis::start(&["--requirepass", "s3cret"]).await else { return };
    let installation = Installation::new().await;
    let with = installation.node_at(&format!("{}?pass=s3cret", redis.url()));
    together(&with).await;
    let file = installation.dir.path().join("password");
    std::fs::write(&file, "s3cret\n").unwrap();
    let url = RedisUrl::parse(&redis.url()).unwrap().with_password_in(Some(file));
    let beside = Shared::redis(&url, installation.keys.clone()).unwrap();
    together(&beside).await;
    for wrong in [redis.url(), format!("{}?pass=wrong", redis.url())] {
        let without = installation.node_at(&wrong);
        assert_eq!(fitting(&without, "a", 3, 5).await, 3);
        assert_eq!(without.is_together(), Some(false));
    }
    let missing = url.with_password_in(Some("/nowhere/password".into()));
    let error = Shared::rehearse(&missing).err().unwrap().to_string();
    assert!(error.contains("shared_password_file") && error.contains("/nowhere/password"), "{error}");
}

/// Waits for what has to come true, but not for ever.
async fn eventually(what: &str, is_so: impl AsyncFn() -> bool) {
    let until = Instant::now() + Duration::from_secs(30);
    while !is_so().await {
        assert!(Instant::now() < until, "{what}: not within 30 s");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
