//! One line of `doctor`: what was looked at, how it is, what to do.

use std::fmt::Display;

use serde_json::{Value, json};

use crate::cli::exit::Code;

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Ok,
    Warn,
    Fail,
    Skipped,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) status: Status,
    check: &'static str,
    what: String,
    remedy: Option<String>,
    /// What the process says when this fails.
    pub(super) code: Code,
}

impl Line {
    pub(super) fn ok(check: &'static str, what: impl Display) -> Self {
        Self { status: Status::Ok, check, what: what.to_string(), remedy: None, code: Code::Ok }
    }

    pub(super) fn warn(check: &'static str, what: impl Display, remedy: impl Display) -> Self {
        Self { status: Status::Warn, remedy: Some(remedy.to_string()), ..Self::ok(check, what) }
    }

    pub(super) fn fail(check: &'static str, code: Code, what: impl Display, remedy: impl Display) -> Self {
        Self { status: Status::Fail, code, ..Self::warn(check, what, remedy) }
    }

    /// A failure whose sentence has its remedy in it.
    pub(super) fn failed(check: &'static str, code: Code, what: impl Display) -> Self {
        Self { status: Status::Fail, code, ..Self::ok(check, what) }
    }

    pub(super) fn skipped(check: &'static str, why: impl Display) -> Self {
        Self { status: Status::Skipped, ..Self::ok(check, why) }
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "v": 1, "check": self.check, "status": self.status.word(), "what": self.what, "remedy": self.remedy,
        })
    }

    pub(super) fn sentence(&self) -> String {
        let what = self.what.trim_end().replace('\n', "\n                         ");
        let remedy = self.remedy.as_ref().map(|remedy| format!("\n{:25}-> {remedy}", "")).unwrap_or_default();
        format!("{:<8} {:<15} {what}{remedy}", self.status.word(), self.check)
    }
}

impl Status {
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
            Self::Skipped => "skipped",
        }
    }
}
