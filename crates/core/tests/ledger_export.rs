//! Exports: ours verify, changed ones do not, and the Python verifier, which shares no line with ours, says the same.
//! `tools/ledger-mutations` does the same with 10,000 changes.
#![cfg(test)]

mod ledger_file;

use std::path::{Path, PathBuf};
use std::process::Command;

use countersign_core::ledger::export::{Expected, Header, LeafLine, Line, Payload, Place};
use countersign_core::ledger::{Signer, leaf_hash};
use ledger_file::mutations::{Mutant, mutant};
use ledger_file::{History, INTERVAL, ORIGIN, place, signer, verify};

const LEAVES: u64 = 200;
/// The size of the checkpoint that somebody kept.
const KEPT: u64 = 150;
const MUTATIONS: u64 = 560;

fn known() -> Expected {
    Expected { key: Some(signer(ORIGIN, 7).verifier().clone()), head: None }
}

fn with_head(history: &History) -> Expected {
    Expected { head: Some(history.checkpoint(&signer(ORIGIN, 7), KEPT)), ..known() }
}

#[test]
fn an_export_verifies_and_says_what_is_in_it() {
    let history = History::new(LEAVES);
    let report = verify(&history.file(&signer(ORIGIN, 7)), with_head(&history)).unwrap();
    assert_eq!((report.leaves, report.accounts, report.checkpoints), (LEAVES, 5, LEAVES / INTERVAL));
    assert_eq!((report.erased, report.withheld), (18, 18));
    assert_eq!((report.opened, report.head), (164, Some(KEPT)));
    for leaves in [0, 1, INTERVAL] {
        assert_eq!(verify(&History::new(leaves).file(&signer(ORIGIN, 7)), known()).unwrap().leaves, leaves);
    }
}

#[test]
fn the_first_bad_leaf_is_named() {
    let file = History::new(LEAVES).file(&signer(ORIGIN, 7));
    let text = String::from_utf8(file).unwrap();
    let line =
        |index: u64| text.lines().find(|line| line.starts_with(&format!("{{\"idx\":{index},"))).unwrap();
    for (name, changed, expected) in [
        ("removed", text.replacen(&format!("{}\n", line(40)), "", 1), 40),
        ("changed", text.replacen(line(41), &line(41).replacen("250", "251", 1), 1), 41),
        ("twice", text.replacen(line(42), &format!("{}\n{0}", line(42)), 1), 43),
        ("of another place", text.replacen(line(43), line(50), 1), 43),
    ] {
        let broken = verify(changed.as_bytes(), known()).unwrap_err();
        assert_eq!(broken.place, Place::Leaf(expected), "{name}: {broken}");
    }
}

#[test]
fn a_change_that_was_carried_through_is_narrowed_to_the_checkpoint_after_it() {
    let (history, key) = (History::new(LEAVES), signer(ORIGIN, 7));
    let mut forged = history.clone();
    forged.0[40].decision = 9;
    let (ours, theirs) = (history.file(&key), forged.file(&key));
    let lines =
        |file: &[u8]| file.split_inclusive(|octet| *octet == b'\n').map(<[u8]>::to_vec).collect::<Vec<_>>();
    let mixed = lines(&ours).into_iter().zip(lines(&theirs));
    let mixed = mixed.map(|(ours, theirs)| if ours.starts_with(b"{\"c") { ours } else { theirs });
    let broken = verify(&mixed.collect::<Vec<_>>().concat(), known()).unwrap_err();
    assert_eq!(broken.place, Place::Leaves { from: 32, to: 64 }, "{broken}");
}

#[test]
fn a_log_that_was_cut_by_its_owner_is_seen_only_by_who_kept_a_checkpoint() {
    let (history, key) = (History::new(LEAVES), signer(ORIGIN, 7));
    let cut = History(history.0[..100].to_vec()).file(&key);
    assert!(verify(&cut, known()).is_ok());
    assert_eq!(verify(&cut, with_head(&history)).unwrap_err().place, Place::Leaf(100));
}

