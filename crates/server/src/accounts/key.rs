//! API keys: whose they are, and what they open. A key is its secret alone; it is found by a keyed digest.
//! The directory gives them by that digest; the API checks the secret against the hash.

use std::collections::BTreeMap;

use countersign_core::ids::AccountId;
use ipnet::IpNet;
use jiff::Timestamp;

use super::scope::KeyScope;
use crate::store::Keys;

/// An API key as the store has it.
#[derive(Debug, Clone)]
pub struct ApiKey {
    pub holder: Holder,
    /// Argon2id in PHC form.
    pub hash: String,
    /// From where it may be used; empty is anywhere.
    pub networks: Vec<IpNet>,
    pub expires: Option<Timestamp>,
    pub scopes: Vec<KeyScope>,
}

/// Whose key it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holder {
    /// An account's, by its login.
    Account { account: AccountId, login: String },
    /// A member's of staff, by the member's address.
    Staff(String),
}

/// What the store keeps of a secret.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kept {
    /// Argon2id in PHC form.
    pub hash: String,
    /// The digest under which an API key is found.
    pub tag: Option<[u8; 32]>,
}

/// What the store keeps of the secrets that an accounts file names.
#[derive(Debug, Default)]
pub struct Secrets {
    /// By login.
    pub credentials: BTreeMap<String, Kept>,
    /// By address.
    pub staff: BTreeMap<String, Kept>,
}

/// The digest under which the key of a secret is found: HMAC-SHA256 under a key derived from the root key, so
/// that the store alone tells nothing about secrets, nor whether two are the same as elsewhere.
#[must_use]
pub fn tag_of(keys: &Keys, secret: &str) -> [u8; 32] {
    keys.hmac("api-key", secret.as_bytes())
}
