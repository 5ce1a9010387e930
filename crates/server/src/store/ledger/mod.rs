//! The ledger: what is ruled is recorded here before anything is done about it.
//! The gate records and gets permits; `explain` reads; `ledger verify` recomputes.

mod append;
mod checkpoint;
mod committer;
mod cosigned;
mod dispute;
mod draft;
mod edge;
mod erase;
mod export;
mod handle;
mod insert;
mod log;
mod logs;
mod loose;
pub mod newest;
mod nodes;
pub mod onward;
pub mod order;
mod owed;
pub mod page;
mod payload;
mod permit;
mod prove;
pub mod read;
mod recorded;
mod retention;
mod sight;
mod sink;
mod tip;
mod trouble;
pub mod verify;
mod whose;
mod witnessed;

#[cfg(test)]
pub(super) mod tests;

pub use checkpoint::Checkpoints;
pub use dispute::Dispute;
pub use erase::{Erasure, erase_account, erase_reference, is_sealed_for};
pub use export::{ExportError, Exported, export};
pub use handle::{Clock, Ledger, RecordError};
pub use log::{Log, Node};
pub use logs::{Known, LogError, begins_with, hold_against};
pub use permit::{Act, Block, Command, Deny, Hold, Permit, Refuse, Release};
pub use prove::{ProveError, Proved, consistency, prove};
pub use recorded::{Durable, Mismatch, Owed, Recorded};
pub use retention::{Expired, Retention};
pub use sight::{Sight, question, sight};
pub use sink::SinkError;
pub use witnessed::witness;
