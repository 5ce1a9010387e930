//! `completions SHELL`: a script that completes our commands.

use clap::CommandFactory;
use clap_complete::Shell;

use super::Cli;
use super::exit::{Code, Failure, data};

/// Print a script that completes commands in a shell
#[derive(Debug, clap::Args)]
pub(super) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub(super) fn run(self) -> Result<Code, Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "countersign", &mut script);
        data(String::from_utf8_lossy(&script).trim_end());
        Ok(Code::Ok)
    }
}
