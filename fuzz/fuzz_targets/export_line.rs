//! Fuzzes the oracle `export_line`; see crates/oracles.
#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| countersign_oracles::run("export_line", octets));
