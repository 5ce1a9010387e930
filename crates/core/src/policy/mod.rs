//! Policy: what turns a dossier into a ruling, and the only place that makes one.
//! The gate calls `Rules::rule`; doors call `refuse_bytes` for what is refused on the wire.
//! `Rules::replay` rules on recorded facts and permits nothing.

mod budget;
mod context;
mod facts;
mod judge;
mod looks;
mod memory;
mod replay;
mod rules;
mod ruling;

pub use budget::exceeded;
pub use facts::{Asked, Fact, Facts};
pub use judge::{HoldAs, refuse_bytes};
pub use replay::Replay;
pub use rules::{PolicyError, Rules};
pub use ruling::{Cause, Decision, How, Missing, Ruling};
