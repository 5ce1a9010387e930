//! The probe: a letter of our own through our own submission listener, judged and recorded like everybody's.
//! The server lends a login for a minute over its control socket, so that no password has to be known.

use std::sync::Arc;
use std::time::Duration;

use countersign_core::address::EmailAddress;
use countersign_wire::smtp::auth::Credentials;
use countersign_wire::smtp::command::{Mail, Rcpt, Recipient};
use countersign_wire::smtp::parameters::{MailParameters, RcptParameters};
use countersign_wire::smtp::path::Path;
use countersign_wire::smtp::reply::Reply;
use hyper::Method;
use serde_json::{Value, json};

use super::doors::reachable;
use super::line::Line;
use super::running;
use crate::boot::Data;
use crate::cli::client::ask;
use crate::cli::exit::{Code, Failure};
use crate::clock::{Clock, draw_ref};
use crate::config::{Config, Listener, ListenerKind, ListenerTls};
use crate::net::tls;
use crate::net::upstream::{Scheme, Upstream, UpstreamSettings, UpstreamTimeouts};
use crate::store::{self, Entry, Payload};

/// Sends it, and says what that showed.
pub(super) async fn send(
    config: &Config,
    open: Option<&Data>,
    sender: Option<&str>,
    to: Option<&str>,
) -> Vec<Line> {
    const CHECK: &str = "probe";
    if running(&config.server.data_dir).is_none() {
        let remedy = "start `countersign serve`, then ask again";
        return vec![Line::fail(CHECK, Code::Unreachable, "no server runs: no letter was sent", remedy)];
    }
    let probe = match Probe::of(config, sender, to) {
        Ok(probe) => probe,
        Err(why) => {
            let remedy = "set `notice_account` and `notice_from` (docs/how-to/notices.md), or say --probe-as";
            return vec![Line::fail(CHECK, Code::Configuration, why, remedy)];
        }
    };
    match tokio::time::timeout(PATIENCE, probe.travel(config, open)).await {
        Ok(Ok(lines)) => lines,
        Ok(Err(line)) => vec![line],
        Err(_) => vec![stuck(&"nothing was heard in time")],
    }
}

/// Who sends, to whom, through which door.
struct Probe<'c> {
    account: String,
    from: EmailAddress,
    to: EmailAddress,
    listener: &'c Listener,
}

impl<'c> Probe<'c> {
    fn of(config: &'c Config, sender: Option<&str>, to: Option<&str>) -> Result<Self, String> {
        let server = &config.server;
        let (account, from) = match (sender, &server.notice_account, &server.notice_from) {
            (Some(sender), ..) => {
                let (account, from) =
                    sender.split_once('=').ok_or_else(|| format!("`{sender}` is not ACCOUNT=ADDRESS"))?;
                (account.to_owned(), address(from)?)
            }
            (None, Some(account), Some(from)) => (account.to_string(), from.clone()),
            (None, ..) => return Err("who shall send the letter? there is no notice account".to_owned()),
        };
        let to = to.map_or_else(|| Ok(from.clone()), address)?;
        let mut doors = config.send.listeners.iter();
        let usable = |listener: &&Listener| {
            listener.kind == ListenerKind::Submission
                && listener.listen.port() != 0
                && listener.proxy_protocol.is_empty()
                && (listener.tls != ListenerTls::Off || listener.plaintext_loopback)
        };
        let listener = doors.find(usable);
        let none = "there is no submission listener with a port of its own that takes a sign-in";
        Ok(Self { account, from, to, listener: listener.ok_or(none)? })
    }

    async fn travel(&self, config: &Config, open: Option<&Data>) -> Result<Vec<Line>, Line> {
        let body = json!({ "account": self.account });
        let lent =
            ask(&config.server.data_dir, Method::POST, "/v1/probe", Some(&body)).await.map_err(|no| {
                let failure = Failure::from(no);
                let remedy = "the account must be there: `countersign account ls`";
                Line::fail("probe", failure.code(), format!("no login was lent: {failure}"), remedy)
            })?;
        let word = |name: &str| lent.get(name).and_then(Value::as_str).unwrap_or_default();
        let credentials = Credentials::new(word("login"), word("secret")).map_err(|error| stuck(&error))?;
        let reply = self.submit(config, credentials).await?;
        let ruled = match open {
            Some(data) => ruling_of(data, word("login")).await?,
            None => None,
        };
        let way = format!("signed in on {}, sent as {} to {}", self.listener.listen, self.from, self.to);
        Ok(vec![match ruled {
            Some((entry, ruling)) => ruled_on(&way, &reply, &entry, &ruling),
            None => Line::fail(
                "probe",
                Code::Unreachable,
                format!("{way}: not ruled on: {reply}"),
                "that is the word of the upstream, or of the door before a ruling: see the log of `serve`",
            ),
        }])
    }

