use countersign_core::ids::Ref;
use countersign_core::ledger::export::{Expected, Verifier};
use countersign_core::ledger::{Algorithm, KeyName, witness};
use countersign_core::request::Mode::Enforce;
use serde_json::Value as Json;

use super::*;
use crate::store::ledger::logs::{Known, LogError, hold_against};
use crate::store::ledger::tests::stage::{NOW, Stage, ruling};
use crate::store::ledger::{ExportError, ProveError, export, prove};

async fn checkpoints(stage: &Stage) -> Checkpoints {
    let log = stage.log().await.unwrap();
    let clock = Arc::new(|| Timestamp::from_microsecond(NOW).unwrap());
    Checkpoints::of(stage.store.clone(), &stage.keys, log, clock).unwrap()
}

/// Records rulings with these numbers, all at once, so that commits are of many sizes.
async fn record(stage: &Stage, numbers: std::ops::Range<u64>) {
    let ledger = stage.ledger().await.unwrap();
    let all =
        numbers.map(|number| ledger.record(ruling(number, "acme", "refuse", Enforce), Json::Null, vec![]));
    for recorded in futures_util::future::join_all(all).await {
        recorded.unwrap();
    }
}

async fn exported(stage: &Stage, withhold: bool) -> Result<Vec<u8>, ExportError> {
    let log = Known::all(&stage.store).await?.remove(0);
    let mut file = Vec::new();
    let mut out = |octets: &[u8]| {
        file.extend_from_slice(octets);
        Ok(())
    };
    export(&stage.store, &stage.keys, &log, withhold, &mut out).await?;
    Ok(file)
}

#[tokio::test]
async fn a_checkpoint_is_over_what_is_durable_and_is_signed_once() {
    let stage = Stage::new().await;
    let signer = checkpoints(&stage).await;
    assert_eq!(signer.sign().await.unwrap(), 0, "nothing is recorded");
    record(&stage, 0..5).await;
    assert_eq!((signer.sign().await.unwrap(), signer.sign().await.unwrap()), (5, 5));
    record(&stage, 5..300).await;
    assert_eq!(signer.sign().await.unwrap(), 300);
    assert_eq!(stage.number("SELECT COUNT(*) AS n FROM checkpoints").await, 2);
    let kept = std::fs::read_to_string(stage.fresh.path("checkpoint")).unwrap();
    assert_eq!(hold_against(&stage.store, &kept).await.unwrap(), 300);
    let report = crate::store::verify(&stage.store, Some(&stage.keys), |_, _| {}).await.unwrap();
    assert_eq!(report.logs[0].checkpoints, 2);
}

#[tokio::test]
async fn nothing_is_signed_that_contradicts_what_was_signed_before() {
    let stage = Stage::new().await;
    let signer = checkpoints(&stage).await;
    record(&stage, 0..5).await;
    let kept = async || std::fs::read_to_string(stage.fresh.path("checkpoint")).unwrap();
    signer.sign().await.unwrap();
    let before = kept().await;
    // Somebody cuts off the end, with everything that belongs to it, and the log grows another way.
    for table in [
        "DELETE FROM leaves WHERE idx >= 3",
        "DELETE FROM entries WHERE idx >= 3",
        "DELETE FROM payloads WHERE idx >= 3",
        "DELETE FROM heads",
        "DELETE FROM chains",
        "DELETE FROM checkpoints",
    ] {
        stage.sql(table).await;
    }
    assert_eq!(signer.sign().await.unwrap(), 0, "nothing is there to be signed");
    assert_eq!(kept().await, before);
    // A head of as many leaves with another root is not signed, nor is a smaller one.
    for size in [5, 4, 6] {
        stage.sql("DELETE FROM heads").await;
        let head = Write::new(
            "INSERT INTO heads (log, size, leaves, root, at_us) VALUES (0, $1, 1, $2, 0)",
            vec![Value::Int(size), Value::blob([7_u8; 32])],
        );
        stage.store.change(&[head]).await.unwrap();
        assert!(signer.sign().await.is_err(), "size {size}");
        // Another process does not find the log as it was kept, and begins a new one.
        assert_eq!(checkpoints(&stage).await.sign().await.unwrap(), 0, "size {size}");
    }
    let rows = stage.store.rows("SELECT continues FROM logs WHERE log > 0", vec![]).await.unwrap();
    let onward: Vec<Option<String>> = rows.iter().map(|row| row.get("continues").unwrap()).collect();
    assert_eq!(onward, [Some(before)], "one new log, which says what it continues");
}

#[tokio::test]
async fn every_entry_is_proved_in_the_last_checkpoint() {
    let stage = Stage::new().await;
    let signer = checkpoints(&stage).await;
    record(&stage, 0..1).await;
    let early = prove(&stage.store, Ref::from_random(0)).await;
    assert!(matches!(early, Err(ProveError::NotYet { index: 0, .. })), "{early:?}");
    record(&stage, 1..700).await;
    signer.sign().await.unwrap();
    for number in (0..700).step_by(37).chain([255, 256, 511, 512, 699]) {
        let proved = prove(&stage.store, Ref::from_random(number)).await.unwrap();
        assert_eq!((proved.len(), proved[0].size), (1, 700));
        proved[0].proof.verify(&proved[0].key).unwrap();
    }
    let unknown = prove(&stage.store, Ref::from_random(1 << 40)).await;
    assert!(matches!(unknown, Err(ProveError::Unknown(_))));
}

