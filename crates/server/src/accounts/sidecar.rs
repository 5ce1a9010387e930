//! The notes beside a message file: `X.toml` beside `X.eml` says who sent it, from where and when.
//! `check` reads it; an option of the command line wins over it.

use std::net::IpAddr;
use std::path::Path;

use countersign_core::address::EmailAddress;
use countersign_core::evidence::{Finding, Kind as Evidence};
use countersign_core::ids::AccountId;
use jiff::Timestamp;

use super::file::{AccountSpec, parse_name, parse_time, read_accounts};
use super::schema::SIDECAR;
use crate::config::document;
use crate::config::nearest::suggestion;
use crate::config::notes::{ConfigError, Noted, Notes};
use crate::config::reader::Reader;
use crate::config::value::quoted;

/// What a sidecar says. What is absent is left to the headers and to defaults.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sidecar {
    /// Whose message it is.
    pub account: Option<AccountId>,
    /// The log-in that was presented.
    pub credential: Option<String>,
    /// The address of the client.
    pub ip: Option<IpAddr>,
    /// The name in its EHLO.
    pub helo: Option<String>,
    /// The reverse path.
    pub mail_from: Option<ReversePath>,
    /// The forward paths.
    pub rcpt: Vec<EmailAddress>,
    /// Whether the session was encrypted.
    pub tls: Option<bool>,
    /// Which Authentication-Results field is believed.
    pub auth_results: Option<AuthResults>,
    /// Findings that are taken as given.
    pub assume: Vec<(Evidence, Finding)>,
    /// The time of the ruling.
    pub now: Option<Timestamp>,
    /// `[[account]]`: accounts to judge with; their proofs are trusted.
    pub accounts: Vec<AccountSpec>,
    /// What is accepted without effect, one line each.
    pub warnings: Vec<String>,
}

/// A reverse path, which may be the empty one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReversePath {
    /// `<>`
    Null,
    /// A mailbox.
    Mailbox(EmailAddress),
    /// No mailbox at all: SMTP would refuse it at MAIL.
    Malformed(String),
}

impl ReversePath {
    /// Reads an address, `<>` or nothing at all. What is no address is kept: a message that came with it is
    /// judged, and refused for it.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let bare = text.strip_prefix('<').and_then(|rest| rest.strip_suffix('>')).unwrap_or(text);
        match (bare, EmailAddress::parse(bare)) {
            ("", _) => Self::Null,
            (_, Ok(address)) => Self::Mailbox(address),
            (_, Err(error)) => Self::Malformed(error.to_string()),
        }
    }
}

/// Which Authentication-Results field is believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuthResults {
    /// The first, whoever wrote it.
    Topmost,
    /// The one with this authserv-id.
    By(String),
}

impl AuthResults {
    /// Reads `topmost` or an authserv-id.
    ///
    /// # Errors
    /// When it could not stand in a header field.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "topmost" => Ok(Self::Topmost),
            _ if !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic() && b != b';') => {
                Ok(Self::By(text.to_owned()))
            }
            _ => Err("`topmost` or an authserv-id is allowed".to_owned()),
        }
    }
}

