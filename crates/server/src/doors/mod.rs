//! Doors: bytes or rows become a Request, a Reply becomes bytes.
//! Each door calls the gate and nothing below it decides.

pub mod api;
pub mod clock;
pub mod control;
pub mod cosign;
mod exits;
pub mod health;
pub mod smtp;
pub mod witness;

pub use exits::{Exit, Exits};
pub use smtp::code_of;
