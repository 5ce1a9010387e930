//! Domains, hosts and mail addresses: past these types no `String` is one.
//! Called by everybody who reads a name from outside.

mod domain;
mod email;
mod host;

pub use domain::{Domain, DomainError};
pub use email::{EmailAddress, EmailError};
pub(crate) use email::{is_atext, is_dot_string};
pub use host::Host;
