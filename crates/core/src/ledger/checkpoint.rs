//! Checkpoints (C2SP tlog-checkpoint): the head of a log at a size, as the text of a signed note.
//! Logs sign them, witnesses cosign them, whoever verifies keeps the last one it saw.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::key::{Signer, VerifierKey};
use super::note::{Note, NoteError};
use super::tree::Hash;

#[cfg(test)]
mod tests;

/// The head of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log's name, unique in the world.
    pub origin: String,
    /// How many leaves it has, at most 2^63 - 1.
    pub size: u64,
    /// The root of the tree over them.
    pub root: Hash,
    /// Lines that the log adds; most add none.
    pub extensions: Vec<String>,
}

impl Checkpoint {
    /// Reads the text of a note.
    ///
    /// # Errors
    /// When it is not as `Display` writes it.
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        // tlog-checkpoint: "The note text is a sequence of at least three non-empty lines, separated by newlines
        // (U+000A)."
        let lines = text.strip_suffix('\n').ok_or(CheckpointError::Lines)?;
        let mut lines = lines.split('\n');
        let mut line = || lines.next().filter(|line| !line.is_empty()).ok_or(CheckpointError::Lines);
        let (origin, size, root) = (line()?.to_owned(), line()?, line()?);
        if text.bytes().any(|octet| octet < b' ' && octet != b'\n') {
            return Err(CheckpointError::Lines);
        }
        let size = parse_size(size).ok_or_else(|| CheckpointError::Size(shown(size)))?;
        let root = parse_hash(root).ok_or_else(|| CheckpointError::Root(shown(root)))?;
        // tlog-checkpoint: "Extension lines, if any, MUST be non-empty."
        let extensions: Vec<String> = lines.map(str::to_owned).collect();
        match extensions.iter().any(String::is_empty) {
            true => Err(CheckpointError::Lines),
            false => Ok(Self { origin, size, root, extensions }),
        }
    }

    /// The checkpoint as a note that this log signed.
    ///
    /// # Errors
    /// When origin or extensions cannot stand in a note.
    pub fn signed(&self, signer: &Signer) -> Result<Note, CheckpointError> {
        let mut note = Note::unsigned(self.to_string())?;
        // What cannot be read again must not be signed.
        Self::parse(note.text())?;
        note.sign(signer, 0);
        Ok(note)
    }

    /// Reads a note and the checkpoint in it, and verifies that this log signed it.
    ///
    /// # Errors
    /// When it is no checkpoint, is of another log, or is not signed with the key.
    pub fn open(note: &str, key: &VerifierKey) -> Result<(Self, Note), CheckpointError> {
        let note = Note::parse(note)?;
        note.verify(key)?;
        let checkpoint = Self::parse(note.text())?;
        // tlog-checkpoint: "The log's key name in its signature line SHOULD match the origin line." Ours does.
        match checkpoint.origin == key.name().as_str() {
            true => Ok((checkpoint, note)),
            false => Err(CheckpointError::Origin {
                origin: shown(&checkpoint.origin),
                key: key.name().to_string(),
            }),
        }
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n{}\n{}", self.origin, self.size, STANDARD.encode(self.root))?;
        self.extensions.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

/// tlog-checkpoint: "the ASCII decimal representation of the number of leaves in the tree, with no leading zeroes
/// (unless the tree is empty, in which case the tree size is 0)"
pub(super) fn parse_size(text: &str) -> Option<u64> {
    let plain = text == "0" || !text.starts_with('0');
    let digits = !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit());
    let size = (plain && digits).then(|| text.parse::<i64>().ok()).flatten()?;
    u64::try_from(size).ok()
}

/// A hash as base64; other text is none, though it may decode to the same.
pub(super) fn parse_hash(text: &str) -> Option<Hash> {
    // The decoder is strict: padding must be there and bits that are left over must be zero.
    STANDARD.decode(text).ok()?.try_into().ok()
}

fn shown(text: &str) -> String {
    text.escape_default().take(SHOWN).collect()
}

/// Why something is no checkpoint of a log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// It is no note, or not signed.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// Not three lines or more, none of them empty.
    #[error("a checkpoint has three lines or more, none of them empty: origin, size, root")]
    Lines,
    /// The size is none.
    #[error("`{0}` is no size of a tree")]
    Size(String),
    /// The root is none.
    #[error("`{0}` is no root of a tree: 32 octets as base64 are expected")]
    Root(String),
    /// The key is of another log.
    #[error("the checkpoint is of log `{origin}`, the key of `{key}`")]
    Origin {
        /// The log it says to be of.
        origin: String,
        /// The name of the key.
        key: String,
    },
}

const SHOWN: usize = 120;
