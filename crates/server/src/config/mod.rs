//! The configuration: one TOML file and the environment, checked into `Config`.
//! It reads its one file and opens no other; every command begins here.
//!
//! `sections` says which keys there are (a table of `schema`). `document` checks a file against it and
//! `environment` lays variables over it; both give a `table` of settings with their `origin`. `reader` turns
//! settings into types for `server`, `dns`, `send`, `upstream` and `limits`, which `checked` puts together.
//! `load` does all of that; `serve` says what else a server needs; `show` and `report` print it.
//! The accounts file and sidecars share the mechanism from `schema` to `reader`.

mod api;
mod checked;
mod dns;
pub(crate) mod document;
mod environment;
mod limits;
mod load;
pub(crate) mod nearest;
pub(crate) mod network;
pub(crate) mod notes;
mod origin;
pub(crate) mod reader;
mod report;
mod restart;
pub(crate) mod schema;
mod secret;
mod sections;
mod send;
mod serve;
mod server;
mod shared;
mod show;
mod store;
mod table;
mod upstream;
pub(crate) mod value;
mod witness;

#[cfg(test)]
mod tests;

pub use api::Api;
pub use checked::Config;
pub use dns::{Authoritative, Dns, Resolvers};
pub use limits::{AuthFailures, Limits};
pub use load::{Loaded, Machine, load, load_on};
pub use network::parse_network;
pub use notes::{ConfigError, Problem};
pub use origin::Origin;
pub use report::check_report;
pub use secret::{SecretError, read_auth_file, read_secret};
pub(crate) use send::MODES;
pub use send::{AccountFrom, Listener, ListenerKind, ListenerTls, Send};
pub use server::{Server, TlsFiles};
pub use shared::{RedisUrl, SharedUrl};
pub use show::show;
pub use store::{PostgresUrl, StoreUrl};
pub use upstream::{Scheme, Upstream, UpstreamUrl};
pub use witness::{Witness, WitnessUrl};
