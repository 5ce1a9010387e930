//! An account as the gates see it: domains it has proved, credentials, networks, standing.
//! The directory loads it; probes compare requests with it.

use std::net::IpAddr;

use countersign_core::address::{Domain, EmailAddress};
use countersign_core::ids::AccountId;
use countersign_core::request::Mode;
use ipnet::IpNet;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::file::{AccountSpec, Scope};
use super::passes::Passes;
use super::pattern::Pattern;
use super::target::{Blocked, PLATFORM, Reach, Target};

/// A customer of the platform.
#[derive(Debug, Clone)]
pub struct Account {
    pub id: AccountId,
    pub name: String,
    pub tier: Option<String>,
    /// The mode that `apply` gave it.
    pub mode: Option<Mode>,
    /// The mode that `observe` or `enforce` gave it; it wins.
    pub mode_set: Option<Mode>,
    /// The name of its upstream; none is the first.
    pub upstream: Option<String>,
    /// From where it may inject; empty is anywhere.
    pub networks: Vec<IpNet>,
    pub domains: Vec<OwnedDomain>,
    pub blocked: Option<Blocked>,
    /// Credentials of it and domains that are blocked, also those that are blocked for everybody.
    pub blocked_parts: Vec<(Reach, Blocked)>,
    /// Who is told what happens to it.
    pub owner_email: Option<EmailAddress>,
    /// When SPF last passed, by author domain.
    pub spf_passed: Passes,
}

/// A domain that belongs to an account.
#[derive(Debug, Clone)]
pub struct OwnedDomain {
    pub domain: Domain,
    /// Whether the proof covers what lies below it.
    pub subdomains: bool,
    /// What local parts may be used; the whole must match.
    pub from_local: Option<Pattern>,
    /// What display names may be used; the whole must match.
    pub from_name: Option<Pattern>,
    pub proved: bool,
}

/// A login of an account.
#[derive(Debug, Clone)]
pub struct Credential {
    pub login: String,
    pub account: AccountId,
    /// Argon2id in PHC form.
    pub hash: String,
    /// From where it may be used; empty is anywhere.
    pub networks: Vec<IpNet>,
    pub expires: Option<Timestamp>,
    /// Messages in a day.
    pub daily_cap: Option<u64>,
}

impl Account {
    /// An account of which nothing is known: it has proved nothing.
    #[must_use]
    pub fn unknown(id: AccountId) -> Self {
        Self {
            name: id.to_string(),
            id,
            tier: None,
            mode: None,
            mode_set: None,
            upstream: None,
            networks: vec![],
            domains: vec![],
            blocked: None,
            blocked_parts: vec![],
            owner_email: None,
            spf_passed: Passes::default(),
        }
    }

    /// An account as a file has it.
    #[must_use]
    pub fn of_spec(spec: &AccountSpec) -> Self {
        let domains = spec.domains.iter().map(|domain| OwnedDomain {
            domain: domain.name.clone(),
            subdomains: domain.scope == Scope::Subdomains,
            from_local: domain.from_local.clone(),
            from_name: domain.from_name.clone(),
            proved: domain.proved,
        });
        Self {
            name: spec.name.clone(),
            tier: spec.tier.map(|tier| tier.to_string()),
            mode: spec.mode,
            upstream: spec.upstream.clone(),
            networks: spec.networks.clone(),
            owner_email: spec.owner_email.clone(),
            domains: domains.collect(),
            ..Self::unknown(spec.id.clone())
        }
    }

    /// What `account show` prints.
    #[must_use]
    pub fn summary(&self) -> Value {
        let domains: Vec<Value> = self
            .domains
            .iter()
            .map(|own| json!({ "name": own.domain, "subdomains": own.subdomains, "proved": own.proved }))
            .collect();
        let blocked = self.blocked.as_ref().map(|b| json!({ "reason": b.reason, "at": b.at }));
        let parts = self.blocked_parts.iter().map(|(reach, b)| {
            let (scope, subject) = match reach {
                Reach::Account => ("account", self.id.as_str()),
                Reach::Domain(domain) => ("domain", domain.as_str()),
                Reach::Credential(login) => ("credential", login.as_str()),
            };
            json!({ "scope": scope, "subject": subject, "reason": b.reason, "at": b.at })
        });
        let parts: Vec<Value> = parts.collect();
        json!({
            "id": self.id,
            "name": self.name,
            "tier": self.tier,
            "mode": self.own_mode(),
            "upstream": self.upstream,
            "networks": self.networks,
            "owner_email": self.owner_email,
            "domains": domains,
            "blocked": blocked,
            "blocked_parts": parts,
        })
    }

    /// The account's own domain that covers a domain, exact ones before wider ones.
    #[must_use]
    pub fn covering(&self, domain: &Domain) -> Option<&OwnedDomain> {
        let exact = self.domains.iter().find(|own| own.domain == *domain);
        exact.or_else(|| {
            let wider =
                self.domains.iter().filter(|own| own.subdomains && domain.is_subdomain_of(&own.domain));
            wider.max_by_key(|own| own.domain.as_str().len())
        })
    }

    /// Whether a domain is one that it has proved.
    #[must_use]
    pub fn has_proved(&self, domain: &Domain) -> bool {
        self.covering(domain).is_some_and(|own| own.proved)
    }

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

    /// Whether just this is blocked, not only something that reaches further.
    #[must_use]
    pub fn is_blocked(&self, reach: &Reach) -> bool {
        match reach {
            Reach::Account => self.blocked.is_some(),
            part => self.blocked_parts.iter().any(|(known, _)| known == part),
        }
    }

    /// Whether a login of this account may not sign in.
    #[must_use]
    pub fn is_login_blocked(&self, login: &str) -> bool {
        self.blocked_parts
            .iter()
            .any(|(reach, _)| matches!(reach, Reach::Credential(known) if known == login))
    }

    /// Whether it has this block, of its own or of everybody.
    pub(super) fn has_block(&self, target: &Target) -> bool {
        let own = target.account == self.id;
        match &target.reach {
            Reach::Account => own && self.blocked.is_some(),
            part if own || target.account.as_str() == PLATFORM => {
                self.blocked_parts.iter().any(|(known, _)| known == part)
            }
            _ => false,
        }
    }

    /// Puts a block on it that is not in the store yet.
    pub(super) fn lay_over(&mut self, target: &Target, blocked: &Blocked) {
        let is_everybody = target.account.as_str() == PLATFORM;
        match &target.reach {
            _ if target.account != self.id && !is_everybody => {}
            Reach::Account => {
                self.blocked.get_or_insert_with(|| blocked.clone());
            }
            part if self.blocked_parts.iter().any(|(known, _)| known == part) => {}
            part => self.blocked_parts.push((part.clone(), blocked.clone())),
        }
    }

    /// The mode of the account alone, if it has one.
    #[must_use]
    pub fn own_mode(&self) -> Option<Mode> {
        self.mode_set.or(self.mode)
    }
}

/// Whether an address is in one of the networks.
#[must_use]
pub fn within(networks: &[IpNet], ip: IpAddr) -> bool {
    let plain = ip.to_canonical();
    networks.iter().any(|network| network.contains(&plain))
}
