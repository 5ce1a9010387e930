//! The ledger as a whole: group commit, compare-and-swap, failure and recovery, what is owed.

use std::sync::atomic::Ordering;
use std::time::Duration;

use countersign_core::ids::Ref;
use countersign_core::ledger::Kind;
use countersign_core::policy::Decision;
use countersign_core::request::Mode::{Enforce, Observe};
use countersign_core::request::Verb;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use self::stage::{NOW, Stage, about, account, command, envelope, ruling};
use super::read::{Payload, find, recent};
use super::verify::verify;
use super::{Block, Command, Durable, Hold, Ledger, Mismatch, RecordError, Recorded, Refuse, Release};
use crate::store::{Store, Value as Cell, Write};

pub(in super::super) mod stage;

async fn recorded(stage: &Stage, word: &str, mode: countersign_core::request::Mode) -> Recorded<Durable> {
    let ledger = stage.ledger().await.unwrap();
    ledger.record(ruling(1, "acme", word, mode), Value::Null, vec![]).await.unwrap()
}

#[tokio::test]
async fn a_permit_fits_the_decision_that_was_recorded() {
    use Mismatch::Decision as No;
    let about = about();
    for (word, mode, release, hold, refuse) in [
        ("allow", Enforce, Ok(()), Err(No), Err(No)),
        ("ask", Enforce, Err(No), Ok(()), Err(No)),
        ("hold", Enforce, Err(No), Ok(()), Err(No)),
        ("refuse", Enforce, Err(No), Err(No), Ok(())),
        ("refuse", Observe, Ok(()), Err(No), Err(No)),
        ("hold", Observe, Ok(()), Err(No), Err(No)),
    ] {
        let stage = Stage::new().await;
        let record = recorded(&stage, word, mode).await;
        // A record that does not fit comes back and can be tried for another act.
        let (record, is) = match record.permit::<Release>(&about) {
            Ok(permit) => {
                assert_eq!(permit.reference(), Ref::from_random(1));
                assert_eq!(release, Ok(()), "{word} {mode:?}");
                continue;
            }
            Err(back) => back,
        };
        assert_eq!(Err(is), release, "{word} {mode:?}");
        let (record, is) = match record.permit::<Hold>(&about) {
            Ok(_) => {
                assert_eq!(hold, Ok(()), "{word} {mode:?}");
                continue;
            }
            Err(back) => back,
        };
        assert_eq!(Err(is), hold, "{word} {mode:?}");
        assert_eq!(
            record.permit::<Refuse>(&about).map(drop).map_err(|(_, is)| is),
            refuse,
            "{word} {mode:?}"
        );
    }
}

#[tokio::test]
async fn a_recorded_refusal_releases_nothing() {
    let stage = Stage::new().await;
    let (record, mismatch) =
        recorded(&stage, "refuse", Enforce).await.permit::<Release>(&about()).unwrap_err();
    assert_eq!(mismatch, Mismatch::Decision);
    assert_eq!(mismatch.to_string(), "the ruling does not allow this act");
    assert_eq!(record.ruling().decision(), Decision::Refuse);
}

#[tokio::test]
async fn a_permit_for_another_message_or_other_recipients_is_not_given() {
    let stage = Stage::new().await;
    let record = recorded(&stage, "allow", Enforce).await;
    let other = countersign_core::about::About::message(&envelope(&["a@x.example"]), b"other");
    let (record, mismatch) = record.permit::<Release>(&other).unwrap_err();
    assert_eq!(mismatch, Mismatch::About);
    let more = envelope(&["a@x.example", "b@x.example"]);
    let others = countersign_core::about::About::message(&more, b"From: a@x.example\r\n\r\nHello\r\n");
    let (record, mismatch) = record.permit::<Release>(&others).unwrap_err();
    assert_eq!(mismatch, Mismatch::About);
    assert!(record.permit::<Release>(&about()).is_ok());
}

