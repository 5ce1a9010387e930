//! A leaf: what the ledger keeps for ever about one entry, in a fixed encoding of 163 octets.
//! It holds no personal data: the payload is sealed beside it and can be erased.

use super::tree::Hash;

/// One entry of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// What kind of entry.
    pub kind: Kind,
    /// Microseconds since 1970; never decreases within a log.
    pub time_us: i64,
    /// Pseudonym of the account: a keyed hash, cut to 128 bits.
    pub account: [u8; 16],
    /// Position in the account's own chain, from 1.
    pub account_seq: u64,
    /// Hash of the account's previous leaf; zeros for the first.
    pub previous: Hash,
    /// Pseudonym of who acted.
    pub actor: [u8; 16],
    /// 1 allow, 2 ask, 3 hold, 4 refuse; 0 when the entry is no ruling.
    pub decision: u8,
    /// SHA-256 of the policy that ruled.
    pub policy: Hash,
    /// SHA-256(salt + payload): the promise that the sealed payload is the one that was recorded.
    pub commitment: Hash,
    /// Which key sealed the payload.
    pub key_id: [u8; 16],
}

/// What kind of entry a leaf is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A ruling on a message.
    Ruling,
    /// What became of one: the upstream's reply, or a failure.
    Outcome,
    /// A ruling on a command of staff, a local operator or the clock.
    Command,
}

impl Leaf {
    /// The length of the encoding in octets.
    pub const LENGTH: usize = 163;

    /// The fixed encoding: version, then each field big-endian in the order of the struct.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(Self::LENGTH);
        out.push(VERSION);
        out.push(self.kind.code());
        out.extend(self.time_us.to_be_bytes());
        out.extend(self.account);
        out.extend(self.account_seq.to_be_bytes());
        out.extend(self.previous);
        out.extend(self.actor);
        out.push(self.decision);
        out.extend(self.policy);
        out.extend(self.commitment);
        out.extend(self.key_id);
        out
    }

    /// Reads a leaf.
    ///
    /// # Errors
    /// When the length, version or kind is not as `encode` writes them.
    pub fn decode(bytes: &[u8]) -> Result<Self, LeafError> {
        if bytes.len() != Self::LENGTH {
            return Err(LeafError::Length(bytes.len()));
        }
        let mut rest = Reader(bytes);
        match rest.take::<1>()? {
            [VERSION] => {}
            [other] => return Err(LeafError::Version(other)),
        }
        let [kind] = rest.take()?;
        let leaf = Self {
            kind: Kind::of(kind)?,
            time_us: i64::from_be_bytes(rest.take()?),
            account: rest.take()?,
            account_seq: u64::from_be_bytes(rest.take()?),
            previous: rest.take()?,
            actor: rest.take()?,
            decision: u8::from_be_bytes(rest.take()?),
            policy: rest.take()?,
            commitment: rest.take()?,
            key_id: rest.take()?,
        };
        Ok(leaf)
    }
}

impl Kind {
    fn code(self) -> u8 {
        match self {
            Self::Ruling => 1,
            Self::Outcome => 2,
            Self::Command => 3,
        }
    }

    fn of(code: u8) -> Result<Self, LeafError> {
        match code {
            1 => Ok(Self::Ruling),
            2 => Ok(Self::Outcome),
            3 => Ok(Self::Command),
            other => Err(LeafError::Kind(other)),
        }
    }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], LeafError> {
        let (head, tail) = self.0.split_first_chunk::<N>().ok_or(LeafError::Length(self.0.len()))?;
        self.0 = tail;
        Ok(*head)
    }
}

/// Why bytes are no leaf.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LeafError {
    /// Not the fixed length.
    #[error("a leaf has 163 octets, not `{0}`")]
    Length(usize),
    /// A version we do not know.
    #[error("leaf version `{0}` is not known")]
    Version(u8),
    /// A kind we do not know.
    #[error("leaf kind `{0}` is not known")]
    Kind(u8),
}

const VERSION: u8 = 1;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn leaf() -> Leaf {
        Leaf {
            kind: Kind::Ruling,
            time_us: 1_795_500_000_000_000,
            account: [1; 16],
            account_seq: 7,
            previous: [2; 32],
            actor: [3; 16],
            decision: 4,
            policy: [5; 32],
            commitment: [6; 32],
            key_id: [7; 16],
        }
    }

    #[test]
    fn the_encoding_has_its_fixed_length() {
        assert_eq!(leaf().encode().len(), Leaf::LENGTH);
    }

    proptest! {
        #[test]
        fn what_decodes_encodes_to_the_same(seq: u64, time_us: i64, decision in 0_u8..5) {
            let leaf = Leaf { account_seq: seq, time_us, decision, ..leaf() };
            prop_assert_eq!(Leaf::decode(&leaf.encode()), Ok(leaf));
        }

        #[test]
        fn arbitrary_bytes_decode_only_to_what_encodes_to_them(bytes in proptest::collection::vec(any::<u8>(), 155..170)) {
            if let Ok(leaf) = Leaf::decode(&bytes) {
                prop_assert_eq!(leaf.encode(), bytes);
            }
        }
    }
}
