//! The `apply` format: accounts, brands and staff as a file, typed as soon as it is read.
//! `apply` loads it, `check --accounts` judges with it, and sidecars carry its `[[account]]` tables.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use countersign_core::address::{Domain, EmailAddress};
use countersign_core::ids::AccountId;
use countersign_core::request::Mode;
use ipnet::IpNet;
use jiff::Timestamp;

use super::pattern::Pattern;
use super::schema::FILE;
use super::scope::KeyScope;
use crate::config::MODES;
use crate::config::document;
use crate::config::network::parse_network;
use crate::config::notes::{ConfigError, Noted, Notes};
use crate::config::reader::Reader;
use crate::config::value::quoted;

/// A whole file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccountsFile {
    /// `[[account]]`, in the order of the file.
    pub accounts: Vec<AccountSpec>,
    /// `[[brand]]`
    pub brands: Vec<BrandSpec>,
    /// `[[staff]]`
    pub staff: Vec<StaffSpec>,
    /// What is accepted without effect, one line each.
    pub warnings: Vec<String>,
}

impl AccountsFile {
    /// Reads a file; secrets that it names are not read.
    ///
    /// # Errors
    /// When it cannot be read, or anything in it is wrong; all of it is named.
    pub fn load(path: &Path, trust_proof: bool) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path);
        let text = text.map_err(|cause| ConfigError::Unreadable { path: path.to_owned(), cause })?;
        Self::parse(&text, path, trust_proof)
    }

    /// Reads the text of a file. `proved = true` is refused unless `trust_proof` says that the operator
    /// vouches for it.
    ///
    /// # Errors
    /// When anything in it is wrong; all of it is named.
    pub fn parse(text: &str, path: &Path, trust_proof: bool) -> Result<Self, ConfigError> {
        let notes = Notes::default();
        let table = document::parse(text, path, FILE, &notes).map(|mut table| {
            table.fill(FILE);
            table
        });
        let read = table.and_then(|table| Self::read(Reader::new(&table, &notes), trust_proof));
        let (file, warnings) = notes.settle(read)?;
        Ok(Self { warnings, ..file })
    }

    fn read(root: Reader<'_>, trust_proof: bool) -> Result<Self, Noted> {
        let accounts = read_accounts(root, trust_proof);
        let brands = root.each("brand", BrandSpec::read);
        let staff = root.each("staff", StaffSpec::read);
        Ok(Self { accounts: accounts?, brands: brands?, staff: staff?, warnings: Vec::new() })
    }
}

/// `[[account]]`. What is absent is left alone by `apply`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountSpec {
    /// The id.
    pub id: AccountId,
    /// The name for people; the id when none is given.
    pub name: String,
    /// The tier.
    pub tier: Option<Tier>,
    /// The mode of its own.
    pub mode: Option<Mode>,
    /// Since when it is a customer.
    pub created: Option<Timestamp>,
    /// When its phone number was verified.
    pub phone_verified_at: Option<Timestamp>,
    /// The name of its upstream; the first one when absent.
    pub upstream: Option<String>,
    /// Domains to which its links may point.
    pub link_domains: Vec<Domain>,
    /// Networks from which it may send.
    pub networks: Vec<IpNet>,
    /// Where its owner is told things.
    pub owner_email: Option<EmailAddress>,
    /// `[[account.domain]]`
    pub domains: Vec<DomainSpec>,
    /// `[[account.credential]]`
    pub credentials: Vec<CredentialSpec>,
    /// `[[account.protected]]`
    pub protected: Vec<ProtectedSpec>,
}

/// How far an account has come: `T0` to `T9`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tier(u8);

impl Tier {
    /// Reads `T0` to `T9`.
    ///
    /// # Errors
    /// A sentence that says what is allowed.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text.as_bytes() {
            [b'T', digit @ b'0'..=b'9'] => Ok(Self(digit - b'0')),
            _ => Err("`T0` to `T9` are allowed".to_owned()),
        }
    }

    /// The number of the tier.
    #[must_use]
    pub fn number(self) -> u8 {
        self.0
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "T{}", self.0)
    }
}

/// `[[account.domain]]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainSpec {
    /// The domain.
    pub name: Domain,
    /// Whether its sub-domains are covered.
    pub scope: Scope,
    /// What the local part of From may be.
    pub from_local: Option<Pattern>,
    /// What the display name of From may be.
    pub from_name: Option<Pattern>,
    /// Whether the operator vouches that the account controls it.
    pub proved: bool,
    /// The key that signs for it.
    pub dkim: Option<DkimSpec>,
}

/// What a domain covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Itself.
    Exact,
    /// Itself and what is below it.
    Subdomains,
}

/// `dkim = {selector, key_file}`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DkimSpec {
    /// The selector.
    pub selector: String,
    /// The private key.
    pub key_file: PathBuf,
}

