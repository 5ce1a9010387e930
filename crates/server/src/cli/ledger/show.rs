//! `ledger head`, `tail` and `prove`: what is in the ledger, shown.

use std::collections::HashMap;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use countersign_core::ids::Ref;
use countersign_core::ledger::Kind;
use serde_json::{Value, json};

use crate::boot::Data;
use crate::cli::exit::{Code, Failure, data, is_heard, talk};
use crate::store::{self, Entry, Known, LogError, Payload, ProveError, Proved};

/// Print the last checkpoint of a log, to be kept elsewhere
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Head {
    /// Which log, by its name; without it the only one, or that of this node
    #[arg(long, value_name = "ORIGIN")]
    log: Option<String>,
    /// The last one that a witness has cosigned, with the cosignatures
    #[arg(long)]
    witnessed: bool,
    /// One JSON line, with the key that verifies it
    #[arg(long)]
    json: bool,
}

impl Head {
    pub(super) async fn run(self, read: &Data) -> Result<Code, Failure> {
        let log = Known::named(&read.store, self.log.as_deref(), &read.dir).await.map_err(failed)?;
        let note = match self.witnessed {
            true => log.witnessed_head(&read.store).await,
            false => log.head(&read.store).await,
        };
        let note = note.map_err(failed)?;
        match self.json {
            true => data(
                &json!({ "v": 1, "origin": log.origin, "key": log.key.to_string(), "checkpoint": note })
                    .to_string(),
            ),
            // A note ends in a line feed of its own.
            false => data(note.trim_end_matches('\n')),
        }
        Ok(Code::Ok)
    }
}

pub(super) fn failed(error: LogError) -> Failure {
    match error {
        LogError::Store(error) => Failure::internal(error),
        other => Failure::usage(other),
    }
}

/// Prove that a ruling is in the ledger
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Prove {
    /// The ref of a reply, a log line or a page
    reference: String,
    /// A JSON line for the ruling and for each of its outcomes, with the key that verifies it
    #[arg(long)]
    json: bool,
}

impl Prove {
    pub(super) async fn run(self, read: &Data) -> Result<Code, Failure> {
        let reference = Ref::parse(&self.reference).map_err(Failure::usage)?;
        let proofs = store::prove(&read.store, reference).await.map_err(|error| match error {
            ProveError::Store(error) => Failure::internal(error),
            other => Failure::usage(other),
        })?;
        match self.json {
            true => proofs.iter().for_each(|proved| data(&line(reference, proved).to_string())),
            false => {
                let ruling = proofs.iter().find(|proved| proved.kind != "outcome").or_else(|| proofs.first());
                let ruling = ruling.map(|proved| proved.proof.to_string()).unwrap_or_default();
                data(ruling.trim_end_matches('\n'));
            }
        }
        Ok(Code::Ok)
    }
}

fn line(reference: Ref, proved: &Proved) -> Value {
    let path: Vec<String> = proved.proof.path.iter().map(|hash| STANDARD.encode(hash)).collect();
    json!({
        "v": 1, "ref": reference, "kind": proved.kind, "origin": proved.origin, "key": proved.key.to_string(),
        "idx": proved.proof.index, "leaf": STANDARD.encode(&proved.proof.leaf), "size": proved.size,
        "path": path, "checkpoint": proved.proof.checkpoint.to_string(),
    })
}

/// The last entries
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Tail {
    /// How many
    #[arg(short, long, default_value_t = 20)]
    number: u32,
    /// Go on with those that come, until interrupted
    #[arg(short, long)]
    follow: bool,
    /// JSON lines
    #[arg(long)]
    json: bool,
}

impl Tail {
    pub(super) async fn run(self, read: &Data) -> Result<Code, Failure> {
        let names = names(read).await?;
        let mut shown = HashMap::<i64, u64>::new();
        let mut wanted = self.number;
        loop {
            let mut entries =
                store::recent(&read.store, &read.keys, wanted).await.map_err(Failure::internal)?;
            entries.reverse();
            for entry in &entries {
                let seen = shown.entry(entry.log).or_default();
                if entry.index >= *seen {
                    *seen = entry.index + 1;
                    data(&if self.json { entry.to_json().to_string() } else { told(entry, &names) });
                }
            }
            if !self.follow || !is_heard() {
                return Ok(Code::Ok);
            }
            wanted = self.number.max(MOST_A_SECOND);
            tokio::select! {
                _ = tokio::signal::ctrl_c() => return Ok(Code::Ok),
                () = tokio::time::sleep(Duration::from_secs(1)) => {}
            }
        }
    }
}

async fn names(read: &Data) -> Result<HashMap<i64, String>, Failure> {
    let logs = Known::all(&read.store).await.map_err(Failure::internal)?;
    if logs.is_empty() {
        talk("nothing is recorded yet");
    }
    Ok(logs.into_iter().map(|log| (log.number(), log.origin)).collect())
}

/// An entry on one line.
fn told(entry: &Entry, names: &HashMap<i64, String>) -> String {
    let kind = match entry.kind {
        Kind::Ruling => "ruling",
        Kind::Outcome => "outcome",
        Kind::Command => "command",
    };
    let says = match &entry.payload {
        Payload::Erased => "payload erased".to_owned(),
        Payload::Opened(payload) => {
            let text = |pointer| payload.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
            match entry.kind {
                Kind::Outcome => format!("{} {}", text("/outcome/result"), text("/outcome/upstream")),
                Kind::Ruling | Kind::Command => {
                    format!("{} {} by {}", text("/action"), text("/ruling/decision"), text("/actor"))
                }
            }
        }
    };
    let log = names.get(&entry.log).map_or("", String::as_str);
    format!(
        "{}  {log} {:>8}  {kind:<7}  {}  {:<16} {says}",
        entry.at, entry.index, entry.reference, entry.account
    )
}

const MOST_A_SECOND: u32 = 1000;