#[test]
fn every_change_is_found_by_us_and_by_the_python_verifier_at_the_same_place() {
    let (history, key) = (History::new(LEAVES), signer(ORIGIN, 7));
    let file = history.file(&key);
    let mutants: Vec<Mutant> = (0..MUTATIONS).map(|number| mutant(number, &history, &file, KEPT)).collect();
    let mut said = Vec::new();
    for (number, mutant) in mutants.iter().enumerate() {
        let expected = if mutant.needs_head { with_head(&history) } else { known() };
        let broken = verify(&mutant.file, expected);
        let broken = broken.expect_err(&format!("not found by us: mutation {number}, {}", mutant.name));
        said.push(place(&broken));
    }
    let Some(python) = python() else { return };
    let folder = std::env::temp_dir().join(format!("countersign-export-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let head = folder.join("head");
    std::fs::write(&head, history.checkpoint(&key, KEPT)).unwrap();
    std::fs::write(folder.join("whole"), &file).unwrap();
    let whole = run(&python, &folder, &["whole".to_owned()], Some(&head));
    assert!(whole[0].contains(": verified: 200 leaves, 5 accounts, "), "{whole:?}");
    for needs_head in [false, true] {
        let chosen: Vec<usize> =
            (0..mutants.len()).filter(|n| mutants[*n].needs_head == needs_head).collect();
        let names: Vec<String> = chosen.iter().map(|number| number.to_string()).collect();
        chosen
            .iter()
            .zip(&names)
            .for_each(|(n, name)| std::fs::write(folder.join(name), &mutants[*n].file).unwrap());
        let answers = run(&python, &folder, &names, needs_head.then_some(head.as_path()));
        for (number, answer) in chosen.into_iter().zip(answers) {
            let expected = format!("{number}: broken at {}: ", said[number]);
            assert!(
                answer.starts_with(&expected),
                "{}: `{expected}` by us, `{answer}` by it",
                mutants[number].name
            );
        }
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_second_sink_verifies_as_far_as_it_is_signed() {
    let (history, key) = (History::new(LEAVES), signer(ORIGIN, 7));
    let report = verify(&sink(&history, &key), with_head(&history)).unwrap();
    assert!(report.is_sink);
    assert_eq!((report.leaves, report.covered, report.checkpoints, report.head), (200, 192, 6, Some(KEPT)));
    // A second history whose hashes were all computed anew is narrowed to what a checkpoint covers.
    let mut forged = history.clone();
    forged.0[40].decision = 9;
    let lines = |file: Vec<u8>| file.split_inclusive(|o| *o == b'\n').map(<[u8]>::to_vec).collect::<Vec<_>>();
    let mixed = lines(sink(&history, &key)).into_iter().zip(lines(sink(&forged, &key)));
    let mixed = mixed.map(|(ours, theirs)| if ours.starts_with(b"{\"c") { ours } else { theirs });
    let broken = verify(&mixed.collect::<Vec<_>>().concat(), known()).unwrap_err();
    assert_eq!(broken.place, Place::Leaves { from: 32, to: 64 }, "{broken}");
}

#[test]
fn a_changed_octet_of_a_second_sink_is_found_by_both_at_the_same_place() {
    let (history, key) = (History::new(LEAVES), signer(ORIGIN, 7));
    let file = sink(&history, &key);
    let mut changed: Vec<Vec<u8>> = (0..200)
        .map(|number| {
            let mut file = file.clone();
            let at = file.len() * number / 200;
            file[at] ^= 1;
            file
        })
        .collect();
    // A line taken out, put in twice, and a closing line.
    let lines: Vec<&[u8]> = file.split_inclusive(|octet| *octet == b'\n').collect();
    for at in [0, 1, 50, 150] {
        changed.push([&lines[..at], &lines[at + 1..]].concat().concat());
        changed.push([&lines[..=at], &lines[at..]].concat().concat());
    }
    let closing = history.file(&key);
    let closing = closing.split_inclusive(|octet| *octet == b'\n').next_back().unwrap();
    changed.push([&file, closing].concat());
    let said: Vec<String> = changed
        .iter()
        .map(|file| place(&verify(file, known()).expect_err("a change that is not found")))
        .collect();
    let Some(python) = python() else { return };
    let folder = std::env::temp_dir().join(format!("countersign-sink-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("whole"), [file.as_slice(), b"{\"idx\":200,"].concat()).unwrap();
    let whole = run(&python, &folder, &["whole".to_owned()], None);
    assert!(whole[0].ends_with(", signed up to leaf 192"), "{whole:?}");
    let names: Vec<String> = (0..changed.len()).map(|number| number.to_string()).collect();
    names.iter().zip(&changed).for_each(|(name, file)| std::fs::write(folder.join(name), file).unwrap());
    for ((name, answer), said) in names.iter().zip(run(&python, &folder, &names, None)).zip(&said) {
        assert!(
            answer.starts_with(&format!("{name}: broken at {said}: ")),
            "`{said}` by us, `{answer}` by it"
        );
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

/// One process over many files; a line for each.
fn run(python: &Path, folder: &Path, files: &[String], head: Option<&Path>) -> Vec<String> {
    let tool = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tools/verify.py").canonicalize().unwrap();
    let mut command = Command::new(python);
    command
        .current_dir(folder)
        .arg(tool)
        .args(files)
        .arg("--key")
        .arg(signer(ORIGIN, 7).verifier().to_string());
    if let Some(head) = head {
        command.arg("--head").arg(head);
    }
    let output = command.output().unwrap();
    let answers: Vec<String> = String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect();
    assert_eq!(answers.len(), files.len(), "{}", String::from_utf8_lossy(&output.stderr));
    let broken = answers.iter().any(|answer| answer.contains(": broken at "));
    assert_eq!(output.status.code(), Some(if broken { 20 } else { 0 }));
    answers
}

/// Python with its package, or a loud word that it is missing.
fn python() -> Option<PathBuf> {
    let candidates = ["python3", "/usr/bin/python3"].map(PathBuf::from);
    let works = |python: &PathBuf| {
        let mut asked = Command::new(python);
        asked.args(["-c", "import cryptography.hazmat.primitives.asymmetric.ed25519"]);
        asked.output().is_ok_and(|output| output.status.success())
    };
    let found = candidates.into_iter().find(works);
    if found.is_none() {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "python3-cryptography is missing");
        println!("skipped: no Python with the package `cryptography` (Debian: python3-cryptography)");
    }
    found
}

/// The second sink that `signer` writes of a log: the checkpoints come some leaves late, and none covers the last.
fn sink(history: &History, signer: &Signer) -> Vec<u8> {
    let key = signer.verifier().to_string();
    let origin = signer.verifier().name().to_string();
    let mut out = Vec::new();
    Line::Sink(Header { v: 1, origin, key, from: 0, continues: None }).print(&mut out);
    for (index, leaf) in (0..).zip(history.leaves()) {
        let line = LeafLine { index, hash: leaf_hash(&leaf), leaf, payload: Payload::Withheld };
        Line::Leaf(line).print(&mut out);
        if index >= INTERVAL && index % INTERVAL == LATE {
            Line::Checkpoint(history.checkpoint(signer, index - LATE).into()).print(&mut out);
        }
    }
    out
}

/// So many leaves after those that a checkpoint of a second sink covers stand before it.
const LATE: u64 = 5;