/// `[[account.credential]]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialSpec {
    /// The log-in name; no two credentials have the same.
    pub login: String,
    /// What it opens.
    pub kind: CredentialKind,
    /// The file of its secret, for `read_secret`.
    pub secret_file: Option<PathBuf>,
    /// Networks from which it may be used.
    pub networks: Vec<IpNet>,
    /// What it may be used for; of the API only.
    pub scopes: Vec<KeyScope>,
    /// Messages in a day.
    pub daily_cap: Option<u64>,
    /// When it ends.
    pub expires: Option<Timestamp>,
}

/// What a credential opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialKind {
    /// Submission.
    Smtp,
    /// The HTTP API.
    Api,
}

/// `[[account.protected]]`: mail to this domain is watched over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProtectedSpec {
    /// The domain.
    pub domain: Domain,
    /// People whose names others may not use.
    pub people: Vec<PersonSpec>,
    /// Where its mail goes.
    pub next_hop: Option<String>,
}

/// A person whose name others may not use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonSpec {
    /// The name.
    pub name: String,
    /// The addresses that may use it.
    pub addresses: Vec<EmailAddress>,
}

/// `[[brand]]`: a name that others may not imitate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrandSpec {
    /// The name.
    pub name: String,
    /// Its own domains.
    pub domains: Vec<Domain>,
}

/// `[[staff]]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaffSpec {
    /// Who.
    pub email: EmailAddress,
    /// What they are.
    pub roles: Vec<Role>,
    /// The file of the secret of their API key.
    pub api_secret_file: Option<PathBuf>,
    /// What that key may be used for.
    pub scopes: Vec<KeyScope>,
}

/// The roles of staff.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Everything that staff may do.
    Admin,
    /// Policy, ledger, posture.
    Security,
    /// Reports and blocks.
    Desk,
    /// The server.
    Operator,
    /// Reads only.
    Auditor,
}

/// Reads the `[[account]]` tables of a file or a sidecar.
pub(super) fn read_accounts(root: Reader<'_>, trust_proof: bool) -> Result<Vec<AccountSpec>, Noted> {
    let accounts = root.each("account", |account| AccountSpec::read(account, trust_proof));
    let tables = root.tables("account")?;
    let credentials: Vec<Reader<'_>> =
        tables.iter().filter_map(|account| account.tables("credential").ok()).flatten().collect();
    let ids = once("account", "id", &tables);
    let logins = once("login", "login", &credentials);
    ids.and(logins).and(accounts)
}

