//! The ledger as everybody else sees it: record, owe, outcome.
//! Handles seal on the caller's task and hand the draft to the committer.

use std::sync::Arc;

use countersign_core::ids::{AccountId, Ref};
use countersign_core::policy::Ruling;
use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot, watch};

use super::committer::{BATCH, Committer, Waiting};
use super::draft::Draft;
use super::log::Log;
use super::loose::Loose;
use super::owed::Debts;
use super::recorded::{Durable, Owed, Recorded};
use super::sink::Sink;
use super::tip::Tip;
use super::trouble::Trouble;
use crate::seal::SealError;
use crate::store::Keys;
use crate::store::{Store, StoreError, Write};

/// Where the time comes from.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The ledger. Cloning shares it; when the last one goes, the committer ends.
#[derive(Debug, Clone)]
pub struct Ledger {
    keys: Keys,
    debts: Arc<Debts>,
    loose: Arc<Loose>,
    trouble: Arc<Trouble>,
    committer: mpsc::Sender<Waiting>,
    sizes: watch::Receiver<u64>,
    signed: watch::Sender<u64>,
}

impl Ledger {
    /// Reads where a log ends, brings its second sink up to it, and starts its committer.
    pub async fn start(store: Store, keys: Keys, clock: Clock, log: &Log) -> Result<Self, StoreError> {
        let tip = Tip::of(&store, log.number).await?;
        let sink = Sink::open(&store, &keys, log, tip.edge.size()).await?;
        let (committer, inbox) = mpsc::channel(BATCH);
        let debts = Arc::new(Debts::default());
        let loose = Arc::new(Loose::default());
        let trouble = Arc::new(Trouble::default());
        let (grown, sizes) = watch::channel(tip.edge.size());
        let (signed, signatures) = watch::channel(tip.edge.size());
        let task = Committer {
            store,
            keys: keys.clone(),
            clock,
            inbox,
            debts: Arc::clone(&debts),
            loose: Arc::clone(&loose),
            tip,
            sink,
            signed: signatures,
            trouble: Arc::clone(&trouble),
            unsure: false,
            stuck: false,
            grown,
        };
        tokio::spawn(task.run());
        Ok(Self { keys, debts, loose, trouble, committer, sizes, signed })
    }

    /// Records a ruling together with the writes that belong to it, and returns when both are on disk.
    /// `extra` is an object with what the payload says beside the ruling: envelope, recipients.
    pub async fn record(
        &self,
        ruling: Ruling,
        extra: Value,
        writes: Vec<Write>,
    ) -> Result<Recorded<Durable>, RecordError> {
        let draft = Draft::ruling(&self.keys, &ruling, extra, false).await?;
        self.commit(Some(Draft { writes, ..draft })).await?;
        Ok(Recorded::new(Box::new(ruling)))
    }

    /// Lets a refusal or a block go ahead while the ledger cannot write: remembers the ruling, and appends
    /// it when the store writes again, marked as owed, together with its writes.
    #[must_use]
    pub fn owe(&self, ruling: Ruling, extra: Value, writes: Vec<Write>) -> Recorded<Owed> {
        self.debts.add(ruling.clone(), extra, writes);
        Recorded::new(Box::new(ruling))
    }

    /// Records what became of a ruling.
    pub async fn outcome(
        &self,
        reference: Ref,
        account: &AccountId,
        value: Value,
        writes: Vec<Write>,
    ) -> Result<(), RecordError> {
        let draft = Draft::outcome(&self.keys, reference, account, value).await?;
        self.commit(Some(Draft { writes, ..draft })).await
    }

    /// Writes a row with the next commit, whosever it is; lost when the process ends before. For rows whose
    /// loss costs nothing but work.
    pub fn later(&self, write: Write) {
        self.loose.add(write);
    }

    /// How many leaves the log has, each time that it has more.
    #[must_use]
    pub fn sizes(&self) -> watch::Receiver<u64> {
        self.sizes.clone()
    }

    /// To be told of which size the last checkpoint is: the second sink gets it too.
    #[must_use]
    pub fn signed(&self) -> watch::Sender<u64> {
        self.signed.clone()
    }

    /// Writes what is owed and what rides along, before the store is closed. What cannot be written is lost,
    /// and the log says so.
    pub async fn close(&self) {
        if let Err(error) = self.commit(None).await {
            tracing::warn!(%error, "some rows that were to ride along are not written");
        }
        if self.owed() > 0 {
            tracing::error!(
                owed = self.owed(),
                "rulings that are owed to the ledger are lost, blocks among them too"
            );
        }
    }

    /// Whether no commit has failed within the last seconds.
    #[must_use]
    pub fn is_well(&self) -> bool {
        !self.trouble.is_recent()
    }

    /// How many rulings are owed.
    #[must_use]
    pub fn owed(&self) -> usize {
        self.debts.count()
    }

    /// How many rulings went ahead and could not even be owed, because too many were.
    #[must_use]
    pub fn forgotten(&self) -> u64 {
        self.debts.forgotten()
    }

    async fn commit(&self, draft: Option<Draft>) -> Result<(), RecordError> {
        let stopped = || RecordError::Unavailable("its task has stopped".to_owned());
        let (answer, answered) = oneshot::channel();
        self.committer.send(Waiting { draft, answer }).await.map_err(|_| stopped())?;
        answered.await.map_err(|_| stopped())?
    }
}

/// Why something is not recorded. Its writes did not happen either.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// A compare-and-swap found something else: somebody was faster.
    #[error("what it rests on has changed meanwhile")]
    Conflict,
    /// The account has a ruling of this ref.
    #[error("ruling `{0}` is recorded already")]
    Duplicate(Ref),
    /// One of its writes does not fit the store.
    #[error("the statement `{statement}` failed: {cause}")]
    Write {
        /// The statement.
        statement: &'static str,
        /// Why.
        cause: String,
    },
    /// There is no room on the disk for it.
    #[error("the ledger cannot write, its disk is full: {0}")]
    Full(String),
    /// The ledger cannot write now. Should the disk have kept it all the same, a second try is a `Duplicate`.
    #[error("the ledger cannot write: {0}")]
    Unavailable(String),
}

impl RecordError {
    /// Whether it is certain that nothing was recorded. A store that did not answer may have it all the same.
    #[must_use]
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Conflict | Self::Duplicate(_) | Self::Write { .. })
    }
}

impl From<SealError> for RecordError {
    fn from(error: SealError) -> Self {
        Self::Unavailable(error.to_string())
    }
}
