//! Checkpoints: the head of this node's log, signed each second or every 4,096 leaves.
//! Boot serves it; what it signs is in the store before anybody sees it, and never contradicts what it signed before.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use countersign_core::ledger::proof::check_consistency;
use countersign_core::ledger::{Checkpoint, Hash, Note, Signer, VerifierKey};
use jiff::Timestamp;
use tokio::sync::{Mutex, MutexGuard, watch};
use tokio::time::Instant;

use super::dispute::Dispute;
use super::insert::integer;
use super::log::Log;
use super::nodes::Nodes;
use crate::store::{Keys, Store, StoreError, Transaction, Value, Write};

/// Signs the checkpoints of a log. Cloning shares it.
#[derive(Clone)]
pub struct Checkpoints(Arc<Inner>);

struct Inner {
    store: Store,
    log: Log,
    signer: Signer,
    clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    /// The largest that was signed, as far as this process knows. Owner: `sign`.
    last: Mutex<Option<(u64, Hash)>>,
    /// Its size, for those who wait for the next one.
    signed: watch::Sender<u64>,
    /// Whether a witness knows the log otherwise: then nothing more is signed.
    disputed: AtomicBool,
}

impl Checkpoints {
    /// For the log of this node.
    ///
    /// # Errors
    /// When the checkpoint that is kept beside the store cannot be read.
    pub fn of(
        store: Store,
        keys: &Keys,
        log: Log,
        clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    ) -> Result<Self, StoreError> {
        let kept = log.kept_checkpoint()?.filter(|kept| kept.origin == log.origin);
        let signed = watch::Sender::new(kept.as_ref().map_or(0, |kept| kept.size));
        let last = Mutex::new(kept.map(|kept| (kept.size, kept.root)));
        let (signer, disputed) = (log.signer(keys)?, AtomicBool::new(false));
        Ok(Self(Arc::new(Inner { signer, store, log, clock, last, signed, disputed })))
    }

    /// Of which size the last one is, each time that there is another.
    #[must_use]
    pub fn signed(&self) -> watch::Receiver<u64> {
        self.0.signed.subscribe()
    }

    /// A witness knows the log otherwise than we have it: no checkpoint of it is signed any more, and the next
    /// start begins another log.
    ///
    /// # Errors
    /// When that cannot be kept in the data directory: then the next start does not know it.
    pub fn dispute(&self, says: &str) -> Result<(), StoreError> {
        self.0.disputed.store(true, Ordering::Relaxed);
        let dispute = Dispute { origin: self.0.log.origin.clone(), says: says.to_owned() };
        let failed =
            |error| StoreError::Ledger(format!("{says}; this cannot be kept beside the store: {error}"));
        dispute.keep(self.0.log.dir()).map_err(failed)
    }

    /// Whether a witness knows the log otherwise.
    #[must_use]
    pub fn is_disputed(&self) -> bool {
        self.0.disputed.load(Ordering::Relaxed)
    }

    /// What verifies them.
    #[must_use]
    pub fn key(&self) -> &VerifierKey {
        self.0.signer.verifier()
    }

    pub(super) fn parts(&self) -> (&Store, &Log, &Signer) {
        (&self.0.store, &self.0.log, &self.0.signer)
    }

