//! Fills a store as years would, for `tools/million`; and measures proofs and verification of large logs.
//! Run by hand or by the tool: `ledger_million fill CONFIG RULINGS HELD`, `ledger_million tiles CONFIG LEAVES`.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use countersign::boot::Data;
use countersign::clock::Clock;
use countersign::config;
use countersign::custody::{self, Sealed};
use countersign::store::{self, Checkpoints, Ledger, Log, Node, Store, Value, Write};
use countersign_core::address::EmailAddress;
use countersign_core::dossier::Dossier;
use countersign_core::ids::{AccountId, Ref};
use countersign_core::ledger::tile::hash_above;
use countersign_core::ledger::{Hash, leaf_hash, root};
use countersign_core::message::Message;
use countersign_core::policy::{HoldAs, How, Rules, Ruling};
use countersign_core::request::{Ask, Client, Envelope, Mode, Request, Submission};
use countersign_wire::limits::Limits;
use jiff::SignedDuration;
use tokio::task::JoinSet;

type Anything = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Anything> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["fill", file, rulings, held] => fill(Path::new(file), rulings.parse()?, held.parse()?).await,
        ["tiles", file, leaves] => tiles(Path::new(file), leaves.parse()?).await,
        ["verify", file] => verify(Path::new(file)).await,
        _ => Err("say: fill CONFIG RULINGS HELD, tiles CONFIG LEAVES, or verify CONFIG".into()),
    }
}

/// A data directory, and the log of its node.
struct House {
    data: Data,
    log: Log,
    clock: Clock,
}

impl House {
    async fn open(file: &Path) -> Result<Self, Anything> {
        let (clock, loaded) = (Clock::system(), config::load(Some(file), [])?);
        let data = Data::take(&loaded.config, &clock).await?;
        let name = loaded.config.server.hostname.clone();
        let node = Node { hostname: &name, dir: &data.dir, sink: None };
        let log = Log::of_node(&data.store, &data.keys, node, clock.now()).await?;
        Ok(Self { data, log, clock })
    }

    async fn sign(&self) -> Result<u64, Anything> {
        let Self { data, log, clock } = self;
        let checkpoints = Checkpoints::of(data.store.clone(), &data.keys, log.clone(), clock.function())?;
        Ok(checkpoints.sign().await?)
    }
}

/// Rulings of many accounts, of which some hold their mail; prints a ref a line.
async fn fill(file: &Path, rulings: u64, held: u64) -> Result<(), Anything> {
    let house = Arc::new(House::open(file).await?);
    let House { data, log, clock } = &*house;
    let ledger = Ledger::start(data.store.clone(), data.keys.clone(), clock.function(), log).await?;
    let permit = ("send".to_owned(), "@id(\"all\") permit(principal, action, resource);".to_owned());
    let own = "@id(\"own\") @effect(\"hold\") forbid(principal, action, resource) when { context.author_domain == \"kept.example\" };";
    let desk = ("desk".to_owned(), String::new());
    let rules = Arc::new(Rules::with_own(vec![permit, desk, ("own".to_owned(), own.to_owned())])?);
    let next = Arc::new(AtomicU64::new(0));
    let mut writers = JoinSet::new();
    for _ in 0..WRITERS {
        let (house, ledger, next, rules) =
            (Arc::clone(&house), ledger.clone(), Arc::clone(&next), Arc::clone(&rules));
        writers.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= rulings {
                    return Ok::<(), Anything>(());
                }
                // Spread evenly over the rulings.
                let kept = number * held / rulings != (number + 1) * held / rulings;
                one(&house, &ledger, &rules, number, kept).await?;
            }
        });
    }
    while let Some(done) = writers.join_next().await {
        done??;
    }
    let size = house.sign().await?;
    eprintln!("{size} leaves");
    for number in (0..rulings).step_by(usize::try_from((rulings / 200).max(1))?) {
        println!("{}", reference(number));
    }
    Ok(())
}

async fn one(house: &House, ledger: &Ledger, rules: &Rules, number: u64, kept: bool) -> Result<(), Anything> {
    let account = AccountId::parse(&format!("account-{}", number % ACCOUNTS))?;
    let from = EmailAddress::parse(if kept { "news@kept.example" } else { "news@acme.example" })?;
    let reader = EmailAddress::parse(&format!("reader-{number}@reader.example"))?;
    let octets = format!("From: <{from}>\r\nTo: <{reader}>\r\nSubject: {number}\r\n\r\nHello\r\n");
    let envelope = Envelope { mail_from: Some(from), recipients: vec![reader] };
    let submission = Submission {
        credential: account.to_string(),
        client: Client::default(),
        envelope: envelope.clone(),
        message: Arc::new(Message::read(octets.clone().into(), &Limits::default())),
    };
    let request = Request {
        reference: reference(number),
        at: house.clock.now(),
        mode: Mode::Enforce,
        account: account.clone(),
        ask: Ask::Send(Box::new(submission)),
    };
    let ruling = rules.rule(&Dossier::open(request), HoldAs(How::Custody));
    let writes = if kept { held(house, &ruling, &envelope, octets.as_bytes()).await? } else { vec![] };
    ledger.record(ruling, serde_json::json!({}), writes).await?;
    Ok(())
}

async fn held(
    house: &House,
    ruling: &Ruling,
    envelope: &Envelope,
    octets: &[u8],
) -> Result<Vec<Write>, Anything> {
    let key = house.data.keys.of(ruling.account()).await?;
    let sender = custody::seal_sender(&key, ruling.account(), ruling.reference(), envelope)?;
    // As large as letters are.
    let sealed = Sealed { mail: key.seal(b"never opened", &octets.repeat(40))?, sender };
    let until = ruling.at().checked_add(SignedDuration::from_hours(24 * 7))?;
    Ok(custody::insert(ruling, envelope, octets.len() * 40, sealed, until))
}

