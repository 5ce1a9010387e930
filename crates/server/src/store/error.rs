//! Why the store cannot be used, and whose fault it is.
//! Everybody who reads or writes hears it; the committer asks what kind it is.

use std::io;

use super::ledger::SinkError;
use super::migrations;

/// Why the store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file cannot be made.
    #[error("the store `{store}` cannot be created: {cause}")]
    Create {
        /// The file.
        store: String,
        /// Why.
        cause: io::Error,
    },
    /// A row cannot be what was written.
    #[error("a row of the store is damaged: {0}")]
    Damaged(String),
    /// It is there and cannot be opened, or it is not there to be reached.
    #[error("the store `{store}` cannot be opened: {cause}")]
    Open {
        /// The file, or the address without its password.
        store: String,
        /// Why.
        cause: String,
    },
    /// Its tables cannot be brought up to date.
    #[error("the tables of the store `{store}` cannot be brought up to date: {cause}")]
    Migrate {
        /// The file or address.
        store: String,
        /// Why, and what helps.
        cause: String,
    },
    /// Somebody else keeps something there.
    #[error(
        "the store `{store}` has tables of another program: nothing was changed (name a database of its own in \
         `[store] url`)"
    )]
    Strange {
        /// The file or address.
        store: String,
    },
    /// There is none.
    #[error("there is no store at `{store}` (`countersign init` makes one)")]
    Missing {
        /// The file or address.
        store: String,
    },
    /// It was written by another version.
    #[error(
        "the store `{store}` has tables of version {found}, this program knows version {} (start the server of this version once)",
        migrations::newest()
    )]
    Version {
        /// The file or address.
        store: String,
        /// The number of its newest migration.
        found: i64,
    },
    /// It was opened read-only.
    #[error("the store `{store}` was opened for reading only")]
    ReadOnly {
        /// The file or address.
        store: String,
    },
    /// The ledger in it does not add up.
    #[error("the ledger does not add up: {0} (`countersign ledger verify` says where)")]
    Ledger(String),
    /// It gave no answer in time; whether it did what it was asked is not known.
    #[error("the store did not answer within {0} seconds")]
    Silent(u64),
    /// The second sink of the ledger cannot be written.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// A statement failed.
    #[error("the store failed: {0}")]
    Statement(#[from] sqlx::Error),
}

impl StoreError {
    /// Whether there is no room on the disk.
    #[must_use]
    pub fn is_full(&self) -> bool {
        if let Self::Sink(error) = self {
            return error.is_full();
        }
        match self.code() {
            Some(Code::Sqlite(code)) => code == SQLITE_FULL,
            // Class 53: insufficient resources.
            Some(Code::Postgres(state)) => state == "53100",
            None => false,
        }
    }

    /// Whether a row is there already that may be there only once.
    pub(super) fn is_unique_violation(&self) -> bool {
        let Self::Statement(error) = self else { return false };
        error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_unique_violation)
    }

    /// Whether an error lies in the statement and its values, not in the store: an SQL error, a constraint, a
    /// value that is too long, of the wrong type or out of range. Anything else, a full disk above all, is
    /// everybody's.
    pub(super) fn is_its_own(&self) -> bool {
        match self.code() {
            Some(Code::Sqlite(code)) => SQLITE_OWN.contains(&code),
            // Class 21: cardinality; 22: data; 23: integrity; 42: syntax or access rule.
            Some(Code::Postgres(state)) => {
                ["21", "22", "23", "42"].iter().any(|class| state.starts_with(class))
            }
            None => false,
        }
    }

    /// Whether the same may go well at once: two transactions stood in each other's way.
    pub(super) fn is_collision(&self) -> bool {
        // Class 40: transaction rollback, by a deadlock or because it could not be serialised.
        matches!(self.code(), Some(Code::Postgres(state)) if state.starts_with("40"))
    }

    /// Whether the connection broke: nobody knows whether the statement was heard.
    pub(super) fn is_broken_connection(&self) -> bool {
        match self {
            Self::Statement(sqlx::Error::Io(_) | sqlx::Error::Protocol(_)) => true,
            // Class 57P: the server shuts down or ends this connection. 08: connection exception.
            _ => match self.code() {
                Some(Code::Postgres(state)) => state.starts_with("57P") || state.starts_with("08"),
                _ => false,
            },
        }
    }

    fn code(&self) -> Option<Code> {
        let Self::Statement(error) = self else { return None };
        let error = error.as_database_error()?;
        let code = error.code()?;
        match error.try_downcast_ref::<sqlx::sqlite::SqliteError>() {
            // The low octet of an extended result code is the primary one.
            Some(_) => Some(Code::Sqlite(code.parse::<i32>().ok()? & 0xff)),
            None => Some(Code::Postgres(code.into_owned())),
        }
    }
}

enum Code {
    Sqlite(i32),
    /// SQLSTATE: a class of two characters, and three more.
    Postgres(String),
}

const SQLITE_FULL: i32 = 13;
/// ERROR, TOOBIG, CONSTRAINT, MISMATCH, RANGE.
const SQLITE_OWN: [i32; 5] = [1, 18, 19, 20, 25];
