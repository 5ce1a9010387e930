//! Tampering: whatever is changed, deleted or put elsewhere in the store is found.
//! Each case is done to the same ledger in a transaction of its own copy.

use std::path::{Path, PathBuf};

use countersign_core::ids::Ref;
use countersign_core::request::Mode::Enforce;
use countersign_core::request::Verb;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::json;
use sqlx::AssertSqlSafe;

use super::super::tests::stage::{Stage, account, command, ruling};
use super::*;

/// A ledger of several accounts, kinds and commits, closed: its file can be copied.
async fn ledger() -> Stage {
    // What is done to it below is done to copies of the file.
    let stage = Stage::in_sqlite().await;
    let ledger = stage.ledger().await.unwrap();
    for number in 0..12_u64 {
        stage.now.fetch_add(1_000_000, std::sync::atomic::Ordering::SeqCst);
        let name = ["acme", "globex", "initech"][number as usize % 3];
        let ruling = match number {
            7 => command(number, name, Verb::Apply, "allow", Enforce),
            _ => ruling(number, name, "hold", Enforce),
        };
        ledger.record(ruling, json!({"note": number}), vec![]).await.unwrap();
        if number % 4 == 0 {
            let reference = Ref::from_random(number);
            ledger.outcome(reference, &account(name), json!({"reply": "250"}), vec![]).await.unwrap();
        }
    }
    let mut all = tokio::task::JoinSet::new();
    for number in 20..24 {
        let ledger = ledger.clone();
        let ruling = ruling(number, "acme", "allow", Enforce);
        all.spawn(async move { ledger.record(ruling, json!({}), vec![]).await.map(drop) });
    }
    assert!(all.join_all().await.iter().all(Result::is_ok));
    assert_eq!(verify(&stage.store, Some(&stage.keys), |_, _| {}).await.unwrap().leaves(), LEAVES);
    stage.store.close().await;
    stage
}

const LEAVES: u64 = 19;

/// A copy of the ledger with something done to it, and what verify says of it. `None`: it was not done.
async fn after(stage: &Stage, tampering: &[String]) -> Option<Result<Report, VerifyError>> {
    let dir = tempfile::tempdir().unwrap();
    let path = copy(&stage.path(), dir.path());
    let store = Store::open(&path).await.unwrap();
    let root = crate::seal::RootKey::read(&stage.fresh.path("root.key")).unwrap();
    let clock: super::super::Clock = std::sync::Arc::new(|| jiff::Timestamp::UNIX_EPOCH);
    let keys = Keys::open(&root, store.clone(), clock).await.unwrap();
    let mut changed = 0;
    for statement in tampering {
        let mut transaction = store.begin().await.unwrap();
        let changes = ["UPDATE", "DELETE", "INSERT"].iter().any(|verb| statement.starts_with(verb));
        let told = if changes { " RETURNING 1 AS n" } else { "" };
        let all = AssertSqlSafe(format!("{statement}{told}"));
        // What the tables themselves refuse was not done.
        let Ok(done) = transaction.rows(all, vec![]).await else { return None };
        changed += done.len();
        transaction.commit().await.unwrap();
    }
    let result = verify(&store, Some(&keys), |_, _| {}).await;
    store.close().await;
    (changed > 0).then_some(result)
}

fn copy(from: &Path, to: &Path) -> PathBuf {
    let path = to.join("countersign.db");
    std::fs::copy(from, &path).unwrap();
    path
}

fn broken(result: Option<Result<Report, VerifyError>>) -> Broken {
    match result {
        Some(Err(VerifyError::Broken(broken))) => broken,
        other => panic!("not found: {other:?}"),
    }
}

async fn says(stage: &Stage, tampering: &str) -> String {
    broken(after(stage, &[tampering.to_owned()]).await).to_string()
}

