//! What is wrong with a file, collected so that all of it is reported at once.
//! Everything that reads settings writes here.

use std::cell::RefCell;
use std::fmt;
use std::path::PathBuf;

use super::origin::Origin;

/// Why a configuration or accounts file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It cannot be read at all.
    #[error("cannot read `{}`: {cause}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        cause: std::io::Error,
    },
    /// What it says is wrong: one line a problem.
    #[error("{}", lines(.0))]
    Wrong(Vec<Problem>),
    /// It can be read but not served with: one line a problem.
    #[error("{}", .0.join("\n"))]
    Unfit(Vec<String>),
}

/// One thing that is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    line: usize,
    place: String,
    text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.text)
    }
}

/// Proof that a problem was noted: whoever fails without a value has said why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Noted(());

/// The problems and warnings found so far.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    problems: RefCell<Vec<Problem>>,
    warnings: RefCell<Vec<String>>,
}

impl Notes {
    pub(crate) fn wrong(&self, origin: &Origin, text: impl Into<String>) -> Noted {
        let problem = Problem { line: origin.line(), place: origin.place(), text: text.into() };
        self.problems.borrow_mut().push(problem);
        Noted(())
    }

    pub(crate) fn warn(&self, text: String) {
        let mut warnings = self.warnings.borrow_mut();
        if !warnings.contains(&text) {
            warnings.push(text);
        }
    }

    /// The result, when nothing was wrong, and the warnings.
    pub(crate) fn settle<T>(self, read: Result<T, Noted>) -> Result<(T, Vec<String>), ConfigError> {
        let mut problems = self.problems.into_inner();
        problems.sort_by_key(|problem| problem.line);
        match read {
            Ok(value) if problems.is_empty() => Ok((value, self.warnings.into_inner())),
            Ok(_) | Err(Noted(())) => Err(ConfigError::Wrong(problems)),
        }
    }
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n")
}
