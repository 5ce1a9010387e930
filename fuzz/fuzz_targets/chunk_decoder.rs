//! Fuzzes the oracle `chunk_decoder`; see crates/oracles.
#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| countersign_oracles::run("chunk_decoder", octets));