#[tokio::test]
async fn an_export_goes_up_to_the_last_checkpoint_and_verifies() {
    let stage = Stage::new().await;
    let signer = checkpoints(&stage).await;
    record(&stage, 0..10).await;
    assert!(matches!(exported(&stage, false).await, Err(ExportError::Log(LogError::NoCheckpoint(_)))));
    signer.sign().await.unwrap();
    record(&stage, 10..20).await;
    for (withhold, opened) in [(false, 10), (true, 0)] {
        let file = exported(&stage, withhold).await.unwrap();
        let mut verifier = Verifier::new(Expected::default());
        file.split_inclusive(|octet| *octet == b'\n').for_each(|line| verifier.line(line).unwrap());
        let report = verifier.end().unwrap();
        assert_eq!((report.leaves, report.opened, report.withheld), (10, opened, 10 - opened));
    }
    // What is not what was signed is not signed again.
    stage.sql("UPDATE leaves SET leaf = (SELECT leaf FROM leaves WHERE idx = 4) WHERE idx = 5").await;
    assert!(matches!(exported(&stage, true).await, Err(ExportError::Broken(10, _))));
}

fn witness(seed: u8) -> Signer {
    let name = KeyName::parse(&format!("w{seed}.example")).unwrap();
    Signer::of(name, Algorithm::Cosignature, &[seed; 32]).unwrap()
}

#[tokio::test]
async fn a_cosignature_is_kept_under_its_checkpoint_and_shown_to_nobody_who_is_asked_for_one() {
    let stage = Stage::new().await;
    let signer = checkpoints(&stage).await;
    assert_eq!(signer.question(None).await.unwrap().checkpoint.size, 0, "an empty log has one too");
    record(&stage, 0..5).await;
    signer.sign().await.unwrap();
    let asked = signer.question(Some(0)).await.unwrap();
    let known = witness::Known { keys: vec![signer.key().clone()], latest: None };
    assert_eq!(witness::judge(&asked, Some(&known)), Ok(()));
    let log = Known::all(&stage.store).await.unwrap().remove(0);
    assert!(matches!(log.witnessed_head(&stage.store).await, Err(LogError::NotWitnessed(_))));
    for (seed, time) in [(1, 10), (2, 20), (1, 30)] {
        let signature = self::witness(seed).sign(asked.note.text(), time);
        signer.cosigned(&asked, signature).await.unwrap();
    }
    record(&stage, 5..300).await;
    signer.sign().await.unwrap();
    let head = Note::parse(&log.witnessed_head(&stage.store).await.unwrap()).unwrap();
    assert_eq!(head.signatures().len(), 3, "the log, and each witness once: {head}");
    assert_eq!(head.verify(self::witness(1).verifier()).unwrap().time, Some(30));
    let proved = prove(&stage.store, Ref::from_random(3)).await.unwrap().remove(0);
    assert_eq!((proved.size, proved.proof.checkpoint), (5, head), "the one that is cosigned");
    assert_eq!(prove(&stage.store, Ref::from_random(7)).await.unwrap().remove(0).size, 300);

    let onward = signer.question(Some(5)).await.unwrap();
    assert_eq!(onward.note.signatures().len(), 1);
    let known = witness::Known { latest: Some((5, asked.checkpoint.root)), ..known };
    assert_eq!(witness::judge(&onward, Some(&known)), Ok(()));
    assert!(signer.question(Some(301)).await.is_err(), "the log has not so many");
    crate::store::verify(&stage.store, Some(&stage.keys), |_, _| {}).await.unwrap();
    let file = exported(&stage, true).await.unwrap();
    let text = String::from_utf8(file).unwrap();
    assert!(text.contains("w1.example") && text.contains("w2.example"), "{text}");
    let mut verifier = Verifier::new(Expected { key: Some(signer.key().clone()), head: None });
    text.split_inclusive('\n').for_each(|line| verifier.line(line.as_bytes()).unwrap());
    assert_eq!(verifier.end().unwrap().leaves, 300);
}

#[tokio::test]
async fn a_log_that_is_disputed_is_signed_no_more_and_the_next_start_begins_another() {
    let stage = Stage::new().await;
    let signer = checkpoints(&stage).await;
    record(&stage, 0..5).await;
    signer.sign().await.unwrap();
    record(&stage, 5..8).await;
    signer.dispute("witness `w` has cosigned 9 leaves of it, and here are 5").unwrap();
    assert_eq!((signer.sign().await.unwrap(), *signer.signed().borrow()), (5, 5));
    let dir = stage.fresh.dir.path();
    let dispute = Dispute::in_dir(dir).unwrap().unwrap();
    assert!(dispute.says.contains("has cosigned 9 leaves"));
    let next = checkpoints(&stage).await;
    assert_ne!(next.key().name().as_str(), dispute.origin);
    assert_eq!(Dispute::in_dir(dir).unwrap(), None, "it is settled");
    assert_eq!(checkpoints(&stage).await.key(), next.key(), "and stays so");
    // One that is left over is of a log of before.
    dispute.keep(dir).unwrap();
    assert_eq!(Dispute::in_dir(dir).unwrap(), None);
    assert_eq!(checkpoints(&stage).await.key(), next.key());
}
