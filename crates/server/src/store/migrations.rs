//! The migrations: every table of the store, in the order in which they came, once for each database.
//! `Store::open` runs what is missing. A test holds the tables of the two against each other.

use std::borrow::Cow;

use sqlx::SqlSafeStr;
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};

/// Number, name, and the texts for SQLite and for Postgres.
struct Step(i64, &'static str, &'static str, &'static str);

macro_rules! step {
    ($number:literal, $name:literal, $file:literal) => {
        Step(
            $number,
            $name,
            include_str!(concat!("../../../../migrations/sqlite/", $file)),
            include_str!(concat!("../../../../migrations/postgres/", $file)),
        )
    };
}

/// A room that needs tables adds a line; what has been released is never changed.
const STEPS: &[Step] = &[
    step!(1, "ledger", "0001_ledger.sql"),
    step!(2, "accounts", "0002_accounts.sql"),
    step!(3, "custody", "0003_custody.sql"),
    step!(4, "transit", "0004_transit.sql"),
    step!(5, "clock", "0005_clock.sql"),
    step!(6, "counts", "0006_counts.sql"),
    step!(7, "logs", "0007_logs.sql"),
    step!(8, "api", "0008_api.sql"),
    step!(9, "sealed", "0009_sealed.sql"),
    step!(10, "held open", "0010_held_open.sql"),
    step!(11, "lookups", "0011_lookups.sql"),
];

pub(super) fn sqlite() -> Migrator {
    migrator(STEPS, |step| step.2)
}

/// Without the lock of the whole database that the driver would take: clusters have none.
pub(super) fn postgres() -> Migrator {
    let mut migrator = migrator(STEPS, |step| step.3);
    migrator.set_locking(false);
    migrator
}

fn migrator(steps: &[Step], text: impl Fn(&Step) -> &'static str) -> Migrator {
    let migration = |step: &Step| {
        let text = text(step).into_sql_str();
        Migration::new(step.0, Cow::Borrowed(step.1), MigrationType::Simple, text, false)
    };
    Migrator::with_migrations(steps.iter().map(migration).collect())
}

/// The number of the newest migration that this program knows.
pub(super) fn newest() -> i64 {
    STEPS.iter().map(|step| step.0).max().unwrap_or(0)
}

/// Why tables are not brought up to date, and what helps.
pub(super) fn why(error: &MigrateError) -> String {
    match error {
        MigrateError::VersionMissing(version) => format!(
            "they are of version {version} and this program knows version {}: nothing was changed (start a program \
             of that version, or restore a backup from before it)",
            newest()
        ),
        MigrateError::Dirty(version) => format!(
            "migration {version} was begun and not finished: nothing was changed (restore the backup from before \
             it, and start again)"
        ),
        MigrateError::VersionMismatch(version) => format!(
            "migration {version} is not the one that this program knows: nothing was changed (another program \
             wrote these tables; name another database)"
        ),
        MigrateError::Execute(cause) => failed(None, cause),
        MigrateError::ExecuteMigration(cause, version) => failed(Some(*version), cause),
        other => other.to_string(),
    }
}

/// Each is a transaction: what it had begun is undone.
fn failed(version: Option<i64>, cause: &sqlx::Error) -> String {
    let said =
        cause.as_database_error().map_or_else(|| cause.to_string(), |error| error.message().to_owned());
    let code = cause.as_database_error().and_then(|error| error.code()).unwrap_or_default();
    let step = version.map(|version| format!("migration {version}: ")).unwrap_or_default();
    match code.as_ref() {
        INSUFFICIENT_PRIVILEGE => format!(
            "{step}{said}: nothing was changed (make the role the owner of the database, or `GRANT CREATE, USAGE ON \
             SCHEMA public` to it)"
        ),
        _ if THERE_ALREADY.contains(&code.as_ref()) || said.ends_with("already exists") => format!(
            "{step}{said}, though `_sqlx_migrations` does not count it: nothing was changed (a row of that table is \
             gone: restore the store from a backup)"
        ),
        _ => format!("{step}{said}: nothing was changed by it"),
    }
}

const INSUFFICIENT_PRIVILEGE: &str = "42501";
/// A table or index, a column, another object (Postgres, class 42).
const THERE_ALREADY: [&str; 3] = ["42P07", "42701", "42710"];

#[cfg(test)]
mod tests;
