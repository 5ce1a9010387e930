//! Custody: mail that we hold, sealed, until somebody releases or refuses it or its time is over.
//! Acts plan its rows; the control door and the CLI read them.

mod held;
mod page;
mod rows;
mod sender;

pub use held::{Held, HeldMail, Parameters, State, Which};
pub use page::{Place, page};
pub use rows::{
    EXPIRE, Sealed, claim, count, doubt, end, insert, keep_for, keep_until, load, may_be_second, over,
    reconcile,
};
pub use sender::{seal_sender, seal_senders};
