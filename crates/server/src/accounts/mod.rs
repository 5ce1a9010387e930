//! Accounts: customers, the domains they have proved, the credentials they present.

mod account;
mod directory;
pub mod file;
mod key;
mod key_rows;
mod passes;
pub mod pattern;
mod rows;
mod schema;
mod scope;
pub mod secret;
pub mod sidecar;
mod target;

pub use account::{Account, Credential, OwnedDomain, within};
pub use directory::{Directory, DirectoryError, NamedUpstream};
pub use key::{ApiKey, Holder, Kept, Secrets, tag_of};
pub use key_rows::shared_secret;
pub use passes::Passes;
pub use rows::{block, passed_spf, plan_apply, set_account_mode, set_gate_mode, taken_login, unblock};
pub use scope::KeyScope;
pub use target::{Blocked, PLATFORM, Reach, Target};
