//! The rows of one table on their way: read one after the other, written many in one statement.
//! `copy` pours table after table; memory holds one batch.

use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use sqlx::AssertSqlSafe;

use super::super::row::Inner;
use super::super::tables::{Kind, Table};
use super::super::transaction::{self, Transaction};
use super::super::{Row, StoreError, Value, write};

/// How many rows a table has, and a digest over all of them in the order of the key.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Sum {
    pub(super) rows: u64,
    digest: Vec<u8>,
}

/// Reads every row of a table from one and writes it to the other. `told` hears how many are done.
pub(super) async fn pour(
    table: &Table,
    source: &mut Transaction,
    sink: &mut Transaction,
    told: impl Fn(u64),
) -> Result<Sum, StoreError> {
    let (mut summing, mut batch) = (Summing::new(), Batch::default());
    let mut rows = source.stream(all(table));
    while let Some(row) = rows.next().await {
        let values = values(table, &row?)?;
        summing.add(&values);
        batch.add(values);
        if batch.is_full(table) {
            sink.insert(table, batch.taken()).await?;
            told(summing.rows);
        }
    }
    drop(rows);
    if !batch.is_empty() {
        sink.insert(table, batch.taken()).await?;
    }
    told(summing.rows);
    Ok(summing.end())
}

/// What a table has.
pub(super) async fn sum(table: &Table, transaction: &mut Transaction) -> Result<Sum, StoreError> {
    let mut summing = Summing::new();
    let mut rows = transaction.stream(all(table));
    while let Some(row) = rows.next().await {
        summing.add(&values(table, &row?)?);
    }
    Ok(summing.end())
}

/// How many rows a table has.
pub(super) async fn count(table: &Table, transaction: &mut Transaction) -> Result<u64, StoreError> {
    let statement = format!("SELECT COUNT(*) AS n FROM {}", quoted(&table.name));
    let mut rows = transaction.stream(statement);
    let count: i64 = match rows.next().await {
        Some(row) => row?.get("n")?,
        None => 0,
    };
    Ok(u64::try_from(count).unwrap_or(0))
}

/// In an order that is the same in both databases: by all columns of the key, as they are called.
fn all(table: &Table) -> String {
    let mut key = table.key();
    key.sort_unstable();
    let key: Vec<String> = key.into_iter().map(quoted).collect();
    format!("SELECT {} FROM {} ORDER BY {}", columns(table), quoted(&table.name), key.join(", "))
}

fn columns(table: &Table) -> String {
    let names: Vec<String> = table.columns.iter().map(|field| quoted(&field.name)).collect();
    names.join(", ")
}

/// Names come from the database's own list of our tables.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn values(table: &Table, row: &Row) -> Result<Vec<Value>, StoreError> {
    let value = |name: &str, kind| {
        Ok(Value::or_null(match kind {
            Kind::Text => row.get::<Option<String>>(name)?.map(Value::Text),
            Kind::Int => row.get::<Option<i64>>(name)?.map(Value::Int),
            Kind::Blob => row.get::<Option<Vec<u8>>>(name)?.map(Value::Blob),
        }))
    };
    table.columns.iter().map(|field| value(&field.name, field.kind)).collect()
}

/// Rows for one statement.
#[derive(Default)]
struct Batch {
    values: Vec<Value>,
    octets: usize,
}

impl Batch {
    fn add(&mut self, row: Vec<Value>) {
        self.octets += row.iter().map(|value| octets(value).len()).sum::<usize>();
        self.values.extend(row);
    }

    fn is_full(&self, table: &Table) -> bool {
        self.octets >= BATCH_OCTETS || self.values.len() + table.columns.len() > BATCH_VALUES
    }

    fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    fn taken(&mut self) -> Vec<Value> {
        self.octets = 0;
        std::mem::take(&mut self.values)
    }
}

struct Summing {
    rows: u64,
    digest: Context,
}

impl Summing {
    fn new() -> Self {
        Self { rows: 0, digest: Context::new(&SHA256) }
    }

