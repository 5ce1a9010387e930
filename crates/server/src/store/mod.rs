//! The store: the database, what is written to it, and the ledger.
//! Rooms read through `db` and say what to write as `Write`s; only the ledger's committer writes rulings.

pub mod answers;
mod bell;
mod changes;
pub mod copy;
mod db;
mod error;
#[cfg(test)]
pub(crate) mod fresh;
pub mod jobs;
mod keys;
pub mod lease;
pub mod ledger;
mod migrations;
pub mod nodes;
mod outage;
pub mod outbox;
mod row;
pub mod shared;
mod tables;
mod transaction;
mod write;

pub use bell::{Bell, Listener};
pub use changes::Changes;
pub use db::Store;
pub use error::StoreError;
pub use keys::{AccountKey, Keys};
pub use ledger::newest::newest_entry;
pub use ledger::onward::{Start, onward, starts};
pub use ledger::page::{Page, Place, page};
pub use ledger::read::{Entry, Payload, ReadError, find, recent};
pub use ledger::verify::{Broken, LogReport, Report, VerifyError, verify};
pub use ledger::{
    Act, Block, Checkpoints, Clock, Command, Deny, Dispute, Durable, Hold, Ledger, Log, Mismatch, Node, Owed,
    Permit, RecordError, Recorded, Refuse, Release, SinkError,
};
pub use ledger::{
    Erasure, Expired, ExportError, Exported, Known, LogError, ProveError, Proved, Retention, begins_with,
    consistency, erase_account, erase_reference, export, hold_against, is_sealed_for, prove, witness,
};
pub use ledger::{Sight, question, sight};
pub use nodes::Left;
pub use row::{Column, Row};
pub use shared::Shared;
pub use transaction::Transaction;
pub use write::{Value, Write};
