//! `ledger verify`: the whole store, or one file of an export, against a checkpoint that was kept if there is one.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use countersign_core::ledger::export;
use serde_json::{Value, json};

use super::{file, hex, progress};
use crate::boot::Data;
use crate::cli::exit::{Code, Failure, data};
use crate::store::{self, Dispute, LogReport, Report, VerifyError};

/// Recompute every hash; exit 20 names the first leaf that is wrong
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Verify {
    /// Verify this file (of `ledger export` or `ledger prove`, or a second sink) instead of the store
    #[arg(long)]
    file: Option<PathBuf>,
    /// A file with a checkpoint that was kept: the log must still begin with it
    #[arg(long, value_name = "CHECKPOINT")]
    head: Option<PathBuf>,
    /// With --file: the verifier key of the log, `name+id+base64`, as its owner told it
    #[arg(long)]
    key: Option<String>,
    /// One JSON line
    #[arg(long)]
    json: bool,
}

impl Verify {
    pub(super) fn is_of_file(&self) -> bool {
        self.file.is_some()
    }

    pub(super) async fn file(self) -> Result<Code, Failure> {
        let head = self.head.as_deref().map(read).transpose()?;
        let (path, key, json) = (self.file.unwrap_or_default(), self.key, self.json);
        // It is work for a processor, not for a task among others.
        let verified = tokio::task::spawn_blocking(move || file::verify(&path, key.as_deref(), head));
        match verified.await.map_err(Failure::internal)?? {
            Ok(report) => {
                data(&if json { report.as_json().to_string() } else { report.in_words() });
                Ok(Code::Ok)
            }
            Err((leaf, why)) => Err(broken(json, leaf, &why)),
        }
    }

    /// The store, and the second sink if the configuration names one.
    pub(super) async fn run(self, read_from: &Data, sink: Option<&Path>) -> Result<Code, Failure> {
        if self.key.is_some() {
            return Err(Failure::usage(NEEDS_FILE));
        }
        // The sink first: the store has whatever it has, and goes on meanwhile.
        let second = match sink {
            None => None,
            Some(sink) => Some(second_sink(read_from, sink).await),
        };
        let bar = progress("verifying");
        let report = store::verify(&read_from.store, Some(&read_from.keys), |done, total| {
            bar.set_length(total);
            bar.set_position(done);
        })
        .await;
        bar.finish_and_clear();
        let report = match report {
            Ok(report) => report,
            Err(VerifyError::Broken(wrong)) => {
                return Err(broken(self.json, wrong.index, &wrong.to_string()));
            }
            Err(error) => return Err(Failure::internal(error)),
        };
        // The hashes add up, and somebody who remembers knows others.
        if let Some(Dispute { origin, says }) = Dispute::in_dir(&read_from.dir).map_err(Failure::internal)? {
            let why = format!("log `{origin}`: {says} (a restart of its server begins a new log)");
            return Err(broken(self.json, None, &why));
        }
        let kept = match &self.head {
            None => None,
            Some(path) => match store::hold_against(&read_from.store, &read(path)?).await {
                Ok(size) => Some(size),
                Err(error) if error.is_broken() => return Err(broken(self.json, None, &error.to_string())),
                Err(error) => return Err(Failure::usage(error)),
            },
        };
        self.told(&report, kept, second)
    }

    /// What is known of the store, and then what is wrong with the second sink.
    fn told(
        &self,
        report: &Report,
        kept: Option<u64>,
        second: Option<Result<export::Report, Failure>>,
    ) -> Result<Code, Failure> {
        let (second, failure) = match second {
            None => (None, None),
            Some(Ok(second)) => (Some(second), None),
            Some(Err(failure)) => (None, Some(failure)),
        };
        match (self.json, &failure) {
            (true, Some(failure)) if failure.code() == Code::LedgerBroken => {
                return Err(broken(true, None, &failure.to_string()));
            }
            (true, _) => data(&as_json(report, kept, second.as_ref(), failure.as_ref()).to_string()),
            (false, _) => data(&in_words(report, kept, second.as_ref())),
        }
        failure.map_or(Ok(Code::Ok), Err)
    }
}

/// Verifies the second sink for itself, and holds it against the store.
async fn second_sink(read_from: &Data, sink: &Path) -> Result<export::Report, Failure> {
    let path = sink.to_owned();
    let unreadable = |error| {
        Failure::new(
            Code::Unreachable,
            format!(
                "the second sink `{}` cannot be read, and the store is not held against it: {error}",
                sink.display()
            ),
        )
    };
    let verified = tokio::task::spawn_blocking(move || {
        let reader = BufReader::with_capacity(1 << 20, File::open(path)?);
        file::export(reader, export::Expected::default())
    });
    let why = |why: String| format!("the second sink `{}`: {why}", sink.display());
    let (report, _) = match verified.await.map_err(Failure::internal)?.map_err(unreadable)? {
        Ok(done) => done,
        Err(wrong) => return Err(Failure::new(Code::LedgerBroken, why(wrong.to_string()))),
    };
    match store::begins_with(&read_from.store, &report.header, (report.leaves, report.root)).await {
        Ok(()) => Ok(report),
        Err(error) if error.is_broken() => Err(Failure::new(Code::LedgerBroken, why(error.to_string()))),
        Err(error) => Err(Failure::internal(error)),
    }
}

fn read(path: &Path) -> Result<String, Failure> {
    let failed = |error| Failure::usage(format!("`{}` cannot be read: {error}", path.display()));
    std::fs::read_to_string(path).map_err(failed)
}

fn broken(json: bool, leaf: Option<u64>, why: &str) -> Failure {
    if json {
        data(&json!({ "v": 1, "verified": false, "leaf": leaf, "why": why }).to_string());
    }
    Failure::new(Code::LedgerBroken, why)
}

fn as_json(
    report: &Report,
    kept: Option<u64>,
    second: Option<&export::Report>,
    failure: Option<&Failure>,
) -> Value {
    let log = |log: &LogReport| {
        json!({ "origin": log.origin, "leaves": log.leaves, "root": hex(&log.root), "heads": log.heads,
                "checkpoints": log.checkpoints })
    };
    let logs: Vec<Value> = report.logs.iter().map(log).collect();
    let second = match failure {
        Some(failure) => json!({ "why": failure.to_string() }),
        None => {
            second.map_or(Value::Null, |second| json!({ "leaves": second.leaves, "signed": second.covered }))
        }
    };
    json!({ "v": 1, "verified": true, "leaves": report.leaves(), "heads": report.heads(), "logs": logs,
            "payloads": report.payloads_checked, "erased": report.payloads_erased, "head": kept,
            "second_sink": second })
}

fn in_words(report: &Report, kept: Option<u64>, second: Option<&export::Report>) -> String {
    let (leaves, heads) = (report.leaves(), report.heads());
    let (payloads, erased) = (report.payloads_checked, report.payloads_erased);
    let mut words =
        format!("ledger verified: {leaves} leaves, {heads} heads, {payloads} payloads, {erased} erased");
    for log in &report.logs {
        words += &format!("\n  {}: {} leaves, root {}", log.origin, log.leaves, hex(&log.root));
    }
    if let Some(size) = kept {
        words += &format!("\n  it begins with the {size} leaves of the checkpoint that was kept");
    }
    if let Some(second) = second {
        words += &format!(
            "\n  the second sink has the first {} leaves of {}",
            second.leaves, second.header.origin
        );
    }
    words
}

const NEEDS_FILE: &str = "--key belongs to --file: the store has the keys of its logs (name a file with --file, or leave --key out)";
