//! Merkle proofs (RFC 6962 2.1): that a leaf is in a tree, and that a smaller tree is the beginning of a larger.
//! `ledger prove` and the witness client make them; witnesses and strangers check them.

use super::tree::{Hash, fold, node_hash};

#[cfg(test)]
mod tests;

/// A complete subtree: the 2^level leaves from `index` * 2^level. Level 0 is a leaf.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Node {
    /// How many levels are below it, 0 to 63.
    pub level: u8,
    /// Its place among the subtrees of its level, from 0.
    pub index: u64,
}

/// The audit path of leaf `index` in the tree of the first `size` leaves, nearest the leaf first. `hash_of` gives
/// the hashes of complete subtrees; `inclusion_nodes` says beforehand of which.
///
/// # Errors
/// When the tree has no such leaf, or a hash is not to be had.
pub fn inclusion(
    index: u64,
    size: u64,
    hash_of: impl FnMut(Node) -> Option<Hash>,
) -> Result<Vec<Hash>, ProofError> {
    hashes(&inclusion_runs(index, size)?, hash_of)
}

/// The complete subtrees whose hashes `inclusion` asks for.
///
/// # Errors
/// When the tree has no such leaf.
pub fn inclusion_nodes(index: u64, size: u64) -> Result<Vec<Node>, ProofError> {
    Ok(inclusion_runs(index, size)?.into_iter().flat_map(Run::nodes).collect())
}

/// The proof that the tree of the first `old` leaves is the beginning of that of the first `new`.
///
/// # Errors
/// When `old` is larger than `new`, or a hash is not to be had.
pub fn consistency(
    old: u64,
    new: u64,
    hash_of: impl FnMut(Node) -> Option<Hash>,
) -> Result<Vec<Hash>, ProofError> {
    hashes(&consistency_runs(old, new)?, hash_of)
}

/// The complete subtrees whose hashes `consistency` asks for.
///
/// # Errors
/// When `old` is larger than `new`.
pub fn consistency_nodes(old: u64, new: u64) -> Result<Vec<Node>, ProofError> {
    Ok(consistency_runs(old, new)?.into_iter().flat_map(Run::nodes).collect())
}

/// The complete subtrees that a tree of `size` leaves is made of, largest first: the peaks of its `Frontier`.
#[must_use]
pub fn peaks(size: u64) -> Vec<Node> {
    Run { from: 0, leaves: size }.nodes()
}

/// Checks an audit path: whether the leaf with this hash is at `index` in the tree of `size` leaves with `root`.
///
/// # Errors
/// When the tree has no such leaf, or the path does not lead from it to the root.
pub fn check_inclusion(
    leaf: &Hash,
    index: u64,
    size: u64,
    path: &[Hash],
    root: &Hash,
) -> Result<(), ProofError> {
    // RFC 9162 2.1.3.2: "If leaf_index is greater than or equal to tree_size, then fail the proof verification."
    if index >= size {
        return Err(ProofError::NoSuchLeaf { index, size });
    }
    let mut walk = Walk { leaf: index, last: size - 1 };
    let mut hash = *leaf;
    for step in path {
        hash = match walk.up()? {
            Side::Left => node_hash(step, &hash),
            Side::Right => node_hash(&hash, step),
        };
    }
    // RFC 9162 2.1.3.2: "If sn is equal to 0 and r and the root_hash are equal, then the log has proven the
    // inclusion"
    (walk.last == 0 && hash == *root).then_some(()).ok_or(ProofError::Wrong)
}

/// Checks that the tree of `old` leaves with `old_root` is the beginning of the tree of `new` leaves with
/// `new_root`. Every tree begins with the empty one, of which there is nothing to prove.
///
/// # Errors
/// When `old` is larger than `new`, or the proof does not lead to both roots.
pub fn check_consistency(old: (u64, &Hash), new: (u64, &Hash), path: &[Hash]) -> Result<(), ProofError> {
    let ((old_size, old_root), (new_size, new_root)) = (old, new);
    if old_size > new_size {
        return Err(ProofError::Backwards { old: old_size, new: new_size });
    }
    let proved = match old_size {
        0 => path.is_empty() && *old_root == fold(&[]),
        _ if old_size == new_size => path.is_empty() && old_root == new_root,
        // RFC 9162 2.1.4.2: "If first is an exact power of 2, then prepend first_hash to the consistency_path"
        _ if old_size.is_power_of_two() => {
            roots(old_size, new_size, old_root, path)? == (*old_root, *new_root)
        }
        // RFC 9162 2.1.4.2: "If consistency_path is an empty array, stop and fail the proof verification."
        _ => match path.split_first() {
            Some((first, rest)) => roots(old_size, new_size, first, rest)? == (*old_root, *new_root),
            None => false,
        },
    };
    proved.then_some(()).ok_or(ProofError::Wrong)
}

/// RFC 9162 2.1.4.2, steps 3 to 7: the roots of both trees, from what is in both of them on.
fn roots(old: u64, new: u64, first: &Hash, path: &[Hash]) -> Result<(Hash, Hash), ProofError> {
    let mut walk = Walk { leaf: old - 1, last: new - 1 };
    // "If LSB(fn) is set, then right-shift both fn and sn equally until LSB(fn) is not set."
    walk.shift(walk.leaf.trailing_ones());
    let (mut old_root, mut new_root) = (*first, *first);
    for step in path {
        match walk.up()? {
            Side::Left => {
                old_root = node_hash(step, &old_root);
                new_root = node_hash(step, &new_root);
            }
            Side::Right => new_root = node_hash(&new_root, step),
        }
    }
    // "sn is 0" as the last condition.
    (walk.last == 0).then_some((old_root, new_root)).ok_or(ProofError::Wrong)
}

