//! A Merkle tree over leaves, hashed as RFC 6962 section 2.1 says.
//! The committer keeps a `Frontier`; proofs, tiles and everybody who verifies compute with the same two hashes.

use aws_lc_rs::digest::{Context, SHA256};

/// A SHA-256 digest.
pub type Hash = [u8; 32];

/// RFC 6962 2.1: "MTH({d(0)}) = SHA-256(0x00 || d(0))".
#[must_use]
pub fn leaf_hash(leaf: &[u8]) -> Hash {
    sha256(&[&[0], leaf])
}

/// RFC 6962 2.1: "MTH(D[n]) = SHA-256(0x01 || MTH(D[0:k]) || MTH(D[k:n]))".
#[must_use]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    sha256(&[&[1], left, right])
}

/// The root over a sequence of leaf hashes.
pub fn root(hashes: impl IntoIterator<Item = Hash>) -> Hash {
    let mut frontier = Frontier::default();
    hashes.into_iter().for_each(|hash| frontier.push(hash));
    frontier.root()
}

/// The right edge of a growing tree: one hash for each complete subtree, largest first.
/// Appending costs a constant number of hashes on average, and the root is log2(size) hashes away.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    peaks: Vec<Hash>,
}

impl Frontier {
    /// The edge of a tree of `size` leaves from the hashes of its complete subtrees, largest first, as `peaks`
    /// gives them. `None` when there are more or fewer of them than the size has one bits.
    #[must_use]
    pub fn of(size: u64, peaks: Vec<Hash>) -> Option<Self> {
        (usize::try_from(size.count_ones()) == Ok(peaks.len())).then_some(Self { size, peaks })
    }

    /// How many leaves the tree has.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The hashes of its complete subtrees, largest first.
    #[must_use]
    pub fn peaks(&self) -> &[Hash] {
        &self.peaks
    }

    /// Appends the hash of a leaf.
    pub fn push(&mut self, leaf: Hash) {
        let mut node = leaf;
        // INVARIANT: the number of trailing one bits of `size` is the number of peaks that the new leaf completes.
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.peaks.pop() {
                node = node_hash(&left, &node);
            }
        }
        self.peaks.push(node);
        self.size += 1;
    }

    /// The root of the tree as it stands; of an empty one "MTH({}) = SHA-256()".
    #[must_use]
    pub fn root(&self) -> Hash {
        fold(&self.peaks)
    }
}

/// The hash over neighbouring complete subtrees, largest first; of none, that of an empty tree.
pub(super) fn fold(peaks: &[Hash]) -> Hash {
    let mut peaks = peaks.iter().rev();
    match peaks.next() {
        None => sha256(&[]),
        Some(last) => peaks.fold(*last, |right, left| node_hash(left, &right)),
    }
}

/// SHA-256 over the parts, one after the other.
pub(super) fn sha256(parts: &[&[u8]]) -> Hash {
    let mut context = Context::new(&SHA256);
    parts.iter().for_each(|part| context.update(part));
    let mut out = [0; 32];
    out.iter_mut().zip(context.finish().as_ref()).for_each(|(to, from)| *to = *from);
    out
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The definition of RFC 6962 2.1, word for word.
    pub(in crate::ledger) fn by_definition(hashes: &[Hash]) -> Hash {
        match hashes {
            [] => sha256(&[]),
            [one] => *one,
            many => {
                let k = many.len().next_power_of_two() / 2;
                node_hash(&by_definition(&many[..k]), &by_definition(&many[k..]))
            }
        }
    }

    #[test]
    fn rfc6962_2_1_root_is_as_defined_for_every_size() {
        let hashes: Vec<Hash> = (0_u32..130).map(|n| leaf_hash(&n.to_be_bytes())).collect();
        for size in 0..hashes.len() {
            assert_eq!(root(hashes[..size].iter().copied()), by_definition(&hashes[..size]), "size {size}");
        }
    }

    #[test]
    fn an_edge_that_was_kept_goes_on_as_if_it_had_grown() {
        let mut grown = Frontier::default();
        for n in 0_u32..70 {
            let mut kept = Frontier::of(grown.size(), grown.peaks().to_vec()).unwrap();
            grown.push(leaf_hash(&n.to_be_bytes()));
            kept.push(leaf_hash(&n.to_be_bytes()));
            assert_eq!(kept, grown);
        }
        assert_eq!(Frontier::of(3, vec![[0; 32]]), None);
    }

    #[test]
    fn rfc6962_2_1_known_answers() {
        let hex = |hash: Hash| hash.iter().map(|b| format!("{b:02x}")).collect::<String>();
        assert_eq!(hex(root([])), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_eq!(hex(leaf_hash(b"")), "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
    }
}
