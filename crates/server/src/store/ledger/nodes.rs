//! Hashes of subtrees of a log, read from its tiles: a proof reads a few rows, whatever the size.
//! Checkpoints, proofs and whoever holds a log against a checkpoint call it.

use std::collections::HashMap;

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
        let mut hashes = HashMap::with_capacity(nodes.len());
        for node in nodes {
            let missing =
                || StoreError::Ledger(format!("a tile of level {} is missing", node.level / Tile::HEIGHT));
            let (tile, range) = Tile::holding(*node, self.size).ok_or_else(missing)?;
            let octets = self.tile(tile).await?;
            hashes.insert(*node, tile::subtree(octets, range).ok_or_else(missing)?);
        }
        Ok(hashes)
    }

    async fn tile(&mut self, tile: Tile) -> Result<&[u8], StoreError> {
        let place = (tile.level, tile.index);
        if !self.tiles.contains_key(&place) {
            let kept = [self.log, i64::from(tile.level), integer(tile.index)].map(Value::Int).to_vec();
            let octets = match self.snapshot.row(TILE, kept).await? {
                Some(row) => row.get("hashes")?,
                // Of level 0 only full tiles are kept; the hashes after them stand with their leaves.
                None if tile.level == 0 => self.leaves(tile).await?,
                None => Vec::new(),
            };
            self.tiles.insert(place, octets);
        }
        Ok(self.tiles.get(&place).map_or(&[], Vec::as_slice))
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

const TILE: &str = "SELECT hashes FROM tiles WHERE log = $1 AND level = $2 AND number = $3";
const LEAVES: &str = "SELECT hash FROM leaves WHERE log = $1 AND idx >= $2 AND idx < $3 ORDER BY idx";
