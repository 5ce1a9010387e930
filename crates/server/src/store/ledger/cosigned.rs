//! What a log asks of its witnesses, and what it keeps of their answers: the cosignature under the checkpoint.
//! The cosigner calls it; `ledger head --witnessed` and `ledger prove` show what is kept.

use countersign_core::ledger::witness::Request;
use countersign_core::ledger::{Checkpoint, Frontier, Note, NoteSignature};

use super::checkpoint::Checkpoints;
use super::insert::integer;
use super::logs::{Known, LogError};
use super::nodes::Nodes;
use super::witnessed;
use crate::store::{Store, StoreError, Value, Write};

impl Checkpoints {
    /// The last checkpoint, as it is shown to a witness that cosigned the first `old` leaves last; `None` asks as
    /// if it had cosigned this very checkpoint.
    ///
    /// # Errors
    /// When the store cannot be read, or the log has fewer leaves.
    pub async fn question(&self, old: Option<u64>) -> Result<Request, StoreError> {
        let wrong = |error: &dyn std::fmt::Display| StoreError::Ledger(error.to_string());
        let (store, log, signer) = self.parts();
        let mut snapshot = store.snapshot().await?;
        let note = match snapshot.row(LAST, vec![Value::Int(log.number)]).await? {
            Some(row) => {
                let kept = Note::parse(&row.get::<String>("note")?).map_err(|error| wrong(&error))?;
                // Others have signed below: a witness is shown what the log has signed.
                own(&kept, |signature| signer.verifier().claims(signature))?
            }
            None => {
                let root = Frontier::default().root();
                let empty = Checkpoint { origin: log.origin.clone(), size: 0, root, extensions: vec![] };
                empty.signed(signer).map_err(|error| wrong(&error))?
            }
        };
        let asked = Request::of(0, Vec::new(), note).map_err(|error| wrong(&error))?;
        let size = asked.checkpoint.size;
        let old = old.unwrap_or(size);
        let proof = match old == size {
            true => Vec::new(),
            false => Nodes::of(&mut snapshot, log.number, size).consistency(old).await?,
        };
        Ok(Request { old, proof, ..asked })
    }

    /// Keeps a cosignature, which was verified, under the checkpoint that was asked about.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn cosigned(&self, asked: &Request, signature: NoteSignature) -> Result<(), StoreError> {
        if asked.checkpoint.size == 0 {
            return Ok(());
        }
        let (store, log, _) = self.parts();
        // Two witnesses may answer at once; nobody but this process writes rows of this log.
        let _turn = self.turn().await;
        let place = vec![Value::Int(log.number), Value::Int(integer(asked.checkpoint.size))];
        let mut transaction = store.begin().await?;
        let Some(row) = transaction.row(AT, place.clone()).await? else { return Ok(()) };
        let note = Note::parse(&row.get::<String>("note")?);
        let mut note = note.map_err(|error| StoreError::Ledger(error.to_string()))?;
        if note.text() != asked.note.text() {
            return Err(StoreError::Ledger(
                "a checkpoint is another than the one that was cosigned".to_owned(),
            ));
        }
        note.put(signature);
        let values = place.into_iter().chain([Value::text(note.to_string())]).collect();
        transaction.execute(&Write::new(PUT, values)).await?;
        witnessed::keep(&mut transaction, &asked.checkpoint, self.now()).await?;
        transaction.commit().await
    }
}

/// A note with those of its signatures that are the log's.
pub(super) fn own(note: &Note, is_own: impl Fn(&NoteSignature) -> bool) -> Result<Note, StoreError> {
    let bare = Note::unsigned(note.text().to_owned());
    let mut bare = bare.map_err(|error| StoreError::Ledger(error.to_string()))?;
    note.signatures().iter().filter(|one| is_own(one)).for_each(|one| bare.add(one.clone()));
    Ok(bare)
}

impl Known {
    /// Its last checkpoint that a witness cosigned, with the cosignatures.
    ///
    /// # Errors
    /// When there is none, or the store cannot be read.
    pub async fn witnessed_head(&self, store: &Store) -> Result<String, LogError> {
        let values = vec![Value::Int(self.number), Value::text(&self.origin)];
        let note = store.row(WITNESSED, values).await?.map(|row| row.get::<String>("note")).transpose()?;
        note.ok_or_else(|| LogError::NotWitnessed(self.origin.clone()))
    }
}

const LAST: &str = "SELECT note FROM checkpoints WHERE log = $1 ORDER BY size DESC LIMIT 1";
const AT: &str = "SELECT note FROM checkpoints WHERE log = $1 AND size = $2";
const PUT: &str = "UPDATE checkpoints SET note = $3 WHERE log = $1 AND size = $2";
const WITNESSED: &str = "SELECT c.note FROM witnessed w JOIN checkpoints c ON c.log = $1 AND c.size = w.size \
    WHERE w.origin = $2";
