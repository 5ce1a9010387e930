//! Real mail, for measuring: what the strict reading costs, and that nothing in the wild upsets it.
//! Runs where `../shared/corpora` (beside the workspace) or `COUNTERSIGN_CORPORA` is; else says so.

#![expect(clippy::expect_used, reason = "a test that panics has found something")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::Bytes;
use countersign_core::message::{Message, Sender};
use countersign_wire::limits::Limits;

#[test]
fn real_mail_is_read() {
    let Some(root) = corpora() else {
        eprintln!("SKIPPED: no corpora (set COUNTERSIGN_CORPORA to measure on real mail)");
        return;
    };
    for (folder, prefix) in FOLDERS {
        let tally = measure(&root.join(folder), prefix);
        eprintln!("{folder}/{prefix}*: {tally:#?}");
        assert!(tally.files > 0, "{folder} is empty");
        assert!(tally.slowest < Duration::from_secs(2), "{folder}: {:?}", tally.slowest);
        if *prefix == "ham" || folder.ends_with("ham") {
            assert!(tally.refused * 50 <= tally.files, "{folder}: more than 2 % of ham is ambiguous");
        }
    }
}

const FOLDERS: &[(&str, &str)] = &[
    ("esp_ham_foff/eml", "ham"),
    ("esp_ham_foff/eml", "spam"),
    ("spamassassin_2002/ham", ""),
    ("spamassassin_2002/spam", ""),
    ("mime_torture/eml", ""),
    ("phishing_pot/eml", ""),
];

#[derive(Debug, Default)]
struct Tally {
    files: usize,
    octets: usize,
    refused: usize,
    slowest: Duration,
    total: Duration,
    findings: BTreeMap<String, Vec<String>>,
}

fn measure(folder: &Path, prefix: &str) -> Tally {
    let mut tally = Tally::default();
    let entries = std::fs::read_dir(folder).expect("the corpus folder can be read");
    for path in entries.map(|entry| entry.expect("an entry").path()) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !name.starts_with(prefix) || !path.is_file() {
            continue;
        }
        let bytes = Bytes::from(as_received(&std::fs::read(&path).expect("the file can be read")));
        tally.files += 1;
        tally.octets += bytes.len();
        let start = Instant::now();
        let message = Message::read(bytes, &Limits::default());
        tally.slowest = tally.slowest.max(start.elapsed());
        tally.total += start.elapsed();
        let findings = findings(&message);
        tally.refused += usize::from(findings.iter().any(|finding| !finding.starts_with("note ")));
        for finding in findings {
            tally.findings.entry(finding).or_default().push(name.clone());
        }
    }
    tally
}

/// Everything that would stop the message, and as `note` what would only be remarked.
fn findings(message: &Message) -> Vec<String> {
    let mut found = Vec::new();
    match message.from() {
        Ok(mailbox) if mailbox.display_address.is_some() => found.push("note display-address".to_owned()),
        Ok(_) => {}
        Err(ambiguity) => found.push(format!("from {}: {ambiguity}", ambiguity.code())),
    }
    if let Sender::Ambiguous(ambiguity) = message.sender() {
        found.push(format!("sender {}: {ambiguity}", ambiguity.code()));
    }
    if let Err(ambiguity) = message.reply_to() {
        found.push(format!("note reply-to {}", ambiguity.code()));
    }
    found.extend(message.duplicates().iter().map(|name| format!("duplicate {name}")));
    found.extend(message.resent().next().map(|_| "note resent".to_owned()));
    match message.structure() {
        Ok(structure) => {
            found.extend(structure.ambiguities.iter().map(|a| format!("mime {}", a.code())));
            if structure.longest_line > 2048 {
                found.push("note line over 2048".to_owned());
            } else if structure.longest_line > 998 {
                found.push("note line over 998".to_owned());
            }
        }
        Err(fault) => found.push(format!("budget {fault}")),
    }
    found
}

/// CRLF line ends, without the separator line of an mbox file.
fn as_received(file: &[u8]) -> Vec<u8> {
    let file = match file.strip_prefix(b"From ").and_then(|rest| rest.iter().position(|b| *b == b'\n')) {
        Some(end) => file.get(end + 6..).unwrap_or_default(),
        None => file,
    };
    let mut message = Vec::with_capacity(file.len() + file.len() / 40);
    for line in file.split_inclusive(|b| *b == b'\n') {
        match line.strip_suffix(b"\n") {
            Some(text) => {
                message.extend_from_slice(text.strip_suffix(b"\r").unwrap_or(text));
                message.extend_from_slice(b"\r\n");
            }
            None => message.extend_from_slice(line),
        }
    }
    message
}

fn corpora() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpora");
    Some(std::env::var_os("COUNTERSIGN_CORPORA").map_or_else(beside, PathBuf::from))
        .filter(|path| path.is_dir())
}
