//! The words and the judgement.
#![warn(missing_docs)]

pub mod address;
pub mod message;
