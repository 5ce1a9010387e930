//! `[server]`, `[tls]`, `[policy]`, `[ledger]` and `[metrics]`: the house itself.
//! `checked` reads them.

use std::path::PathBuf;

use countersign_core::address::EmailAddress;
use countersign_core::ids::AccountId;

use super::network::{parse_host, parse_own_name};
use super::notes::Noted;
use super::reader::Reader;

/// `[server]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// The name in greetings and EHLO.
    pub hostname: String,
    /// The folder of everything we keep.
    pub data_dir: PathBuf,
    /// The address of the console as people see it, without a slash at its end.
    pub public_url: Option<String>,
    /// The root key; in `data_dir` when absent.
    pub root_key_file: Option<PathBuf>,
    /// The account in whose name notices go out.
    pub notice_account: Option<AccountId>,
    /// The author of notices.
    pub notice_from: Option<EmailAddress>,
}

impl Server {
    pub(super) fn read(server: Reader<'_>) -> Result<Self, Noted> {
        let hostname = server.required("hostname", parse_own_name);
        let data_dir = server.file("data_dir");
        let public_url = server.optional("public_url", parse_public_url);
        let root_key_file = server.file("root_key_file");
        let notice_account = server.optional("notice_account", AccountId::parse);
        let notice_from = server.optional("notice_from", EmailAddress::parse);
        Ok(Self {
            hostname: hostname?,
            data_dir: data_dir?.unwrap_or_default(),
            public_url: public_url?,
            root_key_file: root_key_file?,
            notice_account: notice_account?,
            notice_from: notice_from?,
        })
    }
}

/// It stands in SMTP replies and mails, so it has nothing that could end a line.
fn parse_public_url(text: &str) -> Result<String, String> {
    let allowed = || "an address is allowed, as in `https://gate.example`".to_owned();
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).ok_or_else(allowed)?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.parse::<u16>().is_ok() => name,
        _ => host,
    };
    let plain = path.bytes().all(|b| b.is_ascii_alphanumeric() || b"/-_.~".contains(&b));
    match parse_host(name).is_ok() && plain && text.len() <= 200 {
        true => Ok(text.trim_end_matches('/').to_owned()),
        false => Err(allowed()),
    }
}

/// A certificate and its key, both PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The chain, our certificate first.
    pub cert_file: PathBuf,
    /// The private key.
    pub key_file: PathBuf,
}

impl TlsFiles {
    /// Reads `cert_file` and `key_file` of a table: both or none.
    pub(super) fn read(table: Reader<'_>) -> Result<Option<Self>, Noted> {
        match (table.file("cert_file")?, table.file("key_file")?) {
            (Some(cert_file), Some(key_file)) => Ok(Some(Self { cert_file, key_file })),
            (None, None) => Ok(None),
            (Some(_), None) => Err(alone(table, "cert_file", "key_file")),
            (None, Some(_)) => Err(alone(table, "key_file", "cert_file")),
        }
    }
}

fn alone(table: Reader<'_>, one: &str, other: &str) -> Noted {
    table.wrong_table(&format!("has `{one}` but no `{other}`: give both, or neither"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_url_cannot_end_a_line_of_a_reply() {
        for bad in [
            "gate.example",
            "https://",
            "https://a b",
            "https://gate.example/\r\n250 ok",
            "https://gate.example/?q",
            "https://user@gate.example",
        ] {
            assert!(parse_public_url(bad).is_err(), "{bad}");
        }
        assert_eq!(parse_public_url("https://gate.example/mail/").unwrap(), "https://gate.example/mail");
        assert_eq!(parse_public_url("http://localhost:8080").unwrap(), "http://localhost:8080");
        assert_eq!(parse_public_url("http://[2001:db8::1]:8080").unwrap(), "http://[2001:db8::1]:8080");
    }
}
