//! Files that somebody was given: an export of a log, or the proof of one entry.
//! `ledger verify --file` reads them; no store takes part.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use countersign_core::ledger::export::{Broken, Expected, LONGEST_LINE, Place, Report, Verifier};
use countersign_core::ledger::{Leaf, TlogProof, VerifierKey};
use serde_json::{Value, json};

use super::hex;
use crate::cli::exit::Failure;

/// What was verified.
pub(super) enum Verified {
    /// `torn`: octets at the end of a second sink that are no line yet.
    Export {
        report: Report,
        torn: usize,
    },
    Proof {
        origin: String,
        index: u64,
        size: u64,
        leaf: Leaf,
    },
}

/// The first bad leaf, if it is one, and what is wrong.
type Wrong = (Option<u64>, String);

/// Verifies a file. The outer failure says that nothing is known of it.
pub(super) fn verify(
    path: &Path,
    key: Option<&str>,
    head: Option<String>,
) -> Result<Result<Verified, Wrong>, Failure> {
    let key = key.map(VerifierKey::parse).transpose().map_err(Failure::usage)?;
    let unreadable =
        |error: std::io::Error| Failure::usage(format!("`{}` cannot be read: {error}", path.display()));
    let mut file = BufReader::with_capacity(1 << 20, File::open(path).map_err(unreadable)?);
    if file.fill_buf().map_err(unreadable)?.starts_with(TlogProof::FIRST_LINE.as_bytes()) {
        let mut text = String::new();
        file.take(LONGEST_PROOF).read_to_string(&mut text).map_err(unreadable)?;
        let key = key.ok_or_else(|| Failure::usage(NEEDS_KEY))?;
        return Ok(proof(&text, &key).map_err(|why| (None, why)));
    }
    let done = export(file, Expected { key, head }).map_err(unreadable)?;
    Ok(done.map(|(report, torn)| Verified::Export { report, torn }).map_err(|broken| wrong(&broken)))
}

/// Verifies an export or a second sink, and says how many octets stand at the end of the latter that are no line: a
/// server writes on meanwhile, or was killed when it did. The outer error says that nothing is known.
pub(super) fn export(
    mut file: impl BufRead,
    expected: Expected,
) -> Result<Result<(Report, usize), Broken>, std::io::Error> {
    let mut verifier = Verifier::new(expected);
    let (mut line, mut torn) = (Vec::new(), 0);
    loop {
        line.clear();
        let most = u64::try_from(LONGEST_LINE).unwrap_or(u64::MAX);
        if file.by_ref().take(most).read_until(b'\n', &mut line)? == 0 {
            break;
        }
        if verifier.is_sink() && !line.ends_with(b"\n") {
            torn = line.len();
            break;
        }
        if let Err(broken) = verifier.line(&line) {
            return Ok(Err(broken));
        }
    }
    Ok(verifier.end().map(|report| (report, torn)))
}

fn wrong(broken: &Broken) -> Wrong {
    let leaf = match broken.place {
        Place::Leaf(index) => Some(index),
        Place::Leaves { .. } | Place::File => None,
    };
    (leaf, broken.to_string())
}

fn proof(text: &str, key: &VerifierKey) -> Result<Verified, String> {
    let proof = TlogProof::parse(text).map_err(|error| error.to_string())?;
    let checkpoint = proof.verify(key).map_err(|error| error.to_string())?;
    let leaf = Leaf::decode(&proof.leaf).map_err(|error| error.to_string())?;
    Ok(Verified::Proof { origin: checkpoint.origin, index: proof.index, size: checkpoint.size, leaf })
}

impl Verified {
    pub(super) fn as_json(&self) -> Value {
        match self {
            Self::Export { report, torn } => json!({
                "v": 1, "verified": true, "second_sink": report.is_sink, "origin": report.header.origin, "key": report.header.key,
                "leaves": report.leaves, "root": hex(&report.root), "accounts": report.accounts,
                "checkpoints": report.checkpoints, "signed": report.covered, "torn": torn, "payloads": report.opened, "erased": report.erased,
                "withheld": report.withheld, "head": report.head,
            }),
            Self::Proof { origin, index, size, leaf } => json!({
                "v": 1, "verified": true, "origin": origin, "leaf": index, "leaves": size, "at_us": leaf.time_us,
                "commitment": hex(&leaf.commitment),
            }),
        }
    }

    pub(super) fn in_words(&self) -> String {
        match self {
            Self::Export { report, torn } => told(report, *torn),
            Self::Proof { origin, index, size, leaf } => format!(
                "proof verified: leaf {index} is among the first {size} leaves of log {origin}\n  its payload has commitment {}",
                hex(&leaf.commitment)
            ),
        }
    }
}

fn told(report: &Report, torn: usize) -> String {
    let what = if report.is_sink { "second sink" } else { "export" };
    let mut words = format!(
        "{what} verified: {} leaves, {} accounts, {} payloads, {} erased, {} withheld, root {}\n  log {}\n  key {}",
        report.leaves,
        report.accounts,
        report.opened,
        report.erased,
        report.withheld,
        hex(&report.root),
        report.header.origin,
        report.header.key,
    );
    if report.is_sink {
        words += &match report.leaves.saturating_sub(report.covered) {
            0 => format!("\n  its last checkpoint covers all {} leaves", report.covered),
            after => format!(
                "\n  its last checkpoint covers {} leaves; the {after} after it are not signed",
                report.covered
            ),
        };
    }
    if torn > 0 {
        words += &format!(
            "\n  its last {torn} octets are no line yet: a server is writing, or was killed when it did"
        );
    }
    if let Some(size) = report.head {
        words += &format!("\n  it begins with the {size} leaves of the checkpoint that was kept");
    }
    words
}

const NEEDS_KEY: &str = "a proof is verified with the key of the log: give it as --key (its owner prints it with `countersign ledger prove --json`)";
const LONGEST_PROOF: u64 = 1 << 21;