#[tokio::test]
async fn the_first_bad_leaf_is_named() {
    let stage = ledger().await;
    for (tampering, says_so) in [
        ("UPDATE leaves SET leaf = zeroblob(163) WHERE idx = 5", "at leaf 5: it is no leaf"),
        ("UPDATE leaves SET hash = zeroblob(32) WHERE idx = 5", "at leaf 5: its hash is not the stored one"),
        ("DELETE FROM leaves WHERE idx = 5", "at leaf 5: it is missing"),
        ("DELETE FROM leaves WHERE idx = 18", "at leaf 18: it is missing, but a head counts it"),
        ("DELETE FROM entries WHERE idx = 6", "at leaf 6: it has no entry"),
        ("UPDATE entries SET ref = '0000000000' WHERE idx = 6", "at leaf 6: its entry has another ref"),
        ("UPDATE entries SET account_id = 'x' WHERE idx = 6", "at leaf 6: its entry names another account"),
        (
            "UPDATE entries SET account_id = 'acme' WHERE idx = 6",
            "at leaf 6: its entry names another account",
        ),
        (
            "INSERT INTO entries SELECT 'x', log, idx, ref, part, kind, at_us FROM entries WHERE idx = 6",
            "at leaf 6: it has several entries",
        ),
        ("UPDATE payloads SET salt = zeroblob(32) WHERE idx = 9", "at leaf 9: its payload is not the one"),
        ("UPDATE payloads SET sealed = zeroblob(99) WHERE idx = 9", "at leaf 9: its payload does not open"),
        ("UPDATE payloads SET idx = 99 WHERE idx = 9", "broken: a payload has no entry"),
        ("UPDATE heads SET root = zeroblob(32) WHERE size = 4", "at leaf 3: the root over the leaves"),
        ("DELETE FROM heads WHERE size = 4", "at leaf 4: the head before"),
        ("DELETE FROM heads WHERE size = 19", "at leaf 15: no head covers it"),
        ("DELETE FROM heads", "at leaf 0: no head covers it"),
        ("UPDATE chains SET seq = seq + 1 WHERE account_id = 'acme'", "at leaf 18: the chain of its account"),
        ("DELETE FROM chains WHERE account_id = 'acme'", "broken: the end of an account's chain is missing"),
        ("DELETE FROM leaves", "broken: a head counts leaves that are not there"),
        ("UPDATE account_keys SET wrapped = zeroblob(61) WHERE account_id = 'acme'", "broken: the key of"),
    ] {
        let said = says(&stage, tampering).await;
        assert!(said.contains(says_so), "{tampering}: {said}");
    }
}

/// Two rows of a table change places; the keys stay.
fn swap(table: &str, key: &str, columns: &str, one: u64, other: u64) -> Vec<String> {
    let set = |from: &str| {
        let from = columns.split(", ").map(|c| format!("{c} = (SELECT {c} FROM {from})"));
        from.collect::<Vec<_>>().join(", ")
    };
    vec![
        format!("CREATE TABLE kept AS SELECT * FROM {table} WHERE {key} = {one}"),
        format!("UPDATE {table} SET {} WHERE {key} = {one}", set(&format!("{table} WHERE {key} = {other}"))),
        format!("UPDATE {table} SET {} WHERE {key} = {other}", set("kept")),
        "DROP TABLE kept".to_owned(),
    ]
}

#[tokio::test]
async fn rows_that_change_places_are_found() {
    let stage = ledger().await;
    for (one, other) in [(2, 3), (2, 5), (0, 18), (17, 18)] {
        for (table, key, columns) in [
            ("leaves", "idx", "leaf, hash"),
            ("payloads", "idx", "salt, sealed"),
            ("entries", "idx", "at_us, kind"),
        ] {
            // Entries of one commit have one time, and most are of one kind: then nothing changed.
            if table == "entries" && other == one + 1 {
                continue;
            }
            let found = broken(after(&stage, &swap(table, key, columns, one, other)).await);
            assert_eq!(found.index, Some(one), "{table} {one} {other}: {found}");
        }
    }
    let found = broken(after(&stage, &swap("heads", "size", "root", 4, 9)).await);
    assert_eq!(found.index, Some(3));
}

#[tokio::test]
async fn an_erased_payload_or_key_leaves_the_rest_whole() {
    let stage = ledger().await;
    let erased = |count| (LEAVES, 16, LEAVES - count, count);
    for (tampering, count) in [
        ("DELETE FROM payloads WHERE idx = 4", 1),
        ("DELETE FROM account_keys WHERE account_id = 'globex'", 5),
        ("DELETE FROM payloads", LEAVES),
    ] {
        let report = after(&stage, &[tampering.to_owned()]).await.unwrap().unwrap();
        let found = (report.leaves(), report.heads(), report.payloads_checked, report.payloads_erased);
        assert_eq!(found, erased(count), "{tampering}");
    }
}

