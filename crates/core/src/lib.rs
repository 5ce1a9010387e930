//! The words and the judgement.

pub mod spf;
