//! Mail as bytes and words: SMTP framing, header fields, MIME structure.
//! No sockets, no clock, no allocation that a peer controls beyond [`limits::Limits`].
#![warn(missing_docs)]

pub mod header;
pub mod limits;
pub mod mime;
pub mod smtp;
