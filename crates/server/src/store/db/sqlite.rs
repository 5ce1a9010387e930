//! How the SQLite file is opened: one writer and BEGIN IMMEDIATE, so no lock is ever upgraded.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use futures_util::future::BoxFuture;
use sqlx::pool::PoolConnectionMetadata;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection};

use super::StoreError;
use crate::store::migrations;

/// Opens the file, makes it when it is not there, brings its tables up to date: readers and the writer.
pub(super) async fn open(path: &Path) -> Result<(SqlitePool, SqlitePool), StoreError> {
    let store = || path.display().to_string();
    create(path).map_err(|cause| StoreError::Create { store: store(), cause })?;
    let failed = |cause: sqlx::Error| StoreError::Open { store: store(), cause: cause.to_string() };
    if is_strange(path).await.map_err(failed)? {
        return Err(StoreError::Strange { store: store() });
    }
    let options = options(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .pragma("wal_autocheckpoint", "16000")
        .pragma("cache_size", "-65536")
        .statement_cache_capacity(WRITER_STATEMENTS);
    let writer = pool(1).before_acquire(unentangled).connect_with(options).await.map_err(failed)?;
    let migrated = migrations::sqlite().run(&writer).await;
    migrated.map_err(|cause| StoreError::Migrate { store: store(), cause: migrations::why(&cause) })?;
    Ok((readers(path).await.map_err(failed)?, writer))
}

/// Opens the file as it is.
pub(super) async fn open_read_only(path: &Path) -> Result<SqlitePool, StoreError> {
    let store = path.display().to_string();
    if !path.exists() {
        return Err(StoreError::Missing { store });
    }
    readers(path).await.map_err(|cause| StoreError::Open { store, cause: cause.to_string() })
}

/// Whether it has tables, and nobody has counted migrations. Looks at it without writing.
async fn is_strange(path: &Path) -> Result<bool, sqlx::Error> {
    let mut connection = options(path).read_only(true).connect().await?;
    let strange = sqlx::query(STRANGE).fetch_all(&mut connection).await?;
    connection.close().await?;
    Ok(!strange.is_empty())
}

/// A file that can be opened and not read is no store of ours.
pub(super) fn unreadable(store: &str, error: &StoreError) -> StoreError {
    StoreError::Open { store: store.to_owned(), cause: error.to_string() }
}

/// SQLite would make the file readable by everybody; the files beside it inherit its mode.
fn create(path: &Path) -> io::Result<()> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => match path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            Some(parent) => File::open(parent)?.sync_all(),
            None => File::open(".")?.sync_all(),
        },
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .foreign_keys(true)
        .busy_timeout(Duration::from_secs(5))
        .disable_statement_logging()
}

/// After a failed COMMIT SQLite may have ended the transaction or not, and the driver counts on that it has
/// not. Such a connection is closed, and the next one reads from the disk what is there.
fn unentangled(
    connection: &mut SqliteConnection,
    _: PoolConnectionMetadata,
) -> BoxFuture<'_, Result<bool, sqlx::Error>> {
    let clean = !connection.is_in_transaction();
    Box::pin(async move { Ok(clean) })
}

fn pool(connections: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(connections)
        .idle_timeout(None)
        .max_lifetime(None)
        .acquire_timeout(Duration::from_secs(10))
}

async fn readers(path: &Path) -> Result<SqlitePool, sqlx::Error> {
    pool(READERS).connect_with(options(path).read_only(true)).await
}

const READERS: u32 = 4;
/// Statements that the writer keeps prepared.
const WRITER_STATEMENTS: usize = 200;
const STRANGE: &str = "SELECT 1 FROM sqlite_schema WHERE type = 'table' \
    AND NOT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = '_sqlx_migrations') LIMIT 1";
