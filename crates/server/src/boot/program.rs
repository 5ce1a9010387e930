//! The program: the file that this process runs, and how another that lies in its place takes over.
//! `serve` checks it before it drains, and then becomes it.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::sockets::Sockets;

/// The program by the path by which it was started, and what it was told.
#[derive(Debug)]
pub struct Program {
    path: PathBuf,
    arguments: Vec<OsString>,
}

impl Program {
    /// The one that runs in this process. Asked at the start: later the path may lead to another file, which
    /// is the point.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn of_this_process() -> io::Result<Self> {
        let mut arguments = std::env::args_os();
        let called = arguments.next().map(PathBuf::from).filter(|called| called.components().count() > 1);
        let path = called.map_or_else(std::env::current_exe, Ok)?;
        Ok(Self { path, arguments: arguments.collect() })
    }

    /// Asks the file that lies there now whether it would start: its `config check`, with our `--config`.
    ///
    /// # Errors
    /// What it says against it.
    pub async fn check(&self, config: Option<&std::path::Path>) -> Result<(), SuccessorError> {
        let failed = |cause| SuccessorError::Start { path: self.path.clone(), cause };
        let mut command = tokio::process::Command::from(self.command());
        if let Some(config) = config {
            command.arg("--config").arg(config);
        }
        command.args(["config", "check"]).stdin(Stdio::null()).kill_on_drop(true);
        let output = tokio::time::timeout(PATIENCE, command.output()).await;
        let output = output.map_err(|_| SuccessorError::Late(self.path.clone()))?.map_err(failed)?;
        if output.status.success() {
            return Ok(());
        }
        let says = String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ");
        Err(SuccessorError::Refused { path: self.path.clone(), status: output.status.to_string(), says })
    }

    /// Becomes the file that lies there now, with the sockets open. It comes back only when that cannot be.
    #[must_use]
    pub fn take_over(&self, sockets: &Sockets) -> io::Error {
        let passed = match sockets.pass_on() {
            Ok(passed) => passed,
            Err(error) => return error,
        };
        self.command()
            .args(&self.arguments)
            .env("LISTEN_PID", std::process::id().to_string())
            .env("LISTEN_FDS", passed.names.len().to_string())
            .env("LISTEN_FDS_FIRST_FD", passed.first.to_string())
            .env("LISTEN_FDNAMES", passed.names.join(":"))
            .exec()
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        for name in ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDS_FIRST_FD", "LISTEN_FDNAMES"] {
            command.env_remove(name);
        }
        command
    }
}

/// Why the other program does not take over.
#[derive(Debug, thiserror::Error)]
pub enum SuccessorError {
    /// It cannot be started.
    #[error("`{}` cannot be started: {cause}", .path.display())]
    Start { path: PathBuf, cause: io::Error },
    /// It does not say in time whether it would start.
    #[error("`{} config check` did not end within {} s", .0.display(), PATIENCE.as_secs())]
    Late(PathBuf),
    /// It would not start.
    #[error("`{} config check` ended with {status}: {says}", .path.display())]
    Refused { path: PathBuf, status: String, says: String },
}

const PATIENCE: Duration = Duration::from_secs(30);
