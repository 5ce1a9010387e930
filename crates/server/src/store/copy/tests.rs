//! A store that is moved is the same store, and a target on which it failed is as it was before.

use serde_json::json;

use super::super::fresh::Fresh;
use super::super::ledger::tests::stage::{Stage, ruling};
use super::super::{Store, Value, Write};
use super::*;
use countersign_core::request::Mode::Enforce;

const NOTHING: Progress<'static> = Progress(&|_, _, _| {});

/// A store with a ledger, values that are NULL, empty, large and beyond ASCII, and more rows than a batch has.
async fn full(fresh: Fresh) -> Stage {
    let stage = Stage::on(fresh).await;
    let ledger = stage.ledger().await.unwrap();
    for number in 0..9 {
        let account = ["acme", "globex", "\u{e4}", "zz-top"][number as usize % 2];
        ledger.record(ruling(number, account, "hold", Enforce), json!({}), vec![]).await.unwrap();
    }
    let outbox = "INSERT INTO outbox (account_id, id, kind, state, mail_from, rcpt, sealed, at_us, keep_us, due_us, \
        attempts) VALUES ($1, $2, 'notice', 'waiting', '', $3, $4, $5, $6, 0, 0)";
    let mut writes = Vec::new();
    for number in 0..3000_i64 {
        let sealed = match number {
            0 => Value::blob(vec![7; 3 << 20]),
            1 => Value::blob(vec![]),
            _ => Value::Null,
        };
        let id = Value::text(format!("{number}-\u{1f4ec}-A"));
        let values = vec![Value::text("acme"), id, Value::text("\u{e4}@x.example"), sealed];
        let times = [Value::int(i64::MIN + number), Value::int(i64::MAX - number)];
        writes.push(Write::new(outbox, values.into_iter().chain(times).collect()));
    }
    stage.store.change(&writes).await.unwrap();
    stage
}

async fn read(stage: &Stage) -> Store {
    Store::read_at(&stage.fresh.url).await.unwrap()
}

/// Where a copy goes: tables are not there yet.
async fn there_and_back(one: Fresh, two: &StoreUrl, three: &StoreUrl) {
    let stage = full(one).await;
    stage.store.close().await;
    let there = copy(&read(&stage).await, two, NOTHING).await.unwrap();
    assert_eq!(there.ledger.leaves(), 9);
    assert!(there.rows > 3009, "{}", there.rows);
    let back = copy(&Store::read_at(two).await.unwrap(), three, NOTHING).await.unwrap();
    assert_eq!((back.rows, back.tables, &back.ledger), (there.rows, there.tables, &there.ledger));
    let again = copy(&read(&stage).await, three, NOTHING).await.unwrap_err().to_string();
    assert!(again.contains("is not empty: table `account"), "{again}");
}

#[tokio::test]
async fn everything_goes_to_postgres_and_back() {
    let Some(server) = countersign_services::Postgres::shared().await else { return };
    let dir = tempfile::tempdir().unwrap();
    let database = server.database().unwrap();
    let two = StoreUrl::parse(&database.url(), dir.path()).unwrap();
    let three = StoreUrl::Sqlite(dir.path().join("back.db"));
    there_and_back(Fresh::in_sqlite().await, &two, &three).await;
}

#[tokio::test]
async fn a_source_that_does_not_verify_is_not_moved() {
    let stage = full(Fresh::in_sqlite().await).await;
    stage.sql("UPDATE heads SET at_us = at_us + 1").await;
    stage.store.close().await;
    let target = stage.fresh.path("target.db");
    let error = copy(&read(&stage).await, &StoreUrl::Sqlite(target.clone()), NOTHING).await.unwrap_err();
    assert!(matches!(error, CopyError::Verify { .. }), "{error}");
    assert!(!target.exists());
}

#[tokio::test]
async fn what_fails_half_way_leaves_nothing_behind() {
    let Some(server) = countersign_services::Postgres::shared().await else { return };
    let stage = full(Fresh::in_sqlite().await).await;
    // Postgres takes no NUL in a text: the copy fails at the last table but a few.
    stage.sql("UPDATE outbox SET rcpt = 'a' || char(0) WHERE id LIKE '2999%'").await;
    stage.store.close().await;
    let database = server.database().unwrap();
    database.sql("CREATE FUNCTION somebodys(n BIGINT) RETURNS BIGINT LANGUAGE sql AS 'SELECT n'").unwrap();
    let things = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace \
        UNION ALL SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace ORDER BY 1";
    let before = database.sql(things).unwrap();
    let to = StoreUrl::parse(&database.url(), stage.fresh.dir.path()).unwrap();
    let error = copy(&read(&stage).await, &to, NOTHING).await.unwrap_err();
    assert!(matches!(error, CopyError::Store(_)), "{error}");
    assert_eq!(database.sql(things).unwrap(), before, "after `{error}`");
}

#[tokio::test]
async fn tables_that_were_there_stay_and_are_empty() {
    let stage = full(Fresh::in_sqlite().await).await;
    stage.store.close().await;
    let target = Fresh::in_sqlite().await;
    target.store.change(&[Write::new("CREATE TABLE strange (a BIGINT)", vec![])]).await.unwrap();
    target.store.close().await;
    let error = copy(&read(&stage).await, &target.url, NOTHING).await.unwrap_err();
    assert_eq!(error.to_string(), "nothing was moved: table `strange` is not the same in both stores");
    let store = Store::read_at(&target.url).await.unwrap();
    let rows = store.row("SELECT COUNT(*) AS n FROM outbox", vec![]).await.unwrap().unwrap();
    assert_eq!(rows.get::<i64>("n").unwrap(), 0);
}
