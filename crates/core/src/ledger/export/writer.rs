//! Writes an export line by line; keeps the tree and the digest that the closing line signs.
//! `ledger export` calls it with what it reads from the store.

use std::borrow::Cow;

use aws_lc_rs::digest::{Context, SHA256};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::line::{Header, LeafLine, Line, Payload};
use crate::ledger::{Checkpoint, CheckpointError, Frontier, Hash, Leaf, Note, Signer, leaf_hash};

/// An export that is being written.
pub struct Writer {
    origin: String,
    digest: Context,
    frontier: Frontier,
}

impl Writer {
    /// Begins a file; the header is written at the end of `out`.
    #[must_use]
    pub fn begin(header: Header, out: &mut Vec<u8>) -> Self {
        let mut writer = Self {
            origin: header.origin.clone(),
            digest: Context::new(&SHA256),
            frontier: Frontier::default(),
        };
        writer.line(&Line::Header(header), out);
        writer
    }

    /// The next leaf.
    pub fn leaf(&mut self, leaf: &[u8; Leaf::LENGTH], payload: Payload<'_>, out: &mut Vec<u8>) {
        let hash = leaf_hash(leaf);
        let line = LeafLine { index: self.frontier.size(), hash, leaf: *leaf, payload };
        self.line(&Line::Leaf(line), out);
        self.frontier.push(hash);
    }

    /// A checkpoint that the log signed over the leaves up to here.
    pub fn checkpoint(&mut self, note: &Note, out: &mut Vec<u8>) {
        self.line(&Line::Checkpoint(Cow::Owned(note.to_string())), out);
    }

    /// How many leaves have been written, and the root over them.
    #[must_use]
    pub fn head(&self) -> (u64, Hash) {
        (self.frontier.size(), self.frontier.root())
    }

    /// Ends the file. The caller sees to it that the log stands by `head`: that a checkpoint of this size and root is
    /// kept before this one is shown.
    ///
    /// # Errors
    /// When the origin cannot stand in a checkpoint.
    pub fn close(self, signer: &Signer, out: &mut Vec<u8>) -> Result<(), CheckpointError> {
        let (size, root) = self.head();
        let extensions = vec![covering(self.digest)];
        let checkpoint = Checkpoint { origin: self.origin, size, root, extensions };
        let note = checkpoint.signed(signer)?;
        Line::Closing(Cow::Owned(note.to_string())).print(out);
        Ok(())
    }

    fn line(&mut self, line: &Line<'_>, out: &mut Vec<u8>) {
        let before = out.len();
        line.print(out);
        self.digest.update(out.get(before..).unwrap_or_default());
    }
}

/// The extension line of a closing checkpoint: the digest of all lines before it.
pub(super) fn covering(digest: Context) -> String {
    format!("export sha256 {}", STANDARD.encode(digest.finish()))
}
