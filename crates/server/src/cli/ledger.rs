//! `ledger verify`: recomputes every hash of the ledger and says which leaf is wrong.

use std::io::IsTerminal;
use std::path::Path;

use clap::Subcommand;
use serde_json::{Value, json};

use super::config::load;
use super::exit::{Code, Failure, data};
use crate::boot::Data;
use crate::clock::Clock;
use crate::store::{self, LogReport, Report, VerifyError};

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
                data(&if json { as_json(&report).to_string() } else { in_words(&report) });
                Ok(Code::Ok)
            }
            Err(VerifyError::Broken(broken)) => {
                if json {
                    data(
                        &json!({ "v": 1, "verified": false, "leaf": broken.index, "why": broken.to_string() })
                            .to_string(),
                    );
                }
                Err(Failure::new(Code::LedgerBroken, broken))
            }
            Err(error) => Err(Failure::internal(error)),
        }
    }
}

fn as_json(report: &Report) -> Value {
    let log = |log: &LogReport| {
        json!({ "origin": log.origin, "leaves": log.leaves, "root": hex(&log.root), "heads": log.heads,
                "checkpoints": log.checkpoints })
    };
    let logs: Vec<Value> = report.logs.iter().map(log).collect();
    json!({ "v": 1, "verified": true, "leaves": report.leaves(), "heads": report.heads(), "logs": logs,
            "payloads": report.payloads_checked, "erased": report.payloads_erased })
}

fn in_words(report: &Report) -> String {
    let (leaves, heads) = (report.leaves(), report.heads());
    let (payloads, erased) = (report.payloads_checked, report.payloads_erased);
    let mut words =
        format!("ledger verified: {leaves} leaves, {heads} heads, {payloads} payloads, {erased} erased");
    for log in &report.logs {
        words += &format!("\n  {}: {} leaves, root {}", log.origin, log.leaves, hex(&log.root));
    }
    words
}

fn hex(root: &[u8]) -> String {
    root.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// A bar on stderr, on a terminal only.
fn progress() -> indicatif::ProgressBar {
    match std::io::stderr().is_terminal() {
        true => indicatif::ProgressBar::new(0).with_message("verifying"),
        false => indicatif::ProgressBar::hidden(),
    }
}
