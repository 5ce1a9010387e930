//! Every table and key of the configuration, whether it is built or not.
//! `load` checks files and the environment against it.

use super::schema::{Fallback, Key, Kind};

/// The tables at the top, in the order in which they are printed.
pub(crate) const SECTIONS: &[Key] = &[
    Key::section("server", SERVER),
    Key::section("tls", TLS),
    Key::section("store", STORE),
    Key::section("dns", DNS),
    Key::section("send", SEND),
    Key::section("limits", LIMITS),
    Key::section("policy", POLICY),
    Key::section("ledger", LEDGER),
    Key::section("api", API),
    Key::section("metrics", METRICS),
    Key::optional("console", Kind::Table(CONSOLE)).later(),
    Key::optional("rdap", Kind::Table(RDAP)).later(),
    Key::optional("countersign", Kind::Table(COUNTERSIGN)).later(),
    Key::optional("tiers", Kind::Named(TIER)).later(),
    Key::optional("receive", Kind::Table(RECEIVE)).gate_later(),
    Key::optional("milter", Kind::Table(MILTER)).gate_later(),
    Key::optional("rspamd", Kind::Table(RSPAMD)).gate_later(),
    Key::optional("mta_hooks", Kind::Table(MTA_HOOKS)).gate_later(),
    Key::optional("desk", Kind::Table(DESK)).gate_later(),
    Key::optional("vault", Kind::Table(VAULT)).gate_later(),
    Key::tables("brand", BRAND).later(),
];

const SERVER: &[Key] = &[
    // The machine's own name, when it has a dot, takes the place of this default.
    Key::text("hostname", "localhost"),
    Key::optional("data_dir", Kind::File).or(Fallback::Text("./countersign-data")),
    Key::optional("public_url", Kind::Text),
    Key::optional("root_key_file", Kind::File),
    Key::optional("notice_account", Kind::Text),
    Key::optional("notice_from", Kind::Text),
];

const TLS: &[Key] = &[Key::optional("cert_file", Kind::File), Key::optional("key_file", Kind::File)];

const STORE: &[Key] = &[
    Key::text("url", "sqlite:"),
    Key::text("shared", "memory:"),
    Key::optional("shared_password_file", Kind::File),
];

const DNS: &[Key] = &[
    Key::optional("resolvers", Kind::TextOrTexts).or(Fallback::Text("system")),
    // `via-resolver` with a list of resolvers.
    Key::text("authoritative", "direct").later(),
    Key::count("timeout_ms", 1500, 1, 60_000),
    Key::count("budget_ms", 5000, 1, 120_000),
];

const SEND: &[Key] = &[
    Key::text("mode", "observe"),
    Key::text("hold", "custody"),
    Key::count("custody_days", 5, 1, 365),
    Key::optional("return_path_domains", Kind::Texts),
    Key::optional("neutral_link_domains", Kind::Texts).later(),
    Key::optional("neutral_link_file", Kind::File).later(),
    Key::tables("listener", LISTENER),
    Key::tables("upstream", UPSTREAM),
];

const LISTENER: &[Key] = &[
    Key::optional("listen", Kind::Text),
    Key::text("kind", "submission"),
    Key::text("tls", "starttls"),
    Key::optional("plaintext", Kind::Text),
    Key::text("account_from", "auth"),
    Key::optional("cert_file", Kind::File),
    Key::optional("key_file", Kind::File),
    Key::optional("trusted", Kind::Texts),
    Key::optional("proxy_protocol", Kind::Texts),
];

const UPSTREAM: &[Key] = &[
    Key::text("name", "default"),
    Key::optional("url", Kind::Text),
    Key::optional("egress", Kind::Texts),
    Key::optional("auth_file", Kind::File),
    Key::flag("tls_verify", true),
    Key::optional("ca_file", Kind::File),
    Key::optional("helo", Kind::Text),
    Key::flag("xclient", false),
    Key::count("pool", 32, 1, 10_000),
];

