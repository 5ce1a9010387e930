//! Accounts: who may send, as which domains, with which credentials.
//! `file` reads the `apply` format, `sidecar` the notes beside a message file.

pub mod file;
pub mod pattern;
mod schema;
pub mod sidecar;
