//! The ledger's arithmetic: leaves in a fixed encoding, a Merkle tree over them (RFC 6962 2.1).
//! Storage is elsewhere; this only computes.

mod leaf;
mod tree;

pub use leaf::{Kind, Leaf, LeafError};
pub use tree::{Frontier, Hash, leaf_hash, root};