    fn add(&mut self, row: &[Value]) {
        self.rows += 1;
        for value in row {
            let (kind, octets) = (kind(value), octets(value));
            self.digest.update(&[kind]);
            self.digest.update(&octets.len().to_be_bytes());
            self.digest.update(&octets);
        }
    }

    fn end(self) -> Sum {
        Sum { rows: self.rows, digest: self.digest.finish().as_ref().to_vec() }
    }
}

fn kind(value: &Value) -> u8 {
    match value {
        Value::Null | Value::Log => 0,
        Value::Text(_) => 1,
        Value::Int(_) => 2,
        Value::Blob(_) => 3,
    }
}

fn octets(value: &Value) -> std::borrow::Cow<'_, [u8]> {
    match value {
        Value::Null | Value::Log => (&[][..]).into(),
        Value::Text(text) => text.as_bytes().into(),
        Value::Int(number) => number.to_be_bytes().to_vec().into(),
        Value::Blob(octets) => octets.as_slice().into(),
    }
}

impl Transaction {
    /// Rows one after the other.
    fn stream(&mut self, statement: String) -> BoxStream<'_, Result<Row, StoreError>> {
        let query = AssertSqlSafe(statement);
        match &mut self.on {
            transaction::Kind::Sqlite(connection) => {
                let rows = sqlx::query(query).fetch(&mut **connection);
                rows.map(|row| Ok(Row(Inner::Sqlite(row?)))).boxed()
            }
            transaction::Kind::Postgres(session) => match session.connection() {
                Ok(connection) => {
                    sqlx::query(query).fetch(connection).map(|row| Ok(Row(Inner::Postgres(row?)))).boxed()
                }
                Err(error) => futures_util::stream::iter([Err(error)]).boxed(),
            },
        }
    }

    async fn insert(&mut self, table: &Table, values: Vec<Value>) -> Result<(), StoreError> {
        let width = table.columns.len().max(1);
        let places = (0..values.len() / width).map(|row| {
            let places: Vec<String> = (1..=width).map(|place| format!("${}", row * width + place)).collect();
            format!("({})", places.join(", "))
        });
        let places: Vec<String> = places.collect();
        let (name, columns) = (quoted(&table.name), columns(table));
        let statement = AssertSqlSafe(format!("INSERT INTO {name} ({columns}) VALUES {}", places.join(", ")));
        match &mut self.on {
            transaction::Kind::Sqlite(connection) => {
                write::sqlite(statement, &values, None).execute(&mut **connection).await?;
            }
            transaction::Kind::Postgres(session) => {
                let insert = write::postgres(statement, &values, None).persistent(false);
                in_time(insert.execute(session.connection()?)).await?;
            }
        }
        Ok(())
    }

    /// Takes away the bounds that are right for a message, and too short for a table.
    pub(super) async fn take_your_time(&mut self) -> Result<(), StoreError> {
        if !self.is_sqlite() {
            for bound in ["statement_timeout", "idle_in_transaction_session_timeout"] {
                let statement = AssertSqlSafe(format!("SET LOCAL {bound} = 0"));
                self.rows(statement, vec![]).await?;
            }
        }
        Ok(())
    }

    /// Commits what may take long.
    pub(super) async fn commit_in_time(self) -> Result<(), StoreError> {
        match self.on {
            transaction::Kind::Sqlite(connection) => Ok(connection.commit().await?),
            transaction::Kind::Postgres(mut session) => {
                in_time(sqlx::raw_sql("COMMIT").execute(session.connection()?)).await?;
                session.end();
                Ok(())
            }
        }
    }
}

/// Waits for as long as a batch may need over a slow line.
async fn in_time<T>(work: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, StoreError> {
    match tokio::time::timeout(PATIENCE, work).await {
        Ok(done) => Ok(done?),
        Err(_) => Err(StoreError::Silent(PATIENCE.as_secs())),
    }
}

const PATIENCE: Duration = Duration::from_secs(300);
const BATCH_OCTETS: usize = 1 << 20;
/// SQLite takes 32,766 values in a statement.
const BATCH_VALUES: usize = 8192;
