//! A row of an answer, whichever database gave it.
//! Rooms turn it into their own words.

use sqlx::Row as _;
use sqlx::postgres::{PgRow, Postgres};
use sqlx::sqlite::{Sqlite, SqliteRow};
use sqlx::{Decode, Type};

use super::StoreError;

/// One row.
pub struct Row(pub(super) Inner);

pub(super) enum Inner {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

impl Row {
    /// A column by its name. NULL is only read as an `Option`.
    ///
    /// # Errors
    /// When there is no such column, or it is of another type.
    pub fn get<T: Column>(&self, name: &str) -> Result<T, StoreError> {
        T::of(self, name)
    }

    fn read<T>(&self, name: &str) -> Result<T, sqlx::Error>
    where
        T: for<'r> Decode<'r, Sqlite> + Type<Sqlite> + for<'r> Decode<'r, Postgres> + Type<Postgres>,
    {
        // SQLite gives a NULL that is not asked for as an `Option` as zero or as an empty text.
        let value = match &self.0 {
            Inner::Sqlite(row) => row.try_get::<Option<T>, _>(name)?,
            Inner::Postgres(row) => row.try_get::<Option<T>, _>(name)?,
        };
        value.ok_or_else(|| sqlx::Error::ColumnDecode { index: name.to_owned(), source: "it is NULL".into() })
    }
}

/// What a column may hold: TEXT, BIGINT, BLOB, or one of them or NULL.
pub trait Column: Sized {
    /// The column of a row.
    ///
    /// # Errors
    /// As [`Row::get`].
    fn of(row: &Row, name: &str) -> Result<Self, StoreError>;
}

macro_rules! columns {
    ($($kind:ty),*) => {$(
        impl Column for $kind {
            fn of(row: &Row, name: &str) -> Result<Self, StoreError> {
                Ok(row.read(name)?)
            }
        }

        impl Column for Option<$kind> {
            fn of(row: &Row, name: &str) -> Result<Self, StoreError> {
                Ok(match &row.0 {
                    Inner::Sqlite(row) => row.try_get(name)?,
                    Inner::Postgres(row) => row.try_get(name)?,
                })
            }
        }
    )*};
}

columns!(String, i64, Vec<u8>);
