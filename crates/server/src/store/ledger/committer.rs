//! The committer: the one task that appends to the ledger.
//! It takes whatever waits as soon as its last commit is done, so batches form by themselves under load.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

use super::append::append;
use super::draft::Draft;
use super::handle::{Clock, RecordError};
use super::loose::Loose;
use super::owed::Debts;
use super::sink::Sink;
use super::tip::Tip;
use super::trouble::Trouble;
use crate::clock::Pace;
use crate::store::Keys;
use crate::store::{Store, StoreError};

/// A draft and who waits for it; without a draft, what rides along is to be written now.
pub(super) struct Waiting {
    pub(super) draft: Option<Draft>,
    pub(super) answer: oneshot::Sender<Result<(), RecordError>>,
}

/// The task's state. Nobody else has it.
pub(super) struct Committer {
    pub(super) store: Store,
    pub(super) keys: Keys,
    pub(super) clock: Clock,
    pub(super) inbox: mpsc::Receiver<Waiting>,
    pub(super) debts: Arc<Debts>,
    pub(super) loose: Arc<Loose>,
    pub(super) tip: Tip,
    /// Where every leaf is written once more before it counts as recorded, if there is such a place.
    pub(super) sink: Option<Sink>,
    /// Of which size the last checkpoint is.
    pub(super) signed: watch::Receiver<u64>,
    /// Whether the last commit failed, for others to see.
    pub(super) trouble: Arc<Trouble>,
    /// Whether the last commit failed: then what is durable is not known until the store has been read.
    pub(super) unsure: bool,
    /// Whether what is owed could not be sealed when it was last tried.
    pub(super) stuck: bool,
    /// How many leaves are durable; checkpoints are signed by it.
    pub(super) grown: watch::Sender<u64>,
}

impl Committer {
    /// Runs until every handle is gone, and then tries once more to pay what is owed.
    pub(super) async fn run(mut self) {
        loop {
            let mut waiting = Vec::new();
            tokio::select! {
                taken = self.inbox.recv_many(&mut waiting, BATCH) => match taken {
                    0 => break,
                    _ => {
                        self.wait_for_the_ready(&mut waiting).await;
                        self.take(waiting).await;
                    }
                },
                () = payable(&self.debts, self.unsure || self.stuck) => self.commit(Vec::new()).await,
                () = changed(&mut self.signed), if self.sink.is_some() => self.show_checkpoint().await,
            }
        }
    }

    /// Tasks that can run already may bring more: they run first, so that one commit serves them too.
    async fn wait_for_the_ready(&mut self, waiting: &mut Vec<Waiting>) {
        tokio::task::yield_now().await;
        while waiting.len() < BATCH
            && let Ok(more) = self.inbox.try_recv()
        {
            waiting.push(more);
        }
    }

    async fn take(&mut self, waiting: Vec<Waiting>) {
        let (mut live, mut flushes) = (Vec::new(), Vec::new());
        for Waiting { draft, answer } in waiting {
            match draft {
                Some(draft) => live.push((draft, answer)),
                None => flushes.push(answer),
            }
        }
        self.commit(live).await;
        if !flushes.is_empty() {
            let done = self.flush().await;
            flushes.into_iter().for_each(|answer| drop(answer.send(done.clone())));
        }
    }

    /// Pays what is owed and writes what rides along, without waiting for an entry.
    async fn flush(&mut self) -> Result<(), RecordError> {
        if self.debts.count() > 0 {
            self.commit(Vec::new()).await;
        }
        self.append(&[]).await.map(drop).map_err(|error| RecordError::Unavailable(error.to_string()))
    }

    async fn commit(&mut self, waiting: Vec<(Draft, oneshot::Sender<Result<(), RecordError>>)>) {
        let (live, answers): (Vec<Draft>, Vec<_>) = waiting.into_iter().unzip();
        // While the store may be down, live rulings do not wait for what is owed; but the rows of a block that
        // is owed go before those of the unblock that may be among them.
        let (paying, mut drafts) = match self.unsure && !live.is_empty() && !self.debts.have_writes() {
            true => (Vec::new(), Vec::new()),
            false => self.pay(BATCH.saturating_sub(live.len())).await,
        };
        drafts.extend(live);
        if drafts.is_empty() {
            return;
        }
        match self.append(&drafts).await {
            Ok(mut results) => {
                let live = results.split_off(paying.len());
                self.settle(&paying, results);
                // Whoever went away meanwhile has a record all the same.
                answers.into_iter().zip(live).for_each(|(answer, result)| drop(answer.send(result)));
            }
            Err(error) => {
                if let Some(unsaid) = REFUSED.turn() {
                    tracing::error!(entries = drafts.len(), %error, unsaid, "the ledger cannot write");
                }
                let cause = match error.is_full() {
                    true => RecordError::Full(error.to_string()),
                    false => RecordError::Unavailable(error.to_string()),
                };
                answers.into_iter().for_each(|answer| drop(answer.send(Err(cause.clone()))));
            }
        }
    }

