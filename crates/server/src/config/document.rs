//! A TOML text checked against a schema: every wrong key is noted with its line and the nearest right one.
//! `load`, the accounts file and sidecars call it.

use std::path::Path;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::nearest::suggestion;
use super::notes::{Noted, Notes};
use super::origin::Origin;
use super::schema::{Key, Kind, Ready, join, label};
use super::table::{Entry, Setting, Table};
use super::value;

/// Reads a whole file. Wrong keys are noted and left out; only broken TOML gives nothing.
pub(crate) fn parse(text: &str, file: &Path, schema: &[Key], notes: &Notes) -> Result<Table, Noted> {
    let document = Document { file: Arc::from(file), starts: line_starts(text), notes };
    match DeTable::parse(text) {
        Ok(root) => {
            let mut table = Table::root(document.at(0));
            document.keys(&mut table, root.get_ref(), schema);
            Ok(table)
        }
        Err(error) => {
            let origin = document.at(error.span().map_or(0, |span| span.start));
            Err(notes.wrong(&origin, format!("not TOML: {}", error.message().replace('\n', " "))))
        }
    }
}

/// What is said, once, of something that has no effect yet.
pub(crate) fn warn_later(key: &Key, parent: &str, origin: &Origin, notes: &Notes) {
    let whose = match key.ready {
        Ready::Now => return,
        Ready::Later => "",
        Ready::GateLater => "its gate is ",
    };
    let what = match key.kind {
        Kind::Table(_) | Kind::Tables(_) | Kind::Named(_) => label(&join(parent, key.name), key.kind),
        _ => format!("`{}` in [{parent}]", key.name),
    };
    let place = match origin {
        Origin::Default | Origin::Store => String::new(),
        Origin::File { path, .. } => format!("{}: ", path.display()),
        Origin::Environment(_) => format!("{}: ", origin.place()),
    };
    notes.warn(format!("{place}{what} is known but {whose}not built yet: it is accepted and has no effect"));
}

struct Document<'n> {
    file: Arc<Path>,
    starts: Vec<usize>,
    notes: &'n Notes,
}

impl Document<'_> {
    /// The keys of one table. As deep as the schema, however deep the file.
    fn keys(&self, table: &mut Table, written: &DeTable<'_>, schema: &[Key]) {
        for (name, value) in written {
            let origin = self.at(name.span().start);
            let name = name.get_ref().as_ref();
            let entry = match schema.iter().find(|key| key.name == name) {
                Some(key) => {
                    warn_later(key, &table.path, &origin, self.notes);
                    self.entry(table, key, value, origin)
                }
                None => {
                    Entry::Wrong(self.notes.wrong(&origin, unknown(table, name, value.get_ref(), schema)))
                }
            };
            table.entries.insert(name.to_owned(), entry);
        }
    }

    fn entry(&self, parent: &Table, key: &Key, value: &Spanned<DeValue<'_>>, origin: Origin) -> Entry {
        match (key.kind, value.get_ref()) {
            (Kind::Table(keys), DeValue::Table(written)) => {
                let mut table = Table::below(&parent.path, key.name, key.kind, origin);
                self.keys(&mut table, written, keys);
                Entry::Table(table)
            }
            (Kind::Tables(keys) | Kind::TextOrTables(keys), DeValue::Array(list)) => {
                self.tables(parent, key, keys, list, &origin)
            }
            (Kind::Named(keys), DeValue::Table(written)) => {
                let mut table = Table::below(&parent.path, key.name, key.kind, origin);
                self.named(&mut table, written, keys);
                Entry::Table(table)
            }
            (Kind::Table(_) | Kind::Tables(_) | Kind::Named(_), other) => {
                Entry::Wrong(self.notes.wrong(&origin, misshapen(parent, key, other)))
            }
            (kind, leaf) => match value::read(kind, leaf) {
                Ok(value) => Entry::Setting(Setting { value, origin }),
                Err(why) => Entry::Wrong(self.notes.wrong(&origin, about(&parent.label, key.name, &why))),
            },
        }
    }

    fn tables(
        &self,
        parent: &Table,
        key: &Key,
        keys: &[Key],
        list: &[Spanned<DeValue<'_>>],
        origin: &Origin,
    ) -> Entry {
        let mut tables = Vec::with_capacity(list.len());
        for item in list {
            let DeValue::Table(written) = item.get_ref() else {
                return Entry::Wrong(self.notes.wrong(origin, misshapen(parent, key, item.get_ref())));
            };
            let kind = Kind::Tables(&[]);
            let mut table = Table::below(&parent.path, key.name, kind, self.at(item.span().start));
            self.keys(&mut table, written, keys);
            tables.push(table);
        }
        Entry::Tables(tables)
    }

    fn named(&self, table: &mut Table, written: &DeTable<'_>, keys: &[Key]) {
        for (name, value) in written {
            let key = Kind::Table(&[]);
            let origin = self.at(name.span().start);
            let name = name.get_ref().as_ref();
            let entry = match value.get_ref() {
                DeValue::Table(written) => {
                    let mut below = Table::below(&table.path, name, key, origin);
                    self.keys(&mut below, written, keys);
                    Entry::Table(below)
                }
                _ => Entry::Wrong(
                    self.notes.wrong(&origin, about(&table.label, name, "is no table: a table is allowed")),
                ),
            };
            table.entries.insert(name.to_owned(), entry);
        }
    }

    fn at(&self, offset: usize) -> Origin {
        let line = self.starts.partition_point(|start| *start <= offset);
        Origin::File { path: Arc::clone(&self.file), line }
    }
}

fn line_starts(text: &str) -> Vec<usize> {
    std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect()
}

/// The sentence about a key: its name, its table, and what is wrong.
pub(crate) fn about(label: &str, name: &str, why: &str) -> String {
    match label {
        "" => format!("{} {why}", value::quoted(name)),
        _ => format!("{} in {label} {why}", value::quoted(name)),
    }
}

fn unknown(table: &Table, name: &str, value: &DeValue<'_>, schema: &[Key]) -> String {
    let as_table = table.label.is_empty() && value.is_table();
    let candidates: Vec<String> = schema
        .iter()
        .map(|key| match key.kind {
            Kind::Table(_) | Kind::Tables(_) | Kind::Named(_) if as_table => label(key.name, key.kind),
            _ => format!("`{}`", key.name),
        })
        .collect();
    let shown = value::quoted(name);
    match as_table {
        true => {
            let shown = format!("[{}]", shown.trim_matches('`'));
            format!("unknown table {shown}: {}", suggestion(&shown, &candidates))
        }
        false if table.label.is_empty() => {
            format!("unknown key {shown} at the top: {}", suggestion(&shown, &candidates))
        }
        false => format!("unknown key {shown} in {}: {}", table.label, suggestion(&shown, &candidates)),
    }
}

fn misshapen(parent: &Table, key: &Key, value: &DeValue<'_>) -> String {
    let is = match value {
        DeValue::Table(_) => "is one table",
        DeValue::Array(_) => "is a list",
        _ => "is no table",
    };
    about(
        &parent.label,
        key.name,
        &format!("{is}: write it as {}", label(&join(&parent.path, key.name), key.kind)),
    )
}
