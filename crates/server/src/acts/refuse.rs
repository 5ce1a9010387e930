//! Refuse: the peer hears why, and under which ref. It needs a permit like every other act.

use crate::acts::{Ending, Reply};
use crate::store::{Permit, Refuse};

/// Says no.
#[expect(clippy::needless_pass_by_value, reason = "an act uses its permit up")]
pub(super) fn perform(permit: Permit<Refuse>) -> Reply {
    let ruling = permit.ruling();
    let codes: Vec<&str> = ruling.reasons().iter().map(|cause| cause.code).collect();
    tracing::info!("account.id" = %ruling.account(), "ledger.ref" = %ruling.reference(), ?codes, "refused");
    Reply::of_ruling(ruling, Ending::Stopped)
}
