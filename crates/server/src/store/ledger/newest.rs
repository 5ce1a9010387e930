//! When the last entry of any log was recorded.
//! `serve` holds the clock against it before it begins.

use jiff::Timestamp;

use crate::store::{Store, StoreError};

/// The time of the newest entry; `None` when there is none.
///
/// # Errors
/// When the store cannot be read.
pub async fn newest_entry(store: &Store) -> Result<Option<Timestamp>, StoreError> {
    let row = store.row(NEWEST, vec![]).await?;
    let at_us: Option<i64> = row.map(|row| row.get("at_us")).transpose()?.flatten();
    let damaged = |_| StoreError::Damaged("an entry has a time that is none".to_owned());
    at_us.map(|at_us| Timestamp::from_microsecond(at_us).map_err(damaged)).transpose()
}

/// By the head of each log: there are few logs, and many heads.
const NEWEST: &str = "SELECT MAX((SELECT h.at_us FROM heads h WHERE h.log = l.log \
    ORDER BY h.size DESC LIMIT 1)) AS at_us FROM logs l";
