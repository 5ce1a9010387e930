//! The server.
pub mod accounts;
pub mod config;
