use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::ledger::tree::tests::by_definition;
use crate::ledger::{leaf_hash, proof};

fn tile(level: u8, index: u64, width: u16) -> Tile {
    Tile { level, index, width }
}

#[test]
fn tlog_tiles_a_tree_of_70_000_is_as_the_specification_says() {
    // "a tree of size 70,000 will be represented by 273 full level 0 tiles, one partial level 0 tile of width 112,
    // one full level 1 tile, one partial level 1 tile of width 17, and one partial level 2 tile of width 1"
    let all: Vec<Tile> = Tile::all(70_000).collect();
    let count = |level, width| all.iter().filter(|tile| tile.level == level && tile.width == width).count();
    assert_eq!([count(0, 256), count(0, 112), count(1, 256), count(1, 17), count(2, 1)], [273, 1, 1, 1, 1]);
    assert_eq!(all.len(), 277);
}

#[test]
fn tlog_tiles_a_tree_of_256_is_as_the_specification_says() {
    // "a tree of size 256 will be represented by a full level 0 tile and a partial level 1 tile of width 1"
    assert_eq!(Tile::all(256).collect::<Vec<_>>(), [tile(0, 0, 256), tile(1, 0, 1)]);
    assert_eq!(Tile::all(0).count(), 0);
}

#[test]
fn tlog_tiles_paths_are_as_the_specification_says() {
    for (path, tile) in [
        ("tile/0/x001/x234/067", tile(0, 1_234_067, 256)),
        ("tile/0/000", tile(0, 0, 256)),
        ("tile/63/999.p/1", tile(63, 999, 1)),
        ("tile/2/x001/000.p/255", tile(2, 1000, 255)),
    ] {
        assert_eq!(Resource::Hashes(tile).to_string(), path);
        assert_eq!(Resource::parse(path), Ok(Resource::Hashes(tile)));
    }
    let entries = Resource::Entries { index: 1_234_067, width: 8 };
    assert_eq!(entries.to_string(), "tile/entries/x001/x234/067.p/8");
    assert_eq!(Resource::parse("tile/entries/x001/x234/067.p/8"), Ok(entries));
}

#[test]
fn what_is_no_path_of_a_tile_is_refused() {
    for path in [
        "",
        "tile",
        "tile/0",
        "tile/0/",
        "tile/0/1",
        "tile/0/0001",
        "tile/00/001",
        "tile/64/001",
        "tile/-1/001",
        "tile/+1/001",
        "tile/0/x001",
        "tile/0/001/001",
        "tile/0/x000/001",
        "tile/0/x01/001",
        "tile/0/x001//001",
        "tile/0/001/",
        "tile/0/001.p",
        "tile/0/001.p/",
        "tile/0/001.p/0",
        "tile/0/001.p/256",
        "tile/0/001.p/01",
        "tile/0/001.p/1/1",
        "tile/0/001.p/1.p/1",
        "/tile/0/001",
        "tile/entries/",
        "tile/Entries/001",
        "tile/0/x018/x446/x744/x073/x709/x551/616",
        "tile/0/x999/x999/x999/x999/x999/x999/999",
        "tile/0/x001/x000/x000/x000/x000/x000/x000/000",
        "tile/0/\u{661}01",
    ] {
        assert!(Resource::parse(path).is_err(), "{path}");
    }
}

#[test]
fn tiles_that_grow_make_the_same_tree_as_tiles_made_at_once() {
    let leaves: Vec<Hash> = (0_u32..1500).map(|n| leaf_hash(&n.to_be_bytes())).collect();
    let mut kept = HashMap::new();
    let mut old = 0_u64;
    for step in [0_u64, 1, 1, 200, 53, 1, 1, 255, 256, 300, 432] {
        let new = old + step;
        for tile in Tile::grown(old, new) {
            kept.insert((tile.level, tile.index), tile);
        }
        old = new;
        let mut all: Vec<Tile> = kept.values().copied().collect();
        all.sort();
        assert_eq!(all, Tile::all(new).collect::<Vec<_>>(), "grown to {new}");
    }
    assert_eq!(old, leaves.len() as u64);
}

