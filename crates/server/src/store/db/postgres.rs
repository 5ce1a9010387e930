//! How Postgres is reached: two pools, so that those who read do not keep the committer waiting.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions, Connection};
use tokio::time::Instant;

use super::StoreError;
use crate::config::PostgresUrl;
use crate::store::migrations;
use crate::store::outage::{Outage, PATIENCE};
use crate::store::transaction::Session;

/// Connects, brings the tables up to date, and gives a pool that reads and one that writes.
pub(super) async fn open(url: &PostgresUrl) -> Result<(Pool, Pool), StoreError> {
    let options = options(url)?;
    migrate(url, &options).await?;
    let outage = Outage::default();
    let pool = |connections, options| Pool { all: pool(connections, options), outage: outage.clone() };
    Ok((pool(READERS, options.clone()), pool(WRITERS, options)))
}

/// Connects, and sees that somebody is there.
pub(super) async fn open_read_only(url: &PostgresUrl) -> Result<Pool, StoreError> {
    let options = options(url)?;
    let connection = connect(url, &options).await?;
    let _closed = connection.close().await;
    Ok(Pool { all: pool(READERS, options), outage: Outage::default() })
}

/// Connections, and whether anybody answers on them.
#[derive(Debug, Clone)]
pub(in crate::store) struct Pool {
    pub(in crate::store) all: PgPool,
    outage: Outage,
}

impl Pool {
    /// A connection. During an outage nobody waits for one.
    pub(in crate::store) async fn session(&self) -> Result<Session, StoreError> {
        self.outage.may_ask(Instant::now())?;
        let connection = self.outage.answer(self.all.acquire()).await?;
        Ok(Session::on(connection, self.outage.clone()))
    }
}

fn options(url: &PostgresUrl) -> Result<PgConnectOptions, StoreError> {
    let options: PgConnectOptions = url.secret().parse().map_err(|cause: sqlx::Error| failed(url, &cause))?;
    // What the server gives up by itself when we are gone, or no longer wait for it.
    let bounds = [
        ("statement_timeout", "10000"),
        ("lock_timeout", "2500"),
        ("idle_in_transaction_session_timeout", "10000"),
    ];
    Ok(options
        // `store copy` tells its own connections from those of others by it.
        .application_name(&format!("countersign {}", std::process::id()))
        .options(bounds)
        // 11: what is answered is durable, whatever the server's default is.
        .options([("synchronous_commit", "on")])
        .disable_statement_logging())
}

async fn connect(url: &PostgresUrl, options: &PgConnectOptions) -> Result<PgConnection, StoreError> {
    match tokio::time::timeout(CONNECT, options.connect()).await {
        Ok(connected) => connected.map_err(|cause| failed(url, &cause)),
        Err(_) => {
            let cause = format!("nobody answered within {} seconds", CONNECT.as_secs());
            Err(StoreError::Open { store: url.to_string(), cause })
        }
    }
}

/// Several nodes that start together may get in each other's way; whoever comes second finds it done.
async fn migrate(url: &PostgresUrl, options: &PgConnectOptions) -> Result<(), StoreError> {
    let options = options.clone().options([("statement_timeout", "0"), ("lock_timeout", "0")]);
    let mut tries = 0;
    loop {
        let mut connection = connect(url, &options).await?;
        let strange = Outage::default().answer(sqlx::query(STRANGE).fetch_all(&mut connection)).await?;
        if !strange.is_empty() {
            return Err(StoreError::Strange { store: url.to_string() });
        }
        let done = migrations::postgres().run_direct(None, &mut connection, false).await;
        let _closed = connection.close().await;
        match done {
            Ok(()) => return Ok(()),
            Err(
                sqlx::migrate::MigrateError::Execute(_) | sqlx::migrate::MigrateError::ExecuteMigration(..),
            ) if tries < TRIES => {
                tries += 1;
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            Err(error) => {
                return Err(StoreError::Migrate { store: url.to_string(), cause: migrations::why(&error) });
            }
        }
    }
}

fn pool(connections: u32, options: PgConnectOptions) -> PgPool {
    PgPoolOptions::new()
        .max_connections(connections)
        .idle_timeout(Duration::from_secs(600))
        .max_lifetime(None)
        .acquire_timeout(PATIENCE)
        // A broken one is noticed when it is used; asking before would double the round trips.
        .test_before_acquire(false)
        .connect_lazy_with(options)
}

fn failed(url: &PostgresUrl, cause: &sqlx::Error) -> StoreError {
    // Its own words, without those of the driver about them.
    let said = cause.as_database_error().map(|error| error.message().to_owned());
    let said = said.unwrap_or_else(|| cause.to_string());
    StoreError::Open { store: url.to_string(), cause: url.without_password(&said) }
}

/// Tables, where nobody has counted migrations.
const STRANGE: &str = "SELECT 1 FROM pg_class WHERE relkind IN ('r', 'p') \
    AND relnamespace = current_schema()::regnamespace AND to_regclass('_sqlx_migrations') IS NULL LIMIT 1";
const READERS: u32 = 12;
const WRITERS: u32 = 6;
const CONNECT: Duration = Duration::from_secs(5);
const TRIES: u32 = 10;
