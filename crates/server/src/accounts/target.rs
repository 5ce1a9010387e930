//! What a block reaches: a whole account, one of its credentials, or a domain: its own use of it or everybody's.
//! The control door names a target; rows and the directory stop it, probes and doors ask what is stopped.

use countersign_core::address::Domain;
use countersign_core::ids::AccountId;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::account::Account;
use super::rows;
use crate::store::Write;

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
    /// The rows that change when it is blocked. They change nothing else, so that they can be written late.
    #[must_use]
    pub fn block(&self, blocked: &Blocked) -> Vec<Write> {
        let rows = match &self.reach {
            Reach::Account => rows::block(&self.account, blocked),
            Reach::Domain(domain) => rows::block_part(&self.account, "domain", domain.as_str(), blocked),
            Reach::Credential(login) => rows::block_part(&self.account, "credential", login, blocked),
        };
        vec![rows, rows::changed()]
    }

    /// The rows that change when it may act again.
    #[must_use]
    pub fn unblock(&self) -> Vec<Write> {
        let rows = match &self.reach {
            Reach::Account => rows::unblock(&self.account),
            Reach::Domain(domain) => rows::unblock_part(&self.account, "domain", domain.as_str()),
            Reach::Credential(login) => rows::unblock_part(&self.account, "credential", login),
        };
        vec![rows, rows::changed()]
    }

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

    /// Puts the block on an account that was loaded without it.
    pub(super) fn lay_over(&self, blocked: &Blocked, account: &mut Account) {
        let is_everybody = self.account.as_str() == PLATFORM;
        match &self.reach {
            _ if self.account != account.id && !is_everybody => {}
            Reach::Account => {
                account.blocked.get_or_insert_with(|| blocked.clone());
            }
            part => account.blocked_parts.push((part.clone(), blocked.clone())),
        }
    }
}

impl Account {
    /// What is blocked of that which a message uses: the account, the login that brought it, a domain that it
    /// names. The word is the detail of the finding and the first half of its reason.
    #[must_use]
    pub fn block_on(&self, login: &str, domains: &[&Domain]) -> Option<(&'static str, &Blocked)> {
        let reaches = |reach: &Reach| match reach {
            Reach::Account => Some("account"),
            Reach::Credential(known) => (known == login).then_some("credential"),
            Reach::Domain(known) => {
                let used = domains.iter().any(|used| *used == known || used.is_subdomain_of(known));
                used.then_some("domain")
            }
        };
        let whole = self.blocked.as_ref().map(|blocked| ("account", blocked));
        let part = || self.blocked_parts.iter().find_map(|(reach, blocked)| Some((reaches(reach)?, blocked)));
        whole.or_else(part)
    }

    /// Whether a login of this account may not sign in.
    #[must_use]
    pub fn is_login_blocked(&self, login: &str) -> bool {
        self.blocked_parts
            .iter()
            .any(|(reach, _)| matches!(reach, Reach::Credential(known) if known == login))
    }
}
