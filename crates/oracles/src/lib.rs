//! What must hold for any octets at all, as plain functions. A panic in one of them is a finding.
//! Called by `cargo test` with seeds and mutations of them, and by the targets in `fuzz/`.
//!
//! Where a property is not enough, a second opinion is asked: a slow reading written from the RFC
//! (`naive`), a small model of a session (`model`), or two parsers of other people (`address`, `mime`).

mod address;
mod auth;
mod data;
mod envelope;
mod header;
mod ledger;
mod mime;
pub mod model;
pub mod mutation;
mod naive;
mod pieces;
mod proxy;
mod reply;
mod smtp_line;
mod spf;
pub mod walk;

/// A property of a parser.
#[derive(Debug)]
pub struct Oracle {
    /// The name of its fuzz target and of its folders in `fuzz/seeds` and `fuzz/crashes`.
    pub name: &'static str,
    /// Panics when the property does not hold.
    pub check: fn(&[u8]),
}

/// All of them.
pub static ORACLES: [Oracle; 22] = [
    Oracle { name: "address", check: address::address },
    Oracle { name: "auth", check: auth::auth },
    Oracle { name: "capabilities", check: reply::capabilities },
    Oracle { name: "checkpoint", check: ledger::checkpoint },
    Oracle { name: "chunk_decoder", check: data::chunk_decoder },
    Oracle { name: "content_type", check: mime::content_type },
    Oracle { name: "data_decoder", check: data::data_decoder },
    Oracle { name: "encoded_word", check: mime::encoded_word },
    Oracle { name: "export_line", check: ledger::export_line },
    Oracle { name: "header_split", check: header::header_split },
    Oracle { name: "mime_walk", check: mime::mime_walk },
    Oracle { name: "parameters", check: envelope::parameters },
    Oracle { name: "path", check: envelope::path },
    Oracle { name: "proxy_header", check: proxy::proxy_header },
    Oracle { name: "session_walk", check: walk::session_walk },
    Oracle { name: "signed_note", check: ledger::signed_note },
    Oracle { name: "smtp_line", check: smtp_line::smtp_line },
    Oracle { name: "smtp_reply", check: reply::smtp_reply },
    Oracle { name: "spf_record", check: spf::spf_record },
    Oracle { name: "tile_path", check: ledger::tile_path },
    Oracle { name: "witness_request", check: ledger::witness_request },
    Oracle { name: "xclient", check: envelope::xclient },
];

/// Asks the oracle of that name; a name that no oracle has is a fault of the caller.
pub fn run(name: &str, octets: &[u8]) {
    let oracle = ORACLES.iter().find(|oracle| oracle.name == name);
    assert!(oracle.is_some(), "there is no oracle `{name}`");
    oracle.into_iter().for_each(|oracle| (oracle.check)(octets));
}
