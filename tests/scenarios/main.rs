//! Scenarios: the real server between a name server and a mail server of the sandbox, spoken to over the wire.
//! `cargo test --test scenarios` runs them; each builds a world of its own in a temporary directory.
#![cfg(test)]

mod accounts;
mod ambiguity;
mod bad_input;
mod blocks;
mod bombs;
mod caps;
mod client;
mod clock;
mod crash;
mod dns;
mod extensions;
mod ledger;
mod letters;
mod limits;
mod notices;
mod postfix;
mod proxy;
mod relay;
mod retries;
mod service;
mod smtp;
mod smuggling;
mod stored;
mod trial;
mod walks;
mod world;
mod xclient;
