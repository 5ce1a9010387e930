//! Names of things: accounts, credentials, rulings.
//! Every door parses them once; past the door no `String` is an id.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A customer of the platform: the tenant and the shard key of every table.
/// 1 to 63 of `a-z`, `0-9`, `-`, `_`, `.`, beginning with a letter or digit.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AccountId(String);

impl AccountId {
    /// Reads an account id.
    ///
    /// # Errors
    /// When it is empty, longer than 63 or has another character.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let first = text.bytes().next().is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        let rest = text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_' | b'.'));
        match first && rest && text.len() <= 63 {
            true => Ok(Self(text.to_owned())),
            false => Err(IdError::Account(text.escape_default().take(80).collect())),
        }
    }

    /// `platform`: the platform itself, for what is about no account.
    #[must_use]
    pub fn platform() -> Self {
        Self("platform".to_owned())
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for AccountId {
    type Error = IdError;
    fn try_from(text: String) -> Result<Self, IdError> {
        Self::parse(&text)
    }
}

impl From<AccountId> for String {
    fn from(id: AccountId) -> Self {
        id.0
    }
}

/// The short id of a ruling: 50 bits as ten characters of Crockford's base32.
/// It opens nothing by itself; it names a ruling in replies, logs, pages and the CLI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Ref([u8; 10]);

impl Ref {
    /// The ref of 50 random bits; the upper 14 bits of `random` are ignored.
    #[must_use]
    pub fn from_random(random: u64) -> Self {
        let mut characters = [b'0'; 10];
        for (place, slot) in characters.iter_mut().rev().enumerate() {
            let digit = (random >> (5 * place)) & 31;
            *slot = ALPHABET.get(digit as usize).copied().unwrap_or(b'0');
        }
        Self(characters)
    }

    /// Reads a ref as people write it: any case, `O` for `0`, `I` and `L` for `1`.
    ///
    /// # Errors
    /// When it is not ten characters of the alphabet.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let characters: Option<Vec<u8>> = text.bytes().map(canonical).collect();
        characters
            .and_then(|c| <[u8; 10]>::try_from(c).ok())
            .map(Self)
            .ok_or_else(|| IdError::Ref(text.escape_default().take(40).collect()))
    }

    /// The ten characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

fn canonical(byte: u8) -> Option<u8> {
    let upper = match byte.to_ascii_uppercase() {
        b'O' => b'0',
        b'I' | b'L' => b'1',
        other => other,
    };
    ALPHABET.contains(&upper).then_some(upper)
}

impl fmt::Display for Ref {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl TryFrom<String> for Ref {
    type Error = IdError;
    fn try_from(text: String) -> Result<Self, IdError> {
        Self::parse(&text)
    }
}

impl From<Ref> for String {
    fn from(reference: Ref) -> Self {
        reference.as_str().to_owned()
    }
}

/// Why a text is no id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Not an account id.
    #[error(
        "`{0}` is not an account id: use 1 to 63 of a-z, 0-9, `-`, `_` and `.`, beginning with a letter or digit"
    )]
    Account(String),
    /// Not a ref.
    #[error("`{0}` is not a ref: a ref is ten letters and digits, as in 7Q2K3M9TBC")]
    Ref(String),
}

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ref_is_read_as_people_write_it() {
        let reference = Ref::from_random(0x2_1234_5678_9abc);
        assert_eq!(Ref::parse(&reference.to_string().to_lowercase()), Ok(reference));
        assert_eq!(Ref::parse("oil0000000").unwrap().as_str(), "0110000000");
    }

    #[test]
    fn a_ref_with_a_foreign_character_is_none() {
        assert!(Ref::parse("7Q2K3M9TBU").is_err(), "U is not in the alphabet");
        assert!(Ref::parse("7Q2K3M9TB").is_err());
    }

    #[test]
    fn account_ids_are_closed() {
        assert!(AccountId::parse("acme-news").is_ok());
        for bad in ["", "-a", "A", "a b", "a/b", &"a".repeat(64)] {
            assert!(AccountId::parse(bad).is_err(), "{bad}");
        }
    }
}
