//! Makes exports that must not verify: `ledger_mutations FOLDER FROM TO`. Prints the verifier key, then a line for
//! each change: its number, whether it needs the checkpoint `FOLDER/head`, the place where we find it (or `none`),
//! what was done. The files are FOLDER/NUMBER. Driven by `tools/ledger-mutations`.
//!
//! With `ledger_mutations speed LEAVES` it says how long it takes to verify an export of so many leaves in memory.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "it shares its module with a test")]

use std::io;
use std::path::Path;
use std::time::Instant;

use countersign_core::ledger::export::Expected;
use ledger_file::mutations::mutant;
use ledger_file::{History, ORIGIN, place, signer, verify};

#[path = "../tests/ledger_file/mod.rs"]
mod ledger_file;

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |place: usize| arguments.get(place).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
    match arguments.first().map(String::as_str) {
        Some("speed") => speed(number(1)),
        Some(folder) => mutants(Path::new(folder), number(1), number(2)),
        None => Err(io::Error::other("usage: ledger_mutations FOLDER FROM TO | speed LEAVES")),
    }
}

fn mutants(folder: &Path, from: u64, to: u64) -> io::Result<()> {
    let (history, key) = (History::new(LEAVES), signer(ORIGIN, 7));
    let file = history.file(&key);
    let head = history.checkpoint(&key, KEPT);
    std::fs::write(folder.join("head"), &head)?;
    std::fs::write(folder.join("whole"), &file)?;
    println!("{}", key.verifier());
    for number in from..to {
        let mutant = mutant(number, &history, &file, KEPT);
        std::fs::write(folder.join(number.to_string()), &mutant.file)?;
        let head = mutant.needs_head.then(|| head.clone());
        let found = verify(&mutant.file, Expected { key: Some(key.verifier().clone()), head });
        let found = found.err().map_or_else(|| "none".to_owned(), |broken| place(&broken));
        println!("{number}\t{}\t{found}\t{}", mutant.needs_head, mutant.name);
    }
    Ok(())
}

fn speed(leaves: u64) -> io::Result<()> {
    let key = signer(ORIGIN, 7);
    for payloads in [true, false] {
        let mut history = History::new(leaves);
        if !payloads {
            history.0.iter_mut().for_each(|draft| draft.shown = ledger_file::Shown::Withheld);
        }
        let file = history.file(&key);
        let (began, worked) = (Instant::now(), processor_time()?);
        let report = verify(&file, Expected::default()).map_err(io::Error::other)?;
        let (seconds, megabytes) = (began.elapsed().as_secs_f64(), file.len() / 1_000_000);
        let (worked, leaves, opened) = (processor_time()? - worked, report.leaves, report.opened);
        println!(
            "{leaves} leaves, {opened} payloads, {megabytes} MB: {seconds:.2} s, processor {worked:.2} s"
        );
    }
    Ok(())
}

/// What this process has used of a processor, in seconds: on a busy machine the clock says little.
fn processor_time() -> io::Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    // Fields 14 and 15 of proc(5), in hundredths of a second.
    let ticks = fields.skip(11).take(2).filter_map(|field| field.parse::<f64>().ok());
    Ok(ticks.sum::<f64>() / 100.0)
}

const LEAVES: u64 = 200;
const KEPT: u64 = 150;
