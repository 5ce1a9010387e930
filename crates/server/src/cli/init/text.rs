//! What `init` writes and prints: the configuration, the unit, the lines for Postfix, what to do next.

use std::net::IpAddr;
use std::path::Path;

use super::Plan;
use super::postfix::Postfix;

/// `countersign.toml`
pub(super) fn configuration(plan: &Plan) -> String {
    let text = |text: &str| toml::Value::from(text).to_string();
    let listeners: String = plan
        .listen
        .iter()
        .map(|listen| {
            let tls = if listen.port() == 465 { "implicit" } else { "starttls" };
            let listen = text(&listen.to_string());
            format!("[[send.listener]]\nlisten = {listen}\nkind = \"submission\"\ntls = \"{tls}\"\n\n")
        })
        .collect();
    let data_dir = text(&plan.data_dir.to_string_lossy());
    format!(
        "# Written by `countersign init`. Every key: docs/reference/countersign.toml. What it will do:\n\
         # countersign config check --config {}\n\n\
         [server]\nhostname = {}\ndata_dir = {data_dir}\n\n\
         # Without these, a self-signed certificate is shown; it is in data_dir.\n\
         # [tls]\n# cert_file = \"fullchain.pem\"\n# key_file = \"key.pem\"\n\n\
         # observe rules and records but lets pass; `countersign enforce send` when you have seen what it says.\n\
         [send]\nmode = \"observe\"\nhold = \"custody\"\n\n{listeners}\
         [[send.upstream]]\nurl = {}\n{}\n\
         [metrics]\nlisten = {}\n",
        plan.config.display(),
        text(&plan.hostname),
        text(&plan.upstream.to_string()),
        egress(plan),
        text(&plan.metrics.to_string()),
    )
}

fn egress(plan: &Plan) -> String {
    let listed: Vec<String> = plan.egress.iter().map(|network| format!("\"{}\"", shown(network))).collect();
    match (plan.egress.is_empty(), plan.egress_is_guessed) {
        (true, _) => "# Every address from which mail leaves; SPF cannot be checked before it is said.\n\
                      # egress = [\"192.0.2.25\", \"2001:db8::25\"]\n"
            .to_owned(),
        (false, true) => format!(
            "# As Postfix and the routing table say. It must be every address from which mail leaves.\n\
             egress = [{}]\n",
            listed.join(", ")
        ),
        (false, false) => format!("egress = [{}]\n", listed.join(", ")),
    }
}

/// A network of one address without its length.
fn shown(network: &ipnet::IpNet) -> String {
    match network.prefix_len() == network.max_prefix_len() {
        true => network.addr().to_string(),
        false => network.to_string(),
    }
}

/// The unit for systemd. `Type=exec`: ready is told on stdout, not to systemd.
pub(super) fn unit(plan: &Plan) -> String {
    let bind = plan.listen.iter().any(|listen| (1..1024).contains(&listen.port()));
    let capability = if bind { "CAP_NET_BIND_SERVICE" } else { "" };
    // Once over the text: what was put in is not looked through again.
    UNIT.split('{')
        .map(|piece| match piece.split_once('}') {
            None => piece.to_owned(),
            Some((name, rest)) => {
                let value = match name {
                    "PROGRAM" => command_word(&plan.program),
                    "CONFIG" => command_word(&plan.config),
                    "USER" => plan.user.clone(),
                    "CAPABILITIES" => capability.to_owned(),
                    _ => keeps(&plan.data_dir),
                };
                value + rest
            }
        })
        .collect()
}

/// A word of a command line, where systemd would put variables in.
fn command_word(path: &Path) -> String {
    word(path).replace('$', "$$")
}

/// A word: quoted where systemd would take it apart. `Init::plan` lets no control character come here.
fn word(path: &Path) -> String {
    let text = path.to_string_lossy().replace('%', "%%");
    if text.contains([' ', '"', '\'', '\\', '$', ';']) {
        format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
    } else {
        text
    }
}

