//! Stand-in.
use serde::{Deserialize, Serialize};
use std::fmt;
/// d
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Domain(String);
impl Domain {
    /// p
    /// # Errors
    /// e
    pub fn parse(t: &str) -> Result<Self, String> {
        Ok(Self(t.to_ascii_lowercase()))
    }
    /// s
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
    /// s
    #[must_use]
    pub fn is_subdomain_of(&self, o: &Self) -> bool {
        self.0.strip_suffix(&o.0).is_some_and(|h| h.ends_with('.'))
    }
}
impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
/// e
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct EmailAddress {
    local: String,
    domain: Domain,
}
impl EmailAddress {
    /// p
    /// # Errors
    /// e
    pub fn parse(t: &str) -> Result<Self, String> {
        let (l, d) = t.rsplit_once('@').ok_or("no @")?;
        Ok(Self { local: l.to_owned(), domain: Domain::parse(d)? })
    }
    /// l
    #[must_use]
    pub fn local(&self) -> &str {
        &self.local
    }
    /// d
    #[must_use]
    pub fn domain(&self) -> &Domain {
        &self.domain
    }
}
impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.local, self.domain)
    }
}
