//! The shape of a TOML file of ours: which keys there are, of which kind, with which default.
//! `document` and `environment` check against it; `show` prints in its order; `sections` and `accounts` fill it in.

/// One key of a table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) fallback: Fallback,
    pub(crate) ready: Ready,
}

/// What may stand behind a key.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// A text that is not empty.
    Text,
    /// The name of a file or folder, relative to the file that names it.
    File,
    /// `true` or `false`.
    Flag,
    /// A whole number, with the least and the most that are allowed.
    Count(u64, u64),
    /// A list of texts.
    Texts,
    /// A text or a list of texts.
    TextOrTexts,
    /// An RFC 3339 time, in quotes or not.
    Time,
    /// A text that may be empty.
    MaybeEmpty,
    /// Pairs of any name and a text; a dotted name counts as one name.
    Pairs,
    /// Not looked at.
    Anything,
    /// A text, or tables in its place.
    TextOrTables(&'static [Key]),
    /// `[table]`
    Table(&'static [Key]),
    /// `[[table]]`
    Tables(&'static [Key]),
    /// `[table.NAME]` with names of the operator's choice.
    Named(&'static [Key]),
}

/// What a key is when nobody says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fallback {
    None,
    Text(&'static str),
    Count(u64),
    Flag(bool),
    /// A table that is always there, so that its own defaults are.
    Table,
}

/// Whether something happens when a key is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ready {
    Now,
    /// Known, without effect yet.
    Later,
    /// Known, without effect until its gate is built.
    GateLater,
}

impl Key {
    const fn new(name: &'static str, kind: Kind, fallback: Fallback) -> Self {
        Self { name, kind, fallback, ready: Ready::Now }
    }

    pub(crate) const fn optional(name: &'static str, kind: Kind) -> Self {
        Self::new(name, kind, Fallback::None)
    }

    pub(crate) const fn text(name: &'static str, fallback: &'static str) -> Self {
        Self::new(name, Kind::Text, Fallback::Text(fallback))
    }

    pub(crate) const fn count(name: &'static str, fallback: u64, least: u64, most: u64) -> Self {
        Self::new(name, Kind::Count(least, most), Fallback::Count(fallback))
    }

    pub(crate) const fn flag(name: &'static str, fallback: bool) -> Self {
        Self::new(name, Kind::Flag, Fallback::Flag(fallback))
    }

    /// A table that is always there.
    pub(crate) const fn section(name: &'static str, keys: &'static [Self]) -> Self {
        Self::new(name, Kind::Table(keys), Fallback::Table)
    }

    pub(crate) const fn tables(name: &'static str, keys: &'static [Self]) -> Self {
        Self::optional(name, Kind::Tables(keys))
    }

    pub(crate) const fn or(self, fallback: Fallback) -> Self {
        Self { fallback, ..self }
    }

    pub(crate) const fn later(self) -> Self {
        Self { ready: Ready::Later, ..self }
    }

    pub(crate) const fn gate_later(self) -> Self {
        Self { ready: Ready::GateLater, ..self }
    }
}

/// How a table is written, as messages name it: `[send]`, `[[send.listener]]`.
pub(crate) fn label(path: &str, kind: Kind) -> String {
    match kind {
        Kind::Tables(_) => format!("[[{path}]]"),
        _ => format!("[{path}]"),
    }
}

/// The path of a key below a table.
pub(crate) fn join(path: &str, name: &str) -> String {
    match path {
        "" => name.to_owned(),
        _ => format!("{path}.{name}"),
    }
}