#[test]
fn every_proof_can_be_read_from_the_tiles() {
    let leaves: Vec<Hash> = (0_u32..70_000).map(|n| leaf_hash(&n.to_be_bytes())).collect();
    for size in [1_u64, 2, 255, 256, 257, 511, 65_535, 65_536, 65_537, 70_000] {
        let tiles = Tiles::of(&leaves[..size as usize]);
        let hashes = proof::peaks(size).into_iter().map(|node| tiles.node(node).unwrap());
        let root = root_of_peaks(&hashes.collect::<Vec<_>>());
        assert_eq!(root, by_definition(&leaves[..size as usize]), "size {size}");
        for index in (0..size).step_by(1 + size as usize / 50) {
            let path = proof::inclusion(index, size, |node| tiles.node(node)).unwrap();
            proof::check_inclusion(&leaves[index as usize], index, size, &path, &root).unwrap();
            let old = index + 1;
            let path = proof::consistency(old, size, |node| tiles.node(node)).unwrap();
            let first = by_definition(&leaves[..old as usize]);
            proof::check_consistency((old, &first), (size, &root), &path).unwrap();
        }
    }
}

#[test]
fn a_subtree_that_the_tree_does_not_have_is_in_no_tile() {
    for (node, size) in [
        (Node { level: 0, index: 300 }, 300),
        (Node { level: 1, index: 149 }, 299),
        (Node { level: 8, index: 0 }, 255),
        (Node { level: 63, index: 1 }, u64::MAX >> 1),
        (Node { level: 200, index: 0 }, u64::MAX),
        (Node { level: 7, index: u64::MAX }, u64::MAX),
    ] {
        assert_eq!(Tile::holding(node, size), None, "{node:?}");
    }
    assert_eq!(hash_above(&[0; 255 * 32]), None);
    assert_eq!(subtree(&[0; 96], 0..3), None);
    assert_eq!(subtree(&[0; 96], 2..4), None);
}

/// Full and partial tiles as octets, each level made from the one below.
struct Tiles {
    size: u64,
    octets: HashMap<(u8, u64), Vec<u8>>,
}

impl Tiles {
    fn of(leaves: &[Hash]) -> Self {
        let mut octets = HashMap::new();
        let mut row = leaves.to_vec();
        let mut level = 0;
        while !row.is_empty() {
            let tiles: Vec<Vec<u8>> = row.chunks(256).map(|tile| tile.concat()).collect();
            row = tiles.iter().filter_map(|tile| hash_above(tile)).collect();
            octets.extend((0_u64..).zip(tiles).map(|(index, tile)| ((level, index), tile)));
            level += 1;
        }
        let size = leaves.len() as u64;
        let widths = Tile::all(size).map(|tile| ((tile.level, tile.index), usize::from(tile.width) * 32));
        let widths: HashMap<_, _> = widths.collect();
        assert_eq!(
            octets.iter().map(|(place, tile)| (*place, tile.len())).collect::<HashMap<_, _>>(),
            widths
        );
        Self { size, octets }
    }

    fn node(&self, node: Node) -> Option<Hash> {
        let (tile, range) = Tile::holding(node, self.size)?;
        subtree(self.octets.get(&(tile.level, tile.index))?, range)
    }
}

proptest! {
    #[test]
    fn what_is_printed_is_read_again(level in 0_u8..64, index: u64, width in 1_u16..=256, entries: bool) {
        // A tree of 2^64 leaves has no tile beyond this.
        let index = index >> 8;
        let resource = match entries {
            true => Resource::Entries { index, width },
            false => Resource::Hashes(tile(level, index, width)),
        };
        prop_assert_eq!(Resource::parse(&resource.to_string()), Ok(resource));
    }

    #[test]
    fn what_is_read_prints_the_same(path in "(tile/)?([0-9]{1,2}|entries)?/?(x[0-9]{3}/){0,3}[0-9]{2,3}(\\.p/[0-9]{1,3})?") {
        if let Ok(resource) = Resource::parse(&path) {
            prop_assert_eq!(resource.to_string(), path);
        }
    }
}
