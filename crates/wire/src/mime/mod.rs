//! The MIME pre-scan: how deep, how many, how long, and what could be read in two ways.
//! Called by `core::message` before any library of others sees the message.

mod content_type;
mod structure;
mod walk;

pub use structure::{MimeAmbiguity, MimeFault, Structure};
pub use walk::scan;
