//! The configuration from the outside: each rule with its message, the sample, and arbitrary texts.

use std::fs;
use std::path::PathBuf;

use countersign_core::request::Mode;
use proptest::prelude::*;

use super::load::read;
use super::schema::{Fallback, Key, Kind};
use super::sections::SECTIONS;
use super::table::{Entry, Table, Value};
use super::*;

mod environment;
mod messages;
mod properties;
mod sample;
mod serving;

fn machine() -> Machine {
    Machine { search: Vec::new(), name: Some("gate.example".to_owned()) }
}

fn loaded(text: &str) -> Result<Loaded, String> {
    with(text, &[])
}

fn with(text: &str, variables: &[(&str, &str)]) -> Result<Loaded, String> {
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    read(&machine(), Some(PathBuf::from("/etc/x.toml")), text, variables).map_err(|error| error.to_string())
}

/// What is shown, loaded from the folder we are in: default file names are relative to that.
fn shown_again(first: &Loaded) -> Loaded {
    read(&machine(), Some(PathBuf::from("shown.toml")), &show(first, true), []).unwrap()
}

fn config(text: &str) -> Config {
    loaded(text).unwrap().config
}

fn wrong(text: &str) -> String {
    loaded(text).unwrap_err()
}

const MAIL: &str = r#"
[[send.listener]]
listen = "127.0.0.1:2525"
[[send.upstream]]
url = "smtp://127.0.0.1:10026"
egress = ["192.0.2.0/28"]
"#;

#[test]
fn nothing_at_all_gives_every_default() {
    let config = config("");
    assert_eq!(config.server.hostname, "gate.example");
    assert_eq!(config.server.data_dir, PathBuf::from("./countersign-data"));
    assert_eq!(config.store, StoreUrl::Sqlite(PathBuf::from("./countersign-data/countersign.db")));
    assert_eq!(config.dns.resolvers, Resolvers::System);
    assert_eq!(config.dns.authoritative, Authoritative::Direct);
    assert_eq!((config.dns.timeout.as_millis(), config.dns.budget.as_millis()), (1500, 5000));
    assert_eq!((config.send.mode, config.send.custody_days), (Mode::Observe, 5));
    assert_eq!(config.send.hold, countersign_core::policy::How::Custody);
    assert!(config.send.listeners.is_empty() && config.send.upstreams.is_empty() && config.tls.is_none());
    assert_eq!(config.metrics.to_string(), "127.0.0.1:0");
    assert_eq!(config.payload_days, 90);
    assert_eq!(config.limits.per_credential_day, None);
    assert_eq!((config.limits.connections_per_ip, config.limits.connections_per_net), (20, 100));
    assert_eq!((config.limits.min_data_rate, config.limits.bytes_in_flight), (1024, 268_435_456));
    let failures = &config.limits.auth_failures;
    assert_eq!(
        (failures.account, failures.net, failures.all, failures.window.as_secs()),
        (10, 50, 1000, 600)
    );
    assert_eq!(config.limits.wire(), countersign_wire::limits::Limits::default());
}

#[test]
fn a_machine_without_a_dot_in_its_name_is_localhost() {
    for name in [None, Some("box".to_owned()), Some("bad name.example".to_owned())] {
        let machine = Machine { search: Vec::new(), name };
        let loaded = read(&machine, None, "", []).unwrap();
        assert_eq!(loaded.config.server.hostname, "localhost");
    }
}

#[test]
fn mail_is_read_as_written() {
    let config = config(
        r#"
[limits]
message_bytes = 1_000_000
rcpts = 50
commands = 77
per_credential_day = 9
[dns]
resolvers = ["127.0.0.1:5300", "192.0.2.53", "[2001:db8::53]:54"]
[send]
mode = "enforce"
hold = "defer"
return_path_domains = ["bounces.esp.example"]
[[send.listener]]
listen = "[::1]:465"
tls = "implicit"
cert_file = "one.pem"
key_file = "/abs/one.key"
[[send.listener]]
listen = "127.0.0.1:0"
tls = "off"
plaintext = "loopback"
[[send.upstream]]
name = "eu"
url = "smtps://mx.example"
egress = ["192.0.2.0/24", "2001:db8::/120"]
auth_file = "../eu.auth"
tls_verify = false
helo = "OUT.esp.example"
pool = 4
"#,
    );
    let wire = config.limits.wire();
    assert_eq!((wire.message_bytes, wire.recipients, wire.commands), (1_000_000, 50, 77));
    assert_eq!(config.limits.per_credential_day, Some(9));
    let Resolvers::List(resolvers) = &config.dns.resolvers else { panic!("a list was given") };
    assert_eq!(
        resolvers.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["127.0.0.1:5300", "192.0.2.53:53", "[2001:db8::53]:54"]
    );
    assert_eq!(config.dns.authoritative, Authoritative::ViaResolver);
    assert_eq!(config.send.mode, Mode::Enforce);
    assert_eq!(config.send.return_path_domains[0].as_str(), "bounces.esp.example");
    let [first, second] = &config.send.listeners[..] else { panic!("two were given") };
    assert_eq!(first.tls, ListenerTls::Implicit);
    let files = first.tls_files.as_ref().unwrap();
    assert_eq!(files.cert_file, PathBuf::from("/etc/one.pem"));
    assert_eq!(files.key_file, PathBuf::from("/abs/one.key"));
    assert_eq!((second.tls, second.plaintext_loopback), (ListenerTls::Off, true));
    assert_eq!(second.account_from, AccountFrom::Auth);
    let upstream = &config.send.upstreams[0];
    assert_eq!(upstream.url.to_string(), "smtps://mx.example:465");
    assert_eq!(upstream.egress_addresses().len(), 512);
    assert_eq!(upstream.auth_file, Some(PathBuf::from("/etc/../eu.auth")));
    assert_eq!(
        (upstream.helo.as_deref(), upstream.tls_verify, upstream.pool),
        (Some("out.esp.example"), false, 4)
    );
}

