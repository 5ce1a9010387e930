//! Every table and key of the accounts file and of sidecars.
//! `file` and `sidecar` check against it.

use crate::config::schema::{Key, Kind};

/// The accounts file.
pub(super) const FILE: &[Key] =
    &[Key::tables("account", ACCOUNT), Key::tables("brand", BRAND).later(), Key::tables("staff", STAFF)];

/// A sidecar. `account` is the id of an account or, as `[[account]]`, the account itself.
pub(super) const SIDECAR: &[Key] = &[
    Key::optional("account", Kind::TextOrTables(ACCOUNT)),
    Key::optional("credential", Kind::Text),
    Key::optional("ip", Kind::Text),
    Key::optional("helo", Kind::MaybeEmpty),
    Key::optional("mail_from", Kind::MaybeEmpty),
    Key::optional("rcpt", Kind::TextOrTexts),
    Key::optional("tls", Kind::Flag),
    Key::optional("auth_results", Kind::Text),
    Key::optional("assume", Kind::Pairs),
    Key::optional("now", Kind::Time),
    // What tests compare with; nothing to us.
    Key::optional("expect", Kind::Anything),
];

const ACCOUNT: &[Key] = &[
    Key::optional("id", Kind::Text),
    Key::optional("name", Kind::Text),
    Key::optional("tier", Kind::Text),
    Key::optional("mode", Kind::Text),
    Key::optional("created", Kind::Time),
    Key::optional("phone_verified_at", Kind::Time),
    Key::optional("upstream", Kind::Text),
    Key::optional("link_domains", Kind::Texts),
    Key::optional("networks", Kind::Texts),
    Key::optional("owner_email", Kind::Text),
    Key::tables("domain", DOMAIN),
    Key::tables("credential", CREDENTIAL),
    Key::tables("protected", PROTECTED).gate_later(),
];

const DOMAIN: &[Key] = &[
    Key::optional("name", Kind::Text),
    Key::text("scope", "exact"),
    Key::optional("from_local", Kind::Text),
    Key::optional("from_name", Kind::Text),
    Key::flag("proved", false),
    Key::optional("dkim", Kind::Table(DKIM)).later(),
];

const DKIM: &[Key] = &[Key::optional("selector", Kind::Text), Key::optional("key_file", Kind::File)];

const CREDENTIAL: &[Key] = &[
    Key::optional("login", Kind::Text),
    Key::text("kind", "smtp"),
    Key::optional("secret_file", Kind::File),
    Key::optional("networks", Kind::Texts),
    Key::optional("scopes", Kind::Texts),
    Key::optional("daily_cap", Kind::Count(0, 1_000_000_000)),
    Key::optional("expires", Kind::Time),
];

const PROTECTED: &[Key] = &[
    Key::optional("domain", Kind::Text),
    Key::tables("people", PERSON),
    Key::optional("next_hop", Kind::Text),
];

const PERSON: &[Key] = &[Key::optional("name", Kind::Text), Key::optional("addresses", Kind::Texts)];

const BRAND: &[Key] = &[Key::optional("name", Kind::Text), Key::optional("domains", Kind::Texts)];

const STAFF: &[Key] = &[
    Key::optional("email", Kind::Text),
    Key::optional("roles", Kind::Texts).later(),
    Key::optional("api_secret_file", Kind::File),
    Key::optional("scopes", Kind::Texts),
];
