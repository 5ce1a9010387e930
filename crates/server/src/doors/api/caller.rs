//! The caller: who asks, what it may ask, and whose things it sees.
//! The guard finds it out before a handler runs; handlers ask it about every account.

use std::net::IpAddr;

use countersign_core::ids::AccountId;
use countersign_core::request::Actor;

use super::problem::{Kind, Problem};
use crate::accounts::KeyScope;

/// Where a connection comes from.
#[derive(Debug, Clone)]
pub(in crate::doors) enum Origin {
    /// The control socket, and who has opened it.
    Local(Actor),
    /// The network: a key says who it is.
    Network(IpAddr),
}

/// Who asks.
#[derive(Debug, Clone)]
pub(in crate::doors) struct Caller {
    pub(in crate::doors) actor: Actor,
    /// The one account that it sees; `None` sees all.
    pub(in crate::doors) only: Option<AccountId>,
    /// The login of an account's key.
    pub(in crate::doors) login: Option<String>,
    may: May,
}

#[derive(Debug, Clone)]
enum May {
    Everything,
    These(Vec<KeyScope>),
}

/// What a route needs of its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::doors) enum Needs {
    /// Nothing: it is public.
    Nobody,
    /// A scope.
    Scope(KeyScope),
    /// The control socket.
    Local,
}

impl Caller {
    /// A user of the machine who could open the control socket.
    pub(in crate::doors) fn local(actor: Actor) -> Self {
        Self { actor, only: None, login: None, may: May::Everything }
    }

    /// Somebody who has shown nothing.
    pub(super) fn nobody() -> Self {
        let actor = Actor::Staff("unknown".to_owned());
        Self { actor, only: Some(AccountId::platform()), login: None, may: May::These(vec![]) }
    }

    pub(super) fn staff(email: String, scopes: Vec<KeyScope>) -> Self {
        Self { actor: Actor::StaffKey(email), only: None, login: None, may: May::These(scopes) }
    }

    pub(super) fn account(account: AccountId, login: String, scopes: Vec<KeyScope>) -> Self {
        let actor = Actor::AccountKey(login.clone());
        Self { actor, only: Some(account), login: Some(login), may: May::These(scopes) }
    }

    /// Whether it may see what belongs to an account. What it may not see is not there: nobody learns by
    /// asking whether another account has something.
    pub(in crate::doors) fn sees(&self, account: &AccountId) -> bool {
        self.only.as_ref().is_none_or(|only| only == account)
    }

    /// Whether it may do what a route does.
    pub(super) fn meets(&self, needs: Needs) -> Result<(), Problem> {
        match (needs, &self.may) {
            (Needs::Nobody, _) | (_, May::Everything) => Ok(()),
            (Needs::Scope(scope), May::These(scopes)) if scopes.contains(&scope) => Ok(()),
            (Needs::Scope(scope), _) => {
                let why = format!("this needs a key with the scope `{}`", scope.name());
                Err(Problem::new(Kind::MissingScope, why))
            }
            (Needs::Local, _) => {
                let why = "this is done on the machine itself, with the `countersign` command";
                Err(Problem::new(Kind::MissingScope, why))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_does_what_its_scopes_say_and_sees_its_own_account() {
        let (acme, globex) = (AccountId::parse("acme").unwrap(), AccountId::parse("globex").unwrap());
        let key = Caller::account(acme.clone(), "acme-api".to_owned(), vec![KeyScope::HeldRead]);
        assert!(key.meets(Needs::Scope(KeyScope::HeldRead)).is_ok() && key.meets(Needs::Nobody).is_ok());
        assert!(key.meets(Needs::Scope(KeyScope::HeldWrite)).is_err() && key.meets(Needs::Local).is_err());
        assert!(key.sees(&acme) && !key.sees(&globex));
        let staff = Caller::staff("ana@esp.example".to_owned(), KeyScope::ALL.to_vec());
        assert!(staff.sees(&globex) && staff.meets(Needs::Local).is_err());
        assert!(Caller::local(Actor::Local(0)).meets(Needs::Local).is_ok());
    }
}
