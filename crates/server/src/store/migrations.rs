//! The migrations: every table of the store, in the order in which they came.
//! `Store::open` runs what is missing.

use std::borrow::Cow;

use sqlx::SqlSafeStr;
use sqlx::migrate::{Migration, MigrationType, Migrator};

/// Number, name, text. A room that needs tables adds a line; what has been released is never changed.
const SQLITE: &[(i64, &str, &str)] = &[
    (1, "ledger", include_str!("../../../../migrations/sqlite/0001_ledger.sql")),
    (2, "accounts", include_str!("../../../../migrations/sqlite/0002_accounts.sql")),
    (3, "custody", include_str!("../../../../migrations/sqlite/0003_custody.sql")),
    (4, "transit", include_str!("../../../../migrations/sqlite/0004_transit.sql")),
    (5, "clock", include_str!("../../../../migrations/sqlite/0005_clock.sql")),
    (6, "counts", include_str!("../../../../migrations/sqlite/0006_counts.sql")),
];

pub(super) fn sqlite() -> Migrator {
    let migration = |&(number, name, text): &(i64, &'static str, &'static str)| {
        Migration::new(number, Cow::Borrowed(name), MigrationType::Simple, text.into_sql_str(), false)
    };
    Migrator::with_migrations(SQLITE.iter().map(migration).collect())
}

/// The number of the newest migration that this program knows.
pub(super) fn newest() -> i64 {
    SQLITE.iter().map(|(number, _, _)| *number).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_rise_without_a_gap() {
        let numbers: Vec<i64> = SQLITE.iter().map(|(number, _, _)| *number).collect();
        assert_eq!(numbers, (1..=newest()).collect::<Vec<_>>());
    }
}
