//! Sealing: the root key, and what is sealed with it and with the keys that the store keeps wrapped.
//! The ledger and the rooms that keep personal data call it; the one layer that may use randomness.

mod envelope;
mod root;

pub(crate) use envelope::Cipher;
pub use envelope::SealError;
pub use root::{RootKey, RootKeyError};
