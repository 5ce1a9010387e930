//! Fuzzes the oracle `smtp_line`; see crates/oracles.
#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| countersign_oracles::run("smtp_line", octets));
