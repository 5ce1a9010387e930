//! Scenarios: the real server between a name server and a mail server of the sandbox, spoken to over the wire.
//! `cargo test --test scenarios` runs them; each builds a world of its own in a temporary directory.
#![cfg(test)]

mod accounts;
mod ambiguity;
mod api;
mod api_differential;
mod api_hostile;
mod api_keys;
mod api_once;
mod bad_input;
mod blocks;
mod bombs;
mod caps;
mod client;
mod clock;
mod commands;
mod crash;
mod databases;
mod dns;
mod doctor;
mod extensions;
mod handover;
mod http;
mod init;
mod ledger;
mod letters;
mod limits;
mod moving;
mod notices;
mod outages;
mod policies;
mod postfix;
mod proxy;
mod relay;
mod retries;
mod schema;
mod service;
mod smtp;
mod smuggling;
mod stored;
mod transcripts;
mod trial;
mod upstreams;
mod walks;
mod world;
mod xclient;
