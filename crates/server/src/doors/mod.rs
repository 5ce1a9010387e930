//! Doors: bytes or rows become a Request, a Reply becomes bytes.
//! Each door calls the gate and nothing below it decides.

pub mod api;
pub mod clock;
pub mod control;
mod exits;
pub mod health;
pub mod smtp;

pub use exits::{Exit, Exits};
pub use smtp::code_of;
