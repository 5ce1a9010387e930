//! The permit of one act is not that of another.

use countersign::store::ledger::{Hold, Permit, Release};

fn release(_: Permit<Release>) {}

fn act(permit: Permit<Hold>) {
    release(permit);
}

fn main() {}
