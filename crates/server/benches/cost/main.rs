//! What the steps of a message cost, each alone: `just bench`, `just bench ledger`. docs/explanation/speed.md reads it.
//! Cargo runs it; it is built, not run, in CI.
#![expect(clippy::unwrap_used, reason = "a bench that cannot run says why")]

mod evidence;
mod ledger;
mod material;
mod parse;
mod policy;

fn main() {
    divan::main();
}
