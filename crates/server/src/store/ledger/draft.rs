//! A draft: an entry of which only its place is still open.
//! `Ledger` makes it on the task of whoever records; the committer gives it sequence, time and index.

use countersign_core::ids::{AccountId, Ref};
use countersign_core::ledger::{Hash, Kind, Leaf};
use countersign_core::policy::Ruling;
use countersign_core::request::Action;
use serde::Serialize;
use serde_json::{Map, Value};

use super::payload;
use crate::seal::SealError;
use crate::store::Keys;
use crate::store::Write;

/// An entry without a place.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) account: AccountId,
    pub(super) reference: Ref,
    /// INVARIANT: `account_seq`, `previous` and `time_us` are blank until the committer fills them.
    pub(super) leaf: Leaf,
    pub(super) salt: [u8; 32],
    pub(super) sealed: Vec<u8>,
    pub(super) writes: Vec<Write>,
}

impl Draft {
    /// A ruling on a message or command.
    pub(super) async fn ruling(
        keys: &Keys,
        ruling: &Ruling,
        extra: Value,
        owed: bool,
    ) -> Result<Self, SealError> {
        let account = ruling.account();
        let kind = match ruling.action() {
            Action::Send => Kind::Ruling,
            Action::Command(_) => Kind::Command,
        };
        let entry = Entry {
            reference: ruling.reference(),
            kind,
            actor: keys.pseudonym("actor", &format!("{account} {}", ruling.actor())),
            decision: ruling.decision().code(),
            policy: policy_digest(ruling.policy_digest()),
        };
        let payload = Payload::of(ruling, extra, owed);
        Self::seal(keys, account, entry, &payload).await
    }

    /// What became of one.
    pub(super) async fn outcome(
        keys: &Keys,
        reference: Ref,
        account: &AccountId,
        value: Value,
    ) -> Result<Self, SealError> {
        let entry = Entry { reference, kind: Kind::Outcome, actor: [0; 16], decision: 0, policy: [0; 32] };
        let payload = Map::from_iter([
            ("ref".to_owned(), Value::from(reference.as_str())),
            ("outcome".to_owned(), value),
        ]);
        Self::seal(keys, account, entry, &payload).await
    }

    async fn seal(
        keys: &Keys,
        account: &AccountId,
        entry: Entry,
        value: &(impl Serialize + Sync),
    ) -> Result<Self, SealError> {
        let key = keys.of(account).await?;
        let sealed = payload::seal(&key, account, entry.kind, value)?;
        let leaf = Leaf {
            kind: entry.kind,
            time_us: 0,
            account: pseudonym(keys, account),
            account_seq: 0,
            previous: [0; 32],
            actor: entry.actor,
            decision: entry.decision,
            policy: entry.policy,
            commitment: sealed.commitment,
            key_id: sealed.key_id,
        };
        Ok(Self {
            account: account.clone(),
            reference: entry.reference,
            leaf,
            salt: sealed.salt,
            sealed: sealed.octets,
            writes: Vec::new(),
        })
    }
}

/// The name of an account in leaves.
pub(super) fn pseudonym(keys: &Keys, account: &AccountId) -> [u8; 16] {
    keys.pseudonym("account", account.as_str())
}

/// What differs between the kinds.
struct Entry {
    reference: Ref,
    kind: Kind,
    actor: [u8; 16],
    decision: u8,
    policy: Hash,
}

/// What the payload of a ruling says, written as it is: no tree of values is built for it.
#[derive(Serialize)]
struct Payload<'a> {
    /// What the caller knows beside the ruling; what the ruling says itself cannot be overridden.
    #[serde(flatten)]
    extra: Map<String, Value>,
    #[serde(rename = "ref")]
    reference: Ref,
    ruling: &'a Ruling,
    action: &'static str,
    actor: &'a str,
    about: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    owed: bool,
}

impl<'a> Payload<'a> {
    fn of(ruling: &'a Ruling, extra: Value, owed: bool) -> Self {
        let mut extra = match extra {
            Value::Object(map) => map,
            Value::Null => Map::new(),
            other => Map::from_iter([("extra".to_owned(), other)]),
        };
        extra.retain(|name, _| !OWN.contains(&name.as_str()));
        Self {
            extra,
            reference: ruling.reference(),
            ruling,
            action: ruling.action().name(),
            actor: ruling.actor(),
            about: ruling.about().to_hex(),
            owed,
        }
    }
}

const OWN: [&str; 6] = ["ref", "ruling", "action", "actor", "about", "owed"];

/// The 32 octets of `sha256:` and 64 hexadecimal digits; zeros for anything else.
fn policy_digest(text: &str) -> Hash {
    let digits = text.strip_prefix("sha256:").unwrap_or_default().as_bytes();
    let octets: Vec<u8> = digits
        .chunks(2)
        .filter_map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect();
    Hash::try_from(octets).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_digest_is_read_or_zero() {
        assert_eq!(policy_digest(&format!("sha256:{}", "0a".repeat(32))), [10; 32]);
        for bad in ["", "sha256:", "sha256:0a", &"0a".repeat(32), &format!("sha256:{}", "zz".repeat(32))] {
            assert_eq!(policy_digest(bad), [0; 32], "{bad}");
        }
    }
}
