//! Loose writes: rows that belong to no entry and are worth no commit of their own.
//! `Ledger::later` puts them in; the committer takes them along with its next entries.

use std::sync::{Mutex, PoisonError};

use crate::store::Write;

/// What waits for the next commit; bounded, and lost when the process ends before it.
#[derive(Debug, Default)]
pub(super) struct Loose(Mutex<Vec<Write>>);

impl Loose {
    /// Adds one. When too many wait, the store has not written for long: then it is dropped.
    pub(super) fn add(&self, write: Write) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() < BOUND {
            waiting.push(write);
        }
    }

    /// Takes all that wait.
    pub(super) fn take(&self) -> Vec<Write> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts back what was not written.
    pub(super) fn give_back(&self, writes: Vec<Write>) {
        writes.into_iter().for_each(|write| self.add(write));
    }
}

const BOUND: usize = 65_536;
