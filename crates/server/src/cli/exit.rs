//! Exit codes of the interface contract, and failures that carry one.
//! Every verb returns a code or a failure; failures are told on stderr.

use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::OnceLock;

use countersign_core::policy::Decision;
use serde_json::Value;

use crate::boot::{BootError, DataError};
use crate::config::ConfigError;

/// What the process says when it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Code {
    Ok = 0,
    Internal = 1,
    Usage = 2,
    Configuration = 3,
    Unreachable = 4,
    NotPermitted = 5,
    Hold = 10,
    Refuse = 11,
    Ask = 12,
    LedgerBroken = 20,
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        Self::from(code as u8)
    }
}

impl From<Decision> for Code {
    fn from(decision: Decision) -> Self {
        match decision {
            Decision::Allow => Self::Ok,
            Decision::Ask => Self::Ask,
            Decision::Hold => Self::Hold,
            Decision::Refuse => Self::Refuse,
        }
    }
}

/// Why a verb could not be carried out.
#[derive(Debug)]
pub(super) struct Failure {
    code: Code,
    says: String,
}

impl Failure {
    pub(super) fn new(code: Code, says: impl Display) -> Self {
        Self { code, says: says.to_string() }
    }

    pub(super) fn internal(says: impl Display) -> Self {
        Self::new(Code::Internal, says)
    }

    pub(super) fn usage(says: impl Display) -> Self {
        Self::new(Code::Usage, says)
    }

    pub(super) fn code(&self) -> Code {
        self.code
    }

    /// Tells it on stderr.
    pub(super) fn report(self) -> ExitCode {
        talk(&format!("countersign: {}", self.says));
        self.code.into()
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.says)
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::new(Code::Configuration, error)
    }
}

impl From<BootError> for Failure {
    fn from(error: BootError) -> Self {
        Self::new(Code::Configuration, error)
    }
}

impl From<DataError> for Failure {
    fn from(error: DataError) -> Self {
        Self::new(Code::Configuration, error)
    }
}

/// A line of data on stdout. That it cannot be written is kept for [`written`].
pub(super) fn data(line: &str) {
    let mut out = std::io::stdout().lock();
    note(writeln!(out, "{line}").and_then(|()| out.flush()));
}

/// Keeps the first error of stdout.
pub(super) fn note(told: io::Result<()>) {
    if let Err(error) = told {
        let _first = LOST.set(error);
    }
}

/// Whether stdout has taken everything so far.
pub(super) fn is_heard() -> bool {
    LOST.get().is_none()
}

/// The code of a verb that has ended: another one when what it found went nowhere. A reader that has had enough,
/// as `head` has, ends the talk quietly.
pub(super) fn written(code: Code) -> Result<Code, Failure> {
    match LOST.get().filter(|error| error.kind() != io::ErrorKind::BrokenPipe) {
        None => Ok(code),
        Some(error) => Err(Failure::internal(format!("the output cannot be written: {error}"))),
    }
}

/// An object with the version of its schema.
pub(super) fn versioned(mut object: Value) -> Value {
    if let Some(fields) = object.as_object_mut() {
        fields.insert("v".to_owned(), Value::from(1));
    }
    object
}

/// Why stdout did not take something.
static LOST: OnceLock<io::Error> = OnceLock::new();

/// A line of talk on stderr.
pub(super) fn talk(line: &str) {
    let _gone = writeln!(std::io::stderr().lock(), "{line}");
}
