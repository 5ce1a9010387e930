//! The database: an SQLite file with one connection that writes and a few that read, or Postgres.
//! Boot opens it; commands that need no server open it read-only. Every statement is the same text on both.

mod postgres;
mod sqlite;

use std::path::Path;

use sqlx::postgres::PgRow;
use sqlx::sqlite::{Sqlite, SqlitePool};
use sqlx::{Executor, SqlSafeStr, SqlStr};

use postgres::Pool;

use super::outage::PATIENCE;
use super::row::{Inner, Row};
use super::transaction::{Kind, Session, Transaction};
use super::{StoreError, Value, write};
use crate::config::{PostgresUrl, StoreUrl};

/// The open database. Cloning shares it.
#[derive(Debug, Clone)]
pub struct Store {
    /// The file, or the address without its password: for errors.
    name: String,
    engine: Engine,
    writable: bool,
}

#[derive(Debug, Clone)]
pub(super) enum Engine {
    Sqlite { readers: SqlitePool, writer: Option<SqlitePool> },
    Postgres { readers: Pool, writers: Pool },
}

impl Store {
    /// Opens the store that the configuration names, and brings its tables up to date.
    ///
    /// # Errors
    /// When it cannot be made or reached, or is of a later version.
    pub async fn open_at(url: &StoreUrl) -> Result<Self, StoreError> {
        match url {
            StoreUrl::Sqlite(path) => Self::open(path).await,
            StoreUrl::Postgres(url) => Self::connect(url).await,
        }
    }

    /// Opens the store that the configuration names for reading only.
    ///
    /// # Errors
    /// When it is not there, cannot be reached, or is of another version.
    pub async fn read_at(url: &StoreUrl) -> Result<Self, StoreError> {
        match url {
            StoreUrl::Sqlite(path) => Self::open_read_only(path).await,
            StoreUrl::Postgres(url) => Self::connect_read_only(url).await,
        }
    }