#[tokio::test]
async fn a_block_is_permitted_only_to_an_allowed_block_also_in_observe() {
    let stage = Stage::new().await;
    let ledger = stage.ledger().await.unwrap();
    let record = async |number, verb, word, mode| {
        let ruling = command(number, "acme", verb, word, mode);
        let about = *ruling.about();
        (ledger.record(ruling, Value::Null, vec![]).await.unwrap(), about)
    };
    let (block, about) = record(1, Verb::AccountBlock, "allow", Enforce).await;
    let (block, mismatch) = block.permit::<Command>(&about).unwrap_err();
    assert_eq!(mismatch, Mismatch::Decision);
    let (block, _) = block.permit::<Release>(&about).unwrap_err();
    assert!(block.permit::<Block>(&about).is_ok());
    let (apply, about) = record(2, Verb::Apply, "allow", Enforce).await;
    let (apply, _) = apply.permit::<Block>(&about).unwrap_err();
    assert!(apply.permit::<Command>(&about).is_ok());
    // Observe lets mail pass, not commands.
    let (block, about) = record(3, Verb::AccountBlock, "refuse", Observe).await;
    assert_eq!(block.permit::<Block>(&about).unwrap_err().1, Mismatch::Decision);
    let (apply, about) = record(4, Verb::Apply, "refuse", Observe).await;
    assert_eq!(apply.permit::<Command>(&about).unwrap_err().1, Mismatch::Decision);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_at_once_come_out_gapless_and_verify() {
    let stage = Stage::new().await;
    let ledger = stage.ledger().await.unwrap();
    let mut tasks = JoinSet::new();
    for number in 0..1000 {
        let ledger = ledger.clone();
        let ruling = ruling(number, &format!("account-{}", number % 7), "allow", Enforce);
        tasks.spawn(async move { ledger.record(ruling, json!({"note": "x"}), vec![]).await.map(drop) });
    }
    assert!(tasks.join_all().await.iter().all(Result::is_ok));
    assert_eq!(stage.number("SELECT COUNT(*) AS n FROM leaves").await, 1000);
    assert_eq!(stage.number("SELECT MAX(idx) AS n FROM leaves").await, 999);
    assert_eq!(stage.number("SELECT COUNT(*) AS n FROM chains").await, 7);
    let mut seen = vec![];
    let report =
        verify(&stage.store, Some(&stage.keys), |done, total| seen.push((done, total))).await.unwrap();
    assert_eq!((report.leaves(), report.payloads_checked, report.payloads_erased), (1000, 1000, 0));
    assert!(report.heads() < 1000, "many leaves share a commit: {} heads", report.heads());
    assert_eq!(seen.last(), Some(&(1000, 1000)));
    let bare = verify(&stage.store, None, |_, _| {}).await.unwrap();
    assert_eq!((bare.logs, bare.payloads_checked), (report.logs, 0));
}

#[tokio::test]
async fn a_full_batch_goes_into_one_commit() {
    let stage = Stage::new().await;
    let ledger = stage.ledger().await.unwrap();
    stage.keys.of(&account("acme")).await.unwrap();
    let busy = stage.busy().await;
    let mut tasks = JoinSet::new();
    for number in 0..5000 {
        let ledger = ledger.clone();
        let reference = Ref::from_random(number);
        tasks.spawn(async move { ledger.outcome(reference, &account("acme"), Value::Null, vec![]).await });
    }
    tokio::time::sleep(Duration::from_millis(20)).await;
    drop(busy);
    assert!(tasks.join_all().await.iter().all(Result::is_ok));
    assert_eq!(stage.number("SELECT COUNT(*) AS n FROM leaves").await, 5000);
    assert_eq!(stage.number("SELECT MAX(leaves) AS n FROM heads").await, 4096);
    assert_eq!(verify(&stage.store, Some(&stage.keys), |_, _| {}).await.unwrap().leaves(), 5000);
}

#[tokio::test]
async fn an_entry_is_found_by_ref_with_its_outcome() {
    let stage = Stage::new().await;
    let ledger = stage.ledger().await.unwrap();
    let reference = Ref::from_random(1);
    let extra = json!({"recipients": ["a@x.example"], "actor": "somebody else", "ruling": 1});
    ledger.record(ruling(1, "acme", "allow", Enforce), extra, vec![]).await.unwrap();
    ledger.record(ruling(2, "acme", "allow", Enforce), Value::Null, vec![]).await.unwrap();
    for reply in ["451 later", "250 done"] {
        ledger.outcome(reference, &account("acme"), json!({"reply": reply}), vec![]).await.unwrap();
    }
    let entries = find(&stage.store, &stage.keys, reference).await.unwrap();
    let kinds: Vec<_> = entries.iter().map(|entry| (entry.index, entry.kind)).collect();
    assert_eq!(kinds, [(0, Kind::Ruling), (2, Kind::Outcome), (3, Kind::Outcome)]);
    let Some(Payload::Opened(payload)) = entries.first().map(|entry| &entry.payload) else { panic!() };
    assert_eq!(payload["ruling"]["decision"], "allow", "the ruling is not the caller's to say");
    assert_eq!(payload["actor"], "credential:key-1");
    assert_eq!(payload["recipients"], json!(["a@x.example"]));
    assert_eq!(payload["about"].as_str().unwrap().len(), 64);
    assert_eq!(payload.get("owed"), None);
    let latest = recent(&stage.store, &stage.keys, 1).await.unwrap();
    let expected = Payload::Opened(json!({"ref": reference, "outcome": {"reply": "250 done"}}));
    assert_eq!(latest.first().map(|entry| &entry.payload), Some(&expected));
    stage.sql("DELETE FROM payloads WHERE idx = 0").await;
    let entries = find(&stage.store, &stage.keys, reference).await.unwrap();
    assert_eq!(entries.first().map(|entry| &entry.payload), Some(&Payload::Erased));
}

#[tokio::test]
async fn nothing_that_a_person_could_read_is_in_the_file() {
    let stage = Stage::in_sqlite().await;
    let ledger = stage.ledger().await.unwrap();
    let extra = json!({"recipients": ["very-secret@x.example"]});
    ledger.record(ruling(1, "acme", "refuse", Enforce), extra, vec![]).await.unwrap();
    stage.store.close().await;
    for file in std::fs::read_dir(stage.fresh.dir.path()).unwrap() {
        let octets = std::fs::read(file.unwrap().path()).unwrap();
        assert!(!octets.windows(11).any(|window| window == b"very-secret"));
    }
}

/// A table of a room, with one row that two rulings compete for.
async fn held(stage: &Stage) -> Ledger {
    stage.sql("CREATE TABLE shelf (ref TEXT PRIMARY KEY, state TEXT NOT NULL)").await;
    stage.sql("INSERT INTO shelf VALUES ('one', 'held')").await;
    stage.ledger().await.unwrap()
}

fn take() -> Write {
    let swap = "UPDATE shelf SET state = $1 WHERE ref = $2 AND state = 'held'";
    Write::new(swap, vec![Cell::text("releasing"), Cell::text("one")]).rows(1)
}

fn put(name: &str) -> Write {
    Write::new("INSERT INTO shelf VALUES ($1, $2)", vec![Cell::text(name), Cell::text("held")])
}

/// Records many rulings so that they share a commit: the writer is kept busy until all of them wait.
async fn together(stage: &Stage, ledger: &Ledger, all: Vec<Vec<Write>>) -> Vec<Result<(), RecordError>> {
    stage.keys.of(&account("acme")).await.unwrap();
    let busy = stage.busy().await;
    let mut tasks = JoinSet::new();
    for (number, writes) in all.into_iter().enumerate() {
        let (ledger, ruling) = (ledger.clone(), ruling(100 + number as u64, "acme", "allow", Enforce));
        tasks.spawn(async move { (number, ledger.record(ruling, Value::Null, writes).await.map(drop)) });
    }
    tokio::time::sleep(Duration::from_millis(20)).await;
    drop(busy);
    let mut results = tasks.join_all().await;
    results.sort_by_key(|(number, _)| *number);
    results.into_iter().map(|(_, result)| result).collect()
}

#[tokio::test]
async fn a_compare_and_swap_that_fails_fails_alone() {
    let stage = Stage::new().await;
    let ledger = held(&stage).await;
    let all = vec![vec![put("a")], vec![take()], vec![put("b"), take()], vec![put("c")]];
    let results = together(&stage, &ledger, all).await;
    assert_eq!(results, [Ok(()), Ok(()), Err(RecordError::Conflict), Ok(())]);
    // What the loser wrote before it lost is gone, and it has no leaf.
    assert_eq!(stage.number("SELECT COUNT(*) AS n FROM shelf").await, 3);
    assert_eq!(stage.number("SELECT COUNT(*) AS n FROM shelf WHERE ref = 'b'").await, 0);
    assert_eq!(verify(&stage.store, Some(&stage.keys), |_, _| {}).await.unwrap().leaves(), 3);
}

#[tokio::test]
async fn a_write_that_is_wrong_fails_alone() {
    let stage = Stage::new().await;
    let ledger = held(&stage).await;
    let nonsense = Write::new("INSERT INTO nowhere VALUES (1)", vec![]);
    let null = Write::new("INSERT INTO shelf VALUES ('n', $1)", vec![Cell::Null]);
    let all = vec![vec![put("a")], vec![nonsense], vec![put("one")], vec![null], vec![put("d")]];
    let results = together(&stage, &ledger, all).await;
    for (number, result) in results.iter().enumerate() {
        let own = matches!(result, Err(RecordError::Write { .. }));
        assert_eq!(own, (1..4).contains(&number), "{number}: {result:?}");
    }
    assert_eq!(verify(&stage.store, Some(&stage.keys), |_, _| {}).await.unwrap().leaves(), 2);
}

#[tokio::test]
async fn a_ruling_is_recorded_once() {
    let stage = Stage::new().await;
    let ledger = held(&stage).await;
    let twice = ruling(100, "acme", "allow", Enforce);
    ledger.record(twice.clone(), Value::Null, vec![]).await.unwrap();
    let again = ledger.record(twice, Value::Null, vec![put("x")]).await.map(drop);
    assert_eq!(again, Err(RecordError::Duplicate(Ref::from_random(100))));
    // The number 100 is in this batch again; the rest of it is not touched by that.
    let results = together(&stage, &ledger, vec![vec![put("a")], vec![put("b")], vec![put("c")]]).await;
    assert_eq!(results, [Err(RecordError::Duplicate(Ref::from_random(100))), Ok(()), Ok(())]);
    let other = ruling(100, "globex", "allow", Enforce);
    assert!(ledger.record(other, Value::Null, vec![]).await.is_ok(), "another account's ref is another ref");
    assert_eq!(stage.number("SELECT COUNT(*) AS n FROM shelf WHERE ref IN ('a', 'x')").await, 0);
    assert_eq!(verify(&stage.store, Some(&stage.keys), |_, _| {}).await.unwrap().leaves(), 4);
}

#[tokio::test]
async fn a_store_that_fails_records_nothing_and_recovers() {
    let stage = Stage::new().await;
    let ledger = held(&stage).await;
    ledger.record(ruling(1, "acme", "allow", Enforce), Value::Null, vec![]).await.unwrap();
    stage.sql("ALTER TABLE payloads RENAME TO gone").await;
    for result in together(&stage, &ledger, vec![vec![put("a")], vec![], vec![put("b")]]).await {
        let Err(RecordError::Unavailable(cause)) = result else { panic!("{result:?}") };
        assert!(cause.contains("payloads"), "{cause}");
    }
    assert_eq!(stage.number("SELECT COUNT(*) AS n FROM leaves").await, 1);
    assert_eq!(stage.number("SELECT COUNT(*) AS n FROM shelf").await, 1, "writes go with their ruling");
    stage.sql("ALTER TABLE gone RENAME TO payloads").await;
    let results = together(&stage, &ledger, vec![vec![put("a")], vec![], vec![put("b")]]).await;
    assert_eq!(results, [Ok(()), Ok(()), Ok(())]);
    let report = verify(&stage.store, Some(&stage.keys), |_, _| {}).await.unwrap();
    assert_eq!((report.leaves(), report.payloads_checked), (4, 4));
}

#[tokio::test]
async fn a_commit_that_fails_fails_the_whole_batch() {
    let stage = Stage::new().await;
    let ledger = held(&stage).await;
    stage.sql("CREATE TABLE later (ref TEXT REFERENCES shelf (ref) DEFERRABLE INITIALLY DEFERRED)").await;
    // Nothing is wrong until COMMIT, which is then refused.
    let dangling = Write::new("INSERT INTO later VALUES ('nobody')", vec![]);
    let results = together(&stage, &ledger, vec![vec![put("a")], vec![dangling], vec![]]).await;
    assert!(results.iter().all(|result| matches!(result, Err(RecordError::Unavailable(_)))), "{results:?}");
    assert_eq!(stage.number("SELECT COUNT(*) AS n FROM leaves").await, 0);
    let results = together(&stage, &ledger, vec![vec![put("a")], vec![]]).await;
    assert_eq!(results, [Ok(()), Ok(())]);
    assert_eq!(verify(&stage.store, Some(&stage.keys), |_, _| {}).await.unwrap().leaves(), 2);
}

#[tokio::test]
async fn a_restart_continues_tree_and_chains() {
    let stage = Stage::new().await;
    for number in 0..3 {
        let ledger = stage.ledger().await.unwrap();
        let ruling = ruling(number, "acme", "allow", Enforce);
        ledger.record(ruling, Value::Null, vec![]).await.unwrap();
        ledger.outcome(Ref::from_random(number), &account("globex"), Value::Null, vec![]).await.unwrap();
    }
    let report = verify(&stage.store, Some(&stage.keys), |_, _| {}).await.unwrap();
    assert_eq!((report.leaves(), report.heads()), (6, 6));
    assert_eq!(stage.number("SELECT seq AS n FROM chains WHERE account_id = 'acme'").await, 3);
    let alone = Store::read_at(&stage.fresh.url).await.unwrap();
    assert_eq!(verify(&alone, None, |_, _| {}).await.unwrap().logs, report.logs);
}

#[tokio::test]
async fn two_committers_on_one_store_never_fork_it() {
    let stage = Stage::new().await;
    let (one, two) = (stage.ledger().await.unwrap(), stage.ledger().await.unwrap());
    one.record(ruling(1, "acme", "allow", Enforce), Value::Null, vec![]).await.unwrap();
    // The other does not know of that leaf: it must not write over it, and learns of it.
    let late = two.record(ruling(2, "acme", "allow", Enforce), Value::Null, vec![]).await;
    assert!(matches!(late, Err(RecordError::Unavailable(_))), "{late:?}");
    two.record(ruling(2, "acme", "allow", Enforce), Value::Null, vec![]).await.unwrap();
    assert_eq!(verify(&stage.store, Some(&stage.keys), |_, _| {}).await.unwrap().leaves(), 2);
}

#[tokio::test]
async fn a_ledger_that_does_not_add_up_is_not_continued() {
    let stage = Stage::new().await;
    recorded(&stage, "allow", Enforce).await;
    stage.sql("UPDATE heads SET root = (SELECT salt FROM payloads)").await;
    let error = stage.ledger().await.unwrap_err().to_string();
    assert!(error.starts_with("the ledger does not add up"), "{error}");
}

#[tokio::test]
async fn time_never_decreases() {
    let stage = Stage::new().await;
    let ledger = stage.ledger().await.unwrap();
    for (number, now) in [(1, NOW), (2, NOW - 5_000_000), (3, NOW + 1)] {
        stage.now.store(now, Ordering::SeqCst);
        ledger.record(ruling(number, "acme", "allow", Enforce), Value::Null, vec![]).await.unwrap();
    }
    stage.now.store(NOW - 9, Ordering::SeqCst);
    let ledger = stage.ledger().await.unwrap();
    ledger.record(ruling(4, "acme", "allow", Enforce), Value::Null, vec![]).await.unwrap();
    let rows = stage.store.rows("SELECT at_us FROM entries ORDER BY idx", vec![]).await.unwrap();
    let times: Vec<i64> = rows.iter().map(|row| row.get::<i64>("at_us").unwrap() - NOW).collect();
    assert_eq!(times, [0, 0, 1, 1]);
    verify(&stage.store, Some(&stage.keys), |_, _| {}).await.unwrap();
}

#[tokio::test]
async fn what_is_owed_is_appended_when_the_store_writes_again() {
    let stage = Stage::new().await;
    let ledger = held(&stage).await;
    stage.sql("ALTER TABLE payloads RENAME TO gone").await;
    let refusal = ruling(1, "acme", "refuse", Enforce);
    let failed = ledger.record(refusal.clone(), Value::Null, vec![]).await;
    assert!(matches!(failed, Err(RecordError::Unavailable(_))));
    let owed = ledger.owe(refusal, json!({"note": "x"}), vec![]);
    assert_eq!(owed.permit::<Refuse>(&about()).unwrap().reference(), Ref::from_random(1));
    let allowed = ledger.owe(ruling(2, "acme", "allow", Enforce), Value::Null, vec![]);
    assert_eq!(allowed.permit::<Refuse>(&about()).unwrap_err().1, Mismatch::Decision);
    assert_eq!(ledger.owed(), 2);
    // A live ruling fails as before, and nothing owed is lost by that.
    let failed = ledger.record(ruling(3, "acme", "allow", Enforce), Value::Null, vec![]).await;
    assert!(matches!(failed, Err(RecordError::Unavailable(_))));
    assert_eq!(ledger.owed(), 2);
    stage.sql("ALTER TABLE gone RENAME TO payloads").await;
    for _ in 0..100 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        if ledger.owed() == 0 {
            break;
        }
    }
    assert_eq!((ledger.owed(), ledger.forgotten()), (0, 0));
    let entries = find(&stage.store, &stage.keys, Ref::from_random(1)).await.unwrap();
    let Some(Payload::Opened(payload)) = entries.first().map(|entry| &entry.payload) else { panic!() };
    assert_eq!((&payload["owed"], &payload["note"]), (&json!(true), &json!("x")));
    assert_eq!(verify(&stage.store, Some(&stage.keys), |_, _| {}).await.unwrap().leaves(), 2);
}

