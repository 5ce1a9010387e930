//! The server: everything that touches the world. Read `gate` first.
//!
//! | layer | rooms |
//! |---|---|
//! | 7 | `cli`, `boot`, `sandbox` |
//! | 6 | `doors` |
//! | 5 | `gate` |
//! | 4 | `probes`, `acts` |
//! | 3 | `accounts`, `counts`, `custody`, `transit` |
//! | 2 | `store`, `net`, `seal` |
//! | 1 | `clock`, `config` |
//!
//! The numbers only fall; `tests/layers.rs` keeps it so.

pub mod accounts;
pub mod acts;
pub mod boot;
pub mod cli;
pub mod clock;
pub mod config;
pub mod counts;
pub mod custody;
pub mod doors;
pub mod gate;
pub mod net;
pub mod probes;
pub mod sandbox;
pub mod seal;
pub mod store;
pub mod transit;
