//! The configuration as the program uses it: typed, with every default in place.
//! `load` makes it from checked tables.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::api::Api;
use super::dns::Dns;
use super::limits::Limits;
use super::network::parse_listen;
use super::notes::Noted;
use super::reader::Reader;
use super::send::Send;
use super::server::{Server, TlsFiles};
use super::shared::SharedUrl;
use super::store::StoreUrl;
use super::witness::Witness;

/// The whole configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// `[server]`
    pub server: Server,
    /// `[tls]`: absent means a certificate of our own making in `data_dir`.
    pub tls: Option<TlsFiles>,
    /// `[store] shared`
    pub shared: SharedUrl,
    /// `[store] url`
    pub store: StoreUrl,
    /// `[dns]`
    pub dns: Dns,
    /// `[send]`
    pub send: Send,
    /// `[limits]`
    pub limits: Limits,
    /// `[policy] dir`: the operator's policies beside ours.
    pub policy_dir: Option<PathBuf>,
    /// `[ledger] payload_days`: how long what was judged is kept beside its leaf.
    pub payload_days: u32,
    /// `[ledger] second_sink`: a file on another volume that gets every leaf once more.
    pub second_sink: Option<PathBuf>,
    /// `[[ledger.witnesses]]`
    pub witnesses: Vec<Witness>,
    /// `[api]`
    pub api: Api,
    /// `[metrics] listen`
    pub metrics: SocketAddr,
}

impl Config {
    pub(super) fn read(root: Reader<'_>) -> Result<Self, Noted> {
        let server = root.section("server").and_then(Server::read);
        let tls = root.section("tls").and_then(TlsFiles::read);
        let data_dir = server.as_ref().map_or_else(|_| PathBuf::new(), |server| server.data_dir.clone());
        let store = root.section("store").and_then(|store| StoreUrl::read(store, &data_dir));
        let shared = root.section("store").and_then(SharedUrl::read);
        let dns = root.section("dns").and_then(Dns::read);
        let send = root.section("send").and_then(Send::read);
        let limits = root.section("limits").and_then(Limits::read);
        let policy_dir = root.section("policy").and_then(|policy| policy.file("dir"));
        let payload_days = root.section("ledger").and_then(|ledger| ledger.count("payload_days"));
        let second_sink = root.section("ledger").and_then(|ledger| ledger.file("second_sink"));
        let witnesses = root.section("ledger").and_then(|ledger| ledger.each("witnesses", Witness::read));
        let api = root.section("api").and_then(Api::read);
        let metrics = root.section("metrics").and_then(|metrics| metrics.required("listen", parse_listen));
        Ok(Self {
            server: server?,
            tls: tls?,
            shared: shared?,
            store: store?,
            dns: dns?,
            send: send?,
            limits: limits?,
            policy_dir: policy_dir?,
            payload_days: payload_days?,
            second_sink: second_sink?,
            witnesses: witnesses?,
            api: api?,
            metrics: metrics?,
        })
    }
}
