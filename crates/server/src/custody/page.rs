//! Pages of held mail, newest first, each beginning after a place in the list.
//! The API shows them.

use std::fmt;

use countersign_core::ids::{AccountId, Ref};
use jiff::Timestamp;

use super::held::{Held, Which};
use super::sender::opened;
use crate::store::{Keys, Store, StoreError, Value};

/// A place in the list: that of a held mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    at: Timestamp,
    reference: Ref,
}

impl Place {
    /// Where a held mail stands.
    #[must_use]
    pub fn of(held: &Held) -> Self {
        Self { at: held.at, reference: held.reference }
    }

    /// Reads what was printed.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (at, reference) = text.split_once('-')?;
        let at = Timestamp::from_microsecond(at.parse().ok()?).ok()?;
        Some(Self { at, reference: Ref::parse(reference).ok()? })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.at.as_microsecond(), self.reference)
    }
}

/// Held mail of everybody, or of one account, after a place.
///
/// # Errors
/// When the store cannot be read.
pub async fn page(
    store: &Store,
    keys: &Keys,
    which: Which,
    only: Option<&AccountId>,
    after: Option<&Place>,
    limit: u32,
) -> Result<Vec<Held>, StoreError> {
    let statement = match (which, only) {
        (Which::All, None) => ALL,
        (Which::All, Some(_)) => ALL_OF,
        (Which::Open, None) => OPEN,
        (Which::Open, Some(_)) => OPEN_OF,
        (Which::Releasing, None) => RELEASING,
        (Which::Releasing, Some(_)) => RELEASING_OF,
    };
    let (at, reference) =
        after.map_or((i64::MAX, ""), |place| (place.at.as_microsecond(), place.reference.as_str()));
    let mut values = vec![Value::int(at), Value::text(reference), Value::int(i64::from(limit))];
    values.extend(only.map(|only| Value::text(only.as_str())));
    opened(keys, &store.rows(statement, values).await?).await
}

macro_rules! after {
    ($which:literal) => {
        concat!(
            "SELECT account_id, ref, gate, state, mail_from, sender, recipients, size, reasons, in_doubt, at_us, until_us \
             FROM held WHERE (at_us, ref) < ($1, $2)",
            $which,
            " ORDER BY at_us DESC, ref DESC LIMIT $3"
        )
    };
}

const ALL: &str = after!("");
const ALL_OF: &str = after!(" AND account_id = $4");
const OPEN: &str = after!(" AND state IN ('held', 'releasing')");
const OPEN_OF: &str = after!(" AND account_id = $4 AND state IN ('held', 'releasing')");
const RELEASING: &str = after!(" AND state = 'releasing'");
const RELEASING_OF: &str = after!(" AND account_id = $4 AND state = 'releasing'");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_as_it_was_printed() {
        let place = Place {
            at: Timestamp::from_microsecond(1_795_500_000_000_001).unwrap(),
            reference: Ref::from_random(7),
        };
        assert_eq!(Place::parse(&place.to_string()), Some(place));
        for wrong in ["", "-", "1", "1-", "x-0000000007", "99999999999999999999-0000000007", "1-0000000007-"]
        {
            assert_eq!(Place::parse(wrong), None, "{wrong}");
        }
    }
}
