//! A table of settings that was checked against its schema: names, kinds and ranges are right.
//! `document` and `environment` fill it, `reader` and `show` read it.

use std::collections::BTreeMap;

use super::notes::Noted;
use super::origin::Origin;
use super::schema::{Fallback, Key, Kind, join, label};

/// A table and where it begins.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    /// The dotted name, empty for the whole file.
    pub(crate) path: String,
    /// The name as messages write it; empty for the whole file.
    pub(crate) label: String,
    pub(crate) origin: Origin,
    pub(crate) entries: BTreeMap<String, Entry>,
}

/// What stands behind a key.
#[derive(Debug, Clone)]
pub(crate) enum Entry {
    Setting(Setting),
    Table(Table),
    Tables(Vec<Table>),
    /// Something that is not allowed, and was noted.
    Wrong(Noted),
}

/// A value and where it comes from.
#[derive(Debug, Clone)]
pub(crate) struct Setting {
    pub(crate) value: Value,
    pub(crate) origin: Origin,
}

/// A value of one of the kinds of the schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Text(String),
    Texts(Vec<String>),
    Count(u64),
    Flag(bool),
    Pairs(Vec<(String, String)>),
    Ignored,
}

impl Table {
    pub(crate) fn root(origin: Origin) -> Self {
        Self { path: String::new(), label: String::new(), origin, entries: BTreeMap::new() }
    }

    pub(crate) fn below(parent: &str, name: &str, kind: Kind, origin: Origin) -> Self {
        let path = join(parent, name);
        Self { label: label(&path, kind), path, origin, entries: BTreeMap::new() }
    }

    pub(crate) fn set(&mut self, name: &str, value: Value, origin: Origin) {
        self.entries.insert(name.to_owned(), Entry::Setting(Setting { value, origin }));
    }

    pub(crate) fn setting(&self, name: &str) -> Option<&Setting> {
        match self.entries.get(name) {
            Some(Entry::Setting(setting)) => Some(setting),
            _ => None,
        }
    }

    /// The table behind `name`, made when there is none; nothing when something else stands there.
    pub(crate) fn table_mut(&mut self, name: &str, kind: Kind) -> Option<&mut Self> {
        let parent = self.path.clone();
        let entry = self
            .entries
            .entry(name.to_owned())
            .or_insert_with(|| Entry::Table(Self::below(&parent, name, kind, Origin::Default)));
        match entry {
            Entry::Table(table) => Some(table),
            Entry::Setting(_) | Entry::Tables(_) | Entry::Wrong(_) => None,
        }
    }

    /// Puts the defaults of the schema where nothing was said. As deep as the schema, not the file.
    pub(crate) fn fill(&mut self, schema: &[Key]) {
        for key in schema {
            if !self.entries.contains_key(key.name)
                && let Some(entry) = self.fallback(key)
            {
                self.entries.insert(key.name.to_owned(), entry);
            }
            match (self.entries.get_mut(key.name), key.kind) {
                (Some(Entry::Table(table)), Kind::Table(keys)) => table.fill(keys),
                (Some(Entry::Tables(tables)), Kind::Tables(keys) | Kind::TextOrTables(keys)) => {
                    tables.iter_mut().for_each(|table| table.fill(keys));
                }
                _ => {}
            }
        }
    }

    fn fallback(&self, key: &Key) -> Option<Entry> {
        let value = match key.fallback {
            Fallback::None => return None,
            Fallback::Table => {
                return Some(Entry::Table(Self::below(&self.path, key.name, key.kind, Origin::Default)));
            }
            Fallback::Text(text) => Value::Text(text.to_owned()),
            Fallback::Count(count) => Value::Count(count),
            Fallback::Flag(flag) => Value::Flag(flag),
        };
        Some(Entry::Setting(Setting { value, origin: Origin::Default }))
    }
}
