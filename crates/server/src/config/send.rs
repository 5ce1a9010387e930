//! `[send]` and `[[send.listener]]`: the send gate and its doors.
//! `checked` reads it; the SMTP door is built from it.

use std::net::SocketAddr;

use countersign_core::address::Domain;
use countersign_core::ids::AccountId;
use countersign_core::policy::How;
use countersign_core::request::Mode;
use ipnet::IpNet;

use super::network::{is_loopback, parse_listen, parse_network};
use super::notes::Noted;
use super::reader::Reader;
use super::server::TlsFiles;
use super::upstream::Upstream;

/// `[send]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Send {
    /// The mode of the gate. The store's wins over it, and an account's over both.
    pub mode: Mode,
    /// How mail is held.
    pub hold: How,
    /// How many days held mail is kept.
    pub custody_days: u32,
    /// Domains of ours that any account may use in MAIL FROM.
    pub return_path_domains: Vec<Domain>,
    /// The doors, in the order of the file: `send.0`, `send.1`.
    pub listeners: Vec<Listener>,
    /// The MTAs behind us.
    pub upstreams: Vec<Upstream>,
}

impl Send {
    pub(super) fn read(send: Reader<'_>) -> Result<Self, Noted> {
        let mode = send.choose("mode", &MODES);
        let hold = send.choose("hold", &[("custody", How::Custody), ("defer", How::Defer)]);
        let custody_days = send.count("custody_days");
        let return_path_domains = send.list("return_path_domains", Domain::parse);
        let listeners = send.each("listener", Listener::read);
        let upstreams = send.each("upstream", Upstream::read);
        Ok(Self {
            mode: mode?,
            hold: hold?,
            custody_days: custody_days?,
            return_path_domains: return_path_domains?,
            listeners: listeners?,
            upstreams: upstreams?,
        })
    }
}

/// The words for modes.
pub(crate) const MODES: [(&str, Mode); 2] = [("observe", Mode::Observe), ("enforce", Mode::Enforce)];

/// `[[send.listener]]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Where it listens; port 0 is any free one.
    pub listen: SocketAddr,
    /// Who comes there.
    pub kind: ListenerKind,
    /// How sessions are encrypted.
    pub tls: ListenerTls,
    /// Whether peers on loopback may sign in without TLS.
    pub plaintext_loopback: bool,
    /// How the account is found.
    pub account_from: AccountFrom,
    /// A certificate of its own.
    pub tls_files: Option<TlsFiles>,
    /// Networks of MTAs that are believed about the account.
    pub trusted: Vec<IpNet>,
    /// Networks of load balancers that are believed about the client.
    pub proxy_protocol: Vec<IpNet>,
}

/// Who comes to a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListenerKind {
    /// Customers, who sign in.
    Submission,
    /// MTAs that we trust by network.
    Relay,
}

/// How sessions of a listener are encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListenerTls {
    /// After STARTTLS.
    StartTls,
    /// From the first octet.
    Implicit,
    /// Never.
    Off,
}

/// How the account of a session is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccountFrom {
    /// By AUTH.
    Auth,
    /// By XCLIENT LOGIN.
    Xclient,
    /// By a header field of this name.
    Header(String),
    /// By MAIL FROM.
    MailFromMap,
    /// It is always this one.
    Account(AccountId),
}

impl Listener {
    fn read(listener: Reader<'_>) -> Result<Self, Noted> {
        let listen = listener.required("listen", parse_listen);
        let kind = listener
            .choose("kind", &[("submission", ListenerKind::Submission), ("relay", ListenerKind::Relay)]);
        let tls = listener.choose(
            "tls",
            &[
                ("starttls", ListenerTls::StartTls),
                ("implicit", ListenerTls::Implicit),
                ("off", ListenerTls::Off),
            ],
        );
        let plaintext = listener.maybe_choose("plaintext", &[("loopback", ())]);
        let account_from = listener.required("account_from", AccountFrom::parse);
        let tls_files = TlsFiles::read(listener);
        let trusted = listener.list("trusted", parse_network);
        warn_of_host_bits(listener, "trusted");
        let proxy_protocol = listener.list("proxy_protocol", parse_network);
        warn_of_host_bits(listener, "proxy_protocol");
        Ok(Self {
            listen: listen?,
            kind: kind?,
            tls: tls?,
            plaintext_loopback: plaintext?.is_some(),
            account_from: account_from?,
            tls_files: tls_files?,
            trusted: trusted?,
            proxy_protocol: proxy_protocol?,
        })
    }

    /// Whether only this machine can reach it.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        is_loopback(self.listen)
    }
}

impl AccountFrom {
    fn parse(text: &str) -> Result<Self, String> {
        match (text, text.split_once(':')) {
            ("auth", _) => Ok(Self::Auth),
            ("xclient", _) => Ok(Self::Xclient),
            ("mail-from-map", _) => Ok(Self::MailFromMap),
            (_, Some(("header", name))) if is_field_name(name) => match is_standard(name) {
                true => Err("authors and MTAs write fields of that name: take one of your own, as in \
                             `header:X-Account`"
                    .to_owned()),
                false => Ok(Self::Header(name.to_owned())),
            },
            (_, Some(("account", id))) => AccountId::parse(id).map(Self::Account).map_err(|e| e.to_string()),
            _ => {
                Err("allowed are `auth`, `xclient`, `header:X-Account`, `mail-from-map`, `account:ID`"
                    .to_owned())
            }
        }
    }
}

/// Networks that look narrower than they are: `127.0.0.1/8` believes 16 million addresses.
fn warn_of_host_bits(listener: Reader<'_>, name: &str) {
    let texts = listener.texts(name).unwrap_or_default();
    for text in texts {
        let Some(net) = text.parse::<IpNet>().ok().filter(|net| net.trunc() != *net) else { continue };
        listener.warn(format!(
            "{}: `{text}` in `{name}` is read as `{}`, all of it; for one address leave the `/{}` away",
            listener.place(name),
            net.trunc(),
            net.prefix_len()
        ));
    }
}

/// RFC 5322 2.2: "A field name MUST be composed of printable US-ASCII characters [...] except colon". A longer
/// one than this would not fit into refusals that name it.
fn is_field_name(name: &str) -> bool {
    (1..=40).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_graphic() && b != b':')
}

/// Whether the field may be in any message, whoever sent it.
fn is_standard(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let families = ["mime-", "content-", "resent-", "arc-"];
    STANDARD.contains(&name.as_str()) || families.iter().any(|family| name.starts_with(family))
}

const STANDARD: [&str; 20] = [
    "from",
    "sender",
    "reply-to",
    "to",
    "cc",
    "bcc",
    "subject",
    "comments",
    "keywords",
    "date",
    "message-id",
    "in-reply-to",
    "references",
    "received",
    "return-path",
    "delivered-to",
    "dkim-signature",
    "received-spf",
    "authentication-results",
    "countersign-trace",
];
