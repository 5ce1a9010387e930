//! Fuzzes the oracle `header_split`; see crates/oracles.
#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| countersign_oracles::run("header_split", octets));
