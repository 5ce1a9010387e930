//! A word: what nodes call to each other, so that nobody waits for the next look into the store.
//! Whoever hears one reads the store; a word alone changes nothing.

use std::fmt;

use countersign_core::ids::AccountId;

/// What has happened on another node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word {
    /// Accounts have changed, or may have while nobody listened.
    Changed,
    /// An account, or something of it, was blocked.
    Blocked(AccountId),
}

impl Word {
    /// Reads what came over the wire. What is no word is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text.split_once(':') {
            None if text == "changed" => Some(Self::Changed),
            Some(("blocked", account)) => AccountId::parse(account).ok().map(Self::Blocked),
            _ => None,
        }
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changed => f.write_str("changed"),
            Self::Blocked(account) => write!(f, "blocked:{account}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_prints_as_it_is_read() {
        for text in ["changed", "blocked:acme"] {
            assert_eq!(Word::parse(text).unwrap().to_string(), text);
        }
        for none in ["", "Changed", "blocked", "blocked:", "blocked:a b", "unblocked:acme", "changed:x"] {
            assert_eq!(Word::parse(none), None, "{none}");
        }
    }
}
