//! Fuzzes the oracle `encoded_word`; see crates/oracles.
#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| countersign_oracles::run("encoded_word", octets));
