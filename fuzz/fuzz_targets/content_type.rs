//! Fuzzes the oracle `content_type`; see crates/oracles.
#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| countersign_oracles::run("content_type", octets));
