//! Header fields of RFC 5322 as bytes: the section and its fields, the encoded words in them.
//! Called by `core::message`, before anything else reads a message.

pub mod authentication_results;
pub mod encoded_word;
mod section;
mod strip;

pub use section::{Field, HeaderError, Section, split, unfold};
pub use strip::strip;