const LIMITS: &[Key] = &[
    Key::count("per_credential_day", 0, 0, MANY),
    Key::count("new_recipients_day", 0, 0, MANY),
    Key::count("connections_per_ip", 20, 1, MANY),
    Key::count("connections_per_net", 100, 1, MANY),
    Key::count("connections", 10_000, 1, 1_000_000),
    Key::count("commands", 1000, 10, MANY),
    Key::count("rcpts", 1000, 1, 100_000),
    Key::count("message_bytes", 26_214_400, 1024, 1_073_741_824),
    Key::count("min_data_rate", 1024, 0, MANY),
    Key::count("bytes_in_flight", 268_435_456, 1024, 1 << 40),
    Key::section("auth_failures", AUTH_FAILURES),
];

const AUTH_FAILURES: &[Key] = &[
    Key::count("account", 10, 1, MANY),
    Key::count("net", 50, 1, MANY),
    Key::count("all", 1000, 1, MANY),
    Key::count("window_s", 600, 1, 86_400),
];

const POLICY: &[Key] = &[Key::optional("dir", Kind::File)];

const LEDGER: &[Key] = &[
    Key::count("payload_days", 90, 1, 36_500),
    Key::optional("second_sink", Kind::File),
    Key::tables("witnesses", WITNESS),
];

const WITNESS: &[Key] = &[
    Key::optional("url", Kind::Text),
    Key::optional("key", Kind::Text),
    Key::optional("ca_file", Kind::File),
];

const API: &[Key] = &[
    Key::text("listen", "127.0.0.1:0"),
    Key::text("tls", "off"),
    Key::optional("cert_file", Kind::File),
    Key::optional("key_file", Kind::File),
];

const METRICS: &[Key] = &[Key::text("listen", "127.0.0.1:0")];

const CONSOLE: &[Key] = &[
    Key::optional("listen", Kind::Text),
    Key::optional("step_up_minutes", Kind::Count(1, 1440)),
    Key::optional("oidc", Kind::Table(OIDC)),
];

const OIDC: &[Key] = &[
    Key::optional("issuer", Kind::Text),
    Key::optional("client_id", Kind::Text),
    Key::optional("client_secret_file", Kind::File),
];

const RDAP: &[Key] = &[
    Key::optional("bootstrap_file", Kind::File),
    Key::optional("offline_table", Kind::File),
    Key::optional("ca_file", Kind::File),
];

const COUNTERSIGN: &[Key] = &[
    Key::optional("domain", Kind::Text),
    Key::optional("selector", Kind::Text),
    Key::optional("key_file", Kind::File),
];

const TIER: &[Key] = &[
    Key::optional("day", Kind::Count(0, MANY)),
    Key::optional("new_recipients_day", Kind::Count(0, MANY)),
    Key::optional("needs_phone", Kind::Flag),
    Key::optional("links", Kind::Text),
];

const RECEIVE: &[Key] = &[
    Key::optional("mode", Kind::Text),
    Key::tables("rbl", RBL),
    Key::optional("trust_authserv_id", Kind::TextOrTexts),
    Key::tables("listener", LISTENER),
    Key::optional("next_hop", Kind::Table(NEXT_HOP)),
];

const RBL: &[Key] = &[Key::optional("zone", Kind::Text), Key::optional("codes", Kind::Anything)];

const NEXT_HOP: &[Key] = &[Key::optional("url", Kind::Text)];

const MILTER: &[Key] = &[Key::optional("listen", Kind::Text), Key::optional("hold", Kind::Text)];

const RSPAMD: &[Key] = &[Key::optional("listen", Kind::Text), Key::optional("password_file", Kind::File)];

const MTA_HOOKS: &[Key] = &[Key::optional("listen", Kind::Text)];

const DESK: &[Key] = &[
    Key::optional("listen", Kind::Text),
    Key::optional("addresses", Kind::Texts),
    Key::optional("first_reply", Kind::Text),
    Key::optional("weak_evidence_may_block", Kind::Flag),
];

const VAULT: &[Key] =
    &[Key::optional("export_delay", Kind::Text), Key::optional("marker_domains", Kind::Texts)];

const BRAND: &[Key] = &[Key::optional("name", Kind::Text), Key::optional("domains", Kind::Texts)];

const MANY: u64 = 1_000_000_000;