/// On the way from a leaf to the root: its place in the level, and the last place of the level (`fn` and `sn` of
/// the RFC).
struct Walk {
    leaf: u64,
    last: u64,
}

/// Where the next hash of a path stands beside what is known.
enum Side {
    Left,
    Right,
}

impl Walk {
    /// One step of RFC 9162 2.1.3.2 and 2.1.4.2.
    fn up(&mut self) -> Result<Side, ProofError> {
        // "If sn is 0, then stop the iteration and fail the proof verification."
        if self.last == 0 {
            return Err(ProofError::Wrong);
        }
        // "If LSB(fn) is set, or if fn is equal to sn, then: Set r to HASH(0x01 || p || r)"
        let side = match self.leaf & 1 == 1 || self.leaf == self.last {
            true => Side::Left,
            false => Side::Right,
        };
        if matches!(side, Side::Left) {
            // "If LSB(fn) is not set, then right-shift both fn and sn equally until either LSB(fn) is set or fn
            // is 0."
            match self.leaf {
                0 => {}
                leaf => self.shift(leaf.trailing_zeros()),
            }
        }
        // "Finally, right-shift both fn and sn one time."
        self.shift(1);
        Ok(side)
    }

    fn shift(&mut self, by: u32) {
        self.leaf = self.leaf.checked_shr(by).unwrap_or(0);
        self.last = self.last.checked_shr(by).unwrap_or(0);
    }
}

/// Neighbouring leaves of which a proof wants the hash as that of a tree of their own.
/// INVARIANT: `from` is a multiple of a power of two that is not smaller than `leaves`.
#[derive(Clone, Copy)]
struct Run {
    from: u64,
    leaves: u64,
}

impl Run {
    /// The complete subtrees that it is made of, largest first.
    fn nodes(self) -> Vec<Node> {
        let levels = (0..u64::BITS as u8).rev().filter(|level| self.leaves >> level & 1 == 1);
        let mut from = self.from;
        let node = |level| {
            let node = Node { level, index: from >> level };
            from += 1 << level;
            node
        };
        levels.map(node).collect()
    }
}

/// RFC 6962 2.1.1: "PATH(m, D[n]) = PATH(m, D[0:k]) : MTH(D[k:n]) for m < k; and PATH(m, D[n]) = PATH(m - k,
/// D[k:n]) : MTH(D[0:k]) for m >= k"
fn inclusion_runs(index: u64, size: u64) -> Result<Vec<Run>, ProofError> {
    if index >= size {
        return Err(ProofError::NoSuchLeaf { index, size });
    }
    let mut tree = Run { from: 0, leaves: size };
    let mut runs = Vec::new();
    while tree.leaves > 1 {
        let (left, right) = halves(tree);
        let (into, beside) = if index < right.from { (left, right) } else { (right, left) };
        runs.push(beside);
        tree = into;
    }
    runs.reverse();
    Ok(runs)
}

/// RFC 6962 2.1.2: "SUBPROOF(m, D[n], b) = SUBPROOF(m, D[0:k], b) : MTH(D[k:n])" for m <= k, and "SUBPROOF(m,
/// D[n], b) = SUBPROOF(m - k, D[k:n], false) : MTH(D[0:k])" for m > k.
fn consistency_runs(old: u64, new: u64) -> Result<Vec<Run>, ProofError> {
    if old > new {
        return Err(ProofError::Backwards { old, new });
    }
    if old == 0 {
        return Ok(Vec::new());
    }
    let mut tree = Run { from: 0, leaves: new };
    let mut runs = Vec::new();
    while tree.from + tree.leaves > old {
        let (left, right) = halves(tree);
        let (into, beside) = if old <= right.from { (left, right) } else { (right, left) };
        runs.push(beside);
        tree = into;
    }
    // "SUBPROOF(m, D[m], true) = {}" and "SUBPROOF(m, D[m], false) = {MTH(D[m])}": `b` is true as long as the
    // way has only gone left.
    if tree.from > 0 {
        runs.push(tree);
    }
    runs.reverse();
    Ok(runs)
}

/// RFC 6962 2.1: "let k be the largest power of two smaller than n". `tree` has two leaves or more.
fn halves(tree: Run) -> (Run, Run) {
    let k = 1_u64 << (tree.leaves - 1).checked_ilog2().unwrap_or(0);
    (Run { from: tree.from, leaves: k }, Run { from: tree.from + k, leaves: tree.leaves - k })
}

fn hashes(runs: &[Run], mut hash_of: impl FnMut(Node) -> Option<Hash>) -> Result<Vec<Hash>, ProofError> {
    let mut out = Vec::with_capacity(runs.len());
    for run in runs {
        let hashes = run.nodes().into_iter().map(|node| hash_of(node).ok_or(ProofError::Missing(node)));
        out.push(fold(&hashes.collect::<Result<Vec<Hash>, ProofError>>()?));
    }
    Ok(out)
}

/// Why there is no proof, or why one does not prove.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The tree ends before the leaf.
    #[error("a tree of {size} leaves has no leaf {index}")]
    NoSuchLeaf {
        /// The leaf asked for.
        index: u64,
        /// How many leaves there are.
        size: u64,
    },
    /// A larger tree is not the beginning of a smaller one.
    #[error("a tree of {old} leaves is not the beginning of one of {new}")]
    Backwards {
        /// The size that should be the smaller one.
        old: u64,
        /// The size that should be the larger one.
        new: u64,
    },
    /// A hash that the proof needs is not to be had.
    #[error("the hash of subtree {} of level {} is not to be had", .0.index, .0.level)]
    Missing(Node),
    /// The proof does not lead to the root.
    #[error("the proof does not lead to the root")]
    Wrong,
}
