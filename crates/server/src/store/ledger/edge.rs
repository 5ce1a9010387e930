//! The right edge of the tree, kept in tiles as C2SP tlog-tiles cuts it: what a start needs is a few rows,
//! whatever the size. The tip grows it; a batch writes the tiles that it filled.

use std::collections::BTreeMap;

use countersign_core::ledger::tile::Tile;
use countersign_core::ledger::{Frontier, Hash, root};

/// Where the tree grows.
#[derive(Debug, Clone, Default)]
pub(super) struct Edge {
    frontier: Frontier,
    /// For each level, the hashes since its last full tile.
    open: Vec<Vec<Hash>>,
}

/// The tiles that have grown, by level and number: their hashes one after the other. Of level 0 only full ones.
pub(super) type Grown = BTreeMap<(u8, u64), Vec<u8>>;

impl Edge {
    /// The edge of a tree of `size` leaves from the hashes since the last full tile of each level, lowest
    /// first. `None` when a level has more or fewer than it must.
    pub(super) fn of(size: u64, open: Vec<Vec<Hash>>) -> Option<Self> {
        let fits = |(level, hashes): (usize, &Vec<Hash>)| {
            u8::try_from(level).is_ok_and(|level| u64::try_from(hashes.len()) == Ok(width(level, size)))
        };
        if !open.iter().enumerate().all(fits) || usize::from(levels(size)) > open.len() {
            return None;
        }
        let peaks = open.iter().rev().flat_map(|hashes| {
            let mut some = Frontier::default();
            hashes.iter().for_each(|hash| some.push(*hash));
            some.peaks().to_vec()
        });
        Some(Self { frontier: Frontier::of(size, peaks.collect())?, open })
    }

    /// How many leaves the tree has.
    pub(super) fn size(&self) -> u64 {
        self.frontier.size()
    }

    /// The root over them.
    pub(super) fn root(&self) -> Hash {
        self.frontier.root()
    }

    /// Appends the hash of a leaf, and says what has grown by it.
    pub(super) fn push(&mut self, leaf: Hash, grown: &mut Grown) {
        let index = self.size();
        self.frontier.push(leaf);
        let mut carried = Some(leaf);
        let mut level = 0_u8;
        while let Some(hash) = carried.take() {
            if self.open.len() <= usize::from(level) {
                self.open.push(Vec::new());
            }
            let Some(open) = self.open.get_mut(usize::from(level)) else { return };
            open.push(hash);
            let full = open.len() == usize::from(Tile::FULL);
            if full || level > 0 {
                grown.insert((level, number(level, index)), open.concat());
            }
            if full {
                carried = Some(root(open.drain(..)));
                level += 1;
            }
        }
    }
}

/// How many levels of tiles a tree has.
pub(super) fn levels(size: u64) -> u8 {
    let has = |level: &u8| size >> (u32::from(Tile::HEIGHT) * u32::from(*level)) > 0;
    (0..8).take_while(has).fold(0, |levels, _| levels + 1)
}

/// How many hashes the last tile of a level has that is not full.
pub(super) fn width(level: u8, size: u64) -> u64 {
    size.checked_shr(u32::from(Tile::HEIGHT) * u32::from(level)).unwrap_or(0) % u64::from(Tile::FULL)
}

/// Which tile of a level has what becomes of a leaf.
pub(super) fn number(level: u8, index: u64) -> u64 {
    index.checked_shr(u32::from(Tile::HEIGHT) * (u32::from(level) + 1)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use countersign_core::ledger::leaf_hash;

    use super::*;

    fn leaf(number: u64) -> Hash {
        leaf_hash(&number.to_be_bytes())
    }

    /// What a store would have: all tiles, and the hashes after the last full one of level 0.
    fn kept(tiles: &Grown, leaves: u64) -> Option<Edge> {
        let mut open = vec![(leaves - width(0, leaves)..leaves).map(leaf).collect::<Vec<_>>()];
        for level in 1..levels(leaves) {
            let tile = tiles.get(&(level, number(level, leaves))).cloned().unwrap_or_default();
            let wide = usize::try_from(width(level, leaves)).unwrap();
            open.push(tile.as_chunks::<32>().0.iter().take(wide).copied().collect());
        }
        Edge::of(leaves, open)
    }

    #[test]
    fn an_edge_read_from_tiles_is_the_one_that_grew() {
        let (mut edge, mut tiles) = (Edge::default(), Grown::new());
        let mut plain = Frontier::default();
        for number in 0..70_000 {
            if number % 251 == 0 || number % 256 < 2 || number > 65_530 && number < 65_800 {
                let read = kept(&tiles, number).unwrap();
                assert_eq!((read.size(), read.root()), (number, plain.root()));
            }
            edge.push(leaf(number), &mut tiles);
            plain.push(leaf(number));
        }
        assert_eq!(edge.root(), plain.root());
        assert_eq!(tiles.keys().filter(|(level, _)| *level == 0).count(), 70_000 / 256);
        assert_eq!(tiles.keys().filter(|(level, _)| *level == 1).count(), 2);
        assert_eq!(tiles.keys().filter(|(level, _)| *level == 2).count(), 1);
    }

    #[test]
    fn hashes_that_are_missing_make_no_edge() {
        assert!(Edge::of(3, vec![vec![leaf(0), leaf(1)]]).is_none());
        assert!(Edge::of(300, vec![(256..300).map(leaf).collect()]).is_none());
        assert!(Edge::of(0, vec![]).is_some());
    }
}
