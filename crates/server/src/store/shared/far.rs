//! Far: counting together with other nodes over Redis. Each node has what it has seen itself; Redis has what every
//! node told it, and nothing that no node knows, so what is lost there is told again.
//! `Shared` asks it when the configuration names a Redis.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use redis::{Script, Value};
use tokio::sync::{Notify, broadcast};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::link::{Gone, Link, LinkError};
use super::window::horizon;
use super::{Cap, Name, Near, Tally, Word};
use crate::clock::draw_jitter;
use crate::config::RedisUrl;
use crate::store::Keys;

/// The other nodes, as far as Redis is there. It stops when it is dropped.
pub(super) struct Far {
    board: Arc<Board>,
    tasks: [JoinHandle<()>; 2],
}

/// What this node does with Redis.
struct Board {
    link: Link,
    near: Arc<Near>,
    keys: Keys,
    words: broadcast::Sender<Word>,
    tally: Script,
    node: String,
    /// What all names of this installation begin with.
    prefix: String,
    nodes: AtomicU64,
    /// INVARIANT: who writes a counter has read what this node counted under the same turn: of two writers the
    /// later one knows what the earlier one has added.
    turn: tokio::sync::Mutex<()>,
    memory: Mutex<Memory>,
    /// Rings when what this node has counted must be told again.
    again: Notify,
}

/// What was last heard and said.
struct Memory {
    /// The name of what Redis has not lost since.
    epoch: String,
    /// The window by which this node counts, once it has counted.
    window: Option<Duration>,
}

/// What the script says.
struct Answer {
    fits: bool,
    epoch: String,
    sums: Vec<u64>,
}

impl Far {
    pub(super) fn open(
        url: &RedisUrl,
        keys: Keys,
        node: String,
        near: Arc<Near>,
        words: broadcast::Sender<Word>,
    ) -> Result<Self, LinkError> {
        let installation = hexadecimal(&keys.pseudonym("shared", "installation"));
        let board = Arc::new(Board {
            link: Link::new(url)?,
            near,
            keys,
            words,
            tally: Script::new(include_str!("tally.lua")),
            node,
            prefix: format!("{{countersign:{installation}}}"),
            nodes: AtomicU64::new(1),
            turn: tokio::sync::Mutex::default(),
            memory: Mutex::new(Memory { epoch: String::new(), window: None }),
            again: Notify::new(),
        });
        let tasks = [tokio::spawn(Arc::clone(&board).keep()), tokio::spawn(Arc::clone(&board).hear())];
        Ok(Self { board, tasks })
    }

    pub(super) fn name(&self, kind: &str, text: &str) -> Name {
        Name(self.board.keys.pseudonym(kind, text))
    }

    pub(super) fn count_nodes(&self, nodes: u32) {
        metrics::gauge!("countersign_nodes").set(f64::from(nodes));
        self.board.nodes.store(nodes.max(1).into(), Ordering::Relaxed);
    }

    pub(super) fn is_up(&self) -> bool {
        self.board.link.is_up()
    }

    pub(super) async fn add(&self, caps: &[Cap], by: u32, window: Duration, now: Instant) -> Tally {
        let board = &self.board;
        board.memory().window = Some(window);
        let _turn = if by > 0 { Some(board.turn.lock().await) } else { None };
        match board.call(caps, by, by > 0, window, now).await {
            Ok(answer) => board.decided(caps, by, &answer, window, now),
            Err(Gone) => board.near.add(caps, by, window, now, board.nodes.load(Ordering::Relaxed)),
        }
    }

    pub(super) fn mark(&self, name: Name, lasts: Duration) {
        let board = Arc::clone(&self.board);
        tokio::spawn(async move {
            let mut set = redis::cmd("SET");
            set.arg(board.key("m", name)).arg(1).arg("PX").arg(milliseconds(lasts));
            let _gone = board.link.ask(|mut c| async move { set.query_async::<()>(&mut c).await }).await;
        });
    }

    /// For how long it is still marked.
    pub(super) async fn is_marked(&self, name: Name) -> Option<Duration> {
        let mut ttl = redis::cmd("PTTL");
        ttl.arg(self.board.key("m", name));
        let left = self.board.link.ask(|mut c| async move { ttl.query_async::<i64>(&mut c).await }).await;
        let left = u64::try_from(left.ok()?).ok().filter(|left| *left > 0)?;
        Some(Duration::from_millis(left).min(LONGEST_MARK))
    }

    pub(super) fn tell(&self, word: &Word) {
        let (board, text) = (Arc::clone(&self.board), format!("{} {word}", self.board.node));
        tokio::spawn(async move {
            let mut publish = redis::cmd("PUBLISH");
            publish.arg(board.channel()).arg(text);
            // Who does not hear it reads the store a moment later.
            let _gone = board.link.ask(|mut c| async move { publish.query_async::<i64>(&mut c).await }).await;
        });
    }
}

impl Drop for Far {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Board {
    /// Keeps the link: makes it anew when it is gone, looks every second whether it is, tells what was lost.
    async fn keep(self: Arc<Self>) {
        let mut failures = 0_u32;
        loop {
            match self.link.connect().await {
                Ok(()) => {
                    failures = 0;
                    tracing::info!(redis = self.link.name(), "Redis is there: what is counted is shared");
                    self.stay().await;
                }
                Err(cause) if failures == 0 => {
                    let redis = self.link.name();
                    tracing::warn!(
                        redis,
                        cause,
                        "Redis cannot be reached: this node counts alone, by its share"
                    );
                    failures = 1;
                }
                Err(_) => failures = failures.saturating_add(1),
            }
            self.link.show();
            tokio::time::sleep(back_off(failures)).await;
        }
    }

