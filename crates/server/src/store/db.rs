//! The database: one file, one connection that writes, a few that read.
//! Boot opens it; commands that need no server open it read-only.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use sqlx::pool::PoolConnectionMetadata;
use sqlx::sqlite::{
    Sqlite, SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection};

use super::migrations;

/// The open database. Cloning shares it.
#[derive(Debug, Clone)]
pub struct Store {
    path: Arc<Path>,
    readers: SqlitePool,
    writer: Option<SqlitePool>,
}

impl Store {
    /// Opens the file, makes it (mode 0600) when it is not there, and brings its tables up to date.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        create(path).map_err(|cause| StoreError::Create { path: path.to_owned(), cause })?;
        let failed = |cause| StoreError::Open { path: path.to_owned(), cause };
        // 13-crates: one writer and BEGIN IMMEDIATE, so no lock is ever upgraded.
        let options = options(path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .pragma("wal_autocheckpoint", "16000")
            .pragma("cache_size", "-65536");
        let writer = pool(1).before_acquire(unentangled).connect_with(options).await.map_err(failed)?;
        let migrated = migrations::sqlite().run(&writer).await;
        migrated.map_err(|cause| StoreError::Migrate { path: path.to_owned(), cause: cause.to_string() })?;
        let readers = readers(path).await.map_err(failed)?;
        Ok(Self { path: path.into(), readers, writer: Some(writer) })
    }

    /// Opens the file for reading only: nothing is created or brought up to date.
    pub async fn open_read_only(path: &Path) -> Result<Self, StoreError> {
        if !path.exists() {
            return Err(StoreError::Missing { path: path.to_owned() });
        }
        let failed = |cause| StoreError::Open { path: path.to_owned(), cause };
        let readers = readers(path).await.map_err(failed)?;
        let newest: Option<i64> = sqlx::query_scalar("SELECT MAX(version) FROM _sqlx_migrations")
            .fetch_one(&readers)
            .await
            .map_err(failed)?;
        match newest.unwrap_or(0) == migrations::newest() {
            true => Ok(Self { path: path.into(), readers, writer: None }),
            false => Err(StoreError::Version { path: path.to_owned(), found: newest.unwrap_or(0) }),
        }
    }

    /// The connections to read with.
    #[must_use]
    pub fn readers(&self) -> &SqlitePool {
        &self.readers
    }

    /// Begins a transaction that may write. There is one at a time; the committer wants it back soon.
    pub async fn begin(&self) -> Result<sqlx::Transaction<'static, Sqlite>, StoreError> {
        match &self.writer {
            Some(writer) => Ok(writer.begin_with("BEGIN IMMEDIATE").await?),
            None => Err(StoreError::ReadOnly { path: self.path.to_path_buf() }),
        }
    }

    /// Where the file is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Closes every connection, after what they are doing.
    pub async fn close(&self) {
        self.readers.close().await;
        if let Some(writer) = &self.writer {
            writer.close().await;
        }
    }
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

impl StoreError {
    /// Whether there is no room on the disk.
    #[must_use]
    pub fn is_full(&self) -> bool {
        const FULL: i32 = 13;
        let Self::Statement(error) = self else { return false };
        let code = error.as_database_error().and_then(|e| e.code()?.parse::<i32>().ok());
        // The low octet of an extended result code is the primary one.
        code.is_some_and(|code| code & 0xff == FULL)
    }
}

/// Why the store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file cannot be made.
    #[error("the store `{}` cannot be created: {cause}", .path.display())]
    Create {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// A row cannot be what was written.
    #[error("a row of the store is damaged: {0}")]
    Damaged(String),
    /// The file is there and cannot be opened.
    #[error("the store `{}` cannot be opened: {cause}", .path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: sqlx::Error,
    },
    /// Its tables cannot be brought up to date.
    #[error("the tables of the store `{}` cannot be brought up to date: {cause}", .path.display())]
    Migrate {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: String,
    },
    /// There is none.
    #[error("there is no store at `{}` (`countersign init` makes one)", .path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// It was written by another version.
    #[error(
        "the store `{}` has tables of version {found}, this program knows version {} (start the server of this version once)",
        .path.display(), migrations::newest()
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// The number of its newest migration.
        found: i64,
    },
    /// It was opened read-only.
    #[error("the store `{}` was opened for reading only", .path.display())]
    ReadOnly {
        /// The file.
        path: PathBuf,
    },
    /// The ledger in it does not add up.
    #[error("the ledger does not add up: {0} (`countersign ledger verify` says where)")]
    Ledger(String),
    /// A statement failed.
    #[error("the store failed: {0}")]
    Statement(#[from] sqlx::Error),
}

const READERS: u32 = 4;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    async fn pragma(pool: &SqlitePool, name: &'static str) -> String {
        let row = sqlx::query(name).fetch_one(pool).await.unwrap();
        use sqlx::Row;
        row.try_get::<String, _>(0).unwrap_or_else(|_| row.get::<i64, _>(0).to_string())
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
        let writer = store.writer.as_ref().unwrap();
        assert_eq!(pragma(writer, "PRAGMA journal_mode").await, "wal");
        assert_eq!(pragma(writer, "PRAGMA synchronous").await, "2");
        assert_eq!(pragma(writer, "PRAGMA foreign_keys").await, "1");
    }

    #[tokio::test]
    async fn readers_cannot_write() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("countersign.db")).await.unwrap();
        assert!(sqlx::query("DELETE FROM leaves").execute(store.readers()).await.is_err());
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
        let mut transaction = store.begin().await.unwrap();
        let chain = "INSERT INTO chains VALUES ('acme', 7, zeroblob(32))";
        sqlx::query(chain).execute(&mut *transaction).await.unwrap();
        transaction.commit().await.unwrap();
        // What a kill leaves: the file and its log, not merged.
        let left = tempfile::tempdir().unwrap();
        for name in ["countersign.db", "countersign.db-wal"] {
            std::fs::copy(dir.path().join(name), left.path().join(name)).unwrap();
        }
        let store = Store::open_read_only(&left.path().join("countersign.db")).await.unwrap();
        let seq: i64 = sqlx::query_scalar("SELECT seq FROM chains").fetch_one(store.readers()).await.unwrap();
        assert_eq!(seq, 7);
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
        std::fs::write(
            &junk,
            "this is no database at all, but long enough to be looked at as if it were one",
        )
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
        sqlx::query(later).execute(store.writer.as_ref().unwrap()).await.unwrap();
        store.close().await;
        assert!(matches!(Store::open_read_only(&path).await, Err(StoreError::Version { found: 9999, .. })));
    }
}
