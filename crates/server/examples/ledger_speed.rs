//! Measures the ledger: leaves a second of a closed loop of writers, and leaves a second of verify.
//! Run by hand: `cargo run --release --example ledger_speed -- [DIRECTORY] [LEAVES] [WRITERS] [postgres://...]`.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Instant;

use countersign::config::PostgresUrl;
use countersign::seal::RootKey;
use countersign::store::Keys;
use countersign::store::Store;
use countersign::store::ledger::verify::verify;
use countersign::store::ledger::{Clock, Ledger, Log, Node};
use countersign_core::ids::{AccountId, Ref};
use jiff::Timestamp;
use tokio::task::JoinSet;

type Anything = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Anything> {
    let mut arguments = std::env::args().skip(1);
    let directory = arguments.next().unwrap_or_else(|| std::env::temp_dir().display().to_string());
    let leaves: u64 = arguments.next().map_or(Ok(200_000), |text| text.parse())?;
    let writers: u64 = arguments.next().map_or(Ok(256), |text| text.parse())?;
    let url = arguments.next();
    let directory = Path::new(&directory).join(format!("ledger-speed-{}", std::process::id()));
    std::fs::create_dir_all(&directory)?;
    let measured = measure(&directory, leaves, writers, url.as_deref()).await;
    std::fs::remove_dir_all(&directory)?;
    measured
}

async fn measure(directory: &Path, leaves: u64, writers: u64, url: Option<&str>) -> Result<(), Anything> {
    let now = AtomicI64::new(0);
    let clock: Clock = Arc::new(move || {
        Timestamp::from_microsecond(now.fetch_add(1, Ordering::Relaxed)).unwrap_or(Timestamp::UNIX_EPOCH)
    });
    let root = RootKey::create(&directory.join("root.key"))?;
    let store = match url {
        // A database of its own, which is empty.
        Some(url) => Store::connect(&PostgresUrl::parse(url)?).await?,
        None => Store::open(&directory.join("countersign.db")).await?,
    };
    let keys = Keys::open(&root, store.clone(), Arc::clone(&clock)).await?;
    let node = Node { hostname: "gate.example", dir: directory, sink: None };
    let log = Log::of_node(&store, &keys, node, Timestamp::UNIX_EPOCH).await?;
    let ledger = Ledger::start(store.clone(), keys.clone(), clock, &log).await?;

    let begun = Instant::now();
    write(&ledger, leaves, writers).await?;
    let seconds = begun.elapsed().as_secs_f64();
    println!("{leaves} leaves by {writers} writers: {:.0}/s", leaves as f64 / seconds);

    for (keys, name) in [(None, "without keys"), (Some(&keys), "with payloads")] {
        let begun = Instant::now();
        let report = verify(&store, keys, |_, _| {}).await?;
        let seconds = begun.elapsed().as_secs_f64();
        let (rate, heads) = (report.leaves() as f64 / seconds, report.heads());
        println!("verify {name}: {rate:.0} leaves/s, {heads} commits");
    }
    Ok(())
}

/// A closed loop: each writer records the next leaf when its last one is durable.
async fn write(ledger: &Ledger, leaves: u64, writers: u64) -> Result<(), Anything> {
    let next = Arc::new(AtomicU64::new(0));
    let mut tasks = JoinSet::new();
    for writer in 0..writers {
        let (ledger, next) = (ledger.clone(), Arc::clone(&next));
        let account = AccountId::parse(&format!("account-{}", writer % 16))?;
        tasks.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= leaves {
                    return Ok::<(), Anything>(());
                }
                // Spread over the alphabet as random refs are, so that the index is hit everywhere.
                let reference = Ref::from_random(number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 14);
                let payload = serde_json::Value::String("x".repeat(470));
                ledger.outcome(reference, &account, payload, vec![]).await?;
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok(())
}
