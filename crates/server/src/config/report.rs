//! What a configuration will do, in plain sentences.
//! `config check` prints it.

use countersign_core::policy::How;
use countersign_core::request::Mode;
use ipnet::IpNet;

use super::checked::Config;
use super::dns::{Authoritative, Resolvers};
use super::load::Loaded;
use super::send::{AccountFrom, Listener, ListenerKind, ListenerTls};
use super::store::StoreUrl;
use super::upstream::Upstream;

/// One sentence a line. Warnings are not repeated: every command says them.
#[must_use]
pub fn check_report(loaded: &Loaded) -> String {
    let config = &loaded.config;
    let mut lines = vec![match &loaded.path {
        Some(path) => format!("reads {}", path.display()),
        None => "reads no file: there is none, so defaults are used".to_owned(),
    }];
    lines.push(identity(config));
    lines.extend(config.send.listeners.iter().map(|listener| doors(config, listener)));
    if config.send.listeners.is_empty() {
        lines.push("listens for no mail: there is no [[send.listener]]".to_owned());
    }
    lines.extend(config.send.upstreams.iter().map(upstream));
    lines.push(mode(config));
    lines.push(dns(config));
    lines.push(keeping(config));
    lines.extend(
        config
            .second_sink
            .iter()
            .map(|file| format!("writes every leaf of the ledger a second time, in {}", file.display())),
    );
    lines.extend(config.witnesses.iter().map(|witness| {
        format!("asks the witness {} at {} to cosign checkpoints", witness.key.name(), witness.url)
    }));
    lines.push(api(config));
    lines.push(format!("shows /healthz, /readyz and /metrics on {}", config.metrics));
    if let Err(error) = config.fit_to_serve() {
        lines.extend(error.to_string().lines().map(|line| format!("`serve` would not start: {line}")));
    }
    lines.join("\n") + "\n"
}

fn api(config: &Config) -> String {
    let tls = match config.api.tls {
        ListenerTls::Off => "without TLS",
        ListenerTls::StartTls | ListenerTls::Implicit => "inside TLS",
    };
    format!("answers /v1 for API keys on {} {tls}", config.api.listen)
}

fn identity(config: &Config) -> String {
    let certificate = match &config.tls {
        Some(files) => format!("the certificate in {}", files.cert_file.display()),
        None => format!("a self-signed certificate kept in {}", config.server.data_dir.display()),
    };
    format!("is called {} and shows {certificate}", config.server.hostname)
}

fn doors(config: &Config, listener: &Listener) -> String {
    let kind = match listener.kind {
        ListenerKind::Submission => "submission",
        ListenerKind::Relay => "relay",
    };
    let tls = match listener.tls {
        ListenerTls::StartTls => "with STARTTLS",
        ListenerTls::Implicit => "inside TLS",
        ListenerTls::Off => "without TLS",
    };
    let plaintext = listener.plaintext_loopback && listener.tls != ListenerTls::Implicit;
    let auth = match (listener.kind, plaintext) {
        (ListenerKind::Relay, _) => relayed(listener),
        (ListenerKind::Submission, true) => "; AUTH without TLS only from loopback".to_owned(),
        (ListenerKind::Submission, false) => "; AUTH only inside TLS".to_owned(),
    };
    let certificate = match (&listener.tls_files, listener.tls) {
        (Some(files), ListenerTls::StartTls | ListenerTls::Implicit) => {
            format!("; its own certificate in {}", files.cert_file.display())
        }
        _ => String::new(),
    };
    let balancers = match listener.proxy_protocol.as_slice() {
        [] => String::new(),
        nets => format!("; wants a PROXY header from {}", listed(nets)),
    };
    let size = config.limits.message_bytes;
    format!(
        "listens for {kind} on {} {tls}{auth}{certificate}{balancers}; messages up to {size} octets",
        listener.listen
    )
}

fn relayed(listener: &Listener) -> String {
    let account = match &listener.account_from {
        AccountFrom::Account(account) => format!("of account {account}"),
        AccountFrom::Header(name) => format!("of the account in the field {name}"),
        AccountFrom::Xclient => "of the login that XCLIENT gives".to_owned(),
        AccountFrom::MailFromMap => "of the account that has proved the domain of MAIL FROM".to_owned(),
        AccountFrom::Auth => "of nobody".to_owned(),
    };
    format!("; believes {} and takes mail {account}", listed(&listener.trusted))
}

fn listed(nets: &[IpNet]) -> String {
    nets.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn upstream(upstream: &Upstream) -> String {
    let egress = listed(&upstream.egress);
    let leaves = match upstream.egress_addresses().len() {
        0 => "`egress` is not set: SPF cannot be checked and is unknown".to_owned(),
        1 => format!("mail leaves from {egress}: SPF is checked for 1 address"),
        count => format!("mail leaves from {egress}: SPF is checked for {count} addresses"),
    };
    let verify = match upstream.tls_verify {
        true => "",
        false => "; its certificate is not checked",
    };
    let issuer =
        upstream.ca_file.as_ref().map(|file| format!("; believes the issuers in {}", file.display()));
    let login = upstream.auth_file.as_ref().map(|file| format!("; signs in as {} says", file.display()));
    let client = if upstream.xclient { "; tells it the client with XCLIENT" } else { "" };
    // The only one there is needs no name.
    let name =
        if upstream.name == "default" { String::new() } else { format!("upstream {}: ", upstream.name) };
    let (issuer, login) = (issuer.unwrap_or_default(), login.unwrap_or_default());
    let (url, pool) = (&upstream.url, upstream.pool);
    format!("{name}relays to {url} (pool {pool}), {leaves}{verify}{issuer}{login}{client}")
}

fn mode(config: &Config) -> String {
    let hold = match config.send.hold {
        How::Custody => format!("keeps it for up to {} days", config.send.custody_days),
        How::Defer => "tells the client to try again (451)".to_owned(),
    };
    match config.send.mode {
        Mode::Observe => "mode observe: nothing is held or refused, except broken SMTP, bare line ends, \
                          exceeded limits, failed sign-ins and blocked accounts"
            .to_owned(),
        Mode::Enforce => format!("mode enforce: rulings bind; to hold mail {hold}"),
    }
}

fn dns(config: &Config) -> String {
    let resolvers = match &config.dns.resolvers {
        Resolvers::System => "the machine's resolvers".to_owned(),
        Resolvers::List(list) => list.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    };
    let again = match config.dns.authoritative {
        Authoritative::ViaResolver => "the same ones again",
        Authoritative::Direct => "nobody again (asking the servers of the zone is not built yet)",
    };
    format!(
        "asks {resolvers} for DNS, {} ms a query and {} ms a message; before a refusal it asks {again}",
        config.dns.timeout.as_millis(),
        config.dns.budget.as_millis()
    )
}

fn keeping(config: &Config) -> String {
    let place = match &config.store {
        StoreUrl::Sqlite(file) => file.display().to_string(),
        StoreUrl::Postgres(url) => url.to_string(),
    };
    let days = config.payload_days;
    format!("keeps everything in {place}; what was judged stays {days} days beside its ledger entry")
}
