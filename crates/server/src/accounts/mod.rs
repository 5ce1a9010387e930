//! Accounts: customers, the domains they have proved, the credentials they present.

mod account;
mod directory;
pub mod file;
pub mod pattern;
mod rows;
mod schema;
pub mod secret;
pub mod sidecar;

pub use account::{Account, Blocked, Credential, OwnedDomain, within};
pub use directory::{Directory, DirectoryError};
pub use rows::{block, passed_spf, plan_apply, set_account_mode, set_gate_mode, taken_login, unblock};
