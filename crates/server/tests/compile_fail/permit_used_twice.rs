//! A permit is good for one act.

use countersign::store::ledger::{Permit, Release};

fn release(_: Permit<Release>) {}

fn act(permit: Permit<Release>) {
    release(permit);
    release(permit);
}

fn copy(permit: &Permit<Release>) -> Permit<Release> {
    permit.clone()
}

fn main() {}
