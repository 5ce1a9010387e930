//! Mail as bytes and words: SMTP framing, header fields, MIME structure; and who a balancer says is there.
//! No sockets, no clock, no allocation that a peer controls beyond [`limits::Limits`].
#![warn(missing_docs)]

pub mod header;
pub mod limits;
pub mod mime;
pub mod proxy;
pub mod smtp;
