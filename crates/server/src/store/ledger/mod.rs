//! The ledger: what is ruled is recorded here before anything is done about it.
//! The gate records and gets permits; `explain` reads; `ledger verify` recomputes.

mod append;
mod committer;
mod draft;
mod edge;
mod handle;
mod insert;
mod log;
mod loose;
pub mod newest;
pub mod onward;
pub mod order;
mod owed;
pub mod page;
mod payload;
mod permit;
pub mod read;
mod recorded;
mod tip;
mod trouble;
pub mod verify;

#[cfg(test)]
pub(super) mod tests;

pub use handle::{Clock, Ledger, RecordError};
pub use log::Log;
pub use permit::{Act, Block, Command, Deny, Hold, Permit, Refuse, Release};
pub use recorded::{Durable, Mismatch, Owed, Recorded};
