//! Fuzzes the oracle `proxy_header`; see crates/oracles.
#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| countersign_oracles::run("proxy_header", octets));
