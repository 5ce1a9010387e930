//! Where a setting comes from.
//! Every setting carries one; messages, relative paths and `config show --origin` use it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where a setting comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nobody said anything.
    Default,
    /// A line of a file.
    File {
        /// The file.
        path: Arc<Path>,
        /// The line, counted from 1.
        line: usize,
    },
    /// The environment variable of this name.
    Environment(String),
    /// The store, where a command put it.
    Store,
}

impl Origin {
    /// The place as messages begin with it.
    pub(crate) fn place(&self) -> String {
        match self {
            Self::Default => "default".to_owned(),
            Self::File { path, line } => format!("{}:{line}", path.display()),
            Self::Environment(name) => format!("environment `{name}`"),
            Self::Store => "store".to_owned(),
        }
    }

    /// The line, for sorting messages.
    pub(crate) fn line(&self) -> usize {
        match self {
            Self::File { line, .. } => *line,
            Self::Default | Self::Environment(_) | Self::Store => usize::MAX,
        }
    }

    /// A file name as seen from here: relative to the file that names it.
    pub(crate) fn resolve(&self, name: &str) -> PathBuf {
        match self {
            Self::File { path, .. } => {
                path.parent().map_or_else(|| PathBuf::from(name), |dir| dir.join(name))
            }
            Self::Default | Self::Environment(_) | Self::Store => PathBuf::from(name),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "file: {}:{line}", path.display()),
            Self::Environment(name) => write!(f, "environment: {name}"),
            Self::Store => f.write_str("store"),
        }
    }
}
