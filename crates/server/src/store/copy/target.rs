//! Where a store is moved to: seen to be empty before, and put back as it was when something fails.
//! `copy` opens it.

use std::collections::BTreeSet;
use std::time::Duration;

use sqlx::AssertSqlSafe;

use super::super::tables::tables;
use super::super::{Store, StoreError};
use super::{CopyError, rows};
use crate::config::StoreUrl;

/// The database that is filled.
pub(super) struct Target {
    pub(super) store: Store,
    /// What is done to put it back.
    before: Before,
}

enum Before {
    /// There was no file.
    NoFile(std::path::PathBuf),
    /// There were tables of ours without rows.
    Empty,
    /// There was a database, with these things in it.
    Without(BTreeSet<String>),
}

impl Target {
    /// Opens it, and makes the tables when there are none.
    pub(super) async fn open(url: &StoreUrl) -> Result<Self, CopyError> {
        let before = before(url).await?;
        let target = Self { store: Store::open_at(url).await?, before };
        match target.is_empty().await {
            Ok(()) => Ok(target),
            Err(error) => {
                // What has rows is not touched.
                if !matches!(error, CopyError::NotEmpty { .. }) {
                    target.undo().await?;
                }
                Err(error)
            }
        }
    }

    async fn is_empty(&self) -> Result<(), CopyError> {
        nobody_else(&self.store).await?;
        let mut snapshot = self.store.snapshot().await?;
        for table in tables(&mut snapshot).await? {
            if rows::count(&table, &mut snapshot).await? > 0 {
                let store = self.store.name().to_owned();
                return Err(CopyError::NotEmpty { store, table: table.name });
            }
        }
        Ok(())
    }

    /// Puts it back.
    pub(super) async fn undo(self) -> Result<(), StoreError> {
        match self.before {
            Before::NoFile(path) => {
                self.store.close().await;
                for end in ["", "-wal", "-shm"] {
                    let mut name = path.clone().into_os_string();
                    name.push(end);
                    let _not_there = std::fs::remove_file(name);
                }
                Ok(())
            }
            Before::Empty => {
                let mut transaction = self.store.begin().await?;
                for table in tables(&mut transaction).await? {
                    let statement = AssertSqlSafe(format!("DELETE FROM \"{}\"", table.name));
                    transaction.rows(statement, vec![]).await?;
                }
                transaction.commit().await
            }
            Before::Without(known) => {
                let mut transaction = self.store.begin().await?;
                for row in transaction.rows(THINGS, vec![]).await? {
                    let thing: String = row.get("thing")?;
                    if !known.contains(&thing) {
                        let statement = AssertSqlSafe(format!("DROP {thing} CASCADE"));
                        transaction.rows(statement, vec![]).await?;
                    }
                }
                transaction.commit().await
            }
        }
    }
}

/// What is there now. Tables of another version are not touched.
async fn before(url: &StoreUrl) -> Result<Before, StoreError> {
    match url {
        StoreUrl::Sqlite(path) if !path.exists() => return Ok(Before::NoFile(path.clone())),
        _ => {}
    }
    match Store::read_at(url).await {
        Ok(store) => {
            store.close().await;
            Ok(Before::Empty)
        }
        Err(StoreError::Missing { .. }) => {
            let store = Store::look_at(url).await?;
            let rows = store.rows(THINGS, vec![]).await?;
            store.close().await;
            Ok(Before::Without(rows.iter().map(|row| row.get("thing")).collect::<Result<_, _>>()?))
        }
        Err(error) => Err(error),
    }
}

/// Sees that no other program of ours has a connection. Our own that was just closed may linger.
pub(super) async fn nobody_else(store: &Store) -> Result<(), CopyError> {
    if !store.is_shared() {
        return Ok(());
    }
    let mut tries = 0;
    loop {
        let row = store.row(OTHERS, vec![]).await?;
        match row.map(|row| row.get::<i64>("n")).transpose()?.unwrap_or(0) {
            0 => return Ok(()),
            connections if tries == TRIES => {
                return Err(CopyError::InUse { store: store.name().to_owned(), connections });
            }
            _ => tries += 1,
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

const TRIES: u32 = 20;
/// Each process calls its connections by a name of its own.
const OTHERS: &str = "SELECT COUNT(*) AS n FROM pg_stat_activity WHERE datname = current_database() \
    AND application_name LIKE 'countersign %' AND application_name <> current_setting('application_name')";
/// Tables and functions, as DROP wants them.
const THINGS: &str = "SELECT 'TABLE ' || quote_ident(relname) AS thing FROM pg_class \
    WHERE relkind IN ('r', 'p') AND relnamespace = current_schema()::regnamespace \
    UNION ALL SELECT 'FUNCTION ' || oid::regprocedure::text FROM pg_proc \
    WHERE pronamespace = current_schema()::regnamespace ORDER BY 1 DESC";
