//! The ledger's arithmetic: leaves in a fixed encoding, a Merkle tree over them (RFC 6962 2.1), proofs, tiles,
//! signed notes, witnesses, and the file that convinces a stranger. Storage is elsewhere; this only computes.

mod checkpoint;
pub mod export;
mod key;
mod leaf;
mod note;
pub mod proof;
pub mod tile;
mod tlog_proof;
mod tree;
pub mod witness;

pub use checkpoint::{Checkpoint, CheckpointError};
pub use key::{Algorithm, KeyError, KeyName, Signer, VerifierKey};
pub use leaf::{Kind, Leaf, LeafError};
pub use note::{Note, NoteError, NoteSignature, Signed};
pub use tlog_proof::{TlogProof, TlogProofError};
pub use tree::{Frontier, Hash, leaf_hash, node_hash, root};
