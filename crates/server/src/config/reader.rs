//! Reads the settings of one table as the types that the program uses.
//! Each section of the configuration and each table of an accounts file is read through it.

use std::fmt::Display;
use std::path::PathBuf;

use super::document::about;
use super::nearest::suggestion;
use super::notes::{Noted, Notes};
use super::table::{Entry, Setting, Table, Value};
use super::value::quoted;

/// A table and where to note what is wrong with it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'t> {
    table: &'t Table,
    notes: &'t Notes,
}

impl<'t> Reader<'t> {
    pub(crate) fn new(table: &'t Table, notes: &'t Notes) -> Self {
        Self { table, notes }
    }

    /// A setting that may be absent.
    pub(crate) fn optional<T, E: Display>(
        &self,
        name: &str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Result<Option<T>, Noted> {
        self.text(name)?.map(|text| self.one(name, text, &parse)).transpose()
    }

    /// A setting that must be there, by default or in the file.
    pub(crate) fn required<T, E: Display>(
        &self,
        name: &str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Result<T, Noted> {
        match self.optional(name, parse)? {
            Some(value) => Ok(value),
            None => Err(self.missing(name)),
        }
    }

    /// A setting that is one of a few words.
    pub(crate) fn choose<T: Clone>(&self, name: &str, words: &[(&str, T)]) -> Result<T, Noted> {
        self.required(name, |text| chosen(text, words))
    }

    /// The same, when it may be absent.
    pub(crate) fn maybe_choose<T: Clone>(&self, name: &str, words: &[(&str, T)]) -> Result<Option<T>, Noted> {
        self.optional(name, |text| chosen(text, words))
    }

    /// A list, empty when absent; every wrong member is noted.
    pub(crate) fn list<T, E: Display>(
        &self,
        name: &str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Result<Vec<T>, Noted> {
        let read: Vec<_> = self.texts(name)?.iter().map(|text| self.one(name, text, &parse)).collect();
        read.into_iter().collect()
    }

    /// A number; the schema has checked its range.
    pub(crate) fn count<T: TryFrom<u64>>(&self, name: &str) -> Result<T, Noted> {
        match self.maybe_count(name)? {
            Some(count) => Ok(count),
            None => Err(self.missing(name)),
        }
    }

    /// The same, when it may be absent.
    pub(crate) fn maybe_count<T: TryFrom<u64>>(&self, name: &str) -> Result<Option<T>, Noted> {
        match self.setting(name)?.map(|setting| &setting.value) {
            Some(Value::Count(count)) => match T::try_from(*count) {
                Ok(count) => Ok(Some(count)),
                Err(_) => Err(self.wrong(name, &format!("is `{count}`: it is too large for this machine"))),
            },
            _ => Ok(None),
        }
    }

    /// A flag, false when absent.
    pub(crate) fn flag(&self, name: &str) -> Result<bool, Noted> {
        Ok(matches!(self.setting(name)?.map(|setting| &setting.value), Some(Value::Flag(true))))
    }

    /// Whether a flag was set to true or false at all.
    pub(crate) fn maybe_flag(&self, name: &str) -> Result<Option<bool>, Noted> {
        match self.setting(name)?.map(|setting| &setting.value) {
            Some(Value::Flag(flag)) => Ok(Some(*flag)),
            _ => Ok(None),
        }
    }

    /// A file, relative to the file that names it.
    pub(crate) fn file(&self, name: &str) -> Result<Option<PathBuf>, Noted> {
        let setting = self.setting(name)?;
        Ok(setting.and_then(|setting| match &setting.value {
            Value::Text(text) => Some(setting.origin.resolve(text)),
            _ => None,
        }))
    }

    /// A file that must be named.
    pub(crate) fn required_file(&self, name: &str) -> Result<PathBuf, Noted> {
        match self.file(name)? {
            Some(file) => Ok(file),
            None => Err(self.missing(name)),
        }
    }

    /// Pairs of a name and a text, empty when absent.
    pub(crate) fn pairs(&self, name: &str) -> Result<&'t [(String, String)], Noted> {
        match self.setting(name)?.map(|setting| &setting.value) {
            Some(Value::Pairs(pairs)) => Ok(pairs),
            _ => Ok(&[]),
        }
    }

    /// The text of a setting.
    pub(crate) fn text(&self, name: &str) -> Result<Option<&'t str>, Noted> {
        match self.setting(name)?.map(|setting| &setting.value) {
            Some(Value::Text(text)) => Ok(Some(text)),
            _ => Ok(None),
        }
    }

    /// The texts of a setting that is a list or a single one.
    pub(crate) fn texts(&self, name: &str) -> Result<&'t [String], Noted> {
        match self.setting(name)?.map(|setting| &setting.value) {
            Some(Value::Texts(texts)) => Ok(texts),
            Some(Value::Text(text)) => Ok(std::slice::from_ref(text)),
            _ => Ok(&[]),
        }
    }

