//! SMTP (RFC 5321) as bytes and words: commands in, replies out, and what is between them.
//! Called by the SMTP doors (as a server) and by the upstream client.
//!
//! | module         | what it turns into what                                         |
//! |----------------|-----------------------------------------------------------------|
//! | `command`      | a command line -> [`command::Command`]                          |
//! | `path`         | `<local@domain>` -> [`path::Path`]                              |
//! | `parameters`   | ` SIZE=1 BODY=8BITMIME` -> typed parameters, and back           |
//! | `session`      | the order of commands: one table, one `reset()`                 |
//! | `capabilities` | the EHLO reply, written and read                                |
//! | `auth`         | SASL PLAIN and LOGIN -> [`auth::Credentials`]                   |
//! | `data`         | the octets after DATA -> a message, and back                    |
//! | `chunk`        | the octets after BDAT -> a message                              |
//! | `body`         | the line discipline that `data` and `chunk` share               |
//! | `xclient`      | what a proxy says of its client -> [`xclient::Xclient`], and back |
//! | `reply`        | a reply -> octets; the octets of an upstream -> a reply         |
pub mod auth;
mod body;
pub mod capabilities;
pub mod chunk;
pub mod command;
pub mod data;
pub mod parameters;
pub mod path;
pub mod reply;
pub mod session;
pub mod xclient;
mod xtext;
