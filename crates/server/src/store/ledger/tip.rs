//! The tip: where the ledger ends, as the committer knows it.
//! It only ever says what is durable; after a failure it is made sure of anew.

use std::collections::HashMap;

use countersign_core::ids::AccountId;
use countersign_core::ledger::{Frontier, Hash};

use crate::store::{Store, StoreError, Value};

/// The end of the tree and of the chains that were used lately.
#[derive(Debug, Clone, Default)]
pub(super) struct Tip {
    pub(super) frontier: Frontier,
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
    /// Reads the end of the ledger, from the leaves that this tip already has.
    ///
    /// A commit that failed may be durable all the same, and another process may have written: so the
    /// stored leaves count, and the root over them must be the stored one.
    pub(super) async fn catch_up(&self, store: &Store) -> Result<Self, StoreError> {
        let mut snapshot = store.snapshot().await?;
        let mut frontier = self.frontier.clone();
        loop {
            let from = i64::try_from(frontier.size()).unwrap_or(i64::MAX);
            let page = snapshot.rows(LEAVES, vec![Value::Int(from)]).await?;
            if page.is_empty() {
                break;
            }
            for row in page {
                let wrong = || StoreError::Ledger(format!("leaf {} is missing or damaged", frontier.size()));
                let expected = i64::try_from(frontier.size()).unwrap_or(i64::MAX);
                let found: i64 = row.get("idx").map_err(|_| wrong())?;
                let hash: Vec<u8> = row.get("hash").map_err(|_| wrong())?;
                let hash = Hash::try_from(hash).map_err(|_| wrong())?;
                if found != expected {
                    return Err(wrong());
                }
                frontier.push(hash);
            }
        }
        let (size, root, time_us) = match snapshot.row(HEAD, vec![]).await? {
            Some(row) => (row.get("size")?, row.get("root")?, row.get("at_us")?),
            None => (0_i64, Frontier::default().root().to_vec(), 0_i64),
        };
        match u64::try_from(size) == Ok(frontier.size()) && root.as_slice() == frontier.root() {
            true => Ok(Self { frontier, time_us, chains: HashMap::new() }),
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

const LEAVES: &str = "SELECT idx, hash FROM leaves WHERE idx >= $1 ORDER BY idx LIMIT 4096";
const HEAD: &str = "SELECT size, root, at_us FROM heads ORDER BY size DESC LIMIT 1";
const CHAINS: usize = 65_536;
