//! `ledger`: what was recorded, shown, proved, exported, verified, erased, and witnessed for others.
//! Reading needs no server; erasing is a command to it.

mod erase;
mod event;
mod export;
mod file;
mod show;
mod verify;
mod witness;

use std::path::Path;

use clap::Subcommand;

use super::config::load;
use super::exit::{Code, Failure};
use crate::boot::Data;
use crate::clock::Clock;

/// The ledger
#[derive(Debug, Subcommand)]
pub(super) enum LedgerVerb {
    /// Recompute every hash; exit 20 names the first leaf that is wrong
    Verify(verify::Verify),
    /// Print the last checkpoint of a log, to be kept elsewhere
    Head(show::Head),
    /// The last entries
    Tail(show::Tail),
    /// Prove that a ruling is in the ledger
    Prove(show::Prove),
    /// Write a log as a file that others can verify
    Export(export::Export),
    /// Erase what was said in the entries of a ref or an account; that there were entries stays
    Erase(erase::Erase),
    /// Cosign the checkpoints of logs, as their witness (C2SP tlog-witness)
    Witness(witness::Witness),
}

impl LedgerVerb {
    pub(super) async fn run(self, file: Option<&Path>) -> Result<Code, Failure> {
        match self {
            // A file needs no store, and perhaps there is none.
            Self::Verify(verify) if verify.is_of_file() => verify.file().await,
            Self::Verify(verify) => {
                let config = load(file)?.config;
                verify.run(&Data::read(&config, &Clock::system()).await?, config.second_sink.as_deref()).await
            }
            Self::Head(head) => head.run(&open(file).await?).await,
            Self::Tail(tail) => tail.run(&open(file).await?).await,
            Self::Prove(prove) => prove.run(&open(file).await?).await,
            Self::Export(export) => export.run(&open(file).await?).await,
            Self::Witness(witness) => witness.run().await,
            Self::Erase(erase) => erase.run(&load(file)?.config).await,
        }
    }
}

async fn open(file: Option<&Path>) -> Result<Data, Failure> {
    Ok(Data::read(&load(file)?.config, &Clock::system()).await?)
}

/// Octets as hexadecimal digits.
fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// A bar on stderr, on a terminal only.
fn progress(message: &'static str) -> indicatif::ProgressBar {
    use std::io::IsTerminal;
    match std::io::stderr().is_terminal() {
        true => indicatif::ProgressBar::new(0).with_message(message),
        false => indicatif::ProgressBar::hidden(),
    }
}
