//! Proofs: that the entries of a ref are in a log whose signed checkpoint is beside them.
//! `ledger prove` prints them; they are checked before anybody sees them.

use countersign_core::ids::Ref;
use countersign_core::ledger::{Checkpoint, Hash, Note, TlogProof, VerifierKey};

use super::insert::integer;
use super::nodes::Nodes;
use crate::store::{Row, Store, StoreError, Transaction, Value};

/// That an entry is in a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proved {
    /// `ruling`, `outcome` or `command`.
    pub kind: String,
    /// The name of the log.
    pub origin: String,
    /// What its checkpoints are verified with.
    pub key: VerifierKey,
    /// How many leaves the checkpoint counts.
    pub size: u64,
    /// The proof itself.
    pub proof: TlogProof,
}

/// The proof of each entry of a ref, oldest first, in the last checkpoint of its log that a witness cosigned; in the
/// last one, when none covers it.
///
/// # Errors
/// When there is no such ref, no checkpoint over one of its entries yet, or the store cannot be read.
pub async fn prove(store: &Store, reference: Ref) -> Result<Vec<Proved>, ProveError> {
    let mut snapshot = store.snapshot().await?;
    let rows = snapshot.rows(ENTRIES, vec![Value::text(reference.as_str())]).await?;
    if rows.is_empty() {
        return Err(ProveError::Unknown(reference));
    }
    let mut proofs = Vec::with_capacity(rows.len());
    for row in &rows {
        proofs.push(entry(&mut snapshot, row).await?);
    }
    // Ended, not dropped: the next one need not connect anew.
    snapshot.commit().await?;
    Ok(proofs)
}

/// The proof that the first `old` leaves of a log are the beginning of its first `new` (RFC 6962 2.1.2).
///
/// # Errors
/// When it has fewer leaves, or the store cannot be read.
pub async fn consistency(store: &Store, log: i64, old: u64, new: u64) -> Result<Vec<Hash>, StoreError> {
    let mut snapshot = store.snapshot().await?;
    let path = Nodes::of(&mut snapshot, log, new).consistency(old).await?;
    snapshot.commit().await?;
    Ok(path)
}

async fn entry(snapshot: &mut Transaction, row: &Row) -> Result<Proved, ProveError> {
    let (log, origin, kind): (i64, String, String) = (row.get("log")?, row.get("origin")?, row.get("kind")?);
    let index = u64::try_from(row.get::<i64>("idx")?).unwrap_or(u64::MAX);
    let wrong = |error: &dyn std::fmt::Display| StoreError::Ledger(error.to_string());
    let key = VerifierKey::parse(&row.get::<String>("verifier")?).map_err(|error| wrong(&error))?;
    // One that a witness has cosigned says more than a later one.
    let witnessed = vec![Value::Int(log), Value::Int(integer(index)), Value::text(&origin)];
    let last = match snapshot.row(WITNESSED, witnessed).await? {
        Some(row) => Some(row),
        None => snapshot.row(COVERING, vec![Value::Int(log), Value::Int(integer(index))]).await?,
    };
    let note = last.map(|row| row.get::<String>("note")).transpose()?;
    let note = note.ok_or_else(|| ProveError::NotYet { origin: origin.clone(), index })?;
    let note = Note::parse(&note).map_err(|error| wrong(&error))?;
    let size = Checkpoint::parse(note.text()).map_err(|error| wrong(&error))?.size;
    let path = Nodes::of(snapshot, log, size).inclusion(index).await?;
    let proof = TlogProof { leaf: row.get("leaf")?, index, path, checkpoint: note };
    proof.verify(&key).map_err(|error| wrong(&error))?;
    Ok(Proved { kind, origin, key, size, proof })
}

/// Why there is no proof.
#[derive(Debug, thiserror::Error)]
pub enum ProveError {
    /// Nothing has this ref.
    #[error("no ruling has the ref `{0}`")]
    Unknown(Ref),
    /// It is too new.
    #[error(
        "no checkpoint of log `{origin}` covers leaf {index} yet: one is signed each second while its server runs"
    )]
    NotYet {
        /// The log.
        origin: String,
        /// The leaf.
        index: u64,
    },
    /// The store cannot be read, or what it says does not fit together.
    #[error(transparent)]
    Store(#[from] StoreError),
}

const ENTRIES: &str = "SELECT e.log, e.idx, e.kind, l.leaf, g.origin, g.verifier FROM entries e \
    JOIN leaves l ON l.log = e.log AND l.idx = e.idx JOIN logs g ON g.log = e.log \
    WHERE e.ref = $1 ORDER BY e.at_us, e.log, e.idx";
const WITNESSED: &str = "SELECT c.note FROM witnessed w JOIN checkpoints c ON c.log = $1 AND c.size = w.size \
    WHERE w.origin = $3 AND w.size > $2";
const COVERING: &str = "SELECT note FROM checkpoints WHERE log = $1 AND size > $2 ORDER BY size DESC LIMIT 1";
