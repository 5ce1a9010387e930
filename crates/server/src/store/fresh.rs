//! A fresh store for a test: a file in a directory of its own, or a database of a Postgres of the tests where
//! COUNTERSIGN_TEST_STORE asks for that. Every test below `store` and in the rooms stands on one.

use std::path::PathBuf;

use countersign_services::{Database, Postgres, postgres_is_wanted};
use tempfile::TempDir;

use super::Store;
use crate::config::StoreUrl;

/// A store that goes away with the test.
pub(crate) struct Fresh {
    pub(crate) store: Store,
    pub(crate) url: StoreUrl,
    pub(crate) dir: TempDir,
    _database: Option<Database>,
}

impl Fresh {
    /// In the database that is asked for.
    pub(crate) async fn new() -> Self {
        match postgres_is_wanted().unwrap() {
            true => Self::in_postgres().await.expect("COUNTERSIGN_TEST_STORE=postgres needs Postgres"),
            false => Self::in_sqlite().await,
        }
    }

    /// A file.
    pub(crate) async fn in_sqlite() -> Self {
        let dir = TempDir::new().unwrap();
        let url = StoreUrl::Sqlite(dir.path().join("countersign.db"));
        Self { store: Store::open_at(&url).await.unwrap(), url, dir, _database: None }
    }

    /// A database; `None` where there is no Postgres.
    pub(crate) async fn in_postgres() -> Option<Self> {
        let database = Postgres::shared().await?.database().unwrap();
        let dir = TempDir::new().unwrap();
        let url = StoreUrl::parse(&database.url(), dir.path()).unwrap();
        let store = Store::open_at(&url).await.unwrap();
        Some(Self { store, url, dir, _database: Some(database) })
    }

    /// The same store, opened once more.
    pub(crate) async fn again(&self) -> Store {
        Store::open_at(&self.url).await.unwrap()
    }

    /// A file of the test's directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}
