//! Accounts: customers, the domains they have proved, the credentials they present.

mod account;
mod directory;
pub mod file;
mod rows;
pub mod secret;
pub mod sidecar;

pub use account::{Account, Blocked, Credential, OwnedDomain, within};
pub use directory::{Directory, DirectoryError};
pub use rows::{apply, block, gate_mode, passed_spf, set_account_mode, set_gate_mode, unblock};
