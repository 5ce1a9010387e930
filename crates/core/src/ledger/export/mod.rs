//! Exports: a log as a file of lines that convinces somebody who has nothing else of ours.
//! `ledger export` writes them, `ledger verify --file` and `tools/verify.py` read them.
//!
//! A file is a header, a line for each leaf in order, between them checkpoints as the log signed them, and a closing
//! line: a checkpoint over all leaves whose extension line is the SHA-256 of everything before it. So each octet of
//! the file is covered: a leaf by its hash and by the tree, a payload by the leaf's commitment, that a payload is
//! left out by the closing line, and the closing line by its signature.

mod line;
mod verifier;
mod writer;

pub use line::{Continued, Header, LeafLine, Line, LineError, Payload};
pub use verifier::{Broken, Expected, Place, Report, Verifier};
pub use writer::Writer;

/// No line of an export is longer, with its line feed, in octets.
pub const LONGEST_LINE: usize = 16 << 20;
