//! Only a record gives a permit.

use countersign::store::ledger::{Permit, Release};
use countersign_core::policy::Ruling;

fn pretend(ruling: Ruling) -> Permit<Release> {
    Permit::new(Box::new(ruling))
}

fn main() {}
