//! Fuzzes the oracle `parameters`; see crates/oracles.
#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| countersign_oracles::run("parameters", octets));
