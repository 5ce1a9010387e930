//! Only the ledger makes a record.

use std::marker::PhantomData;

use countersign::store::ledger::{Durable, Recorded};
use countersign_core::policy::Ruling;

fn pretend(ruling: Ruling) -> Recorded<Durable> {
    Recorded { ruling: Box::new(ruling), state: PhantomData }
}

fn main() {}
