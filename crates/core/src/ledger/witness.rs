//! A witness (C2SP tlog-witness): reads what a log asks to have cosigned, and decides.
//! The door of `ledger witness` calls it; the client of a log writes the same request.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::checkpoint::{Checkpoint, CheckpointError, parse_hash, parse_size};
use super::key::VerifierKey;
use super::note::{Note, NoteError};
use super::proof::{ProofError, check_consistency};
use super::tree::{Frontier, Hash};

mod answer;

pub use answer::{Answer, AnswerError};

#[cfg(test)]
mod tests;

/// What a log sends to `add-checkpoint`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The size that the log thinks the witness cosigned last; 0 when none.
    pub old: u64,
    /// The proof that the tree of that size is the beginning of the new one.
    pub proof: Vec<Hash>,
    /// The new checkpoint as it was signed.
    pub note: Note,
    /// What the note says.
    pub checkpoint: Checkpoint,
}

/// What a witness knows of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// The keys that it trusts for the origin.
    pub keys: Vec<VerifierKey>,
    /// Size and root of the checkpoint that it cosigned last.
    pub latest: Option<(u64, Hash)>,
}

impl Request {
    /// Reads the body of a request.
    ///
    /// # Errors
    /// When it is not as `Display` writes it.
    pub fn parse(body: &str) -> Result<Self, RequestError> {
        // tlog-witness: "an old size line, zero or more consistency proof lines, and an empty line, followed by a
        // checkpoint"
        let (head, note) = body.split_once("\n\n").ok_or(RequestError::Form)?;
        let mut lines = head.split('\n');
        // tlog-witness: "The old size line MUST consist of the string old, a single space (0x20), and the tree size
        // of the previous checkpoint encoded as an ASCII decimal with no leading zeroes"
        let old = lines.next().and_then(|line| line.strip_prefix("old ")).and_then(parse_size);
        let old = old.ok_or(RequestError::Old)?;
        // tlog-witness: "Each consistency proof line MUST encode a single hash in base64. The client MUST NOT send
        // more than 63 consistency proof lines."
        let proof: Option<Vec<Hash>> = lines.map(parse_hash).collect();
        let proof = proof.filter(|proof| proof.len() <= LONGEST_PROOF).ok_or(RequestError::Proof)?;
        let note = Note::parse(note)?;
        let checkpoint = Checkpoint::parse(note.text())?;
        Ok(Self { old, proof, note, checkpoint })
    }
}

impl Request {
    /// What a log asks: that its checkpoint is cosigned, which goes on from `old` as `proof` shows.
    ///
    /// # Errors
    /// When the note is no checkpoint.
    pub fn of(old: u64, proof: Vec<Hash>, note: Note) -> Result<Self, CheckpointError> {
        let checkpoint = Checkpoint::parse(note.text())?;
        Ok(Self { old, proof, note, checkpoint })
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "old {}", self.old)?;
        self.proof.iter().try_for_each(|hash| writeln!(f, "{}", STANDARD.encode(hash)))?;
        write!(f, "\n{}", self.note)
    }
}

/// Whether a witness cosigns. `known` is what it knows of the log with the checkpoint's origin. After `Ok` it must
/// keep size and root of the checkpoint, and only then answer; to read, judge and keep must be one step.
///
/// # Errors
/// When it does not cosign, with the status that the log is answered.
pub fn judge(request: &Request, known: Option<&Known>) -> Result<(), Refusal> {
    let (old, new) = (request.old, &request.checkpoint);
    // tlog-witness: "If the checkpoint origin is unknown, the witness MUST respond with a "404 Not Found""
    let known = known.ok_or(Refusal::UnknownLog)?;
    // tlog-witness: "If none of the signatures verify against a trusted public key, the witness MUST respond with a
    // "403 Forbidden""
    if !known.keys.iter().any(|key| request.note.verify(key).is_ok()) {
        return Err(Refusal::Unsigned);
    }
    // tlog-witness: "The old size MUST be equal to or lower than the checkpoint size. Otherwise, the witness MUST
    // respond with a "400 Bad Request""
    if old > new.size {
        return Err(Refusal::Backwards);
    }
    // tlog-witness: "The witness MUST check that the old size matches the size of the latest checkpoint it cosigned
    // for the checkpoint's origin (or zero if it never cosigned a checkpoint for that origin). If it doesn't match,
    // the witness MUST respond with a "409 Conflict""
    let (size, root) = known.latest.unwrap_or_else(|| (0, Frontier::default().root()));
    if old != size {
        return Err(Refusal::Conflict { size });
    }
    // tlog-witness: "If the old size matches the checkpoint size, the witness MUST check that the root hashes are
    // also identical. If they don't match, the witness MUST respond with a "409 Conflict""
    if old == new.size && root != new.root {
        return Err(Refusal::Conflict { size });
    }
    // tlog-witness: "If the Merkle Consistency Proof doesn't verify, the witness MUST respond with a "422
    // Unprocessable Entity""
    check_consistency((old, &root), (new.size, &new.root), &request.proof).map_err(Refusal::Inconsistent)
}

/// Why a witness does not cosign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It does not watch this log.
    #[error("this witness does not know the log")]
    UnknownLog,
    /// No trusted key signed.
    #[error("the checkpoint is not signed by a key that this witness trusts for the log")]
    Unsigned,
    /// The new tree is smaller than the old one.
    #[error("the checkpoint is smaller than the old size")]
    Backwards,
    /// The log is not where it thinks it is, or has two histories.
    #[error("the last checkpoint that this witness cosigned has size {size}, or another root at it")]
    Conflict {
        /// The size that the witness cosigned last.
        size: u64,
    },
    /// The new tree does not begin with the old one, as far as the proof shows.
    #[error("the checkpoint does not follow the one before it: {0}")]
    Inconsistent(ProofError),
}

impl Refusal {
    /// The HTTP status that the log is answered.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::Backwards => 400,
            Self::Unsigned => 403,
            Self::UnknownLog => 404,
            Self::Conflict { .. } => 409,
            Self::Inconsistent(_) => 422,
        }
    }
}

/// What the answer to a conflict says that it is: "a Content-Type of text/x.tlog.size".
pub const SIZE_TYPE: &str = "text/x.tlog.size";

/// Why a body is no request to a witness. The status is 400.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// No empty line.
    #[error("a request has an old size, a proof, an empty line and a checkpoint")]
    Form,
    /// The first line is no old size.
    #[error("the first line of a request is `old` and a size")]
    Old,
    /// The lines after it are no proof.
    #[error("a proof has at most 63 lines, each 32 octets as base64")]
    Proof,
    /// The rest is no checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
}

impl From<NoteError> for RequestError {
    fn from(error: NoteError) -> Self {
        Self::Checkpoint(error.into())
    }
}

const LONGEST_PROOF: usize = 63;