/// A cell of the tables that the ledger promises about.
fn cells() -> impl Strategy<Value = (&'static str, &'static str)> {
    prop::sample::select(vec![
        ("leaves", "idx"),
        ("leaves", "leaf"),
        ("leaves", "hash"),
        ("entries", "account_id"),
        ("entries", "idx"),
        ("entries", "ref"),
        ("entries", "part"),
        ("entries", "kind"),
        ("entries", "at_us"),
        ("payloads", "account_id"),
        ("payloads", "idx"),
        ("payloads", "salt"),
        ("payloads", "sealed"),
        ("heads", "size"),
        ("heads", "leaves"),
        ("heads", "root"),
        ("heads", "at_us"),
        ("chains", "account_id"),
        ("chains", "seq"),
        ("chains", "hash"),
        ("account_keys", "account_id"),
        ("account_keys", "key_id"),
        ("account_keys", "wrapped"),
        ("account_keys", "created_at"),
    ])
}

/// The cell as a hexadecimal literal or an integer with one octet or bit changed.
async fn mutated(
    stage: &Path,
    table: &str,
    column: &str,
    row: usize,
    place: usize,
    flip: u8,
) -> Option<String> {
    let store = Store::open_read_only(stage).await.unwrap();
    let (keys, of) = match table {
        "leaves" => ("idx", "CAST(idx AS TEXT)"),
        "heads" => ("size", "CAST(size AS TEXT)"),
        "chains" | "account_keys" => ("account_id", "account_id"),
        _ => ("account_id || ' ' || idx", "account_id || ' ' || idx"),
    };
    let all = format!(
        "SELECT {of} AS of, typeof({column}) AS kind, hex({column}) AS hex, {column} AS value FROM {table} ORDER BY 1"
    );
    let rows = store.rows(AssertSqlSafe(all), vec![]).await.unwrap();
    let row = rows.get(row % rows.len())?;
    let key: String = row.get("of").unwrap();
    let value = match row.get::<String>("kind").unwrap().as_str() {
        "integer" => (row.get::<i64>("value").unwrap() ^ (i64::from(flip) << (8 * (place % 7)))).to_string(),
        kind => {
            let mut hex = row.get::<String>("hex").unwrap().into_bytes();
            let at = place % (hex.len() / 2) * 2;
            let octet =
                u8::from_str_radix(std::str::from_utf8(&hex[at..at + 2]).unwrap(), 16).unwrap() ^ flip;
            hex.splice(at..at + 2, format!("{octet:02X}").into_bytes());
            let literal = format!("x'{}'", String::from_utf8(hex).unwrap());
            if kind == "text" { format!("CAST({literal} AS TEXT)") } else { literal }
        }
    };
    store.close().await;
    Some(format!("UPDATE {table} SET {column} = {value} WHERE {keys} = '{key}'"))
}

#[test]
fn every_changed_octet_is_found() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let stage = runtime.block_on(ledger());
    let mut runner = TestRunner::new(ProptestConfig { cases: 150, ..ProptestConfig::default() });
    let case = (cells(), any::<u16>(), any::<u16>(), 1_u8..);
    let ran = runner.run(&case, |((table, column), row, place, flip)| {
        runtime.block_on(async {
            let path = stage.path();
            let tampering = mutated(&path, table, column, row.into(), place.into(), flip).await.unwrap();
            match after(&stage, std::slice::from_ref(&tampering)).await {
                None => Err(TestCaseError::reject("the tables refuse it")),
                Some(Err(VerifyError::Broken(_))) => Ok(()),
                Some(other) => Err(TestCaseError::fail(format!("{tampering}: {other:?}"))),
            }
        })
    });
    ran.unwrap();
}

#[test]
fn every_deleted_row_is_found() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let stage = runtime.block_on(ledger());
    runtime.block_on(async {
        for index in 0..LEAVES {
            for table in ["leaves", "entries"] {
                let found =
                    broken(after(&stage, &[format!("DELETE FROM {table} WHERE idx = {index}")]).await);
                assert_eq!(found.index, Some(index), "{table}: {found}");
            }
            if let Some(found) = after(&stage, &[format!("DELETE FROM heads WHERE size = {index}")]).await {
                broken(Some(found));
            }
        }
    });
}
