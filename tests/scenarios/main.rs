//! Scenarios: the real server between a name server and a mail server of the sandbox, spoken to over the wire.
//! `cargo test --test scenarios` runs them; each builds a world of its own in a temporary directory.
#![cfg(test)]

mod accounts;
mod ambiguity;
mod bad_input;
mod bombs;
mod client;
mod crash;
mod dns;
mod letters;
mod postfix;
mod service;
mod smtp;
mod smuggling;
mod trial;
mod walks;
mod world;
