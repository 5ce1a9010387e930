//! Hashes of subtrees of a log, read from its tiles: a proof reads a few rows, whatever the size.
//! Checkpoints, proofs and whoever holds a log against a checkpoint call it.

use std::collections::{BTreeMap, HashMap};

use countersign_core::ledger::tile::{self, Tile};
use countersign_core::ledger::{Hash, proof, proof::Node};

use super::insert::integer;
use crate::store::{StoreError, Transaction, Value};

/// The tree of the first `size` leaves of a log, in a state that does not change.
pub(super) struct Nodes<'a> {
    snapshot: &'a mut Transaction,
    log: i64,
    size: u64,
    tiles: HashMap<(u8, u64), Vec<u8>>,
}

impl<'a> Nodes<'a> {
    pub(super) fn of(snapshot: &'a mut Transaction, log: i64, size: u64) -> Self {
        Self { snapshot, log, size, tiles: HashMap::new() }
    }

    /// The root over its leaves.
    pub(super) async fn root(&mut self) -> Result<Hash, StoreError> {
        let peaks = proof::peaks(self.size);
        let hashes = self.hashes(&peaks).await?;
        Ok(tile::root_of_peaks(
            &peaks.iter().filter_map(|node| hashes.get(node).copied()).collect::<Vec<_>>(),
        ))
    }

    /// The audit path of a leaf.
    pub(super) async fn inclusion(&mut self, index: u64) -> Result<Vec<Hash>, StoreError> {
        let nodes = proof::inclusion_nodes(index, self.size).map_err(damaged)?;
        let hashes = self.hashes(&nodes).await?;
        proof::inclusion(index, self.size, |node| hashes.get(&node).copied()).map_err(damaged)
    }

    /// The proof that its first `old` leaves are the tree of that size.
    pub(super) async fn consistency(&mut self, old: u64) -> Result<Vec<Hash>, StoreError> {
        let nodes = proof::consistency_nodes(old, self.size).map_err(damaged)?;
        let hashes = self.hashes(&nodes).await?;
        proof::consistency(old, self.size, |node| hashes.get(&node).copied()).map_err(damaged)
    }

    async fn hashes(&mut self, nodes: &[Node]) -> Result<HashMap<Node, Hash>, StoreError> {
        let missing = |node: &Node| {
            StoreError::Ledger(format!("a tile of level {} is missing", node.level / Tile::HEIGHT))
        };
        let held = |node: &Node| Tile::holding(*node, self.size).ok_or_else(|| missing(node));
        let held = nodes.iter().map(held).collect::<Result<Vec<_>, _>>()?;
        self.read(held.iter().map(|(tile, _)| *tile)).await?;
        let mut hashes = HashMap::with_capacity(nodes.len());
        for (node, (tile, range)) in nodes.iter().zip(held) {
            let octets = self.tiles.get(&(tile.level, tile.index)).map_or(&[][..], Vec::as_slice);
            hashes.insert(*node, tile::subtree(octets, range).ok_or_else(|| missing(node))?);
        }
        Ok(hashes)
    }

    /// Reads tiles that have not been read, several with each question: over a network a question costs more than
    /// a tile.
    async fn read(&mut self, tiles: impl Iterator<Item = Tile>) -> Result<(), StoreError> {
        let unread = tiles.filter(|tile| !self.tiles.contains_key(&(tile.level, tile.index)));
        let unread: BTreeMap<(u8, u64), Tile> = unread.map(|tile| ((tile.level, tile.index), tile)).collect();
        let unread: Vec<Tile> = unread.into_values().collect();
        for tiles in unread.chunks(AT_ONCE) {
            let places = tiles.iter().flat_map(|tile| [i64::from(tile.level), integer(tile.index)]);
            let places = std::iter::once(self.log).chain(places).chain(std::iter::repeat(-1));
            let values = places.take(1 + 2 * AT_ONCE).map(Value::Int).collect();
            for row in self.snapshot.rows(TILES, values).await? {
                let (level, number): (i64, i64) = (row.get("level")?, row.get("number")?);
                let kept: Option<Vec<u8>> = row.get("hashes")?;
                if let (Ok(level), Ok(number), Some(hashes)) = (level.try_into(), number.try_into(), kept) {
                    self.tiles.insert((level, number), hashes);
                }
            }
            // Of level 0 only full tiles are kept; the hashes after them stand with their leaves.
            for tile in tiles.iter().filter(|tile| tile.level == 0) {
                if !self.tiles.contains_key(&(0, tile.index)) {
                    let hashes = self.leaves(*tile).await?;
                    self.tiles.insert((0, tile.index), hashes);
                }
            }
        }
        Ok(())
    }

    async fn leaves(&mut self, tile: Tile) -> Result<Vec<u8>, StoreError> {
        let first = integer(tile.index * u64::from(Tile::FULL));
        let between = [self.log, first, first + i64::from(tile.width)].map(Value::Int).to_vec();
        let rows = self.snapshot.rows(LEAVES, between).await?;
        let hashes = rows.iter().map(|row| row.get::<Vec<u8>>("hash")).collect::<Result<Vec<_>, _>>()?;
        Ok(hashes.concat())
    }
}

fn damaged(error: proof::ProofError) -> StoreError {
    StoreError::Ledger(error.to_string())
}

/// Places in one statement; those that are not needed are of no tile.
const AT_ONCE: usize = 8;
/// Each tile is looked up by its whole key, whatever a planner believes about the table.
const TILES: &str = "SELECT p.level, p.number, (SELECT t.hashes FROM tiles t \
    WHERE t.log = $1 AND t.level = p.level AND t.number = p.number) AS hashes FROM ( \
    SELECT CAST($2 AS BIGINT) AS level, CAST($3 AS BIGINT) AS number \
    UNION ALL SELECT CAST($4 AS BIGINT), CAST($5 AS BIGINT) UNION ALL SELECT CAST($6 AS BIGINT), CAST($7 AS BIGINT) \
    UNION ALL SELECT CAST($8 AS BIGINT), CAST($9 AS BIGINT) UNION ALL SELECT CAST($10 AS BIGINT), CAST($11 AS BIGINT) \
    UNION ALL SELECT CAST($12 AS BIGINT), CAST($13 AS BIGINT) UNION ALL SELECT CAST($14 AS BIGINT), CAST($15 AS BIGINT) \
    UNION ALL SELECT CAST($16 AS BIGINT), CAST($17 AS BIGINT)) p";
const LEAVES: &str = "SELECT hash FROM leaves WHERE log = $1 AND idx >= $2 AND idx < $3 ORDER BY idx";
