//! Fuzzes the oracle `tile_path`; see crates/oracles.
#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| countersign_oracles::run("tile_path", octets));