#[test]
fn the_first_file_that_is_there_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    let [near, far] = ["near.toml", "far.toml"].map(|name| dir.path().join(name));
    let machine = Machine { search: vec![near.clone(), far.clone()], name: None };
    assert_eq!(load_on(&machine, None, []).unwrap().path, None);
    fs::write(&far, "[server]\ndata_dir = \"kept\"\n").unwrap();
    let loaded = load_on(&machine, None, []).unwrap();
    assert_eq!(loaded.path, Some(far.clone()));
    assert_eq!(loaded.config.server.data_dir, dir.path().join("kept"));
    fs::write(&near, "").unwrap();
    assert_eq!(load_on(&machine, None, []).unwrap().path, Some(near));
    assert_eq!(load_on(&machine, Some(&far), []).unwrap().path, Some(far));
}

#[test]
fn a_file_that_was_named_must_be_there() {
    let error = load_on(&machine(), Some("/nowhere/c.toml".as_ref()), []).unwrap_err();
    assert_eq!(error.to_string(), "cannot read `/nowhere/c.toml`: No such file or directory (os error 2)");
}

#[test]
fn what_is_shown_loads_again_to_the_same() {
    for text in ["", MAIL, include_str!("../../../../docs/reference/countersign.toml")] {
        let first = loaded(text).unwrap();
        let again = shown_again(&first);
        assert_eq!(again.config, first.config);
        assert_eq!(show(&again, false), show(&first, false));
    }
}

#[test]
fn every_value_says_where_it_comes_from() {
    let text = "[send]\nhold = \"defer\"\n[[send.upstream]]\nurl = \"smtp://mx.example\"\n";
    let mut loaded = with(text, &[("COUNTERSIGN_DNS__TIMEOUT_MS", "300")]).unwrap();
    loaded.mode_from_store(Mode::Enforce);
    let shown = show(&loaded, true);
    for line in [
        "hostname = \"gate.example\"                    # default",
        "timeout_ms = 300                             # environment: COUNTERSIGN_DNS__TIMEOUT_MS",
        "mode = \"enforce\"                             # store",
        "hold = \"defer\"                               # file: /etc/x.toml:2",
        "url = \"smtp://mx.example\"                    # file: /etc/x.toml:4",
        "[[send.upstream]]",
        "[limits.auth_failures]",
    ] {
        assert!(shown.lines().any(|shown| shown == line), "{line}\n\n{shown}");
    }
    assert_eq!(loaded.config.send.mode, Mode::Enforce);
    assert!(!show(&loaded, false).contains('#'));
}

#[test]
fn the_report_says_what_will_happen() {
    let report = check_report(&loaded(MAIL).unwrap());
    for line in [
        "reads /etc/x.toml",
        "is called gate.example and shows a self-signed certificate kept in ./countersign-data",
        "listens for submission on 127.0.0.1:2525 with STARTTLS; AUTH only inside TLS; messages up to 26214400 \
         octets",
        "relays to smtp://127.0.0.1:10026 (pool 32), mail leaves from 192.0.2.0/28: SPF is checked for 16 \
         addresses",
        "mode observe: nothing is held or refused, except broken SMTP, bare line ends, exceeded limits, failed \
         sign-ins and blocked accounts",
        "asks the machine's resolvers for DNS, 1500 ms a query and 5000 ms a message; before a refusal it asks \
         nobody again (asking the servers of the zone is not built yet)",
        "keeps everything in ./countersign-data/countersign.db; what was judged stays 90 days beside its ledger entry",
        "answers /v1 for API keys on 127.0.0.1:0 without TLS",
        "shows /healthz, /readyz and /metrics on 127.0.0.1:0",
    ] {
        assert!(report.lines().any(|reported| reported == line), "{line}\n\n{report}");
    }
    let loopback = check_report(
        &loaded(&format!("{MAIL}\n[[send.listener]]\nlisten = \"127.0.0.1:2526\"\nplaintext = \"loopback\""))
            .unwrap(),
    );
    assert!(loopback.contains("on 127.0.0.1:2526 with STARTTLS; AUTH without TLS only from loopback;"));
    let dead = check_report(
        &loaded("[send]\nmode = \"enforce\"\n[[send.upstream]]\nurl = \"lmtp://mx.example:24\"").unwrap(),
    );
    assert!(dead.contains("`serve` would not start: upstream `default`: it has no `egress`"), "{dead}");
    assert!(dead.contains("`egress` is not set: SPF cannot be checked and is unknown"), "{dead}");
}

