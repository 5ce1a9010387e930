//! Fuzzes the oracle `witness_request`; see crates/oracles.
#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| countersign_oracles::run("witness_request", octets));