    /// A table below.
    pub(crate) fn table(&self, name: &str) -> Result<Option<Self>, Noted> {
        match self.table.entries.get(name) {
            Some(Entry::Table(table)) => Ok(Some(Self { table, notes: self.notes })),
            Some(Entry::Wrong(noted)) => Err(*noted),
            _ => Ok(None),
        }
    }

    /// A table below that is always there.
    pub(crate) fn section(&self, name: &str) -> Result<Self, Noted> {
        match self.table(name)? {
            Some(section) => Ok(section),
            None => Err(self.missing(name)),
        }
    }

    /// The tables below, none when absent.
    pub(crate) fn tables(&self, name: &str) -> Result<Vec<Self>, Noted> {
        match self.table.entries.get(name) {
            Some(Entry::Tables(tables)) => {
                Ok(tables.iter().map(|table| Self { table, notes: self.notes }).collect())
            }
            Some(Entry::Wrong(noted)) => Err(*noted),
            _ => Ok(Vec::new()),
        }
    }

    /// Each of the tables below, read; every wrong one is noted.
    pub(crate) fn each<T>(
        &self,
        name: &str,
        read: impl Fn(Self) -> Result<T, Noted>,
    ) -> Result<Vec<T>, Noted> {
        let read: Vec<_> = self.tables(name)?.into_iter().map(read).collect();
        read.into_iter().collect()
    }

    /// Notes that a setting is wrong; `why` follows its name.
    pub(crate) fn wrong(&self, name: &str, why: &str) -> Noted {
        let origin = self.table.setting(name).map_or(&self.table.origin, |setting| &setting.origin);
        self.notes.wrong(origin, about(&self.table.label, name, why))
    }

    /// Notes that the table is wrong; `why` follows its name.
    pub(crate) fn wrong_table(&self, why: &str) -> Noted {
        self.notes.wrong(&self.table.origin, format!("{} {why}", self.table.label))
    }

    /// Where a setting stands, as messages name it.
    pub(crate) fn place(&self, name: &str) -> String {
        self.table.setting(name).map_or(&self.table.origin, |setting| &setting.origin).place()
    }

    pub(crate) fn warn(&self, text: String) {
        self.notes.warn(text);
    }

    fn missing(&self, name: &str) -> Noted {
        self.notes.wrong(&self.table.origin, format!("{} has no `{name}`", self.table.label))
    }

    fn setting(&self, name: &str) -> Result<Option<&'t Setting>, Noted> {
        match self.table.entries.get(name) {
            Some(Entry::Setting(setting)) => Ok(Some(setting)),
            Some(Entry::Wrong(noted)) => Err(*noted),
            _ => Ok(None),
        }
    }

    fn one<T, E: Display>(
        &self,
        name: &str,
        text: &str,
        parse: &impl Fn(&str) -> Result<T, E>,
    ) -> Result<T, Noted> {
        parse(text).map_err(|cause| self.wrong(name, &format!("is {}: {cause}", quoted(text))))
    }
}

fn chosen<T: Clone>(text: &str, words: &[(&str, T)]) -> Result<T, String> {
    let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| value.clone());
    found.ok_or_else(|| {
        let words: Vec<String> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
        let allowed = format!("allowed are {}", words.join(", "));
        match suggestion(&quoted(text), &words) {
            meant if meant.starts_with("did you mean") => format!("{allowed}; {meant}"),
            _ => allowed,
        }
    })
}
