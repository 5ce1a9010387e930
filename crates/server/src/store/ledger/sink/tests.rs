//! The second sink: with the store, behind it, ahead of it, gone, and the file of something else.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use countersign_core::ledger::export::{Expected, Header, Line, Report, Verifier};
use countersign_core::request::Mode::Enforce;
use serde_json::Value;

use super::super::log::signer_of;
use super::super::tests::stage::{Stage, ruling};
use super::super::{Ledger, RecordError};
use crate::store::{Checkpoints, StoreError};

struct Place {
    stage: Stage,
    dir: PathBuf,
    file: PathBuf,
}

impl Place {
    async fn new() -> Self {
        let stage = Stage::new().await;
        let dir = stage.fresh.path("second");
        fs::create_dir(&dir).unwrap();
        Self { file: dir.join("ledger"), stage, dir }
    }

    /// A ledger; that of before may still be closing.
    async fn ledger(&self) -> Ledger {
        loop {
            match self.try_ledger().await {
                Ok(ledger) => return ledger,
                Err(StoreError::Sink(super::SinkError::Locked(_))) => tokio::task::yield_now().await,
                Err(error) => panic!("{error}"),
            }
        }
    }

    async fn try_ledger(&self) -> Result<Ledger, StoreError> {
        let log = self.stage.log_with(Some(&self.file)).await?;
        let clock = std::sync::Arc::new(|| jiff::Timestamp::UNIX_EPOCH);
        Ledger::start(self.stage.store.clone(), self.stage.keys.clone(), clock, &log).await
    }

    async fn sign(&self, ledger: &Ledger) {
        let log = self.stage.log_with(Some(&self.file)).await.unwrap();
        let clock = std::sync::Arc::new(|| jiff::Timestamp::UNIX_EPOCH);
        let checkpoints = Checkpoints::of(self.stage.store.clone(), &self.stage.keys, log, clock).unwrap();
        ledger.signed().send_replace(checkpoints.sign().await.unwrap());
    }

    async fn leaves(&self) -> i64 {
        self.stage.number("SELECT COUNT(*) AS n FROM leaves").await
    }

    fn add(&self, octets: &[u8]) {
        fs::File::options().append(true).open(&self.file).unwrap().write_all(octets).unwrap();
    }
}

async fn record(ledger: &Ledger, numbers: std::ops::Range<u64>) {
    for number in numbers {
        try_record(ledger, number).await.unwrap();
    }
}

async fn try_record(ledger: &Ledger, number: u64) -> Result<(), RecordError> {
    ledger.record(ruling(number, "acme", "allow", Enforce), Value::Null, vec![]).await.map(drop)
}

fn verified(file: &Path) -> Report {
    let octets = fs::read(file).unwrap();
    let mut verifier = Verifier::new(Expected::default());
    octets.split_inclusive(|octet| *octet == b'\n').for_each(|line| verifier.line(line).unwrap());
    verifier.end().unwrap()
}

#[tokio::test]
async fn what_is_recorded_is_in_the_second_sink() {
    let place = Place::new().await;
    let ledger = place.ledger().await;
    for number in 0..5 {
        record(&ledger, number..number + 1).await;
        assert_eq!(verified(&place.file).leaves, number + 1);
    }
    let report = verified(&place.file);
    assert!(report.is_sink);
    assert_eq!((report.withheld, report.covered, report.checkpoints), (5, 0, 0));
    let text = fs::read_to_string(&place.file).unwrap();
    assert!(!text.contains("acme"), "{text}");
    place.sign(&ledger).await;
    // It stands there without another leaf, and one that comes late still covers its leaves.
    while verified(&place.file).covered != 5 {
        tokio::task::yield_now().await;
    }
    record(&ledger, 5..6).await;
    assert_eq!((verified(&place.file).leaves, verified(&place.file).covered), (6, 5));
}

#[tokio::test]
async fn while_it_is_gone_nothing_is_recorded_and_then_it_goes_on() {
    let place = Place::new().await;
    let ledger = place.ledger().await;
    record(&ledger, 0..2).await;
    let away = place.stage.fresh.path("away");
    fs::rename(&place.dir, &away).unwrap();
    for number in 2..5 {
        let RecordError::Unavailable(why) = try_record(&ledger, number).await.unwrap_err() else { panic!() };
        assert!(why.contains("second sink") && why.contains("No such file"), "{why}");
        assert!(!ledger.is_well());
    }
    assert_eq!(place.leaves().await, 2, "what cannot be in both places is in neither");
    assert!(!place.dir.exists(), "a directory that is missing is not made");
    fs::rename(&away, &place.dir).unwrap();
    record(&ledger, 2..4).await;
    assert!(ledger.is_well());
    assert_eq!((place.leaves().await, verified(&place.file).leaves), (4, 4));
}

#[tokio::test]
async fn octets_of_somebody_else_at_its_end_are_taken_off() {
    let place = Place::new().await;
    let ledger = place.ledger().await;
    record(&ledger, 0..2).await;
    place.add(b"what is this\n");
    record(&ledger, 2..3).await;
    assert_eq!(verified(&place.file).leaves, 3);
    // Emptied, as those do who rotate logs by copying: all of it is written again.
    fs::write(&place.file, "").unwrap();
    record(&ledger, 3..4).await;
    assert_eq!(verified(&place.file).leaves, 4);
}

