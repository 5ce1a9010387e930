use proptest::prelude::*;

use super::*;
use crate::ledger::leaf_hash;
use crate::ledger::tree::tests::by_definition;

/// The leaves of the test vectors of Certificate Transparency.
const LEAVES: [&str; 8] =
    ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
/// The roots of the trees of the first 1 to 8 of them.
const ROOTS: [&str; 8] = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

#[test]
fn rfc6962_2_1_roots_of_the_known_tree() {
    for (size, root) in (1_u64..).zip(ROOTS) {
        assert_eq!(Tree::known(size).root(size), hash(root), "size {size}");
    }
}

#[test]
fn rfc6962_2_1_1_paths_of_the_known_tree() {
    // Index, size, path: the vectors of Certificate Transparency count leaves from 1.
    let known: [(u64, u64, &[&str]); 4] = [
        (0, 1, &[]),
        (
            0,
            8,
            &[
                "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
            ],
        ),
        (
            5,
            8,
            &[
                "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
                "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            ],
        ),
        (2, 3, &["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]),
    ];
    for (index, size, path) in known {
        let path: Vec<Hash> = path.iter().map(|text| hash(text)).collect();
        let tree = Tree::known(8);
        assert_eq!(inclusion(index, size, tree.subtrees()).unwrap(), path, "{index} of {size}");
        check_inclusion(&tree.0[index as usize], index, size, &path, &tree.root(size)).unwrap();
    }
}

#[test]
fn rfc6962_2_1_2_consistency_of_the_known_tree() {
    let known: [(u64, u64, &[&str]); 4] = [
        (1, 1, &[]),
        (
            1,
            8,
            &[
                "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
            ],
        ),
        (
            6,
            8,
            &[
                "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
                "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            ],
        ),
        (
            2,
            5,
            &[
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            ],
        ),
    ];
    for (old, new, path) in known {
        let path: Vec<Hash> = path.iter().map(|text| hash(text)).collect();
        let tree = Tree::known(8);
        assert_eq!(consistency(old, new, tree.subtrees()).unwrap(), path, "{old} to {new}");
        check_consistency((old, &tree.root(old)), (new, &tree.root(new)), &path).unwrap();
    }
}

#[test]
fn rfc6962_2_1_1_every_path_of_every_size_is_as_defined_and_proves() {
    let tree = Tree::counted(130);
    for size in 1..=130 {
        let root = tree.root(size);
        for index in 0..size {
            let path = inclusion(index, size, tree.subtrees()).unwrap();
            assert_eq!(path, path_by_definition(index as usize, &tree.0[..size as usize]));
            check_inclusion(&tree.0[index as usize], index, size, &path, &root).unwrap();
        }
    }
}

#[test]
fn rfc6962_2_1_2_every_consistency_of_every_size_is_as_defined_and_proves() {
    let tree = Tree::counted(130);
    for new in 1..=130 {
        for old in 1..=new {
            let path = consistency(old, new, tree.subtrees()).unwrap();
            assert_eq!(path, subproof_by_definition(old as usize, &tree.0[..new as usize], true));
            check_consistency((old, &tree.root(old)), (new, &tree.root(new)), &path).unwrap();
        }
    }
}

#[test]
fn the_nodes_that_are_said_to_be_needed_are_all_that_is_asked_for() {
    let tree = Tree::counted(130);
    for size in [1_u64, 2, 3, 64, 100, 127, 128, 129] {
        for other in 0..size {
            let mut asked = Vec::new();
            let mut note = |node| {
                asked.push(node);
                tree.subtree(node)
            };
            inclusion(other, size, &mut note).unwrap();
            consistency(other, size, &mut note).unwrap();
            let said =
                [inclusion_nodes(other, size).unwrap(), consistency_nodes(other, size).unwrap()].concat();
            assert_eq!(asked, said);
        }
        let kept: Vec<Hash> = peaks(size).into_iter().map(|node| tree.subtree(node).unwrap()).collect();
        assert_eq!(fold(&kept), tree.root(size));
    }
}

#[test]
fn what_cannot_be_proved_is_refused() {
    let tree = Tree::counted(8);
    let root = tree.root(8);
    assert_eq!(inclusion(8, 8, tree.subtrees()), Err(ProofError::NoSuchLeaf { index: 8, size: 8 }));
    assert_eq!(consistency(9, 8, tree.subtrees()), Err(ProofError::Backwards { old: 9, new: 8 }));
    assert_eq!(inclusion(0, 8, |_| None), Err(ProofError::Missing(Node { level: 0, index: 1 })));
    assert!(check_inclusion(&tree.0[0], 8, 8, &[], &root).is_err());
    assert!(check_consistency((9, &root), (8, &root), &[]).is_err());
    assert_eq!(
        check_consistency((0, &fold(&[])), (8, &root), &[]),
        Ok(()),
        "every tree begins with the empty one"
    );
    assert!(check_consistency((0, &fold(&[])), (8, &root), &[root]).is_err());
    assert!(check_consistency((0, &root), (8, &root), &[]).is_err(), "an empty tree with leaves");
    assert!(check_consistency((3, &tree.root(3)), (8, &root), &[]).is_err());
    // The largest sizes end without a panic, and a path of any length too.
    for size in [u64::MAX, 1 << 63, (1 << 63) - 1] {
        assert!(check_inclusion(&root, size - 1, size, &[root; 70], &root).is_err());
        assert!(check_consistency((size - 1, &root), (size, &root), &[root; 70]).is_err());
        assert!(inclusion_nodes(size - 1, size).unwrap().len() < 4096);
        assert!(consistency_nodes(size / 2 + 1, size).unwrap().len() < 4096);
    }
}

proptest! {
    #[test]
    fn a_changed_proof_of_inclusion_fails(size in 2_u64..130, place: u64, change: Change) {
        let tree = Tree::counted(size as u32);
        let index = place % size;
        let (leaf, root) = (tree.0[index as usize], tree.root(size));
        let path = inclusion(index, size, tree.subtrees()).unwrap();
        if let Some(changed) = change.apply(&path) {
            prop_assert!(check_inclusion(&leaf, index, size, &changed, &root).is_err());
        }
        prop_assert!(check_inclusion(&change.hash(leaf), index, size, &path, &root).is_err());
        prop_assert!(check_inclusion(&leaf, index, size, &path, &change.hash(root)).is_err());
        for wrong in (0..size).filter(|wrong| *wrong != index) {
            prop_assert!(check_inclusion(&leaf, wrong, size, &path, &root).is_err());
        }
    }

    #[test]
    fn a_changed_proof_of_consistency_fails(new in 2_u64..130, place: u64, change: Change) {
        let tree = Tree::counted(new as u32);
        let old = 1 + place % (new - 1);
        let (first, second) = (tree.root(old), tree.root(new));
        let path = consistency(old, new, tree.subtrees()).unwrap();
        if let Some(changed) = change.apply(&path) {
            prop_assert!(check_consistency((old, &first), (new, &second), &changed).is_err());
        }
        prop_assert!(check_consistency((old, &change.hash(first)), (new, &second), &path).is_err());
        prop_assert!(check_consistency((old, &first), (new, &change.hash(second)), &path).is_err());
    }

    /// Two trees that differ in a leaf of the old one have no proof between them, whatever is tried.
    #[test]
    fn a_fork_has_no_proof(new in 2_u64..130, place: u64, bad: u64) {
        let tree = Tree::counted(new as u32);
        let old = 1 + place % (new - 1);
        let mut forked = Tree(tree.0.clone());
        forked.0[(bad % old) as usize][0] ^= 1;
        for path in [
            consistency(old, new, tree.subtrees()).unwrap(),
            consistency(old, new, forked.subtrees()).unwrap(),
        ] {
            prop_assert!(check_consistency((old, &tree.root(old)), (new, &forked.root(new)), &path).is_err());
        }
    }
}

/// One change to a proof.
#[derive(Debug, Clone)]
struct Change {
    what: u8,
    place: prop::sample::Index,
    octet: usize,
    flip: u8,
}

impl Arbitrary for Change {
    type Parameters = ();
    type Strategy = BoxedStrategy<Self>;

    fn arbitrary_with((): ()) -> BoxedStrategy<Self> {
        (0_u8..4, any::<prop::sample::Index>(), 0_usize..32, 1_u8..)
            .prop_map(|(what, place, octet, flip)| Self { what, place, octet, flip })
            .boxed()
    }
}

impl Change {
    fn hash(&self, mut hash: Hash) -> Hash {
        hash[self.octet] ^= self.flip;
        hash
    }

    /// The path changed, or nothing when this change would change nothing.
    fn apply(&self, path: &[Hash]) -> Option<Vec<Hash>> {
        let mut changed = path.to_vec();
        let end = self.place.index(path.len() + 1);
        match self.what {
            0 => changed.insert(end, self.hash([0; 32])),
            _ if path.is_empty() => return None,
            1 => changed[end % path.len()][self.octet] ^= self.flip,
            2 => drop(changed.remove(end % path.len())),
            _ => changed.swap(end % path.len(), (end + 1) % path.len()),
        }
        (changed != path).then_some(changed)
    }
}

/// The hashes of all leaves.
struct Tree(Vec<Hash>);

impl Tree {
    fn known(size: u64) -> Self {
        Self(LEAVES.iter().take(size as usize).map(|leaf| leaf_hash(&octets(leaf))).collect())
    }

    fn counted(size: u32) -> Self {
        Self((0..size).map(|n| leaf_hash(&n.to_be_bytes())).collect())
    }

    fn root(&self, size: u64) -> Hash {
        by_definition(&self.0[..size as usize])
    }

    fn subtree(&self, node: Node) -> Option<Hash> {
        let leaves = 1_usize << node.level;
        let from = node.index as usize * leaves;
        self.0.get(from..from + leaves).map(by_definition)
    }

    fn subtrees(&self) -> impl FnMut(Node) -> Option<Hash> {
        |node| self.subtree(node)
    }
}

/// RFC 6962 2.1.1, word for word.
fn path_by_definition(m: usize, d: &[Hash]) -> Vec<Hash> {
    if d.len() == 1 {
        return Vec::new();
    }
    let k = d.len().next_power_of_two() / 2;
    match m < k {
        true => [path_by_definition(m, &d[..k]), vec![by_definition(&d[k..])]].concat(),
        false => [path_by_definition(m - k, &d[k..]), vec![by_definition(&d[..k])]].concat(),
    }
}

/// RFC 6962 2.1.2, word for word.
fn subproof_by_definition(m: usize, d: &[Hash], b: bool) -> Vec<Hash> {
    if m == d.len() {
        return if b { Vec::new() } else { vec![by_definition(d)] };
    }
    let k = d.len().next_power_of_two() / 2;
    match m <= k {
        true => [subproof_by_definition(m, &d[..k], b), vec![by_definition(&d[k..])]].concat(),
        false => [subproof_by_definition(m - k, &d[k..], false), vec![by_definition(&d[..k])]].concat(),
    }
}

fn octets(hex: &str) -> Vec<u8> {
    hex.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

fn hash(hex: &str) -> Hash {
    octets(hex).try_into().unwrap()
}
