//! An act takes a permit, not a record: the record has to be held against what is acted on.

use countersign::store::ledger::{Durable, Permit, Recorded, Release};

fn release(_: Permit<Release>) {}

fn act(recorded: Recorded<Durable>) {
    release(recorded);
}

fn main() {}
