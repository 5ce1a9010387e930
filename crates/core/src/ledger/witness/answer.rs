//! What a witness answered, as the log that asked reads it. An answer other than a cosignature is signed by nobody.
//! The client of a log calls it, and does what the answer says.

use super::super::checkpoint::parse_size;
use super::super::key::VerifierKey;
use super::super::note::{NoteError, NoteSignature};
use super::Request;

/// What a witness answered to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The cosignature. It is verified.
    Cosigned(NoteSignature),
    /// It cosigned another size last, not larger than that of the checkpoint: ask again, from there.
    From(u64),
    /// It cosigned a larger size: somebody had this log further than we have it.
    Ahead(u64),
    /// It knows another history of the log: another root at a size that both have.
    Forked,
    /// It does not watch the log.
    UnknownLog,
    /// It does not take the log's key.
    Unsigned,
}

impl Answer {
    /// Reads an answer: status, body, and the key of the witness that was asked.
    ///
    /// # Errors
    /// When it is none that tlog-witness has, or the cosignature is not one of this witness over this checkpoint.
    pub fn read(request: &Request, status: u16, body: &str, key: &VerifierKey) -> Result<Self, AnswerError> {
        match status {
            // tlog-witness: "The response body MUST be a sequence of one or more note signature lines"
            200 => cosignature(request, body, key).map(Self::Cosigned),
            // tlog-witness: "The response body MUST consist of the tree size of the latest cosigned checkpoint in
            // decimal, followed by a newline"
            409 => match parse_size(body.strip_suffix('\n').unwrap_or(body)) {
                Some(size) => conflict(request, size),
                // Of another root at the same size it is said that the status is 409, and nothing of the body.
                None if request.old == request.checkpoint.size => Ok(Self::Forked),
                None => Err(AnswerError::Size),
            },
            422 => Ok(Self::Forked),
            404 => Ok(Self::UnknownLog),
            403 => Ok(Self::Unsigned),
            other => Err(AnswerError::Status(other)),
        }
    }
}

fn conflict(request: &Request, size: u64) -> Result<Answer, AnswerError> {
    match (size, request.checkpoint.size) {
        (size, new) if size > new => Ok(Answer::Ahead(size)),
        (size, _) if size != request.old => Ok(Answer::From(size)),
        // We named the size that it holds, and it is the one we have: what differs is the root.
        (size, new) if size == new => Ok(Answer::Forked),
        _ => Err(AnswerError::Contradiction(size)),
    }
}

fn cosignature(request: &Request, body: &str, key: &VerifierKey) -> Result<NoteSignature, AnswerError> {
    let mut note = request.note.clone();
    let lines = body.lines().take(MOST_LINES);
    // Lines of other keys say nothing to us: a witness may have several.
    let ours = lines.filter_map(|line| NoteSignature::parse(line).ok()).find(|line| key.claims(line));
    let ours = ours.ok_or_else(|| AnswerError::Nothing(key.name().to_string()))?;
    note.put(ours.clone());
    note.verify(key)?;
    Ok(ours)
}

/// Why an answer cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// A status that says nothing to us.
    #[error("the witness answered with status {0}")]
    Status(u16),
    /// A conflict without a size.
    #[error("the witness says that it cosigned another size, and not which")]
    Size,
    /// It does not take the size that it says it has.
    #[error("the witness contradicts itself: it has size {0} and does not take it")]
    Contradiction(u64),
    /// No line is of its key.
    #[error("the answer has no cosignature of `{0}` (is `key` the one that this witness prints?)")]
    Nothing(String),
    /// A cosignature that is none.
    #[error("the cosignature is wrong: {0}")]
    Wrong(#[from] NoteError),
}

const MOST_LINES: usize = 100;
