//! The tip: where a log ends, as the committer knows it.
//! It only ever says what is durable; after a failure it is made sure of anew.

use std::collections::HashMap;

use countersign_core::ids::AccountId;
use countersign_core::ledger::Hash;

use super::edge::{Edge, Grown, levels, number, width};
use super::insert::integer;
use crate::store::{Store, StoreError, Transaction, Value, Write};

/// The end of the tree and of the chains that were used lately.
#[derive(Debug, Clone, Default)]
pub(super) struct Tip {
    pub(super) log: i64,
    pub(super) edge: Edge,
    pub(super) time_us: i64,
    pub(super) chains: HashMap<AccountId, Link>,
}

/// The last leaf of an account.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) seq: u64,
    pub(super) hash: Hash,
}

impl Tip {
    /// Reads where a log ends. The tiles at its end, and the leaves after the last of them, must have the
    /// stored root.
    pub(super) async fn of(store: &Store, log: i64) -> Result<Self, StoreError> {
        let mut snapshot = store.snapshot().await?;
        let Some(head) = snapshot.row(HEAD, vec![Value::Int(log)]).await? else {
            return match leaves_from(&mut snapshot, log, 0).await?.is_empty() {
                true => Ok(Self { log, ..Self::default() }),
                false => Err(StoreError::Ledger("there are leaves and no head".to_owned())),
            };
        };
        let size = u64::try_from(head.get::<i64>("size")?).unwrap_or(0);
        let edge = match kept_edge(&mut snapshot, log, size).await? {
            Some(edge) => edge,
            None => {
                drop(snapshot);
                rebuilt_edge(store, log, size).await?
            }
        };
        match head.get::<Vec<u8>>("root")?.as_slice() == edge.root() {
            true => Ok(Self { log, edge, time_us: head.get("at_us")?, chains: HashMap::new() }),
            false => Err(StoreError::Ledger(format!("the root over its leaves is not that of head {size}"))),
        }
    }

    /// Forgets the chains when they are many; they are read again when needed.
    pub(super) fn trim(&mut self) {
        if self.chains.len() > CHAINS {
            self.chains.clear();
        }
    }
}

/// The edge from tiles and the last leaves; `None` when a tile is missing, as in a store of before there were any.
async fn kept_edge(snapshot: &mut Transaction, log: i64, size: u64) -> Result<Option<Edge>, StoreError> {
    let mut open = vec![leaves_from(snapshot, log, size - width(0, size)).await?];
    for level in 1..levels(size) {
        let place = [log, i64::from(level), integer(number(level, size))];
        let row = snapshot.row(TILE, place.map(Value::Int).to_vec()).await?;
        let hashes = row.map(|row| row.get::<Vec<u8>>("hashes")).transpose()?.unwrap_or_default();
        open.push(hashes.as_chunks::<32>().0.to_vec());
    }
    Ok(Edge::of(size, open))
}

/// The hashes of the leaves from one on, less than a tile of them.
async fn leaves_from(snapshot: &mut Transaction, log: i64, from: u64) -> Result<Vec<Hash>, StoreError> {
    let rows = snapshot.rows(LEAVES, [log, integer(from), 257].map(Value::Int).to_vec()).await?;
    rows.iter().zip(from..).map(|(row, index)| hash_at(row, index)).collect()
}

/// Reads every leaf, and writes the tiles that are missing.
async fn rebuilt_edge(store: &Store, log: i64, size: u64) -> Result<Edge, StoreError> {
    let mut edge = Edge::default();
    while edge.size() < size {
        let mut grown = Grown::new();
        let page = store.rows(LEAVES, [log, integer(edge.size()), 65_536].map(Value::Int).to_vec()).await?;
        if page.is_empty() {
            return Err(StoreError::Ledger(format!("leaf {} is missing or damaged", edge.size())));
        }
        for row in &page {
            let hash = hash_at(row, edge.size())?;
            edge.push(hash, &mut grown);
        }
        let tile = |((level, number), hashes): ((u8, u64), Vec<u8>)| {
            let values = [log, i64::from(level), integer(number)].map(Value::Int);
            Write::new(PUT_TILE, values.into_iter().chain([Value::Blob(hashes)]).collect())
        };
        store.change(&grown.into_iter().map(tile).collect::<Vec<_>>()).await?;
    }
    Ok(edge)
}

fn hash_at(row: &crate::store::Row, index: u64) -> Result<Hash, StoreError> {
    let wrong = || StoreError::Ledger(format!("leaf {index} is missing or damaged"));
    let found: i64 = row.get("idx").map_err(|_| wrong())?;
    let hash: Vec<u8> = row.get("hash").map_err(|_| wrong())?;
    match found == integer(index) {
        true => Hash::try_from(hash).map_err(|_| wrong()),
        false => Err(wrong()),
    }
}

const LEAVES: &str = "SELECT idx, hash FROM leaves WHERE log = $1 AND idx >= $2 ORDER BY idx LIMIT $3";
const HEAD: &str = "SELECT size, root, at_us FROM heads WHERE log = $1 ORDER BY size DESC LIMIT 1";
const TILE: &str = "SELECT hashes FROM tiles WHERE log = $1 AND level = $2 AND number = $3";
const PUT_TILE: &str = "INSERT INTO tiles (log, level, number, hashes) VALUES ($1, $2, $3, $4) \
    ON CONFLICT (log, level, number) DO UPDATE SET hashes = excluded.hashes";
const CHAINS: usize = 65_536;