    /// Until the link is lost.
    async fn stay(&self) {
        self.again.notify_one();
        loop {
            tokio::select! {
                () = self.link.down() => return,
                () = self.again.notified() => self.tell_again().await,
                () = tokio::time::sleep(LOOK) => {
                    self.link.show();
                    // Who is gone is noticed, and whether anything was lost.
                    let _gone = self.call(&[], 0, false, LOOK, Instant::now()).await;
                }
            }
        }
    }

    /// Says everything that this node has counted.
    async fn tell_again(&self) {
        let Some(window) = self.memory().window else { return };
        let now = Instant::now();
        let names = self.near.windows().names(now, window);
        for some in names.chunks(AT_ONCE) {
            let caps: Vec<Cap> = some.iter().map(|name| Cap { name: *name, most: 0 }).collect();
            let _turn = self.turn.lock().await;
            if self.call(&caps, 0, true, window, now).await.is_err() {
                return;
            }
        }
    }

    /// Hears words of other nodes as long as the link stands.
    async fn hear(self: Arc<Self>) {
        loop {
            self.link.up().await;
            if let Ok(mut heard) = self.link.subscribe(&self.channel()).await {
                // Whatever was called while nobody heard: it is looked up.
                self.pass_on(Word::Changed);
                let mut calls = heard.on_message();
                loop {
                    tokio::select! {
                        () = self.link.down() => break,
                        call = calls.next() => match call {
                            Some(call) => self.heard(call.get_payload_bytes()),
                            None => break,
                        }
                    }
                }
            }
            tokio::time::sleep(back_off(1)).await;
        }
    }

    fn heard(&self, call: &[u8]) {
        let Some((node, text)) = std::str::from_utf8(call).ok().and_then(|call| call.split_once(' ')) else {
            return;
        };
        if let Some(word) = Word::parse(text).filter(|_| node != self.node) {
            self.pass_on(word);
        }
    }

    fn pass_on(&self, word: Word) {
        // Nobody may be listening yet.
        let _nobody = self.words.send(word);
    }

    async fn call(
        &self,
        caps: &[Cap],
        by: u32,
        write: bool,
        window: Duration,
        now: Instant,
    ) -> Result<Answer, Gone> {
        let mut call = self.tally.prepare_invoke();
        for cap in caps {
            call.key(self.key("w", cap.name));
        }
        call.key(format!("{}:epoch", self.prefix));
        call.arg(&self.node)
            .arg(milliseconds(horizon(window)))
            .arg(by.max(u32::from(!write)))
            .arg(u8::from(write));
        for cap in caps {
            let told = self.near.windows().told(&cap.name, now, window);
            call.arg(cap.most.min(MOST)).arg(told);
        }
        let answer = self.link.ask(|mut c| async move { call.invoke_async::<Answer>(&mut c).await }).await?;
        self.remember(&answer.epoch);
        Ok(answer)
    }

    /// What follows from an answer. What this node knows itself counts whatever the answer says.
    fn decided(&self, caps: &[Cap], by: u32, answer: &Answer, window: Duration, now: Instant) -> Tally {
        let mut windows = self.near.windows();
        let mut room = |(cap, sum): (&Cap, &u64)| windows.sum(&cap.name, now, window).max(*sum) < cap.most;
        let mut rooms: Vec<bool> = caps.iter().zip(&answer.sums).map(&mut room).collect();
        rooms.resize(caps.len(), false);
        let fits = answer.fits && rooms.iter().all(|room| *room);
        if answer.fits && by > 0 {
            windows.add(caps, by, now, window);
        }
        let counted = caps.iter().all(|cap| windows.can_count(&cap.name));
        Tally { fits, counted, rooms }
    }

    fn remember(&self, epoch: &str) {
        let mut memory = self.memory();
        if memory.epoch != epoch {
            epoch.clone_into(&mut memory.epoch);
            self.again.notify_one();
        }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn key(&self, kind: &str, name: Name) -> String {
        format!("{}:{kind}:{}", self.prefix, hexadecimal(&name.0))
    }

    fn channel(&self) -> String {
        format!("{}:words", self.prefix)
    }
}

impl redis::FromRedisValue for Answer {
    fn from_redis_value(value: Value) -> Result<Self, redis::ParsingError> {
        let wrong = || redis::ParsingError::from("this is no tally");
        let Value::Array(parts) = value else { return Err(wrong()) };
        let mut parts = parts.into_iter();
        let fits = match parts.next() {
            Some(Value::Int(fits @ (0 | 1))) => fits == 1,
            _ => return Err(wrong()),
        };
        let epoch = match parts.next() {
            Some(Value::BulkString(epoch)) if epoch.len() <= 100 => {
                String::from_utf8(epoch).map_err(|_| wrong())?
            }
            _ => return Err(wrong()),
        };
        let sum = |part| match part {
            Value::Int(sum) => u64::try_from(sum).map_err(|_| wrong()),
            _ => Err(wrong()),
        };
        Ok(Self { fits, epoch, sums: parts.map(sum).collect::<Result<_, _>>()? })
    }
}

/// 100 ms, doubled up to 5 s, and up to a quarter more by chance.
fn back_off(failures: u32) -> Duration {
    let wait = (Duration::from_millis(100) * (1 << failures.saturating_sub(1).min(6))).min(LONGEST_WAIT);
    wait + wait.mul_f64(f64::from(draw_jitter()) / f64::from(u16::MAX) / 4.0)
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1)
}

fn hexadecimal(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

const LOOK: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(5);
const LONGEST_MARK: Duration = Duration::from_secs(366 * 24 * 3600);
const AT_ONCE: usize = 50;
/// What numbers of Lua hold exactly.
const MOST: u64 = 1 << 53;
