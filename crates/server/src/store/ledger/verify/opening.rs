//! Payloads that are opened and held against their leaves, on threads of their own.
//! The walk hands over those of a page, and reads the next one meanwhile.

use std::sync::Arc;

use countersign_core::ids::AccountId;
use countersign_core::ledger::Leaf;
use tokio::task::{JoinHandle, spawn_blocking};

use super::super::payload;
use crate::store::{AccountKey, StoreError};

/// A payload with what it is held against.
pub(super) struct Sealed {
    pub(super) index: u64,
    pub(super) key: Arc<AccountKey>,
    pub(super) account: AccountId,
    pub(super) leaf: Leaf,
    pub(super) salt: Vec<u8>,
    pub(super) octets: Vec<u8>,
    /// That of its entry.
    pub(super) reference: Option<String>,
}

impl Sealed {
    fn check(&self) -> Result<(), (u64, &'static str)> {
        let reference = payload::reference(&self.key, &self.account, &self.leaf, &self.salt, &self.octets);
        match reference.map_err(|what| (self.index, what))? == self.reference {
            true => Ok(()),
            false => Err((self.index, "its entry has another ref")),
        }
    }
}

/// The payloads of a page, in parts that follow each other.
#[derive(Default)]
pub(super) struct Opening(Vec<JoinHandle<Result<(), (u64, &'static str)>>>);

impl Opening {
    /// Begins.
    pub(super) fn of(mut sealed: Vec<Sealed>) -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(MOST);
        let each = sealed.len().div_ceil(threads).max(1);
        let mut parts = Vec::with_capacity(threads);
        while !sealed.is_empty() {
            let rest = sealed.split_off(each.min(sealed.len()));
            let part = std::mem::replace(&mut sealed, rest);
            parts.push(spawn_blocking(move || part.iter().try_for_each(Sealed::check)));
        }
        Self(parts)
    }

    /// Waits until all are opened: the first that is wrong, if one is.
    pub(super) async fn end(self) -> Result<Option<(u64, &'static str)>, StoreError> {
        let mut first = None;
        for part in self.0 {
            let done = part.await.map_err(|error| StoreError::Ledger(error.to_string()))?;
            first = first.or_else(|| done.err());
        }
        Ok(first)
    }
}

const MOST: usize = 8;
