//! Fuzzes the oracle `mime_walk`; see crates/oracles.
#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| countersign_oracles::run("mime_walk", octets));
