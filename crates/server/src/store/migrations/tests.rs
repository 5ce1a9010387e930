//! The numbers of the migrations, and what becomes of a store of an earlier version.

use std::collections::BTreeMap;

use countersign_services::Postgres;
use sqlx::postgres::PgConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};

use super::super::tables::{Kind, Table, tables};
use super::*;
use crate::config::StoreUrl;
use crate::store::Store;
use crate::store::fresh::Fresh;

#[test]
fn numbers_rise_without_a_gap() {
    let numbers: Vec<i64> = STEPS.iter().map(|step| step.0).collect();
    assert_eq!(numbers, (1..=newest()).collect::<Vec<_>>());
}

async fn tables_of(store: &Store) -> Vec<Table> {
    tables(&mut store.snapshot().await.unwrap()).await.unwrap()
}

/// How many rows each table has.
async fn counts(store: &Store) -> BTreeMap<String, i64> {
    let mut counts = BTreeMap::new();
    for table in tables_of(store).await {
        let count = AssertSqlSafe(format!("SELECT COUNT(*) AS n FROM {}", table.name));
        let count = store.row(count, vec![]).await.unwrap().unwrap().get("n").unwrap();
        counts.insert(table.name, count);
    }
    counts
}

/// A statement that puts one row into a table, whatever its columns are.
fn row(table: &Table, blob: &str) -> String {
    let value = |name: &str, kind| match (name, kind) {
        ("state", _) => "'held'",
        (_, Kind::Text) => "'x'",
        (_, Kind::Int) => "0",
        (_, Kind::Blob) => blob,
    };
    let names: Vec<&str> = table.columns.iter().map(|field| field.name.as_str()).collect();
    let values: Vec<&str> = table.columns.iter().map(|field| value(&field.name, field.kind)).collect();
    format!("INSERT INTO {} ({}) VALUES ({})", table.name, names.join(", "), values.join(", "))
}

/// Opens what an earlier version left, with a row in each of its tables, as this version does.
async fn brought_up(url: &StoreUrl, version: usize, rows: &[String], expected: &[Table]) {
    let before = {
        let store = Store::look_at(url).await.unwrap();
        let before = counts(&store).await;
        store.close().await;
        before
    };
    assert!(before.values().all(|count| *count == 1) && before.len() == rows.len(), "{before:?}");
    let store = Store::open_at(url).await.unwrap();
    let after = counts(&store).await;
    for table in before.keys() {
        assert!(after[table] >= 1, "version {version}: the row of `{table}` is gone");
    }
    assert_eq!(tables_of(&store).await, expected, "version {version}");
    store.close().await;
    Store::read_at(url).await.unwrap().close().await;
}

#[tokio::test]
async fn a_file_of_every_earlier_version_is_brought_up_to_date_with_its_rows() {
    let newest = Fresh::in_sqlite().await;
    let expected = tables_of(&newest.store).await;
    for version in 1..STEPS.len() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("countersign.db");
        let options = SqliteConnectOptions::new().filename(&path).create_if_missing(true);
        let mut connection: SqliteConnection = options.connect().await.unwrap();
        migrator(&STEPS[..version], |step| step.2).run_direct(None, &mut connection, false).await.unwrap();
        let url = StoreUrl::Sqlite(path);
        let mut rows = Vec::new();
        for table in tables_of(&Store::look_at(&url).await.unwrap()).await {
            rows.push(row(&table, "x'00'"));
        }
        for row in &rows {
            sqlx::query(AssertSqlSafe(row.clone())).execute(&mut connection).await.unwrap();
        }
        connection.close().await.unwrap();
        brought_up(&url, version, &rows, &expected).await;
    }
}

#[tokio::test]
async fn a_database_of_every_earlier_version_is_brought_up_to_date_with_its_rows() {
    let Some(server) = Postgres::shared().await else { return };
    let newest = Fresh::in_postgres().await.unwrap();
    let expected = tables_of(&newest.store).await;
    for version in 1..STEPS.len() {
        let database = server.database().unwrap();
        let mut connection = PgConnection::connect(&database.url()).await.unwrap();
        let mut migrator = migrator(&STEPS[..version], |step| step.3);
        migrator.set_locking(false);
        migrator.run_direct(None, &mut connection, false).await.unwrap();
        connection.close().await.unwrap();
        let url = StoreUrl::parse(&database.url(), newest.dir.path()).unwrap();
        let store = Store::look_at(&url).await.unwrap();
        let rows: Vec<String> = tables_of(&store).await.iter().map(|table| row(table, "'\\x00'")).collect();
        store.close().await;
        database.sql(&rows.join(";")).unwrap();
        brought_up(&url, version, &rows, &expected).await;
    }
}
