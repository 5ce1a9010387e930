//! Only a record gives a permit.

use std::marker::PhantomData;

use countersign::store::ledger::{Permit, Release};
use countersign_core::policy::Ruling;

fn pretend(ruling: Ruling) -> Permit<Release> {
    Permit { ruling: Box::new(ruling), act: PhantomData }
}

fn main() {}
