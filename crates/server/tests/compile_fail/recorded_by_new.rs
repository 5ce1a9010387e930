//! Only the ledger makes a record.

use countersign::store::ledger::{Durable, Recorded};
use countersign_core::policy::Ruling;

fn pretend(ruling: Ruling) -> Recorded<Durable> {
    Recorded::new(Box::new(ruling))
}

fn main() {}
