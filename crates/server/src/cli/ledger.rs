//! `ledger verify`: recomputes every hash of the ledger and says which leaf is wrong.

use std::io::IsTerminal;
use std::path::Path;

use clap::Subcommand;
use serde_json::json;

use super::config::load;
use super::exit::{Code, Failure, data};
use crate::boot::Data;
use crate::clock::Clock;
use crate::store;

/// The ledger
#[derive(Debug, Subcommand)]
pub(super) enum LedgerVerb {
    /// Recompute every hash; exit 20 names the first leaf that is wrong
    Verify {
        /// One JSON line
        #[arg(long)]
        json: bool,
    },
}

impl LedgerVerb {
    pub(super) async fn run(self, file: Option<&Path>) -> Result<Code, Failure> {
        let Self::Verify { json } = self;
        let config = load(file)?.config;
        let read = Data::read(&config, &Clock::system()).await?;
        let bar = progress();
        let report = store::verify(&read.store, Some(&read.keys), |done, total| {
            bar.set_length(total);
            bar.set_position(done);
        })
        .await;
        bar.finish_and_clear();
        match report {
            Ok(report) => {
                let root: String = report.root.iter().map(|byte| format!("{byte:02x}")).collect();
                data(&match json {
                    true => json!({ "verified": true, "leaves": report.leaves, "root": root, "heads": report.heads_checked, "payloads": report.payloads_checked, "erased": report.payloads_erased }).to_string(),
                    false => format!("ledger verified: {} leaves, {} heads, {} payloads, {} erased, root {root}", report.leaves, report.heads_checked, report.payloads_checked, report.payloads_erased),
                });
                Ok(Code::Ok)
            }
            Err(broken) => {
                if json {
                    data(&json!({ "verified": false, "why": broken.to_string() }).to_string());
                }
                Err(Failure::new(Code::LedgerBroken, broken))
            }
        }
    }
}

/// A bar on stderr, on a terminal only.
fn progress() -> indicatif::ProgressBar {
    match std::io::stderr().is_terminal() {
        true => indicatif::ProgressBar::new(0).with_message("verifying"),
        false => indicatif::ProgressBar::hidden(),
    }
}