/// Below /var/lib systemd makes the directory and gives it to the user; elsewhere it has to be given.
fn keeps(data_dir: &Path) -> String {
    match data_dir.strip_prefix("/var/lib") {
        Ok(name) if !name.as_os_str().is_empty() => {
            format!("StateDirectory={}\nStateDirectoryMode=0700", word(name))
        }
        _ => format!("ReadWritePaths={}", word(data_dir)),
    }
}

/// The lines for `master.cf`: a listener on the port of the upstream.
pub(super) fn master_cf(plan: &Plan) -> String {
    let host = match plan.upstream.host.parse::<IpAddr>() {
        Ok(IpAddr::V6(v6)) => format!("[{v6}]"),
        _ => plan.upstream.host.clone(),
    };
    MASTER_CF.replacen("127.0.0.1:10026", &format!("{host}:{}", plan.upstream.port), 1)
}

/// The lines for `main.cf`, without a limit that Postfix has set higher itself.
pub(super) fn main_cf(postfix: Option<&Postfix>) -> String {
    let own = postfix.and_then(|postfix| postfix.message_size_limit.parse::<u64>().ok());
    let wide = own.is_some_and(|own| own == 0 || own >= SIZE);
    let lines = MAIN_CF.lines().filter(|line| !(wide && line.starts_with("message_size_limit")));
    lines.map(|line| format!("{line}\n")).collect()
}

/// What Postfix needs, in words and lines.
pub(super) fn postfix(plan: &Plan) -> String {
    let found = match &plan.postfix {
        Some(postfix) => format!("Postfix {} is here. It needs, in master.cf:", postfix.version),
        None => "No Postfix was found here. One needs, in master.cf:".to_owned(),
    };
    format!(
        "{found}\n\n{}\nand in main.cf:\n\n{}\nthen `postfix check` and `postfix reload`. Nothing of that was changed.",
        master_cf(plan),
        main_cf(plan.postfix.as_ref())
    )
}

/// What deserves a word.
pub(super) fn warnings(plan: &Plan) -> Vec<String> {
    let mut words = Vec::new();
    if plan.hostname == "localhost" {
        words.push("no name was found for this server: it is called `localhost` (say --hostname)".to_owned());
    }
    if plan.egress.is_empty() {
        words.push(
            "from where mail leaves is not known: set `egress`, or SPF cannot be checked and every letter would be held"
                .to_owned(),
        );
    } else if plan.egress_is_guessed {
        words.push(
            "`egress` is what Postfix and the routing table say: add every other address from which mail leaves"
                .to_owned(),
        );
    }
    if let Some(postfix) = &plan.postfix {
        if !postfix.knows_reject() {
            words.push(format!(
                "Postfix {} does not know `smtpd_forbid_bare_newline=reject`: 3.9 does, and 3.8.5, 3.7.10, 3.6.14, \
                 3.5.24",
                postfix.version
            ));
        }
        if !postfix.trusts_only_itself() {
            words.push(format!(
                "whoever is in Postfix's `mynetworks` passes beside the gate: `{}`",
                postfix.networks
            ));
        }
        if !postfix.relay_host.is_empty() {
            words.push(format!(
                "Postfix sends through `{}`: `egress` is the addresses of that host",
                postfix.relay_host
            ));
        }
    }
    words
}

/// What is left to do.
pub(super) fn next_steps(plan: &Plan) -> String {
    let config = plan.config.display();
    format!(
        "\nnext:\n  countersign config check --config {config}\n  countersign doctor --config {config}\n\
         as a service (the user of the unit must be there and own what was made):\n  \
         useradd --system --home-dir {} --shell /usr/sbin/nologin {}\n  chown -R {}: {}\n  \
         systemctl daemon-reload && systemctl enable --now {}",
        plan.data_dir.display(),
        plan.user,
        plan.user,
        plan.data_dir.display(),
        plan.unit.file_name().unwrap_or_default().to_string_lossy()
    )
}

pub(super) const MASTER_CF: &str = include_str!("master.cf");
pub(super) const MAIN_CF: &str = include_str!("main.cf");
const UNIT: &str = include_str!("countersign.service");
/// The `message_size_limit` of the lines.
const SIZE: u64 = 27_262_976;