#[test]
fn the_report_names_upstreams_with_what_they_have_the_second_sink_and_witnesses() {
    let key = "witness.example+e2827345+BAcDxDIQSVzPe8EBUC/xtUjbo0yIFQ1Dxa0d01VUpqoW";
    let config = format!(
        "[server]\ndata_dir = \"/data\"\n[ledger]\nsecond_sink = \"/data/second/ledger\"\n\
         [[ledger.witnesses]]\nurl = \"https://witness.example\"\nkey = \"{key}\"\n\
         [[send.upstream]]\nname = \"far\"\nurl = \"smtp://mx.example:25\"\nca_file = \"/etc/ca.pem\"\n\
         auth_file = \"/etc/far.secret\"\n[[send.upstream]]\nname = \"near\"\nurl = \"smtp://127.0.0.1:26\"\n\
         xclient = true\n"
    );
    let loaded = loaded(&config).unwrap();
    let report = check_report(&loaded);
    for part in [
        "\nupstream far: relays to smtp://mx.example:25",
        "; believes the issuers in /etc/ca.pem; signs in as /etc/far.secret says\n",
        "\nupstream near: relays to smtp://127.0.0.1:26",
        "; tells it the client with XCLIENT\n",
        "\nwrites every leaf of the ledger a second time, in /data/second/ledger\n",
        "\nasks the witness witness.example at https://witness.example",
    ] {
        assert!(report.contains(part), "{part}\n\n{report}");
    }
    assert!(loaded.warnings.iter().any(|warning| warning.contains("is in the data directory")), "{loaded:?}");
}

/// Pieces of which nearly valid files are made: they reach further than noise does.
fn piece() -> impl Strategy<Value = String> {
    let names = "(server|tls|dns|send|send\\.listener|send\\.upstream|limits|limits\\.auth_failures|tiers|tiers\\.T1|receive|brand|oidc)";
    let keys = "(hostname|data_dir|listen|tls|url|egress|resolvers|rcpts|mode|kind|name|domains|day|listener|auth_failures|trusted|cert_file)";
    let values = "(1|-1|9223372036854775808|true|\"\"|\"x\"|\"127.0.0.1:25\"|\"enforce\"|\\[\\]|\\[\"192.0.2.0/28\"\\]|\\[1, \"a\"\\]|\\{\\}|\\{a = 1\\}|\\[\\{listen = 1\\}\\]|2026-01-01|1e9|nan)";
    prop_oneof![
        names.prop_map(|name| format!("[{name}]\n")),
        names.prop_map(|name| format!("[[{name}]]\n")),
        (keys, values).prop_map(|(key, value)| format!("{key} = {value}\n")),
        ".{0,20}\n".prop_map(|noise| noise),
    ]
}

proptest! {
    #[test]
    fn any_text_is_loaded_or_refused(noise in "(?s).{0,200}") {
        let _ = loaded(&noise);
    }

    #[test]
    fn nearly_valid_text_is_loaded_or_refused(pieces in proptest::collection::vec(piece(), 0..12)) {
        match loaded(&pieces.concat()) {
            Ok(first) => {
                let again = shown_again(&first);
                prop_assert_eq!(&again.config, &first.config);
                let _ = check_report(&first);
            }
            Err(message) => {
                prop_assert!(!message.is_empty());
                prop_assert!(message.lines().all(|line| line.starts_with("/etc/x.toml:")), "{}", message);
            }
        }
    }

    #[test]
    fn any_variable_is_laid_over_or_refused(name in "[A-Z_]{0,30}", text in ".{0,30}") {
        let _ = with("", &[(&format!("COUNTERSIGN_{name}"), &text)]);
        for known in ["COUNTERSIGN_SERVER__HOSTNAME", "COUNTERSIGN_DNS__RESOLVERS", "COUNTERSIGN_LIMITS__RCPTS"] {
            let _ = with("", &[(known, &text)]);
        }
    }
}
