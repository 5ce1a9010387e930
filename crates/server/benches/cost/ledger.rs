//! What a record costs: appending to SQLite on a real disk in batches of three sizes, verifying, sealing, the Merkle tree.
//! `just bench ledger`

use std::sync::atomic::{AtomicU64, Ordering};

use countersign::store::verify;
use countersign_core::dossier::Dossier;
use countersign_core::evidence::{Evidence, Finding, Kind};
use countersign_core::ids::AccountId;
use countersign_core::ledger::{Hash, leaf_hash, root};
use countersign_core::policy::{HoldAs, How, Rules, Ruling};
use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use futures_util::future::join_all;
use serde_json::json;

use crate::material::{Stage, request};

/// So many rulings at once, each waiting until its leaf and its sealed payload are on disk. At most so many go into
/// one commit; how many do is the committer's to say.
#[divan::bench(args = [1, 256, 4096], sample_count = 10, sample_size = 1, max_time = 4)]
fn append(bencher: Bencher, at_once: usize) {
    let (stage, rulings) = (Stage::new(), Rulings::new());
    let bencher = bencher.counter(ItemsCount::new(at_once));
    bencher.with_inputs(|| rulings.next(at_once)).bench_local_values(|batch| record(&stage, batch));
}

/// All of it: leaves, chains, heads, payloads.
#[divan::bench(args = [1_000, 10_000], sample_count = 5, sample_size = 1, max_time = 4)]
fn verify_all(bencher: Bencher, leaves: usize) {
    let (stage, rulings) = (Stage::new(), Rulings::new());
    record(&stage, rulings.next(leaves));
    let data = &stage.house.data;
    bencher
        .counter(ItemsCount::new(leaves))
        .bench_local(|| stage.runtime.block_on(verify(&data.store, Some(&data.keys), |_, _| {})).unwrap());
}

/// AES-256-GCM-SIV under an account's key.
#[divan::bench(args = [512, 4_000, 40_000])]
fn seal(bencher: Bencher, size: usize) {
    let (stage, plain) = (Stage::new(), vec![b'x'; size]);
    let key = stage.runtime.block_on(stage.house.data.keys.of(&shop())).unwrap();
    bencher.counter(BytesCount::new(size)).bench_local(|| key.seal(b"bench", black_box(&plain)).unwrap());
}

#[divan::bench(args = [512, 4_000, 40_000])]
fn open(bencher: Bencher, size: usize) {
    let stage = Stage::new();
    let key = stage.runtime.block_on(stage.house.data.keys.of(&shop())).unwrap();
    let sealed = key.seal(b"bench", &vec![b'x'; size]).unwrap();
    bencher.counter(BytesCount::new(size)).bench_local(|| key.open(b"bench", black_box(&sealed)).unwrap());
}

/// The root over so many leaves.
#[divan::bench(args = [1_000, 100_000], max_time = 2)]
fn merkle_root(bencher: Bencher, leaves: usize) {
    let hashes: Vec<Hash> = (0..leaves as u64).map(|number| leaf_hash(&number.to_be_bytes())).collect();
    bencher.counter(ItemsCount::new(leaves)).bench_local(|| root(black_box(&hashes).iter().copied()));
}

fn shop() -> AccountId {
    AccountId::parse("shop").unwrap()
}

fn record(stage: &Stage, batch: Vec<Ruling>) {
    let ledger = &stage.house.gate.ledger;
    let extra =
        || json!({ "envelope": { "mail_from": "bounce@shop.example", "recipients": ["bo@reader.example"] } });
    let records = batch.into_iter().map(|ruling| ledger.record(ruling, extra(), vec![]));
    stage.runtime.block_on(join_all(records)).into_iter().for_each(|recorded| drop(recorded.unwrap()));
}

/// Rulings of which no two have the same ref.
struct Rulings {
    rules: Rules,
    drawn: AtomicU64,
}

impl Rulings {
    fn new() -> Self {
        Self { rules: Rules::built_in().unwrap(), drawn: AtomicU64::new(1) }
    }

    fn next(&self, count: usize) -> Vec<Ruling> {
        let request = request(0, 4_000);
        let ruling = |_| {
            let mut request = request.clone();
            request.reference =
                countersign_core::ids::Ref::from_random(self.drawn.fetch_add(1, Ordering::Relaxed));
            let mut dossier = Dossier::open(request);
            for kind in Kind::ALL {
                dossier.add(Evidence::new(kind, Finding::Pass, "message", dossier.request().at));
            }
            self.rules.rule(&dossier, HoldAs(How::Custody))
        };
        (0..count).map(ruling).collect()
    }
}
