//! `config check` and `config show`: what the configuration says, and where each value comes from.

use std::path::Path;

use clap::Subcommand;
use countersign_core::request::{Gate, Mode};

use super::exit::{Code, Failure, data, talk};
use crate::accounts::Directory;
use crate::boot::{Data, House};
use crate::clock::Clock;
use crate::config::{self, Config, ConfigError, Loaded};

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
    pub(super) async fn run(self, file: Option<&Path>) -> Result<Code, Failure> {
        let mut loaded = load(file)?;
        if let Some(mode) = mode_in_store(&loaded.config).await {
            loaded.mode_from_store(mode);
        }
        for warning in &loaded.warnings {
            talk(&format!("countersign: {warning}"));
        }
        match self {
            Self::Check => {
                data(config::check_report(&loaded).trim_end());
                House::rehearse(&loaded.config)?;
                loaded.config.fit_to_serve()?;
            }
            Self::Show { origin } => data(config::show(&loaded, origin).trim_end()),
        }
        Ok(Code::Ok)
    }
}

/// The mode that `observe` or `enforce` set, if there is a store that says so.
pub(super) async fn mode_in_store(config: &Config) -> Option<Mode> {
    let data = Data::read(config, &Clock::system()).await.ok()?;
    Directory::of_store(data.store).gate_mode(Gate::Send).await.ok()?
}

/// Loads the configuration of a command: file, environment, defaults.
pub(super) fn load(file: Option<&Path>) -> Result<Loaded, ConfigError> {
    config::load(file, std::env::vars())
}