impl Sidecar {
    /// Reads the text of a sidecar.
    ///
    /// # Errors
    /// When anything in it is wrong; all of it is named.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let notes = Notes::default();
        let table = document::parse(text, path, SIDECAR, &notes).map(|mut table| {
            table.fill(SIDECAR);
            table
        });
        let read = table.and_then(|table| Self::read(Reader::new(&table, &notes)));
        let (sidecar, warnings) = notes.settle(read)?;
        Ok(Self { warnings, ..sidecar })
    }

    /// Reads the sidecar of a message file, `X.toml` beside `X.eml`; nothing when there is none.
    ///
    /// # Errors
    /// When it is there and cannot be read, or anything in it is wrong.
    pub fn beside(message: &Path) -> Result<Option<Self>, ConfigError> {
        let path = message.with_extension("toml");
        match std::fs::read_to_string(&path) {
            Ok(text) => Self::parse(&text, &path).map(Some),
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(cause) => Err(ConfigError::Unreadable { path, cause }),
        }
    }

    fn read(root: Reader<'_>) -> Result<Self, Noted> {
        let account = root.optional("account", AccountId::parse);
        let credential = root.optional("credential", parse_name);
        let ip = root.optional("ip", parse_ip);
        let helo = root.optional("helo", parse_name);
        let mail_from = root.optional("mail_from", |text| Ok::<_, String>(ReversePath::of(text)));
        let rcpt = root.list("rcpt", EmailAddress::parse);
        let tls = root.maybe_flag("tls");
        let auth_results = root.optional("auth_results", AuthResults::parse);
        let assume = assumptions(root);
        let now = root.optional("now", parse_time);
        let accounts = read_accounts(root, true);
        let (accounts, credential) = (accounts?, credential?);
        Ok(Self {
            account: account?.or_else(|| whose(&accounts, credential.as_deref())),
            credential,
            ip: ip?,
            helo: helo?,
            mail_from: mail_from?,
            rcpt: rcpt?,
            tls: tls?,
            auth_results: auth_results?,
            assume: assume?,
            now: now?,
            accounts,
            warnings: Vec::new(),
        })
    }
}

/// Whose message it is when the accounts stand in the sidecar: TOML has one `account` only, so the id cannot
/// stand beside them. It is the one that has the credential, else the first.
fn whose(accounts: &[AccountSpec], credential: Option<&str>) -> Option<AccountId> {
    let has =
        |account: &&AccountSpec| account.credentials.iter().any(|has| Some(has.login.as_str()) == credential);
    accounts.iter().find(has).or_else(|| accounts.first()).map(|account| account.id.clone())
}

fn parse_ip(text: &str) -> Result<IpAddr, String> {
    let parsed: Result<IpAddr, _> = text.parse();
    parsed.map(|ip| ip.to_canonical()).map_err(|_| "an address is allowed, as in `192.0.2.7`".to_owned())
}

fn assumptions(root: Reader<'_>) -> Result<Vec<(Evidence, Finding)>, Noted> {
    let mut assumed = Vec::new();
    let mut noted = Ok(());
    for (kind, word) in root.pairs("assume")? {
        match assumption(kind, word) {
            Ok(Some(pair)) => assumed.push(pair),
            Ok(None) => {
                let place = root.place("assume");
                root.warn(format!("{place}: no probe for `{kind}` is built yet: assuming it has no effect"));
            }
            Err(why) => noted = Err(root.wrong("assume", &format!("has {why}"))),
        }
    }
    noted.map(|()| assumed)
}

/// Reads one assumption, as in `spf=pass`; nothing when no probe for that kind is built yet.
///
/// # Errors
/// When there is no such kind or finding.
pub fn assumption(kind: &str, word: &str) -> Result<Option<(Evidence, Finding)>, String> {
    let found = Evidence::parse(kind);
    if found.is_none() && !LATER.contains(&kind) {
        let kinds: Vec<String> = Evidence::ALL.iter().map(|kind| format!("`{}`", kind.name())).collect();
        let suggestion = suggestion(&quoted(kind), &kinds);
        return Err(format!("an unknown kind of evidence {}: {suggestion}", quoted(kind)));
    }
    let finding = Finding::parse(word).ok_or_else(|| {
        format!("{} as the finding of `{kind}`: allowed are `pass`, `fail`, `warn`, `unknown`", quoted(word))
    })?;
    Ok(found.map(|kind| (kind, finding)))
}

/// Kinds of evidence whose probes come later.
const LATER: [&str; 9] =
    ["content", "dkim", "dmarc", "domain.owner", "domain.proof", "habit", "links", "names", "unsubscribe"];

#[cfg(test)]
mod tests;
