//! An act takes a permit, not a ruling.

use countersign::store::ledger::{Permit, Release};
use countersign_core::policy::Ruling;

fn release(_: Permit<Release>) {}

fn act(ruling: Ruling) {
    release(ruling);
}

fn main() {}