/// Spread over the alphabet as random refs are, so that indexes are hit everywhere.
fn reference(number: u64) -> Ref {
    Ref::from_random(number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 14)
}

/// A log of so many leaves of which there are only tiles, and the rows of a few leaves; then proofs in it.
async fn tiles(file: &Path, leaves: u64) -> Result<(), Anything> {
    let house = House::open(file).await?;
    let store = &house.data.store;
    let log = house.log.number();
    let sampled: Vec<u64> = (0..SAMPLES).map(|n| n * (leaves / SAMPLES)).collect();
    let mut hashes: Vec<Hash> = (0..leaves).map(|index| leaf_hash(&leaf(index))).collect();
    rows(store, log, leaves, &sampled, &hashes).await?;
    let root = root(hashes.iter().copied());
    for level in 0_i64.. {
        let mut above = Vec::with_capacity(hashes.len() / 256);
        let mut writes = Vec::new();
        for (number, tile) in (0_i64..).zip(hashes.chunks(256)) {
            let octets = tile.concat();
            if tile.len() == 256 {
                above.extend(hash_above(&octets));
            }
            // Of level 0 only full tiles are kept.
            if tile.len() == 256 || level > 0 {
                let place = [log, level, number].map(Value::int);
                writes.push(Write::new(PUT_TILE, place.into_iter().chain([Value::blob(octets)]).collect()));
            }
            if writes.len() == 256 {
                store.change(&std::mem::take(&mut writes)).await?;
            }
        }
        store.change(&writes).await?;
        if above.is_empty() {
            break;
        }
        hashes = above;
    }
    proofs(&house, leaves, root, &sampled).await
}

/// The leaves after the last full tile, those that are proved, and the head.
async fn rows(
    store: &Store,
    log: i64,
    leaves: u64,
    sampled: &[u64],
    hashes: &[Hash],
) -> Result<(), Anything> {
    let last = leaves - leaves % 256..leaves;
    let mut writes = Vec::new();
    for index in sampled.iter().copied().filter(|index| !last.contains(index)).chain(last.clone()) {
        let place = [Value::int(log), Value::int(i64::try_from(index)?)];
        let hash = hashes.get(usize::try_from(index)?).ok_or("no such leaf")?;
        let values = place.into_iter().chain([Value::blob(leaf(index)), Value::blob(hash.to_vec())]);
        writes.push(Write::new(PUT_LEAF, values.collect()));
    }
    for index in sampled {
        let place = [Value::int(log), Value::int(i64::try_from(*index)?)];
        let values = place.into_iter().chain([Value::text(reference(*index).as_str())]);
        writes.push(Write::new(PUT_ENTRY, values.collect()));
    }
    store.change(&writes).await?;
    Ok(())
}

async fn proofs(house: &House, leaves: u64, root: Hash, sampled: &[u64]) -> Result<(), Anything> {
    let head = [house.log.number(), i64::try_from(leaves)?].map(Value::int);
    let head = head.into_iter().chain([Value::blob(root.to_vec())]);
    house.data.store.change(&[Write::new(PUT_HEAD, head.collect())]).await?;
    house.sign().await?;
    let mut times = Vec::new();
    for index in sampled {
        let begun = Instant::now();
        store::prove(&house.data.store, reference(*index)).await?;
        times.push(begun.elapsed());
    }
    told("inclusion, with the checkpoint's signature verified", &mut times);
    for old in sampled.iter().copied().filter(|old| *old > 0) {
        let begun = Instant::now();
        store::consistency(&house.data.store, house.log.number(), old, leaves).await?;
        times.push(begun.elapsed());
    }
    told("consistency", &mut times);
    Ok(())
}

fn told(what: &str, times: &mut Vec<std::time::Duration>) {
    times.sort_unstable();
    let at = |share: usize| times.get((times.len() * share / 100).min(times.len().saturating_sub(1)));
    let ms = |share| at(share).map_or(0.0, |time| time.as_secs_f64() * 1000.0);
    println!("{what}: p50 {:.2} ms, p95 {:.2} ms, max {:.2} ms of {}", ms(50), ms(95), ms(100), times.len());
    times.clear();
}

/// How long it takes to verify what `fill` wrote.
async fn verify(file: &Path) -> Result<(), Anything> {
    let loaded = config::load(Some(file), [])?;
    let data = Data::read(&loaded.config, &Clock::system()).await?;
    for (keys, name) in [(None, "without payloads"), (Some(&data.keys), "with payloads")] {
        let begun = Instant::now();
        let report = store::verify(&data.store, keys, |_, _| {}).await?;
        let seconds = begun.elapsed().as_secs_f64();
        println!(
            "verify {name}: {} leaves in {seconds:.2} s, {:.0}/s",
            report.leaves(),
            report.leaves() as f64 / seconds
        );
    }
    Ok(())
}

fn leaf(index: u64) -> Vec<u8> {
    index.to_be_bytes().repeat(25)
}

const WRITERS: u64 = 256;
const ACCOUNTS: u64 = 1000;
const SAMPLES: u64 = 200;
const PUT_TILE: &str = "INSERT INTO tiles (log, level, number, hashes) VALUES ($1, $2, $3, $4)";
const PUT_LEAF: &str = "INSERT INTO leaves (log, idx, leaf, hash) VALUES ($1, $2, $3, $4)";
const PUT_HEAD: &str = "INSERT INTO heads (log, size, leaves, root, at_us) VALUES ($1, $2, $2, $3, 0)";
const PUT_ENTRY: &str = "INSERT INTO entries (account_id, log, idx, ref, part, kind, at_us) \
    VALUES ('acme', $1, $2, $3, 0, 'ruling', 0)";
