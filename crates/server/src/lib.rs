//! The server.
pub mod net;
pub mod sandbox;