    /// Nobody waits for a checkpoint in the second sink: what fails here is made up for by the next entry.
    async fn show_checkpoint(&mut self) {
        if let Err(error) = self.follow().await {
            tracing::error!(%error, "the second sink does not get the checkpoint");
        }
    }

    /// Brings the second sink up to what is durable in the store.
    async fn follow(&mut self) -> Result<(), StoreError> {
        let (size, signed) = (self.tip.edge.size(), *self.signed.borrow());
        match &mut self.sink {
            Some(sink) => sink.advance(&self.store, size, signed).await,
            None => Ok(()),
        }
    }

    /// What cannot be in both places goes into neither, as far as that is known before.
    async fn ready_sink(&mut self) -> Result<(), StoreError> {
        if let Some(sink) = &mut self.sink {
            sink.is_ready().await?;
            self.follow().await?;
        }
        Ok(())
    }

    async fn append(&mut self, drafts: &[Draft]) -> Result<Vec<Result<(), RecordError>>, StoreError> {
        if self.unsure {
            self.tip = Tip::of(&self.store, self.tip.log).await?;
            self.unsure = false;
        }
        if !drafts.is_empty() {
            self.ready_sink().await.inspect_err(|error| self.trouble.is_here(error))?;
        }
        let now_us = (self.clock)().as_microsecond();
        let loose = self.loose.take();
        match append(&self.store, &self.tip, drafts, &loose, now_us).await {
            Ok(appended) => {
                let leaves = appended.leaves;
                metrics::counter!("countersign_ledger_leaves_total").increment(leaves as u64);
                let results = appended.settle(&mut self.tip);
                self.grown.send_replace(self.tip.edge.size());
                if leaves > 0 {
                    // Committed and not in the second sink: nobody has a record of it, as if the commit were in doubt.
                    self.follow().await.inspect_err(|error| self.trouble.is_here(error))?;
                    self.trouble.is_over();
                }
                Ok(results)
            }
            Err(error) => {
                self.unsure = true;
                self.trouble.is_here(&error);
                self.loose.give_back(loose);
                Err(error)
            }
        }
    }

    /// What is owed, at most so many of it: the numbers and the drafts.
    async fn pay(&mut self, most: usize) -> (Vec<u64>, Vec<Draft>) {
        let (mut numbers, mut drafts) = (Vec::new(), Vec::new());
        for debt in self.debts.oldest(most.min(BATCH_OWED)) {
            match Draft::ruling(&self.keys, &debt.ruling, debt.extra, true).await {
                Ok(draft) => {
                    drafts.push(Draft { writes: debt.writes, ..draft });
                    numbers.push(debt.number);
                }
                Err(error) => {
                    tracing::warn!(ref = %debt.ruling.reference(), %error, "ruling is still owed");
                    break;
                }
            }
        }
        self.stuck = numbers.is_empty() && self.debts.count() > 0;
        (numbers, drafts)
    }

    /// What was recorded already is no longer owed either: its first commit was durable after all.
    fn settle(&self, numbers: &[u64], results: Vec<Result<(), RecordError>>) {
        let is_paid =
            |result: &Result<(), RecordError>| matches!(result, Ok(()) | Err(RecordError::Duplicate(_)));
        let (paid, open): (Vec<_>, Vec<_>) =
            numbers.iter().copied().zip(results).partition(|(_, result)| is_paid(result));
        for (_, result) in &open {
            tracing::error!(?result, "the rows of an owed ruling cannot be written and are given up");
        }
        self.debts.settle(&paid.into_iter().map(|(number, _)| number).collect());
        self.debts.strip(&open.into_iter().map(|(number, _)| number).collect());
    }
}

/// Returns when another checkpoint was signed.
async fn changed(signed: &mut watch::Receiver<u64>) {
    if signed.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Returns when something owed should be tried: at once while the store writes, else after a while.
async fn payable(debts: &Debts, later: bool) {
    debts.any().await;
    if later {
        tokio::time::sleep(RETRY).await;
    }
}

static REFUSED: Pace = Pace::new();
/// As many entries as one transaction takes.
pub(super) const BATCH: usize = 4096;
const BATCH_OWED: usize = 256;
const RETRY: Duration = Duration::from_millis(500);
