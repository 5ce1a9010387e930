//! A message, read once: who says it is from them, and what could be read in two ways.
//! Called by the doors, which put it into a Request; probes and policy ask it, nobody reads it again.

mod ambiguity;
mod display;
mod mailbox;
mod read;
mod singletons;
mod tokens;

pub use ambiguity::Ambiguity;
pub use mailbox::Mailbox;
pub use read::{Field, Message, Sender};
