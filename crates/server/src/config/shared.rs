//! `[store] shared`: where nodes count together and call to each other.
//! `checked` reads it; `store::shared` connects.

use std::fmt;
use std::path::PathBuf;

use redis::IntoConnectionInfo;

use super::notes::Noted;
use super::reader::Reader;
use super::value::without_password;

/// Where nodes count together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SharedUrl {
    /// Each for itself.
    Memory,
    /// On a Redis, or what speaks like one.
    Redis(RedisUrl),
}

/// Where a Redis is. It prints itself without the password.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisUrl {
    address: String,
    /// The file that holds the password, when the address does not.
    pub password_file: Option<PathBuf>,
}

impl SharedUrl {
    pub(super) fn read(store: Reader<'_>) -> Result<Self, Noted> {
        let shared = store.required("shared", Self::parse);
        let password_file = store.file("shared_password_file");
        match (shared?, password_file?) {
            (Self::Redis(url), password_file) => Ok(Self::Redis(url.with_password_in(password_file))),
            (Self::Memory, _) => Ok(Self::Memory),
        }
    }

    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "memory:" => Ok(Self::Memory),
            _ => RedisUrl::parse(text).map(Self::Redis),
        }
    }
}

impl RedisUrl {
    /// Reads `redis://user:password@host:port/number`, or `redis+unix:///path/to/socket`.
    ///
    /// # Errors
    /// A sentence that says what is allowed. It repeats nothing.
    pub fn parse(text: &str) -> Result<Self, String> {
        let allowed = "`memory:` or an address is allowed, as in `redis://127.0.0.1:6379/0`";
        if text.starts_with("rediss://") {
            return Err(
                "TLS to Redis is not built: `redis://` over a network of your own, or through a tunnel, \
                        is allowed"
                    .to_owned(),
            );
        }
        let known = ["redis://", "redis+unix://"].iter().any(|scheme| text.starts_with(scheme));
        let right = known && !text.contains('#') && text.into_connection_info().is_ok();
        match right {
            true => Ok(Self { address: text.to_owned(), password_file: None }),
            false => Err(allowed.to_owned()),
        }
    }

    /// The same address, with the password in a file.
    #[must_use]
    pub fn with_password_in(self, password_file: Option<PathBuf>) -> Self {
        Self { password_file, ..self }
    }

    /// All of it. Only for who connects.
    #[must_use]
    pub fn secret(&self) -> &str {
        &self.address
    }
}

impl fmt::Display for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&without_password(&self.address))
    }
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_and_printed_without_its_password() {
        for (text, printed) in [
            ("redis://127.0.0.1:6379/2", "redis://127.0.0.1:6379/2"),
            ("redis://cache.example", "redis://cache.example"),
            ("redis://:s3cret@cache.example", "redis://:***@cache.example"),
            ("redis://cs:s3@cret@[2001:db8::1]:1/0", "redis://cs:***@[2001:db8::1]:1/0"),
            ("redis+unix:///run/redis.sock?db=1&pass=s3cret", "redis+unix:///run/redis.sock?db=1&pass=***"),
        ] {
            let url = RedisUrl::parse(text).unwrap();
            assert_eq!((url.to_string(), format!("{url:?}")), (printed.to_owned(), printed.to_owned()));
            assert_eq!(url.secret(), text);
        }
    }

    #[test]
    fn no_address_says_what_is_allowed_and_repeats_nothing() {
        for bad in [
            "",
            "redis://",
            "redis:s3cret",
            "redis://x/s3cret",
            "redis://0.0.0.0",
            "http://s3cret",
            "redis://x#y",
        ] {
            let error = RedisUrl::parse(bad).unwrap_err();
            assert!(error.contains("is allowed") && !error.contains("s3cret"), "{bad}: {error}");
        }
        assert!(RedisUrl::parse("rediss://x").unwrap_err().starts_with("TLS to Redis is not built"));
    }
}
