//! Payloads: what an entry says in full, sealed under the account's key beside its leaf.
//! Drafts seal them; `read` and `verify` open them and hold them against the leaf's commitment.

use aws_lc_rs::digest::{Context, SHA256};
use countersign_core::ids::AccountId;
use countersign_core::ledger::{Hash, Kind, Leaf};
use serde::Serialize;
use serde_json::Value;

use crate::seal::SealError;
use crate::store::AccountKey;

/// A sealed payload and what the leaf promises about it.
#[derive(Debug)]
pub(super) struct Sealed {
    pub(super) salt: [u8; 32],
    pub(super) octets: Vec<u8>,
    pub(super) commitment: Hash,
    pub(super) key_id: [u8; 16],
}

pub(super) fn seal(
    key: &AccountKey,
    account: &AccountId,
    kind: Kind,
    value: &impl Serialize,
) -> Result<Sealed, SealError> {
    let plain = serde_json::to_string(value).map_err(|_| SealError::Broken)?;
    let mut salt = [0_u8; 32];
    aws_lc_rs::rand::fill(&mut salt).map_err(|_| SealError::Random)?;
    Ok(Sealed {
        salt,
        octets: key.seal(&aad(account, kind), plain.as_bytes())?,
        commitment: commitment(&salt, plain.as_bytes()),
        key_id: key.id,
    })
}

/// Opens a payload and holds it against the commitment.
pub(super) fn open(
    key: &AccountKey,
    account: &AccountId,
    leaf: &Leaf,
    salt: &[u8],
    sealed: &[u8],
) -> Result<Value, &'static str> {
    let plain = key.open(&aad(account, leaf.kind), sealed).map_err(|_| "its payload does not open")?;
    match commitment(salt, &plain) == leaf.commitment {
        true => serde_json::from_slice(&plain).map_err(|_| "its payload is no JSON"),
        false => Err("its payload is not the one that was recorded"),
    }
}

/// Opens a payload as `open` does, and gives its octets as they were recorded.
pub(super) fn text(
    key: &AccountKey,
    account: &AccountId,
    leaf: &Leaf,
    salt: &[u8],
    sealed: &[u8],
) -> Result<String, &'static str> {
    let plain = key.open(&aad(account, leaf.kind), sealed).map_err(|_| "its payload does not open")?;
    match commitment(salt, &plain) == leaf.commitment {
        true => String::from_utf8(plain).map_err(|_| "its payload is no JSON"),
        false => Err("its payload is not the one that was recorded"),
    }
}

/// Opens a payload as `open` does, and only says of which ref it is.
pub(super) fn reference(
    key: &AccountKey,
    account: &AccountId,
    leaf: &Leaf,
    salt: &[u8],
    sealed: &[u8],
) -> Result<Option<String>, &'static str> {
    #[derive(serde::Deserialize)]
    struct Of {
        r#ref: Option<String>,
    }
    let plain = key.open(&aad(account, leaf.kind), sealed).map_err(|_| "its payload does not open")?;
    match commitment(salt, &plain) == leaf.commitment {
        true => serde_json::from_slice::<Of>(&plain).map(|of| of.r#ref).map_err(|_| "its payload is no JSON"),
        false => Err("its payload is not the one that was recorded"),
    }
}

/// The word for a kind in the store.
pub(super) fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Ruling => "ruling",
        Kind::Outcome => "outcome",
        Kind::Command => "command",
    }
}

/// SHA-256(salt + payload). The salt has one length, so the two cannot be shifted.
fn commitment(salt: &[u8], plain: &[u8]) -> Hash {
    let mut context = Context::new(&SHA256);
    context.update(salt);
    context.update(plain);
    let mut out = [0; 32];
    out.iter_mut().zip(context.finish().as_ref()).for_each(|(to, from)| *to = *from);
    out
}

fn aad(account: &AccountId, kind: Kind) -> Vec<u8> {
    ["countersign/payload/1", word(kind), account.as_str()].join("\0").into_bytes()
}