    /// Opens the file, makes it (mode 0600) when it is not there, and brings its tables up to date.
    ///
    /// # Errors
    /// When it cannot be made or opened, or is of a later version.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        let (readers, writer) = sqlite::open(path).await?;
        let engine = Engine::Sqlite { readers, writer: Some(writer) };
        Ok(Self { name: path.display().to_string(), engine, writable: true })
    }

    /// Opens the file for reading only: nothing is created or brought up to date.
    ///
    /// # Errors
    /// When there is none, or it is of another version.
    pub async fn open_read_only(path: &Path) -> Result<Self, StoreError> {
        Self::look_at(&StoreUrl::Sqlite(path.to_owned())).await?.known_version().await
    }

    /// Connects to Postgres and brings the tables up to date.
    ///
    /// # Errors
    /// When it cannot be reached, or is of a later version.
    pub async fn connect(url: &PostgresUrl) -> Result<Self, StoreError> {
        let (readers, writers) = postgres::open(url).await?;
        let engine = Engine::Postgres { readers, writers };
        Ok(Self { name: url.to_string(), engine, writable: true })
    }

    /// Connects to Postgres for reading only.
    ///
    /// # Errors
    /// When it cannot be reached, has no tables of ours, or those of another version.
    pub async fn connect_read_only(url: &PostgresUrl) -> Result<Self, StoreError> {
        Self::look_at(&StoreUrl::Postgres(url.clone())).await?.known_version().await
    }

    /// Opens it for reading whatever tables it has.
    pub(super) async fn look_at(url: &StoreUrl) -> Result<Self, StoreError> {
        let (name, engine) = match url {
            StoreUrl::Sqlite(path) => {
                let readers = sqlite::open_read_only(path).await?;
                (path.display().to_string(), Engine::Sqlite { readers, writer: None })
            }
            StoreUrl::Postgres(url) => {
                let pool = postgres::open_read_only(url).await?;
                (url.to_string(), Engine::Postgres { readers: pool.clone(), writers: pool })
            }
        };
        Ok(Self { name, engine, writable: false })
    }

    async fn known_version(self) -> Result<Self, StoreError> {
        const NEWEST: &str = "SELECT MAX(version) AS version FROM _sqlx_migrations";
        let found = match self.row(NEWEST, vec![]).await {
            Ok(row) => row.map(|row| row.get::<Option<i64>>("version")).transpose()?.flatten().unwrap_or(0),
            Err(error) if error.is_its_own() => match self.engine {
                Engine::Sqlite { .. } => return Err(sqlite::unreadable(&self.name, &error)),
                Engine::Postgres { .. } => return Err(StoreError::Missing { store: self.name.clone() }),
            },
            Err(error) => return Err(sqlite::unreadable(&self.name, &error)),
        };
        match found == super::migrations::newest() {
            true => Ok(self),
            false => Err(StoreError::Version { store: self.name.clone(), found }),
        }
    }

    /// Every row of an answer.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn rows(
        &self,
        statement: impl SqlSafeStr + Send,
        values: Vec<Value>,
    ) -> Result<Vec<Row>, StoreError> {
        let statement = statement.into_sql_str();
        // In boxes: what waits for the database is large, and everybody who asks would carry it along.
        match &self.engine {
            Engine::Sqlite { readers, .. } => Box::pin(rows_of_sqlite(readers, statement, &values)).await,
            Engine::Postgres { readers, .. } => Box::pin(asked(readers, &statement, &values)).await,
        }
    }

    /// The first row of an answer.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn row(
        &self,
        statement: impl SqlSafeStr + Send,
        values: Vec<Value>,
    ) -> Result<Option<Row>, StoreError> {
        Ok(self.rows(statement, values).await?.into_iter().next())
    }

    /// Every row of an answer whose statement ends with `IN`: one of these values, which come after the others.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn rows_in(
        &self,
        statement: &'static str,
        mut values: Vec<Value>,
        among: Vec<Value>,
    ) -> Result<Vec<Row>, StoreError> {
        let places: Vec<String> = (1..=among.len()).map(|n| format!("${}", values.len() + n)).collect();
        values.extend(among);
        // Nothing but numbers is put into the text.
        let statement = sqlx::AssertSqlSafe(format!("{statement} ({})", places.join(", ")));
        self.rows(statement, values).await
    }

    /// Begins a transaction that may write. In SQLite there is one at a time; the committer wants it back soon.
    ///
    /// # Errors
    /// When the store was opened for reading only, or cannot be reached.
    pub async fn begin(&self) -> Result<Transaction, StoreError> {
        if !self.writable {
            return Err(StoreError::ReadOnly { store: self.name.clone() });
        }
        match &self.engine {
            Engine::Sqlite { writer: Some(writer), .. } => {
                let begun = Box::pin(writer.begin_with("BEGIN IMMEDIATE")).await?;
                Ok(Transaction::on(Kind::Sqlite(begun)))
            }
            Engine::Sqlite { writer: None, .. } => Err(StoreError::ReadOnly { store: self.name.clone() }),
            Engine::Postgres { writers, .. } => Box::pin(begin_postgres(writers, "BEGIN")).await,
        }
    }

    /// Begins to read a state that does not change meanwhile.
    ///
    /// # Errors
    /// When the store cannot be reached.
    pub async fn snapshot(&self) -> Result<Transaction, StoreError> {
        match &self.engine {
            Engine::Sqlite { readers, .. } => Ok(Transaction::on(Kind::Sqlite(readers.begin().await?))),
            Engine::Postgres { readers, .. } => {
                begin_postgres(readers, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await
            }
        }
    }

    /// Whether other processes may write too.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        matches!(self.engine, Engine::Postgres { .. })
    }

    pub(super) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// What errors call it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Closes every connection, after what they are doing.
    pub async fn close(&self) {
        match &self.engine {
            Engine::Sqlite { readers, writer } => {
                readers.close().await;
                if let Some(writer) = writer {
                    writer.close().await;
                }
            }
            Engine::Postgres { readers, writers } => {
                let both = async { tokio::join!(readers.all.close(), writers.all.close()) };
                // One that hangs is left to itself.
                let _closed = tokio::time::timeout(PATIENCE, both).await;
            }
        }
    }
}

/// Asks until a connection holds.
async fn asked(readers: &Pool, statement: &SqlStr, values: &[Value]) -> Result<Vec<Row>, StoreError> {
    loop {
        let mut session = readers.session().await?;
        match rows_of_postgres(&mut session, statement.clone(), values).await {
            // The server was started anew since: connections that waited in the pool are of the old one.
            Err(error) if error.is_broken_connection() => drop(session),
            done => {
                session.end();
                return done;
            }
        }
    }
}

async fn begin_postgres(pool: &Pool, begin: &'static str) -> Result<Transaction, StoreError> {
    loop {
        let mut session = pool.session().await?;
        match session.say(begin).await {
            Ok(()) => return Ok(Transaction::on(Kind::Postgres(session))),
            // Nothing has begun, so nothing is lost: the next connection is tried.
            Err(error) if error.is_broken_connection() => drop(session),
            Err(error) => return Err(error),
        }
    }
}

pub(super) async fn rows_of_sqlite<'e>(
    executor: impl Executor<'e, Database = Sqlite>,
    statement: impl SqlSafeStr + Send,
    values: &[Value],
) -> Result<Vec<Row>, StoreError> {
    let rows = write::sqlite(statement, values, None).fetch_all(executor).await?;
    Ok(rows.into_iter().map(|row| Row(Inner::Sqlite(row))).collect())
}

pub(super) async fn rows_of_postgres(
    session: &mut Session,
    statement: impl SqlSafeStr + Send,
    values: &[Value],
) -> Result<Vec<Row>, StoreError> {
    let outage = session.outage.clone();
    let work = write::postgres(statement, values, None).fetch_all(session.connection()?);
    let rows: Vec<PgRow> = outage.answer(work).await?;
    Ok(rows.into_iter().map(|row| Row(Inner::Postgres(row))).collect())
}

#[cfg(test)]
mod tests;