#[tokio::test]
async fn a_start_writes_what_is_missing_and_mends_the_end() {
    let place = Place::new().await;
    let ledger = place.ledger().await;
    record(&ledger, 0..6).await;
    drop(ledger);
    let whole = fs::read(&place.file).unwrap();
    for length in [whole.len() - 1, whole.len() - 200, whole.len() / 2, whole.len() / 9, 40, 1, 0] {
        fs::write(&place.file, &whole[..length]).unwrap();
        drop(place.ledger().await);
        assert_eq!(fs::read(&place.file).unwrap(), whole, "cut at {length}");
    }
    // A page in the midst of the last lines never reached the disk.
    let mut holed = whole.clone();
    let hole = whole.len() - 600;
    holed[hole..hole + 80].fill(0);
    fs::write(&place.file, &holed).unwrap();
    drop(place.ledger().await);
    assert_eq!(fs::read(&place.file).unwrap(), whole);
    fs::remove_file(&place.file).unwrap();
    record(&place.ledger().await, 6..7).await;
    assert_eq!(verified(&place.file).leaves, 7);
}

#[tokio::test]
async fn a_sink_that_is_ahead_of_the_store_begins_a_new_log() {
    let place = Place::new().await;
    let ledger = place.ledger().await;
    record(&ledger, 0..2).await;
    place.sign(&ledger).await;
    let before = fs::read(place.stage.fresh.path("checkpoint")).unwrap();
    record(&ledger, 2..5).await;
    place.sign(&ledger).await;
    while verified(&place.file).covered != 5 {
        tokio::task::yield_now().await;
    }
    drop(ledger);
    // Store and data directory come from a backup of before.
    for statement in [
        "DELETE FROM payloads WHERE idx >= 2",
        "DELETE FROM entries WHERE idx >= 2",
        "DELETE FROM leaves WHERE idx >= 2",
        "DELETE FROM heads WHERE size > 2",
        "DELETE FROM checkpoints WHERE size > 2",
        "UPDATE chains SET seq = 2, hash = (SELECT hash FROM leaves WHERE idx = 1)",
    ] {
        place.stage.sql(statement).await;
    }
    fs::write(place.stage.fresh.path("checkpoint"), before).unwrap();
    let ledger = place.ledger().await;
    assert_eq!(place.stage.number("SELECT COUNT(*) AS n FROM logs").await, 2);
    record(&ledger, 10..11).await;
    assert_eq!(verified(&place.file).leaves, 1);
    let files: Vec<PathBuf> = fs::read_dir(&place.dir).unwrap().map(|file| file.unwrap().path()).collect();
    let aside = files.iter().find(|file| **file != place.file).unwrap();
    assert_eq!((verified(aside).leaves, files.len()), (5, 2), "what it had is kept");
    // The new log goes on from the last that was signed of the old one, which only the sink knew.
    let header = verified(&place.file).header;
    let continued = header.continues.unwrap().note;
    assert!(continued.contains("\n5\n") && !continued.contains(&header.origin), "{continued}");
}

#[tokio::test]
async fn the_file_of_something_else_is_left_alone() {
    let place = Place::new().await;
    for text in ["root:x:0:0\n", "{\"v\":1}\n", "hello", "\n"] {
        fs::write(&place.file, text).unwrap();
        let error = place.try_ledger().await.unwrap_err().to_string();
        assert!(error.contains("is not the second sink of this log"), "{text}: {error}");
        assert_eq!(fs::read_to_string(&place.file).unwrap(), text);
    }
    fs::remove_file(&place.file).unwrap();
    fs::create_dir(&place.file).unwrap();
    place.try_ledger().await.unwrap_err();
    fs::remove_dir(&place.file).unwrap();
    let ledger = place.ledger().await;
    let error = place.try_ledger().await.unwrap_err().to_string();
    assert!(error.contains("in use by another server"), "{error}");
    drop(ledger);
    fs::remove_dir_all(&place.dir).unwrap();
    let error = place.try_ledger().await.unwrap_err().to_string();
    assert!(error.contains("cannot be made"), "{error}");
}

#[tokio::test]
async fn the_file_of_another_node_is_refused_and_an_old_one_of_ours_is_set_aside() {
    let place = Place::new().await;
    record(&place.ledger().await, 0..1).await;
    let write = |origin: &str| {
        let key = signer_of(origin, &place.stage.keys).unwrap().verifier().to_string();
        let mut line = Vec::new();
        Line::Sink(Header { v: 1, origin: origin.to_owned(), key, from: 0, continues: None })
            .print(&mut line);
        fs::write(&place.file, &line).unwrap();
        line
    };
    let refused = async || loop {
        match place.try_ledger().await {
            Err(StoreError::Sink(super::SinkError::Locked(_))) => tokio::task::yield_now().await,
            Err(error) => return error.to_string(),
            Ok(_) => panic!("it is taken over"),
        }
    };
    let line = write("other.example/7q2k3m9tbc");
    let error = refused().await;
    assert!(error.contains("other.example/7q2k3m9tbc") && error.contains("not this one"), "{error}");
    place
        .stage
        .sql("INSERT INTO logs (log, origin, verifier, began_us) SELECT 9, 'other.example/7q2k3m9tbc', verifier, 0 FROM logs WHERE log = 0")
        .await;
    let error = refused().await;
    assert!(error.contains("another node of this store") && error.contains("move this one away"), "{error}");
    assert_eq!(fs::read(&place.file).unwrap(), line, "it is left as it is");
    // A log that the store lost in a restore: our key, our name.
    let line = write("gate.example/7q2k3m9tbd");
    drop(place.ledger().await);
    assert_eq!(fs::read(place.dir.join("ledger.7q2k3m9tbd")).unwrap(), line);
    assert_eq!(verified(&place.file).leaves, 1);
}
