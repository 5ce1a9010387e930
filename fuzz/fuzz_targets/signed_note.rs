//! Fuzzes the oracle `signed_note`; see crates/oracles.
#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| countersign_oracles::run("signed_note", octets));
