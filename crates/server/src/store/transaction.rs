//! A transaction: what is written in it is there as a whole when it is committed, or not at all.
//! `Store::begin` gives one that writes, `Store::snapshot` one that reads a state that does not change.

use futures_util::TryStreamExt;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnection, Postgres};
use sqlx::{AssertSqlSafe, Executor, SqlSafeStr, Sqlite};

use super::db::{rows_of_postgres, rows_of_sqlite};
use super::outage::Outage;
use super::{Row, StoreError, Value, Write, write};

/// An open transaction; dropped without a commit it is as if it had never been.
pub struct Transaction {
    pub(super) on: Kind,
    /// The log that it records in.
    log: Option<i64>,
}

pub(super) enum Kind {
    Sqlite(sqlx::Transaction<'static, Sqlite>),
    Postgres(Session),
}

/// A connection on which something stands open. When it is dropped before the end it is closed, so that no
/// connection with half a transaction, or with half an answer, is used again.
pub(super) struct Session {
    connection: Option<PoolConnection<Postgres>>,
    pub(super) outage: Outage,
}

impl Session {
    /// Takes a connection.
    pub(super) fn on(connection: PoolConnection<Postgres>, outage: Outage) -> Self {
        Self { connection: Some(connection), outage }
    }

    /// The connection.
    ///
    /// # Errors
    /// After the end, which no caller reaches.
    pub(super) fn connection(&mut self) -> Result<&mut PgConnection, StoreError> {
        let connection = self.connection.as_deref_mut();
        connection.ok_or(StoreError::Statement(sqlx::Error::WorkerCrashed))
    }

    pub(super) async fn say(&mut self, statement: &'static str) -> Result<(), StoreError> {
        let outage = self.outage.clone();
        outage.answer(sqlx::raw_sql(statement).execute(self.connection()?)).await.map(drop)
    }

    /// Gives the connection back: nothing stands open on it.
    pub(super) fn end(mut self) {
        drop(self.connection.take());
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(mut connection) = self.connection.take() {
            connection.close_on_drop();
        }
    }
}

impl Transaction {
    pub(super) fn on(on: Kind) -> Self {
        Self { on, log: None }
    }

    /// What is written from now on is recorded in this log.
    pub(super) fn records_in(&mut self, log: i64) {
        self.log = Some(log);
    }

    /// Runs a write and says how many rows it changed. Whether they are as many as it demands is the
    /// caller's to see.
    ///
    /// # Errors
    /// When it cannot be run. On Postgres the transaction is then lost, unless there is a savepoint.
    pub async fn execute(&mut self, write: &Write) -> Result<u64, StoreError> {
        match &mut self.on {
            Kind::Sqlite(transaction) => {
                let query = write::sqlite(write.statement, &write.values, self.log);
                Ok(query.execute(&mut **transaction).await?.rows_affected())
            }
            Kind::Postgres(session) => {
                let query = write::postgres(write.statement, &write.values, self.log);
                let outage = session.outage.clone();
                Ok(outage.answer(query.execute(session.connection()?)).await?.rows_affected())
            }
        }
    }

    /// Runs writes one after the other, and says how many rows each changed. SQLite is given all of them at
    /// once: each hop to its thread and back costs more than a row.
    ///
    /// # Errors
    /// When one cannot be run. What was done before it stands, except on Postgres.
    pub(super) async fn execute_all(&mut self, writes: &[&Write]) -> Result<Vec<u64>, StoreError> {
        let mut changed = Vec::with_capacity(writes.len());
        match &mut self.on {
            Kind::Sqlite(transaction) if writes.len() > 1 => {
                let (statements, values) = write::joined(writes);
                // Hardly ever are the same together again: nothing is prepared for the next time.
                let all = write::sqlite(AssertSqlSafe(statements), values, self.log).persistent(false);
                let mut done = (&mut **transaction).fetch_many(all);
                while let Some(step) = done.try_next().await? {
                    changed.extend(step.left().map(|result| result.rows_affected()));
                }
            }
            Kind::Sqlite(_) | Kind::Postgres(_) => {
                for write in writes {
                    changed.push(self.execute(write).await?);
                }
            }
        }
        Ok(changed)
    }

    /// Every row of an answer.
    ///
    /// # Errors
    /// As [`Transaction::execute`].
    pub async fn rows(
        &mut self,
        statement: impl SqlSafeStr + Send,
        values: Vec<Value>,
    ) -> Result<Vec<Row>, StoreError> {
        match &mut self.on {
            Kind::Sqlite(transaction) => rows_of_sqlite(&mut **transaction, statement, &values).await,
            Kind::Postgres(session) => rows_of_postgres(session, statement, &values).await,
        }
    }

    /// The first row of an answer.
    ///
    /// # Errors
    /// As [`Transaction::execute`].
    pub async fn row(
        &mut self,
        statement: impl SqlSafeStr + Send,
        values: Vec<Value>,
    ) -> Result<Option<Row>, StoreError> {
        Ok(self.rows(statement, values).await?.into_iter().next())
    }

    /// Whether a statement that failed leaves the transaction as it was before it.
    pub(super) fn survives(&self) -> bool {
        self.is_sqlite()
    }

    /// Whether it is SQLite that is spoken to.
    pub(super) fn is_sqlite(&self) -> bool {
        matches!(self.on, Kind::Sqlite(_))
    }

    /// Sets a mark to come back to. There is one at a time.
    pub(super) async fn mark(&mut self) -> Result<(), StoreError> {
        self.say("SAVEPOINT mark").await
    }

    /// Undoes what was done since the mark, and takes it away.
    pub(super) async fn undo(&mut self) -> Result<(), StoreError> {
        self.say("ROLLBACK TO SAVEPOINT mark").await?;
        self.forget_mark().await
    }

    /// Takes the mark away; what was done stays.
    pub(super) async fn forget_mark(&mut self) -> Result<(), StoreError> {
        self.say("RELEASE SAVEPOINT mark").await
    }

    async fn say(&mut self, statement: &'static str) -> Result<(), StoreError> {
        match &mut self.on {
            Kind::Sqlite(transaction) => {
                sqlx::raw_sql(statement).execute(&mut **transaction).await?;
                Ok(())
            }
            Kind::Postgres(session) => session.say(statement).await,
        }
    }

    /// Commits: what was written is durable when this returns.
    ///
    /// # Errors
    /// When it is not known to be durable. It may be all the same.
    pub async fn commit(self) -> Result<(), StoreError> {
        match self.on {
            Kind::Sqlite(transaction) => Ok(transaction.commit().await?),
            Kind::Postgres(mut session) => {
                session.say("COMMIT").await?;
                session.end();
                Ok(())
            }
        }
    }
}
