//! Boot: builds the parts, opens the doors, closes them gently.
//! `serve` and `try` call it; commands that need a store without a server use `Data` and `House`; a witness has a `Seat`.

mod data;
mod descriptors;
mod doors;
mod house;
mod presence;
mod program;
mod seat;
mod sockets;
mod supervisor;
mod watched;

pub use data::{Data, DataError, hold, is_in_use};
pub use doors::{Ready, Running};
pub use house::{BootError, House, exits, judge, resolver, rules, way};
pub use program::{Program, SuccessorError};
pub use seat::{Seat, SeatError};
pub use sockets::Sockets;
pub use supervisor::Supervisor;
pub use watched::watchers;