    /// Keeps `sign` waiting, and everybody else who takes a turn.
    pub(super) async fn turn(&self) -> MutexGuard<'_, impl Sized> {
        self.0.last.lock().await
    }

    pub(super) fn now(&self) -> Timestamp {
        (self.0.clock)()
    }

    /// Signs while the log grows, until told to stop, and says of which size the last checkpoint is.
    pub async fn serve(
        self,
        mut sizes: watch::Receiver<u64>,
        told: watch::Sender<u64>,
        mut stop: watch::Receiver<bool>,
    ) {
        let mut signed = self.0.last.lock().await.map_or(0, |(size, _)| size);
        let mut next = Instant::now();
        loop {
            tokio::select! {
                _ = stop.changed() => return,
                () = due(&mut sizes, signed, next) => {}
            }
            if self.is_disputed() {
                return;
            }
            next = Instant::now() + INTERVAL;
            match self.sign().await {
                Ok(size) => {
                    signed = size;
                    told.send_replace(size);
                }
                Err(error) => {
                    tracing::error!(%error, "no checkpoint is signed");
                    tokio::time::sleep(INTERVAL).await;
                }
            }
        }
    }

    /// Signs a checkpoint over what is durable, unless there is one, and says of which size the last one is.
    ///
    /// # Errors
    /// When it cannot be kept, or when the log does not begin with what was signed before.
    pub async fn sign(&self) -> Result<u64, StoreError> {
        let Inner { store, log, signer, clock, last, signed, .. } = &*self.0;
        let mut last = last.lock().await;
        if self.is_disputed() {
            return Ok(last.map_or(0, |(size, _)| size));
        }
        let mut snapshot = store.snapshot().await?;
        let before = self.before(&mut snapshot, *last).await?;
        let Some(head) = snapshot.row(HEAD, vec![Value::Int(log.number)]).await? else { return Ok(0) };
        let size = u64::try_from(head.get::<i64>("size")?).unwrap_or(0);
        let root = Hash::try_from(head.get::<Vec<u8>>("root")?);
        let root = root.map_err(|_| StoreError::Ledger(format!("the root of head {size} is none")))?;
        if let Some((old, old_root)) = before {
            // tlog-checkpoint: "A log MUST not sign any checkpoint which is inconsistent with any checkpoint it
            // previously signed."
            let proof = match old <= size {
                true => Nodes::of(&mut snapshot, log.number, size).consistency(old).await?,
                false => return Err(set_back(old)),
            };
            check_consistency((old, &old_root), (size, &root), &proof).map_err(|_| set_back(old))?;
            if old == size {
                signed.send_replace(size);
                return Ok(size);
            }
        }
        drop(snapshot);
        let checkpoint = Checkpoint { origin: log.origin.clone(), size, root, extensions: Vec::new() };
        let note = checkpoint.signed(signer).map_err(|error| StoreError::Ledger(error.to_string()))?;
        self.keep(size, &note, clock().as_microsecond()).await?;
        *last = Some((size, root));
        signed.send_replace(size);
        Ok(size)
    }

    /// The largest that was signed: the store must have what this process knows of, and may have more.
    async fn before(
        &self,
        snapshot: &mut Transaction,
        known: Option<(u64, Hash)>,
    ) -> Result<Option<(u64, Hash)>, StoreError> {
        let row = snapshot.row(LAST, vec![Value::Int(self.0.log.number)]).await?;
        let stored = match row.map(|row| row.get::<String>("note")).transpose()? {
            Some(note) => {
                let opened = Checkpoint::open(&note, self.0.signer.verifier());
                let (stored, _) = opened.map_err(|error| StoreError::Ledger(error.to_string()))?;
                Some((stored.size, stored.root))
            }
            None => None,
        };
        Ok(stored.into_iter().chain(known).max_by_key(|(size, _)| *size))
    }

    /// First in the store, then beside it.
    async fn keep(&self, size: u64, note: &Note, at_us: i64) -> Result<(), StoreError> {
        let Inner { store, log, .. } = &*self.0;
        let values = vec![
            Value::Int(log.number),
            Value::Int(integer(size)),
            Value::text(note.to_string()),
            Value::Int(at_us),
        ];
        store.change(&[Write::new(PUT, values)]).await?;
        let failed = |error| {
            StoreError::Ledger(format!("the checkpoint cannot be kept in the data directory: {error}"))
        };
        log.keep(&note.to_string()).map_err(failed)
    }
}

/// Waits until there is something to sign, and then for a second or for many leaves.
async fn due(sizes: &mut watch::Receiver<u64>, signed: u64, next: Instant) {
    if sizes.wait_for(|size| *size > signed).await.is_err() {
        // The committer has ended: nothing will grow any more.
        std::future::pending::<()>().await;
    }
    let many = sizes.wait_for(|size| *size >= signed.saturating_add(LEAVES));
    let _many_or_time = tokio::time::timeout_at(next, many).await;
}

fn set_back(size: u64) -> StoreError {
    StoreError::Ledger(format!(
        "it does not begin with the checkpoint of {size} leaves that was signed before (was the store set back? a \
         restart begins a new log)"
    ))
}

const INTERVAL: Duration = Duration::from_secs(1);
const LEAVES: u64 = 4096;
const HEAD: &str = "SELECT size, root FROM heads WHERE log = $1 ORDER BY size DESC LIMIT 1";
const LAST: &str = "SELECT note FROM checkpoints WHERE log = $1 ORDER BY size DESC LIMIT 1";
const PUT: &str = "INSERT INTO checkpoints (log, size, note, at_us) VALUES ($1, $2, $3, $4)";

#[cfg(test)]
mod tests;