    /// Through the door as a customer would: TLS where the listener has it, the lent login, one letter.
    async fn submit(&self, config: &Config, credentials: Credentials) -> Result<Reply, Line> {
        let door = reachable(self.listener.listen);
        let failed = |error: &dyn std::fmt::Display| {
            Line::fail("probe", Code::Unreachable, format!("{door}: {error}"), "see the log of `serve`")
        };
        let settings = UpstreamSettings {
            name: "probe".to_owned(),
            host: door.ip().to_string(),
            port: door.port(),
            scheme: if self.listener.tls == ListenerTls::Implicit { Scheme::Smtps } else { Scheme::Smtp },
            starttls: self.listener.tls == ListenerTls::StartTls,
            helo: config.server.hostname.clone(),
            // It is our own door, by its address; its certificate is another check.
            tls: Arc::new(tls::unverified_client_config().map_err(|error| failed(&error))?),
            auth: Some(credentials),
            tls_required: self.listener.tls == ListenerTls::StartTls,
            xclient: false,
            pool: 1,
            timeouts: UpstreamTimeouts::default(),
            limits: config.limits.wire(),
        };
        let path = |address: &EmailAddress| Path::parse(&address.to_string()).map_err(|error| failed(&error));
        let mut transaction = Upstream::new(settings).begin().await.map_err(|error| failed(&error))?;
        let mail = Mail { sender: Some(path(&self.from)?), parameters: MailParameters::default() };
        let mut reply = transaction.mail(&mail).await.map_err(|error| failed(&error))?;
        if reply.is_positive() {
            let recipient = Recipient::Mailbox(path(&self.to)?);
            let rcpt = Rcpt { recipient, parameters: RcptParameters::default() };
            reply = transaction.rcpt(&rcpt).await.map_err(|error| failed(&error))?;
        }
        if !reply.is_positive() {
            transaction.abandon().await;
            return Ok(reply);
        }
        let letter = self.letter(config).map_err(|error| failed(&error))?;
        transaction.data(letter.as_bytes()).await.map_err(|error| failed(&error))
    }

    fn letter(&self, config: &Config) -> Result<String, crate::clock::NoRandomness> {
        let date = Clock::system().now().strftime("%a, %d %b %Y %H:%M:%S +0000");
        let host = &config.server.hostname;
        Ok(format!(
            "From: <{}>\r\nTo: <{}>\r\nDate: {date}\r\nMessage-ID: <probe.{}@{host}>\r\n\
             Auto-Submitted: auto-generated\r\nSubject: Probe of Countersign on {host}\r\n\r\n\
             This letter was sent by `countersign doctor --probe`. It went through the submission listener, was judged and\r\n\
             recorded, and reached you through the upstream. Nobody needs to answer it.\r\n",
            self.from,
            self.to,
            draw_ref()?
        ))
    }
}

/// The ruling on what a login sent, as the ledger has it.
async fn ruling_of(data: &Data, login: &str) -> Result<Option<(Entry, Value)>, Line> {
    let entries = store::recent(&data.store, &data.keys, LOOKED_BACK).await.map_err(|error| stuck(&error))?;
    let actor = format!("credential:{login}");
    Ok(entries.into_iter().find_map(|entry| {
        let Payload::Opened(payload) = &entry.payload else { return None };
        let ours = payload.get("actor").is_some_and(|said| *said == actor);
        let ruling = payload.get("ruling").filter(|_| ours).cloned()?;
        Some((entry, ruling))
    }))
}

/// What the ruling and the reply say together.
fn ruled_on(way: &str, reply: &Reply, entry: &Entry, ruling: &Value) -> Line {
    let word = |name: &str| ruling.get(name).and_then(Value::as_str).unwrap_or_default();
    let (decision, reference) = (word("decision"), entry.reference);
    let recorded = format!("{way}: {decision}, recorded as {reference} (leaf {})", entry.index);
    let texts = |name: &str| {
        let reasons = ruling.get("reasons").and_then(Value::as_array).into_iter().flatten();
        let texts: Vec<&str> = reasons.filter_map(|reason| reason.get(name)?.as_str()).collect();
        texts.join("; ")
    };
    let remedy = format!("{} (`countersign explain {reference}`)", texts("remedy"));
    let code = match decision {
        "hold" => Code::Hold,
        "ask" => Code::Ask,
        "refuse" => Code::Refuse,
        _ if reply.is_positive() => {
            return Line::ok("probe", format!("{recorded}, and taken by the upstream: {reply}"));
        }
        _ => {
            let what = format!("{recorded}, but not taken by the upstream: {reply}");
            return Line::fail("probe", Code::Unreachable, what, "see why the upstream does not take it");
        }
    };
    match word("mode") {
        "observe" => {
            let what =
                format!("{recorded}; let pass in mode observe, but enforce would not: {}", texts("sentence"));
            Line::warn("probe", what, remedy)
        }
        _ => Line::fail("probe", code, format!("{recorded}: {}", texts("sentence")), remedy),
    }
}

fn address(text: &str) -> Result<EmailAddress, String> {
    EmailAddress::parse(text).map_err(|error| format!("`{text}` is no address: {error}"))
}

fn stuck(why: &dyn std::fmt::Display) -> Line {
    Line::fail("probe", Code::Unreachable, why, "see the log of `serve`")
}

const PATIENCE: Duration = Duration::from_secs(60);
/// Entries of the ledger among which the ruling is looked for.
const LOOKED_BACK: u32 = 500;
