//! The clock of the machine, held against the ledger: what is written behind its last entry would seem to be of then.
//! `serve` asks before it opens the log, and `apply` before it writes without a server.

use jiff::{SignedDuration, Timestamp};

use super::exit::{Code, Failure};
use crate::boot::DataError;
use crate::config::Config;
use crate::store::{Store, StoreError, newest_entry};

/// Sees that the clock was not set back behind the last entry of the ledger.
///
/// # Errors
/// When it was, or the store cannot be read.
pub(super) async fn clock_goes_on(config: &Config, now: Timestamp) -> Result<(), Failure> {
    let store = match Store::read_at(&config.store).await {
        Ok(store) => store,
        // Boot makes it, or brings it up to date, or says what is wrong with it.
        Err(StoreError::Missing { .. } | StoreError::Version { .. }) => return Ok(()),
        Err(error) => return Err(DataError::from(error).into()),
    };
    let newest = newest_entry(&store).await.map_err(DataError::from)?;
    store.close().await;
    match newest.filter(|newest| now.checked_add(SKEW).is_ok_and(|latest| latest < *newest)) {
        None => Ok(()),
        Some(newest) => Err(Failure::new(
            Code::Configuration,
            format!(
                "the clock says {now:.0}, and the last entry of the ledger is of {newest:.0}: nothing was changed (set \
                 the clock, or start with --clock-is-right)"
            ),
        )),
    }
}

/// Clocks of nodes that share a store differ a little.
const SKEW: SignedDuration = SignedDuration::from_mins(5);
