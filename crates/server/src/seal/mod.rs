//! Sealing: the root key, the keys under it, and what is sealed with them.
//! The ledger and the rooms that keep personal data call it; the one layer that may use randomness.

mod envelope;
mod keys;
mod root;

pub use envelope::SealError;
pub use keys::{AccountKey, Keys};
pub use root::{RootKey, RootKeyError};
