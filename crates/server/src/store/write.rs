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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_count_on_from_statement_to_statement() {
        let first = Write::new("INSERT INTO t (a, b) VALUES ($1, $2)", vec![Value::int(1), Value::int(2)]);
        let none = Write::new("DELETE FROM t", vec![]);
        let again =
            Write::new("UPDATE t SET a = $2 WHERE b = $1 OR c = $2", vec![Value::int(3), Value::int(4)]);
        let (text, values) = joined(&[&first, &none, &again]);
        assert_eq!(
            text,
            "INSERT INTO t (a, b) VALUES ($1, $2);\nDELETE FROM t;\nUPDATE t SET a = $4 WHERE b = $3 OR c = $4;\n"
        );
        assert_eq!(values, [1, 2, 3, 4].map(Value::int).iter().collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn writes_in_one_go_do_what_they_do_one_by_one() {
        let write = |statement, values: &[i64]| {
            Write::new(statement, values.iter().map(|value| Value::int(*value)).collect())
        };
        let put = "INSERT INTO changes (scope, version) VALUES ($1, $2)";
        let writes = [
            write(put, &[1, 10]),
            write(put, &[2, 20]),
            write("UPDATE changes SET version = version + $1 WHERE version >= $2", &[5, 10]),
            write("UPDATE changes SET version = $2 WHERE scope = $1", &[9, 99]),
            write("DELETE FROM changes WHERE version = $1", &[25]),
        ];
        let mut left = Vec::new();
        for at_once in [true, false] {
            let dir = tempfile::tempdir().unwrap();
            let store = Store::open(&dir.path().join("countersign.db")).await.unwrap();
            store.change(&[write("DELETE FROM changes", &[])]).await.unwrap();
            let mut transaction = store.begin().await.unwrap();
            let mut changed = Vec::new();
            match at_once {
                true => changed = transaction.execute_all(&writes.iter().collect::<Vec<_>>()).await.unwrap(),
                false => {
                    for write in &writes {
                        changed.push(transaction.execute(write).await.unwrap());
                    }
                }
            }
            transaction.commit().await.unwrap();
            let rows = store.rows("SELECT scope, version FROM changes", vec![]).await.unwrap();
            let rows: Vec<(String, i64)> =
                rows.iter().map(|row| (row.get("scope").unwrap(), row.get("version").unwrap())).collect();
            left.push((changed, rows));
        }
        assert_eq!(left[0], left[1]);
        assert_eq!(left[0], (vec![1, 1, 2, 0, 1], vec![("1".to_owned(), 15)]));
    }
}
