//! The store: the database, what is written to it, and the ledger.
//! Rooms read through `db` and say what to write as `Write`s; only the ledger's committer writes rulings.

mod db;
pub mod ledger;
mod migrations;
mod write;

pub use db::{Store, StoreError};
pub use write::{Value, Write};
