//! The words of Countersign and the judgement: `Request -> Dossier -> Ruling`.
//! Pure: no I/O, no clock, no randomness; time, ids and evidence are arguments.
#![warn(missing_docs)]

pub mod about;
pub mod address;
pub mod dossier;
pub mod evidence;
pub mod ids;
pub mod ledger;
pub mod message;
pub mod policy;
pub mod reason;
pub mod request;
pub mod spf;
