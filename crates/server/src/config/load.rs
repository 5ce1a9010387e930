//! Finds the configuration file, lays the environment over it and checks the whole.
//! The command line calls it once, before anything else.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use countersign_core::request::Mode;

use super::checked::Config;
use super::document;
use super::environment::overlay;
use super::notes::{ConfigError, Notes};
use super::origin::Origin;
use super::reader::Reader;
use super::schema::Kind;
use super::sections::SECTIONS;
use super::table::{Table, Value};

/// A configuration, and where each part of it came from.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// What it says.
    pub config: Config,
    /// What is accepted but deserves a word, one line each.
    pub warnings: Vec<String>,
    /// The file, when there was one.
    pub path: Option<PathBuf>,
    pub(super) table: Table,
}

/// What the machine brings to a configuration.
#[derive(Debug, Clone, Default)]
pub struct Machine {
    /// Where the file is looked for when none is named; the first that is there is taken.
    pub search: Vec<PathBuf>,
    /// The name of the machine.
    pub name: Option<String>,
}

impl Machine {
    /// This machine.
    #[must_use]
    pub fn here() -> Self {
        let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
        Self {
            search: ["countersign.toml", "/etc/countersign/countersign.toml"].map(PathBuf::from).to_vec(),
            name: name.map(|name| name.trim().to_owned()),
        }
    }
}

/// Loads the configuration on this machine: the file that is named, else ./countersign.toml,
/// else /etc/countersign/countersign.toml, else defaults. It opens no other file.
///
/// # Errors
/// When the file cannot be read, or anything in it or the environment is wrong; all of it is named.
pub fn load(
    named: Option<&Path>,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Loaded, ConfigError> {
    load_on(&Machine::here(), named, environment)
}

/// Loads the configuration on a given machine.
///
/// # Errors
/// As `load`.
pub fn load_on(
    machine: &Machine,
    named: Option<&Path>,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Loaded, ConfigError> {
    let file = find(machine, named)?;
    let (path, text) = file.unzip();
    read(machine, path, text.as_deref().unwrap_or_default(), environment)
}

fn find(machine: &Machine, named: Option<&Path>) -> Result<Option<(PathBuf, String)>, ConfigError> {
    let searched: Vec<&Path> = match named {
        Some(path) => vec![path],
        None => machine.search.iter().map(PathBuf::as_path).collect(),
    };
    for path in searched {
        match std::fs::read_to_string(path) {
            Ok(text) => return Ok(Some((path.to_owned(), text))),
            Err(cause) if cause.kind() == ErrorKind::NotFound && named.is_none() => {}
            Err(cause) => return Err(ConfigError::Unreadable { path: path.to_owned(), cause }),
        }
    }
    Ok(None)
}

pub(super) fn read(
    machine: &Machine,
    path: Option<PathBuf>,
    text: &str,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Loaded, ConfigError> {
    let notes = Notes::default();
    let file = path.clone().unwrap_or_default();
    let parsed = document::parse(text, &file, SECTIONS, &notes);
    let mut table = parsed.as_ref().map_or_else(|_| empty(&file), Table::clone);
    overlay(&mut table, SECTIONS, environment, &notes);
    settle(&mut table, machine);
    let config = parsed.and(Config::read(Reader::new(&table, &notes)));
    let (config, mut warnings) = notes.settle(config)?;
    warnings.extend(config.oddities());
    Ok(Loaded { config, warnings, path, table })
}

fn empty(file: &Path) -> Table {
    Table::root(Origin::File { path: Arc::from(file), line: 1 })
}

/// Puts the defaults in, first those that depend on the machine or on other settings.
fn settle(table: &mut Table, machine: &Machine) {
    let dotted = machine.name.as_deref().filter(|name| name.contains('.'));
    if let (Some(name), Some(server)) = (dotted, table.table_mut("server", Kind::Table(&[])))
        && !server.entries.contains_key("hostname")
        && super::network::parse_host(name).is_ok()
    {
        server.set("hostname", Value::Text(name.to_owned()), Origin::Default);
    }
    if let Some(dns) = table.table_mut("dns", Kind::Table(&[]))
        && !dns.entries.contains_key("authoritative")
        && dns.setting("resolvers").is_some_and(|given| given.value != Value::Text("system".to_owned()))
    {
        dns.set("authoritative", Value::Text("via-resolver".to_owned()), Origin::Default);
    }
    table.fill(SECTIONS);
}

impl Loaded {
    /// The mode of the send gate that a command put into the store: it wins over file and environment.
    pub fn mode_from_store(&mut self, mode: Mode) {
        self.config.send.mode = mode;
        if let Some(send) = self.table.table_mut("send", Kind::Table(&[])) {
            send.set("mode", Value::Text(mode.name().to_owned()), Origin::Store);
        }
    }
}
