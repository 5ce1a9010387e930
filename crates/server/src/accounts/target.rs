//! What a block reaches: a whole account, one of its credentials, or a domain: its own use of it or everybody's.
//! The control door names a target; rows and the directory stop it, probes and doors ask what is stopped.

use countersign_core::address::Domain;
use countersign_core::ids::AccountId;
use jiff::Timestamp;
use serde_json::{Value, json};

/// The account that stands for the platform itself: a domain that is blocked there is blocked for all.
pub const PLATFORM: &str = "platform";

/// What is blocked or unblocked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    pub account: AccountId,
    pub reach: Reach,
}

/// How far a block reaches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// Everything of the account.
    Account,
    /// Mail as this domain, or one below it: From, Sender or MAIL FROM.
    Domain(Domain),
    /// Mail that comes with this login.
    Credential(String),
}

/// Why and since when something is stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blocked {
    pub reason: String,
    pub at: Timestamp,
}

impl Target {
    /// The arguments of the command, as the ledger keeps them.
    #[must_use]
    pub fn arguments(&self, reason: Option<&str>) -> Value {
        let (domain, credential) = match &self.reach {
            Reach::Account => (None, None),
            Reach::Domain(domain) => (Some(domain.as_str()), None),
            Reach::Credential(login) => (None, Some(login.as_str())),
        };
        json!({ "reason": reason, "domain": domain, "credential": credential })
    }
}
