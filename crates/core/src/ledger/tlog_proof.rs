//! A proof as a text (C2SP tlog-proof): that a leaf is in a log whose checkpoint is below.
//! `ledger prove` writes it, `ledger verify --file` reads it; whoever keeps it needs nothing else of ours.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::checkpoint::{Checkpoint, CheckpointError, parse_hash, parse_size};
use super::key::VerifierKey;
use super::note::{Note, NoteError};
use super::proof::{ProofError, check_inclusion};
use super::tree::{Hash, leaf_hash};

#[cfg(test)]
mod tests;

/// That a leaf is in a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlogProof {
    /// The leaf; not part of what the format proves, but what it proves something about.
    pub leaf: Vec<u8>,
    /// Its place, from 0.
    pub index: u64,
    /// The audit path, nearest the leaf first.
    pub path: Vec<Hash>,
    /// The checkpoint as it was signed.
    pub checkpoint: Note,
}

impl TlogProof {
    /// What the first line of such a text is.
    pub const FIRST_LINE: &str = "c2sp.org/tlog-proof@v1";

    /// Reads a proof. Nothing is verified.
    ///
    /// # Errors
    /// When it is not as `Display` writes it.
    pub fn parse(text: &str) -> Result<Self, TlogProofError> {
        // tlog-proof: "After the inclusion proof lines and an empty line, the checkpoint issued by the log is included
        // verbatim"
        let (head, note) = text.split_once("\n\n").ok_or(TlogProofError::Form)?;
        let mut lines = head.split('\n');
        // tlog-proof: "The first line MUST be the string c2sp.org/tlog-proof@v1."
        let first = lines.next() == Some(Self::FIRST_LINE);
        // tlog-proof: "The second line MAY start with the string extra followed by a space (U+0020) and
        // base64-encoded opaque extra data." Ours does: it is the leaf.
        let leaf = lines.next().and_then(|line| line.strip_prefix("extra "));
        let leaf = leaf.and_then(|leaf| STANDARD.decode(leaf).ok());
        // tlog-proof: "The next line MUST start with the string index followed by a space (U+0020) and the
        // zero-based index of the entry in the log, represented as an ASCII decimal with no leading zeroes"
        let index = lines.next().and_then(|line| line.strip_prefix("index ")).and_then(parse_size);
        let path: Option<Vec<Hash>> = lines.map(parse_hash).collect();
        match (first, leaf, index, path) {
            (true, Some(leaf), Some(index), Some(path)) if path.len() <= LONGEST => {
                Ok(Self { leaf, index, path, checkpoint: Note::parse(note)? })
            }
            _ => Err(TlogProofError::Form),
        }
    }

    /// Verifies it with the key of the log, and gives the checkpoint in which the leaf is.
    ///
    /// # Errors
    /// When the checkpoint is not one of this log, or the leaf is not in it at this place.
    pub fn verify(&self, key: &VerifierKey) -> Result<Checkpoint, TlogProofError> {
        let (checkpoint, _) = Checkpoint::open(&self.checkpoint.to_string(), key)?;
        let leaf = leaf_hash(&self.leaf);
        check_inclusion(&leaf, self.index, checkpoint.size, &self.path, &checkpoint.root)?;
        Ok(checkpoint)
    }
}

impl fmt::Display for TlogProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, leaf) = (Self::FIRST_LINE, STANDARD.encode(&self.leaf));
        writeln!(f, "{first}\nextra {leaf}\nindex {}", self.index)?;
        self.path.iter().try_for_each(|hash| writeln!(f, "{}", STANDARD.encode(hash)))?;
        write!(f, "\n{}", self.checkpoint)
    }
}

/// Why something is no proof, or does not prove.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TlogProofError {
    /// It has another form.
    #[error(
        "it is no proof of a leaf: `c2sp.org/tlog-proof@v1`, the leaf, its index, hashes, an empty line and a checkpoint are expected"
    )]
    Form,
    /// The checkpoint is none of the log.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The leaf is not there.
    #[error(transparent)]
    Proof(#[from] ProofError),
}

impl From<NoteError> for TlogProofError {
    fn from(error: NoteError) -> Self {
        Self::Checkpoint(error.into())
    }
}

/// A tree of 2^63 leaves has no longer path.
const LONGEST: usize = 63;
