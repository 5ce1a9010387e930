//! The words and the judgement.
