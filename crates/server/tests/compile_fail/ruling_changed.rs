//! Nobody changes a ruling.

use countersign_core::policy::{Decision, Ruling};

fn allow(mut ruling: Ruling) -> Ruling {
    ruling.decision = Decision::Allow;
    ruling
}

fn main() {}
