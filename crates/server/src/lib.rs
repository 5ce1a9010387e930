//! The server: everything that touches the world.

pub mod seal;
pub mod store;
