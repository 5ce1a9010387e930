//! The network: names are asked, connections are made and secured, messages are passed on.
//! Called by probes (resolver), doors (TLS) and acts (upstream). Nothing here knows a ruling.
//!
//! | module       | what it does                                                        |
//! |--------------|---------------------------------------------------------------------|
//! | `record`     | the words of DNS: what is asked, what comes back                    |
//! | `resolver`   | asks a name server, with one deadline and no memory                 |
//! | `exchange`   | one question and one answer over UDP or TCP                         |
//! | `domain`     | what DNS says about a domain as a sender of mail                    |
//! | `tls`        | server and client settings for TLS                                  |
//! | `certificate`| what the certificates of our doors say                              |
//! | `upstream`   | the MTA behind us                                                   |
//! | `transaction`| one transaction with it                                             |
//! | `pool`       | its idle connections, and how many may work at once                 |
//! | `connection` | one connection to it: commands, replies, a message                  |
//! | `post`       | one HTTP request to somebody: checkpoints for witnesses             |
pub mod certificate;
mod connection;
mod domain;
mod exchange;
mod pool;
pub mod post;
pub mod record;
pub mod resolver;
pub mod tls;
mod transaction;
pub mod upstream;

pub(crate) use connection::is_loopback;
pub use domain::DomainFacts;
pub use resolver::Resolver;
pub use transaction::Transaction;
pub use upstream::{Upstream, UpstreamError};
