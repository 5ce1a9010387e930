//! Fuzzes the oracle `xclient`; see crates/oracles.
#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| countersign_oracles::run("xclient", octets));
