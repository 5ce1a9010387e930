//! What is owed: rulings that went ahead while the ledger could not write, to be appended later.
//! `Ledger::owe` puts them in, the committer takes them out when they are durable.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use countersign_core::policy::Ruling;
use serde_json::Value;
use tokio::sync::Notify;

use crate::clock::Pace;
use crate::store::Write;

/// The debts, oldest first; bounded, because a store that is gone may stay gone.
#[derive(Debug, Default)]
pub(super) struct Debts {
    /// Owner: the methods of this file; never held over an await.
    state: Mutex<State>,
    added: Notify,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Debt>,
    next: u64,
    forgotten: u64,
}

/// One ruling that is owed.
#[derive(Debug, Clone)]
pub(super) struct Debt {
    pub(super) number: u64,
    pub(super) ruling: Ruling,
    pub(super) extra: Value,
    pub(super) writes: Vec<Write>,
}

impl Debts {
    /// Remembers a ruling; when there is no room left it is only counted, and logged.
    pub(super) fn add(&self, ruling: Ruling, extra: Value, writes: Vec<Write>) {
        let mut state = self.state();
        // Blocks are few and have rows: they always find room. Refusals have none, and any number may come.
        if state.queue.len() >= BOUND && writes.is_empty() {
            state.forgotten += 1;
            if let Some(unsaid) = LOST.turn() {
                tracing::error!(ref = %ruling.reference(), account = %ruling.account(), unsaid,
                    decision = ruling.decision().word(), "ruling is lost to the ledger: too many are owed");
            }
            return;
        }
        let number = state.next;
        state.next += 1;
        state.queue.push_back(Debt { number, ruling, extra, writes });
        drop(state);
        self.added.notify_one();
    }

    /// How many are owed.
    pub(super) fn count(&self) -> usize {
        self.state().queue.len()
    }

    /// Whether rows are owed too: those of blocks.
    pub(super) fn have_writes(&self) -> bool {
        self.state().queue.iter().any(|debt| !debt.writes.is_empty())
    }

    /// How many found no room.
    pub(super) fn forgotten(&self) -> u64 {
        self.state().forgotten
    }

    /// The oldest of them.
    pub(super) fn oldest(&self, limit: usize) -> Vec<Debt> {
        self.state().queue.iter().take(limit).cloned().collect()
    }

    /// Forgets those that are durable.
    pub(super) fn settle(&self, numbers: &HashSet<u64>) {
        self.state().queue.retain(|debt| !numbers.contains(&debt.number));
    }

    /// Gives up the writes of those that do not fit the store any more; the rulings are still owed.
    pub(super) fn strip(&self, numbers: &HashSet<u64>) {
        let mut state = self.state();
        state
            .queue
            .iter_mut()
            .filter(|debt| numbers.contains(&debt.number))
            .for_each(|debt| debt.writes.clear());
    }

    /// Returns when something is owed.
    pub(super) async fn any(&self) {
        while self.count() == 0 {
            self.added.notified().await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

static LOST: Pace = Pace::new();
const BOUND: usize = 16_384;
