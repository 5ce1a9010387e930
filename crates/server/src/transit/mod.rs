//! Transit: messages that are on their way, so that a client which lost our answer and sends again is known.
//! The gate asks before it records; acts plan the rows; the SMTP door says when a client has heard us.

mod passage;
mod rows;

pub use passage::{Attempt, Offer, Passage, Transit};
