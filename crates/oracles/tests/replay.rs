//! Every seed and every crash that was ever found goes through its oracle again, and so do mutations of them.
//! Run by `cargo test`; needs no fuzzer.
#![cfg(test)]

use std::collections::BTreeSet;
use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use countersign_oracles::mutation::{Dice, mutate};
use countersign_oracles::{ORACLES, Oracle};

/// Mutations for each oracle.
const MUTATIONS: u64 = 3_000;

#[test]
fn seeds_and_crashes_hold() {
    for oracle in &ORACLES {
        let inputs = inputs(oracle);
        inputs.iter().for_each(|(path, octets)| ask(oracle, octets, &path.display().to_string()));
        println!("{}: {} files", oracle.name, inputs.len());
    }
}

#[test]
fn mutations_of_seeds_hold() {
    for oracle in &ORACLES {
        let seeds: Vec<Vec<u8>> = inputs(oracle).into_iter().map(|(_, octets)| octets).collect();
        for number in 0..MUTATIONS {
            let octets = mutate(&mut Dice::new(number), &seeds);
            ask(oracle, &octets, &format!("mutation {number}"));
        }
    }
}

#[test]
fn every_oracle_has_seeds_and_a_target() {
    let names: BTreeSet<String> = ORACLES.iter().map(|oracle| oracle.name.to_owned()).collect();
    let manifest = fs::read_to_string(fuzz().join("Cargo.toml")).unwrap();
    let targets = manifest.lines().filter_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'));
    let targets: BTreeSet<String> =
        targets.filter(|name| *name != "countersign-fuzz").map(str::to_owned).collect();
    assert_eq!(targets, names, "targets in fuzz/Cargo.toml");
    let folders = fs::read_dir(fuzz().join("seeds")).unwrap();
    let folders: BTreeSet<String> =
        folders.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(folders, names, "folders in fuzz/seeds");
    for oracle in &ORACLES {
        assert!(
            files(&fuzz().join("seeds").join(oracle.name)).len() >= 3,
            "{} has too few seeds",
            oracle.name
        );
        let target = fuzz().join(format!("fuzz_targets/{}.rs", oracle.name));
        assert!(fs::read_to_string(target).unwrap().contains(&format!("run(\"{}\"", oracle.name)));
    }
}

fn ask(oracle: &Oracle, octets: &[u8], whence: &str) {
    let result = catch_unwind(|| (oracle.check)(octets));
    assert!(result.is_ok(), "{} does not hold for {whence}: {}", oracle.name, octets.escape_ascii());
}

fn inputs(oracle: &Oracle) -> Vec<(PathBuf, Vec<u8>)> {
    let folders = ["seeds", "crashes"].map(|kind| fuzz().join(kind).join(oracle.name));
    let paths = folders.iter().flat_map(|folder| files(folder));
    paths.map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz")
}
