//! Pages of the ledger: the logs one after the other, the latest first, and of each the latest entries first.
//! The API shows them.

use std::fmt;

use countersign_core::ids::AccountId;

use super::read::{Entry, ReadError, entries};
use crate::store::{Keys, Store, StoreError, Value};

/// A place in the list: what comes after it has a lower index, or stands in a lower log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    log: i64,
    index: i64,
}

/// Some entries, and where those after them begin.
#[derive(Debug)]
pub struct Page {
    pub entries: Vec<Entry>,
    pub next: Option<Place>,
}

impl Place {
    /// Reads what was printed.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (log, index) = text.split_once('-')?;
        Some(Self { log: log.parse().ok()?, index: index.parse().ok()? })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.log, self.index)
    }
}

/// Entries of everybody, or of one account, after a place. The entries of an account are looked for among so many
/// of all: a page may have few of them, or none, and still not be the last.
///
/// # Errors
/// When the store cannot be read.
pub async fn page(
    store: &Store,
    keys: &Keys,
    only: Option<&AccountId>,
    after: Option<Place>,
    limit: usize,
) -> Result<Page, ReadError> {
    let mut page = Page { entries: Vec::new(), next: None };
    let mut unseen = SEEN;
    for log in logs(store, after).await? {
        let top = after.filter(|after| after.log == log).map_or(i64::MAX, |after| after.index);
        let Some(newest) = newest(store, log, top).await? else { continue };
        let floor = if only.is_some() { newest.saturating_sub(unseen - 1).max(0) } else { 0 };
        let wanted = limit.saturating_sub(page.entries.len()).saturating_add(1);
        let among = [log, newest, floor, i64::try_from(wanted).unwrap_or(i64::MAX)];
        page.entries.extend(among_these(store, keys, only, among).await?);
        if page.entries.len() > limit {
            page.entries.truncate(limit);
            page.next = page.entries.last().and_then(place_of);
            break;
        }
        unseen -= (newest - floor).saturating_add(1).min(unseen);
        if only.is_some() && unseen == 0 {
            page.next = Some(Place { log, index: floor });
            break;
        }
    }
    Ok(page)
}

async fn logs(store: &Store, after: Option<Place>) -> Result<Vec<i64>, StoreError> {
    let highest = Value::int(after.map_or(i64::MAX, |after| after.log));
    let rows = store.rows("SELECT log FROM logs WHERE log <= $1 ORDER BY log DESC", vec![highest]).await?;
    rows.iter().map(|row| row.get("log")).collect()
}

async fn newest(store: &Store, log: i64, below: i64) -> Result<Option<i64>, StoreError> {
    let row = store.row(NEWEST, vec![Value::int(log), Value::int(below)]).await?;
    row.map_or(Ok(None), |row| row.get("newest"))
}

async fn among_these(
    store: &Store,
    keys: &Keys,
    only: Option<&AccountId>,
    among: [i64; 4],
) -> Result<Vec<Entry>, ReadError> {
    let mut values = among.map(Value::int).to_vec();
    values.extend(only.map(|only| Value::text(only.as_str())));
    let rows = store.rows(if only.is_some() { OF_ONE } else { OF_ALL }, values).await?;
    entries(keys, rows).await
}

fn place_of(entry: &Entry) -> Option<Place> {
    Some(Place { log: entry.log, index: i64::try_from(entry.index).ok()? })
}

macro_rules! entries {
    ($which:literal) => {
        concat!(
            "SELECT e.account_id, e.ref, e.log, e.idx, l.leaf, p.salt, p.sealed FROM entries e \
             JOIN leaves l ON l.log = e.log AND l.idx = e.idx \
             LEFT JOIN payloads p ON p.account_id = e.account_id AND p.log = e.log AND p.idx = e.idx \
             WHERE e.log = $1 AND e.idx <= $2 AND e.idx >= $3",
            $which,
            " ORDER BY e.idx DESC LIMIT $4"
        )
    };
}

const OF_ALL: &str = entries!("");
const OF_ONE: &str = entries!(" AND e.account_id = $5");
const NEWEST: &str = "SELECT MAX(idx) AS newest FROM leaves WHERE log = $1 AND idx < $2";
/// Among so many entries are those of one account looked for in one request.
const SEEN: i64 = 20_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_as_it_was_printed() {
        let place = Place { log: 3, index: 70_000_000_000 };
        assert_eq!(Place::parse(&place.to_string()), Some(place));
        for wrong in ["", "-", "1", "1-", "x-1", "1-x", "1-1-1", "99999999999999999999-1"] {
            assert_eq!(Place::parse(wrong), None, "{wrong}");
        }
    }
}
