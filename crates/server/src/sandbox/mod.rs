//! The world in a box: a name server, a mail server and made-up customers on loopback, for `try` and tests.
//! Called by `cli` (`try`) and by the tests.

pub mod cast;
pub mod dns;
pub mod sender;
pub mod sink;
pub mod stage;
