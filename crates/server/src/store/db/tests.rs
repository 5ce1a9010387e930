//! The file, its modes, and what is said when it is not as it should be.

use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::store::Write;

/// What the connection that writes says about itself.
async fn pragma(store: &Store, name: &'static str) -> String {
    let mut transaction = store.begin().await.unwrap();
    let row = transaction.row(name, vec![]).await.unwrap().unwrap();
    let column = name.trim_start_matches("PRAGMA ");
    row.get::<String>(column).unwrap_or_else(|_| row.get::<i64>(column).unwrap().to_string())
}

#[tokio::test]
async fn the_file_and_those_beside_it_are_ours_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("countersign.db");
    let _store = Store::open(&path).await.unwrap();
    let files: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(Result::unwrap).collect();
    assert!(files.len() >= 2, "the file and its log");
    for file in files {
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", file.path());
    }
}

#[tokio::test]
async fn a_commit_is_durable_when_it_returns() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("countersign.db")).await.unwrap();
    assert_eq!(pragma(&store, "PRAGMA journal_mode").await, "wal");
    assert_eq!(pragma(&store, "PRAGMA synchronous").await, "2");
    assert_eq!(pragma(&store, "PRAGMA foreign_keys").await, "1");
}

#[tokio::test]
async fn readers_cannot_write() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("countersign.db")).await.unwrap();
    assert!(store.rows("DELETE FROM leaves", vec![]).await.is_err());
}

#[tokio::test]
async fn a_store_is_opened_again_and_read_without_a_server() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("countersign.db");
    Store::open(&path).await.unwrap().close().await;
    let store = Store::open_read_only(&path).await.unwrap();
    assert!(matches!(store.begin().await, Err(StoreError::ReadOnly { .. })));
    Store::open(&path).await.unwrap();
}

#[tokio::test]
async fn what_a_killed_server_left_is_read_without_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("countersign.db");
    let store = Store::open(&path).await.unwrap();
    let chain = "INSERT INTO gate_modes (gate, mode) VALUES ('send', 'observe')";
    store.change(&[Write::new(chain, vec![])]).await.unwrap();
    // What a kill leaves: the file and its log, not merged.
    let left = tempfile::tempdir().unwrap();
    for name in ["countersign.db", "countersign.db-wal"] {
        std::fs::copy(dir.path().join(name), left.path().join(name)).unwrap();
    }
    let store = Store::open_read_only(&left.path().join("countersign.db")).await.unwrap();
    let row = store.row("SELECT mode FROM gate_modes", vec![]).await.unwrap().unwrap();
    assert_eq!(row.get::<String>("mode").unwrap(), "observe");
}

#[tokio::test]
async fn errors_name_the_file_and_the_cause() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("not").join("there.db");
    let error = Store::open(&path).await.unwrap_err().to_string();
    assert!(error.contains("there.db") && error.contains("No such file"), "{error}");
    let error = Store::open_read_only(&path).await.unwrap_err().to_string();
    assert!(error.contains("there.db") && error.contains("init"), "{error}");
    let junk = dir.path().join("junk.db");
    std::fs::write(&junk, "this is no database at all, but long enough to be looked at as if it were one")
        .unwrap();
    let error = Store::open(&junk).await.unwrap_err().to_string();
    assert!(error.contains("junk.db") && error.contains("not a database"), "{error}");
}

#[tokio::test]
async fn a_store_of_another_version_is_not_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("countersign.db");
    let store = Store::open(&path).await.unwrap();
    let later = "INSERT INTO _sqlx_migrations VALUES (9999, 'later', 0, 1, x'00', 0)";
    store.change(&[Write::new(later, vec![])]).await.unwrap();
    store.close().await;
    assert!(matches!(Store::open_read_only(&path).await, Err(StoreError::Version { found: 9999, .. })));
}
