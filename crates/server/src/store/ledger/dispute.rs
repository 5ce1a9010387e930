//! A dispute: a witness knows the log of this node otherwise than we have it. It is kept beside the store until
//! another log begins. The cosigner raises it; `Log::of_node` ends it; `ledger verify` and /readyz show it.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use countersign_core::ledger::{Checkpoint, Note};

/// What was said against a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dispute {
    /// The log.
    pub origin: String,
    /// Who says what.
    pub says: String,
}

impl Dispute {
    /// What is kept in a data directory against the log of its node.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn in_dir(dir: &Path) -> io::Result<Option<Self>> {
        let Some(dispute) = Self::read(&file(dir))? else { return Ok(None) };
        let note = read(&dir.join("checkpoint"))?.and_then(|note| Note::parse(&note).ok());
        let own = note.and_then(|note| Checkpoint::parse(note.text()).ok());
        Ok(own.is_some_and(|own| own.origin == dispute.origin).then_some(dispute))
    }

    /// Keeps it: it is on the disk when this returns.
    pub(super) fn keep(&self, dir: &Path) -> io::Result<()> {
        let new = dir.join("disputed.new");
        let mut out =
            fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        writeln!(out, "{}\n{}", self.origin, self.says)?;
        out.sync_all()?;
        fs::rename(new, file(dir))?;
        fs::File::open(dir)?.sync_all()
    }

    /// Another log has begun.
    pub(super) fn settle(dir: &Path) -> io::Result<()> {
        match fs::remove_file(file(dir)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn read(file: &Path) -> io::Result<Option<Self>> {
        let text = read(file)?.unwrap_or_default();
        let parts = text.split_once('\n');
        Ok(parts.map(|(origin, says)| Self { origin: origin.to_owned(), says: says.trim_end().to_owned() }))
    }
}

fn file(dir: &Path) -> PathBuf {
    dir.join("disputed")
}

fn read(file: &Path) -> io::Result<Option<String>> {
    match fs::read_to_string(file) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
