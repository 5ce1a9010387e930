//! Fuzzes the oracle `spf_record`; see crates/oracles.
#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| countersign_oracles::run("spf_record", octets));
