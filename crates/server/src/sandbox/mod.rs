//! The world in a box: a name server and a mail server on loopback, for `try` and for tests.
//! Called by `cli` (`try`) and by the tests.
pub mod dns;
pub mod sink;
