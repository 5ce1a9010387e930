//! Fuzzes the oracle `smtp_reply`; see crates/oracles.
#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| countersign_oracles::run("smtp_reply", octets));
