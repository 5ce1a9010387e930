//! A write: one statement of ours and its values, as data.
//! Rooms and acts plan them; the committer runs them in the transaction of the ruling they belong to.

use std::fmt::Write as _;

use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgArgumentBuffer, PgArguments, PgTypeInfo, Postgres};
use sqlx::query::Query;
use sqlx::sqlite::{Sqlite, SqliteArguments};
use sqlx::{Encode, SqlSafeStr, Type};

use super::{Store, StoreError};

/// One statement that belongs to a ruling or an outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// The statement, with `$1`, `$2` for the values.
    pub statement: &'static str,
    /// The values, in order.
    pub values: Vec<Value>,
    /// Compare-and-swap: exactly so many rows must be affected, else the ruling fails with a conflict.
    pub rows: Option<u64>,
}

impl Write {
    /// A statement with its values; any number of rows will do.
    #[must_use]
    pub fn new(statement: &'static str, values: Vec<Value>) -> Self {
        Self { statement, values, rows: None }
    }

    /// Demands that exactly `rows` rows are affected.
    #[must_use]
    pub fn rows(mut self, rows: u64) -> Self {
        self.rows = Some(rows);
        self
    }
}

impl Store {
    /// Runs writes that belong to no ruling: they say how far we are, not what was decided.
    ///
    /// # Errors
    /// When one cannot be written; then none is.
    pub async fn change(&self, writes: &[Write]) -> Result<(), StoreError> {
        let all = async {
            let mut transaction = self.begin().await?;
            for write in writes {
                transaction.execute(write).await?;
            }
            transaction.commit().await
        };
        Box::pin(all).await
    }
}

/// A value of a statement. Times are `Int`, in microseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// TEXT.
    Text(String),
    /// BIGINT.
    Int(i64),
    /// BLOB.
    Blob(Vec<u8>),
    /// BIGINT: the number of the log that the write is recorded in; NULL when it is in none.
    Log,
    /// NULL.
    Null,
}

impl Value {
    /// TEXT.
    #[must_use]
    pub fn text(value: impl Into<String>) -> Self {
        Self::Text(value.into())
    }

    /// BIGINT.
    #[must_use]
    pub fn int(value: i64) -> Self {
        Self::Int(value)
    }

    /// BIGINT of a time, in microseconds since 1970.
    #[must_use]
    pub fn time(at: jiff::Timestamp) -> Self {
        Self::Int(at.as_microsecond())
    }

    /// BLOB.
    #[must_use]
    pub fn blob(value: impl Into<Vec<u8>>) -> Self {
        Self::Blob(value.into())
    }

    /// The value, or NULL.
    #[must_use]
    pub fn or_null(value: Option<Self>) -> Self {
        value.unwrap_or(Self::Null)
    }
}

/// The statements of several writes as one text, whose placeholders count on, and all their values.
pub(super) fn joined<'a>(writes: &[&'a Write]) -> (String, Vec<&'a Value>) {
    let (mut text, mut values) = (String::with_capacity(writes.len() * 128), Vec::new());
    for write in writes {
        let mut pieces = write.statement.split('$');
        text.extend(pieces.next());
        for piece in pieces {
            let digits = piece.bytes().take_while(u8::is_ascii_digit).count();
            let (number, rest) = piece.split_at_checked(digits).unwrap_or((piece, ""));
            let number = number.parse::<usize>().unwrap_or(0).saturating_add(values.len());
            let _infallible = write!(text, "${number}{rest}");
        }
        text.push_str(";\n");
        values.extend(&write.values);
    }
    (text, values)
}

pub(super) fn sqlite<'a>(
    statement: impl SqlSafeStr,
    values: impl IntoIterator<Item = &'a Value>,
    log: Option<i64>,
) -> Query<'a, Sqlite, SqliteArguments> {
    values.into_iter().fold(sqlx::query(statement), |query, value| match value {
        Value::Text(text) => query.bind(text.as_str()),
        Value::Int(number) => query.bind(*number),
        Value::Blob(octets) => query.bind(octets.as_slice()),
        Value::Log => query.bind(log),
        Value::Null => query.bind(None::<i64>),
    })
}

pub(super) fn postgres(
    statement: impl SqlSafeStr,
    values: &[Value],
    log: Option<i64>,
) -> Query<'_, Postgres, PgArguments> {
    values.iter().fold(sqlx::query(statement), |query, value| match value {
        Value::Text(text) => query.bind(text.as_str()),
        Value::Int(number) => query.bind(*number),
        Value::Blob(octets) => query.bind(octets.as_slice()),
        Value::Log => query.bind(log),
        Value::Null => query.bind(Nothing),
    })
}

/// NULL of whatever type the statement wants there: Postgres finds it out where the type is `unknown`.
#[derive(Clone, Copy)]
struct Nothing;

impl Type<Postgres> for Nothing {
    fn type_info() -> PgTypeInfo {
        const UNKNOWN: Oid = Oid(705);
        PgTypeInfo::with_oid(UNKNOWN)
    }
}

impl Encode<'_, Postgres> for Nothing {
    fn encode_by_ref(&self, _: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        Ok(IsNull::Yes)
    }
}
