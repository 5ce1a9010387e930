//! `config check` and `config show`: what the configuration says, and where each value comes from.

use std::path::Path;

use clap::Subcommand;

use super::exit::{Code, Failure, data, talk};
use crate::config::{self, ConfigError, Loaded};

/// The configuration
#[derive(Debug, Subcommand)]
pub(super) enum ConfigVerb {
    /// Say what will happen with it
    Check,
    /// Print it
    Show {
        /// Say where each value comes from
        #[arg(long)]
        origin: bool,
    },
}

impl ConfigVerb {
    pub(super) fn run(self, file: Option<&Path>) -> Result<Code, Failure> {
        let loaded = load(file)?;
        for warning in &loaded.warnings {
            talk(&format!("countersign: {warning}"));
        }
        match self {
            Self::Check => {
                data(config::check_report(&loaded).trim_end());
                crate::boot::rules(loaded.config.policy_dir.as_deref())?;
                loaded.config.fit_to_serve()?;
            }
            Self::Show { origin } => data(config::show(&loaded, origin).trim_end()),
        }
        Ok(Code::Ok)
    }
}

/// Loads the configuration of a command: file, environment, defaults.
pub(super) fn load(file: Option<&Path>) -> Result<Loaded, ConfigError> {
    config::load(file, std::env::vars())
}