/// Notes every name that is there a second time.
fn once(what: &str, key: &str, tables: &[Reader<'_>]) -> Result<(), Noted> {
    let mut seen: BTreeMap<&str, String> = BTreeMap::new();
    let mut noted = Ok(());
    for table in tables {
        let Ok(Some(name)) = table.text(key) else { continue };
        match seen.get(name) {
            Some(first) => {
                let why = format!("is {}: that {what} is already there, at {first}", quoted(name));
                noted = Err(table.wrong(key, &why));
            }
            None => {
                seen.insert(name, table.place(key));
            }
        }
    }
    noted
}

impl AccountSpec {
    fn read(account: Reader<'_>, trust_proof: bool) -> Result<Self, Noted> {
        let id = account.required("id", AccountId::parse);
        let name = account.optional("name", parse_name);
        let tier = account.optional("tier", Tier::parse);
        let mode = account.maybe_choose("mode", &MODES);
        let created = account.optional("created", parse_time);
        let phone_verified_at = account.optional("phone_verified_at", parse_time);
        let upstream = account.optional("upstream", parse_name);
        let link_domains = account.list("link_domains", Domain::parse);
        let networks = account.list("networks", parse_network);
        let owner_email = account.optional("owner_email", EmailAddress::parse);
        let domains = account.each("domain", |domain| DomainSpec::read(domain, trust_proof));
        let credentials = account.each("credential", CredentialSpec::read);
        let protected = account.each("protected", ProtectedSpec::read);
        let id = id?;
        Ok(Self {
            name: name?.unwrap_or_else(|| id.to_string()),
            id,
            tier: tier?,
            mode: mode?,
            created: created?,
            phone_verified_at: phone_verified_at?,
            upstream: upstream?,
            link_domains: link_domains?,
            networks: networks?,
            owner_email: owner_email?,
            domains: different(account, domains?)?,
            credentials: credentials?,
            protected: protected?,
        })
    }
}

/// The domains of one account, each there once.
fn different(account: Reader<'_>, domains: Vec<DomainSpec>) -> Result<Vec<DomainSpec>, Noted> {
    let tables = account.tables("domain")?;
    let mut seen = BTreeMap::new();
    let mut noted = Ok(());
    for (table, domain) in tables.iter().zip(&domains) {
        if let Some(first) = seen.insert(domain.name.clone(), table.place("name")) {
            let why = format!("is `{}`: the account has that domain already, at {first}", domain.name);
            noted = Err(table.wrong("name", &why));
        }
    }
    noted.map(|()| domains)
}

impl DomainSpec {
    fn read(domain: Reader<'_>, trust_proof: bool) -> Result<Self, Noted> {
        let name = domain.required("name", Domain::parse);
        let scope = domain.choose("scope", &[("exact", Scope::Exact), ("subdomains", Scope::Subdomains)]);
        let from_local = domain.optional("from_local", Pattern::parse);
        let from_name = domain.optional("from_name", Pattern::parse);
        let proved = domain.flag("proved");
        let dkim = domain.table("dkim").and_then(|dkim| dkim.map(DkimSpec::read).transpose());
        let (name, proved) = (name?, proved?);
        if proved && !trust_proof {
            let why = format!(
                "is `true` for `{name}`: it says that you vouch for the proof, which needs --trust-proof"
            );
            return Err(domain.wrong("proved", &why));
        }
        Ok(Self { name, scope: scope?, from_local: from_local?, from_name: from_name?, proved, dkim: dkim? })
    }
}

impl DkimSpec {
    fn read(dkim: Reader<'_>) -> Result<Self, Noted> {
        let selector = dkim.required("selector", parse_name);
        let key_file = dkim.required_file("key_file");
        Ok(Self { selector: selector?, key_file: key_file? })
    }
}

impl CredentialSpec {
    fn read(credential: Reader<'_>) -> Result<Self, Noted> {
        let login = credential.required("login", parse_name);
        let kind = credential.choose("kind", &[("smtp", CredentialKind::Smtp), ("api", CredentialKind::Api)]);
        let secret_file = credential.file("secret_file");
        let networks = credential.list("networks", parse_network);
        let scopes = match kind {
            Ok(CredentialKind::Smtp) => credential.list("scopes", parse_name).map(|_no_effect| vec![]),
            _ => read_scopes(credential),
        };
        let daily_cap = credential.maybe_count("daily_cap");
        let expires = credential.optional("expires", parse_time);
        Ok(Self {
            login: login?,
            kind: kind?,
            secret_file: secret_file?,
            networks: networks?,
            scopes: scopes?,
            daily_cap: daily_cap?,
            expires: expires?,
        })
    }
}

impl ProtectedSpec {
    fn read(protected: Reader<'_>) -> Result<Self, Noted> {
        let domain = protected.required("domain", Domain::parse);
        let people = protected.each("people", PersonSpec::read);
        let next_hop = protected.optional("next_hop", parse_name);
        Ok(Self { domain: domain?, people: people?, next_hop: next_hop? })
    }
}

impl PersonSpec {
    fn read(person: Reader<'_>) -> Result<Self, Noted> {
        let name = person.required("name", parse_name);
        let addresses = person.list("addresses", EmailAddress::parse);
        Ok(Self { name: name?, addresses: addresses? })
    }
}

impl BrandSpec {
    fn read(brand: Reader<'_>) -> Result<Self, Noted> {
        let name = brand.required("name", parse_name);
        let domains = brand.list("domains", Domain::parse);
        Ok(Self { name: name?, domains: domains? })
    }
}

impl StaffSpec {
    fn read(staff: Reader<'_>) -> Result<Self, Noted> {
        let email = staff.required("email", EmailAddress::parse);
        let roles = staff.list("roles", Role::parse);
        let api_secret_file = staff.file("api_secret_file");
        let scopes = match &api_secret_file {
            Ok(None) => staff.list("scopes", KeyScope::parse),
            _ => read_scopes(staff),
        };
        Ok(Self { email: email?, roles: roles?, api_secret_file: api_secret_file?, scopes: scopes? })
    }
}

/// What an API key opens. One that opens nothing is nearly always a slip.
fn read_scopes(key: Reader<'_>) -> Result<Vec<KeyScope>, Noted> {
    let scopes = key.list("scopes", KeyScope::parse)?;
    if scopes.is_empty() {
        key.warn(format!("{}: an API key without `scopes` opens nothing", key.place("scopes")));
    }
    Ok(scopes)
}

impl Role {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "admin" => Ok(Self::Admin),
            "security" => Ok(Self::Security),
            "desk" => Ok(Self::Desk),
            "operator" => Ok(Self::Operator),
            "auditor" => Ok(Self::Auditor),
            _ => Err("allowed are `admin`, `security`, `desk`, `operator`, `auditor`".to_owned()),
        }
    }
}

/// A text for people or a log-in name: it stands in replies and logs, so nothing in it ends a line.
pub(super) fn parse_name(text: &str) -> Result<String, String> {
    match text.chars().count() <= 255 && !text.chars().any(char::is_control) {
        true => Ok(text.to_owned()),
        false => Err("at most 255 characters and no control characters are allowed".to_owned()),
    }
}

pub(super) fn parse_time(text: &str) -> Result<Timestamp, String> {
    text.parse().map_err(|_| "a time with its zone is allowed, as in `2026-11-24T06:00:00Z`".to_owned())
}

#[cfg(test)]
mod tests;