#[tokio::test]
async fn what_was_recorded_after_all_is_no_longer_owed() {
    let stage = Stage::new().await;
    let ledger = stage.ledger().await.unwrap();
    let refusal = ruling(1, "acme", "refuse", Enforce);
    ledger.record(refusal.clone(), Value::Null, vec![]).await.unwrap();
    drop(ledger.owe(refusal, Value::Null, vec![]));
    ledger.record(ruling(2, "acme", "allow", Enforce), Value::Null, vec![]).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(ledger.owed(), 0);
    assert_eq!(stage.number("SELECT COUNT(*) AS n FROM leaves").await, 2);
}

/// Refusals of a flood once pushed a block out of what was owed, and the block was gone after a restart.
#[tokio::test]
async fn a_block_is_owed_however_many_refusals_are() {
    let stage = Stage::new().await;
    let ledger = held(&stage).await;
    stage.sql("ALTER TABLE payloads RENAME TO gone").await;
    let refusal = ruling(1, "acme", "refuse", Enforce);
    while ledger.forgotten() == 0 {
        drop(ledger.owe(refusal.clone(), Value::Null, vec![]));
    }
    let full = ledger.owed();
    let row = Write::new("DELETE FROM chains WHERE account_id = $1", vec![crate::store::Value::text("none")]);
    drop(ledger.owe(ruling(2, "acme", "refuse", Enforce), Value::Null, vec![row]));
    assert_eq!((ledger.owed(), ledger.forgotten()), (full + 1, 1));
}
