//! Scopes: what an API key may be used for. The list is closed.
//! The accounts file names them, the API compares them with what a route needs.

use crate::config::nearest::suggestion;

/// What an API key may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyScope {
    /// Have messages judged.
    Evaluate,
    /// Read rulings.
    RulingsRead,
    /// Read what is held.
    HeldRead,
    /// Release and refuse what is held.
    HeldWrite,
    /// Read the ledger.
    LedgerRead,
    /// Read accounts.
    AccountsRead,
    /// Block, unblock, set modes.
    AccountsWrite,
}

impl KeyScope {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Evaluate,
        Self::RulingsRead,
        Self::HeldRead,
        Self::HeldWrite,
        Self::LedgerRead,
        Self::AccountsRead,
        Self::AccountsWrite,
    ];

    /// The word outside.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Evaluate => "evaluate",
            Self::RulingsRead => "rulings:read",
            Self::HeldRead => "held:read",
            Self::HeldWrite => "held:write",
            Self::LedgerRead => "ledger:read",
            Self::AccountsRead => "accounts:read",
            Self::AccountsWrite => "accounts:write",
        }
    }

    /// Scopes as the store keeps them: a JSON list of words.
    pub(super) fn list(scopes: &[Self]) -> String {
        let names: Vec<&str> = scopes.iter().map(|scope| scope.name()).collect();
        serde_json::to_string(&names).unwrap_or_else(|_| "[]".to_owned())
    }

    /// Reads what [`KeyScope::list`] wrote. What this program does not know opens nothing.
    pub(super) fn read(list: &str) -> Result<Vec<Self>, serde_json::Error> {
        let names: Vec<String> = serde_json::from_str(list)?;
        Ok(names.iter().filter_map(|name| Self::parse(name).ok()).collect())
    }

    /// Reads the word.
    ///
    /// # Errors
    /// A sentence with the nearest scope, else all of them.
    pub fn parse(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|scope| scope.name() == text);
        found.ok_or_else(|| {
            let names: Vec<String> = Self::ALL.iter().map(|scope| format!("`{}`", scope.name())).collect();
            suggestion(text, &names)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scope_is_read_by_its_name_and_no_other_is() {
        for scope in KeyScope::ALL {
            assert_eq!(KeyScope::parse(scope.name()), Ok(scope));
        }
        assert_eq!(KeyScope::read(&KeyScope::list(&KeyScope::ALL)).unwrap(), KeyScope::ALL);
        assert_eq!(KeyScope::parse("held:reed"), Err("did you mean `held:read`?".to_owned()));
        assert!(KeyScope::parse("everything").unwrap_err().starts_with("allowed are `evaluate`, "));
        assert!(KeyScope::parse("HELD:READ").is_err());
    }
}
