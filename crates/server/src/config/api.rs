//! `[api]`: where programs ask over HTTP.
//! `checked` reads it; the API door is built from it.

use std::net::SocketAddr;

use super::network::{is_loopback, parse_listen};
use super::notes::Noted;
use super::reader::Reader;
use super::send::ListenerTls;
use super::server::TlsFiles;

/// `[api]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Api {
    /// Where it listens; port 0 is any free one.
    pub listen: SocketAddr,
    /// How connections are encrypted: from the first octet or never.
    pub tls: ListenerTls,
    /// A certificate of its own.
    pub tls_files: Option<TlsFiles>,
}

impl Api {
    pub(super) fn read(api: Reader<'_>) -> Result<Self, Noted> {
        let listen = api.required("listen", parse_listen);
        let tls = api.choose("tls", &[("off", ListenerTls::Off), ("implicit", ListenerTls::Implicit)]);
        let tls_files = TlsFiles::read(api);
        Ok(Self { listen: listen?, tls: tls?, tls_files: tls_files? })
    }

    /// Why keys would not be safe there.
    pub(super) fn unsafe_reason(&self) -> Option<String> {
        let open = self.tls == ListenerTls::Off && !is_loopback(self.listen);
        open.then(|| {
            format!(
                "[api] listens on `{}`: `tls = \"off\"` is allowed on loopback only, keys would cross the \
                 network in the clear (set `tls = \"implicit\"`)",
                self.listen
            )
        })
    }
}
