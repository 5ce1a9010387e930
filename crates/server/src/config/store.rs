//! `[store]`: where everything durable is kept.
//! `checked` reads it; the store opens it.

use std::fmt;
use std::path::{Path, PathBuf};

use super::notes::Noted;
use super::reader::Reader;

/// Where everything durable is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreUrl {
    /// An SQLite file.
    Sqlite(PathBuf),
    /// A database of a Postgres server, which several nodes may share.
    Postgres(PostgresUrl),
}

impl StoreUrl {
    pub(super) fn read(store: Reader<'_>, data_dir: &Path) -> Result<Self, Noted> {
        store.required("url", |text| parse_store(text, data_dir))
    }

    /// The address that a command line names, as `[store] url` would.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(text: &str, data_dir: &Path) -> Result<Self, String> {
        match text.strip_prefix("sqlite:") {
            Some(path) if !path.is_empty() => Ok(Self::Sqlite(PathBuf::from(path))),
            _ => parse_store(text, data_dir),
        }
    }
}

/// Where a database is, and who asks. It prints itself without the password.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresUrl(String);

impl PostgresUrl {
    /// Reads an address as Postgres writes it: `postgres://user:password@host:port/database?options`.
    ///
    /// # Errors
    /// When it names no database.
    pub fn parse(text: &str) -> Result<Self, String> {
        let allowed = || {
            "an address with a database is allowed, as in `postgres://user@db.example/countersign`".to_owned()
        };
        let rest = text.strip_prefix("postgres://").or_else(|| text.strip_prefix("postgresql://"));
        let rest = rest.ok_or_else(allowed)?;
        let (_, path) = rest.split_once('/').ok_or_else(allowed)?;
        let database = path.split('?').next().unwrap_or_default();
        let plain = text.bytes().all(|octet| octet.is_ascii_graphic());
        match plain && !database.is_empty() && !database.contains('/') {
            true => Ok(Self(text.to_owned())),
            false => Err(allowed()),
        }
    }

    /// All of it. Only for who connects.
    #[must_use]
    pub fn secret(&self) -> &str {
        &self.0
    }

    /// A text in which the password does not stand.
    #[must_use]
    pub fn without_password(&self, text: &str) -> String {
        match self.password() {
            Some(password) if !password.is_empty() => text.replace(password, "***"),
            _ => text.to_owned(),
        }
    }

    fn password(&self) -> Option<&str> {
        let (_, rest) = self.0.split_once("://")?;
        let (authority, _) = rest.split_once('/')?;
        let (user, _) = authority.rsplit_once('@')?;
        user.split_once(':').map(|(_, password)| password)
    }
}

impl fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, rest) = self.0.split_once("://").unwrap_or(("postgres", &self.0));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let database = path.split('?').next().unwrap_or_default();
        match authority.rsplit_once('@') {
            Some((user, host)) => {
                let user = user.split(':').next().unwrap_or_default();
                write!(f, "{scheme}://{user}@{host}/{database}")
            }
            None => write!(f, "{scheme}://{authority}/{database}"),
        }
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

fn parse_store(text: &str, data_dir: &Path) -> Result<StoreUrl, String> {
    match text {
        "sqlite:" => Ok(StoreUrl::Sqlite(data_dir.join("countersign.db"))),
        _ if text.starts_with("postgres://") || text.starts_with("postgresql://") => {
            PostgresUrl::parse(text).map(StoreUrl::Postgres)
        }
        _ => {
            Err("`sqlite:`, which is `countersign.db` in `data_dir`, or `postgres://...` is allowed"
                .to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_printed() {
        let url =
            PostgresUrl::parse("postgres://cs:s3cret@db.example:5433/countersign?sslmode=require").unwrap();
        assert_eq!(url.to_string(), "postgres://cs@db.example:5433/countersign");
        assert_eq!(format!("{url:?}"), "postgres://cs@db.example:5433/countersign");
        assert_eq!(url.without_password("wrong: s3cret"), "wrong: ***");
        assert!(url.secret().contains("s3cret"));
    }

    #[test]
    fn an_address_names_a_database() {
        assert!(PostgresUrl::parse("postgres:///countersign?host=/run/postgresql").is_ok());
        for bad in [
            "postgres://",
            "postgres://db.example",
            "postgres://db.example/",
            "mysql://x/y",
            "postgres://a b/c",
        ] {
            assert!(PostgresUrl::parse(bad).is_err(), "{bad}");
        }
    }
}
