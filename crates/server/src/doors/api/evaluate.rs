//! Evaluation: a message that somebody else holds, judged as over SMTP. Whoever asked acts on the ruling.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use bytes::Bytes;
use countersign_core::address::EmailAddress;
use countersign_core::ids::AccountId;
use countersign_core::message::Message;
use countersign_core::reason;
use countersign_core::request::{Ask, Client, Envelope, Gate, Request, Submission};
use countersign_wire::smtp::chunk::ChunkDecoder;
use serde_json::Value;

use super::caller::Caller;
use super::problem::Problem;
use super::query::{Parameter, ParameterKind, Query, shown};
use super::{Api, Current};
use crate::accounts::sidecar::ReversePath;
use crate::accounts::{Account, DirectoryError};
use crate::acts::Ending;
use crate::clock::draw_ref;
use crate::doors::code_of;
use crate::gate::Evaluation;
use crate::probes::Case;

pub(super) async fn evaluate(
    State(current): State<Current>,
    Extension(caller): Extension<Caller>,
    Extension(query): Extension<Query>,
    body: Bytes,
) -> Result<Json<Value>, Problem> {
    let api = current.api();
    let account = api.evaluated(&caller, &query).await?;
    let (envelope, malformed) = envelope(&query, api.settings.limits.recipients)?;
    let read = octets(&api, &query, &body);
    let on_the_wire = match (malformed, api.lacks_smtputf8(&account, &query).await, &read) {
        (Some(why), ..) => Some((reason::known("mail-from-malformed"), why)),
        (None, Some(address), _) => {
            Some((reason::known("upstream-lacks-smtputf8"), format!("`{}`", shown(address))))
        }
        (None, None, Err((code, why))) => Some((reason::known(code), why.clone())),
        (None, None, Ok(_)) => None,
    };
    let message = Message::read(read.unwrap_or_default(), &api.settings.limits);
    let submission = Submission {
        credential: api.credential(&caller, &query).await?,
        client: Client {
            ip: ip(&query)?,
            helo: query.one("helo").unwrap_or_default().to_owned(),
            tls: false,
        },
        envelope,
        message: Arc::new(message),
    };
    let case = api.case(account, submission).await?;
    let record = query.flag("record").unwrap_or(true);
    let asked = Evaluation { record, by: caller.actor.to_string(), on_the_wire };
    let reply = api.control.gate.evaluate(case, asked).await;
    let mut ruling = match reply.ending {
        Ending::Done | Ending::Owed => reply.ruling.to_json(),
        Ending::Conflict => return Err(Problem::conflict(&reply.ruling)),
        Ending::Unrecorded(_) | Ending::Stopped | Ending::Upstream(_) => {
            let why = "this cannot be recorded now, so there is no ruling; try again later";
            return Err(Problem::unavailable("ledger-unavailable", why));
        }
    };
    if let Some(reference) = ruling.get_mut("ref").filter(|_| !record) {
        *reference = Value::Null;
    }
    Ok(Json(ruling))
}

impl Api {
    /// The account whose message it is: a key of an account needs not name it, and may name no other.
    async fn evaluated(&self, caller: &Caller, query: &Query) -> Result<Arc<Account>, Problem> {
        let id = match (query.one("account"), &caller.only) {
            (Some(text), _) => {
                AccountId::parse(text).map_err(|error| Problem::bad_request(error.to_string()))?
            }
            (None, Some(own)) => own.clone(),
            (None, None) => {
                return Err(Problem::bad_request("query parameter `account` is needed with this key"));
            }
        };
        let gone = || Problem::not_found(DirectoryError::Unknown(id.to_string()).to_string());
        if !caller.sees(&id) {
            return Err(gone());
        }
        match self.control.directory.account(&id).await {
            Ok(account) => Ok(account),
            Err(DirectoryError::Unknown(_)) => Err(gone()),
            Err(error) => Err(Problem::of(error)),
        }
    }

    /// RFC 6531 3.3: an address of the envelope that is not ASCII takes SMTPUTF8, which SMTP offers where the
    /// upstream does.
    async fn lacks_smtputf8<'q>(&self, account: &Account, query: &'q Query) -> Option<&'q str> {
        let address =
            query.one("mail_from").into_iter().chain(query.all("rcpt")).find(|text| !text.is_ascii())?;
        let offered = match self.control.exits.of(account) {
            Some(exit) => exit.upstream.offers().await,
            None => None,
        };
        if offered.is_some_and(|offered| offered.smtputf8) { None } else { Some(address) }
    }

    /// The login that brought the message. Staff say what their MTA saw; an account's key names logins of its own.
    async fn credential(&self, caller: &Caller, query: &Query) -> Result<String, Problem> {
        let (login, own) = match (query.one("credential"), &caller.only, &caller.login) {
            (Some(login), Some(own), key) if key.as_deref() != Some(login) => (login, own),
            (Some(login), ..) => return Ok(login.to_owned()),
            (None, _, key) => return Ok(key.clone().unwrap_or_default()),
        };
        let owner = self.control.directory.owner(login).await.map_err(Problem::of)?;
        match owner.is_some_and(|owner| owner == *own) {
            true => Ok(login.to_owned()),
            false => {
                let why =
                    format!("account `{own}` has no login `{}`: name one of its own, or none", shown(login));
                Err(Problem::bad_request(why))
            }
        }
    }

    /// The same case as the SMTP door would make.
    async fn case(&self, account: Arc<Account>, submission: Submission) -> Result<Case, Problem> {
        let control = &self.control;
        let gate_mode = control.directory.gate_mode(Gate::Send).await.map_err(Problem::of)?;
        let request = Request {
            reference: draw_ref().map_err(Problem::of)?,
            at: control.clock.now(),
            mode: account.own_mode().or(gate_mode).unwrap_or(self.settings.mode),
            account: account.id.clone(),
            ask: Ask::Send(Box::new(submission)),
        };
        let way = control.exits.of(&account).map(|exit| Arc::clone(&exit.way)).unwrap_or_default();
        Ok(Case { request, account, way })
    }
}

/// The message as the octets after BDAT would be read: with the same faults, and a last line end.
fn octets(api: &Api, query: &Query, body: &Bytes) -> Result<Bytes, (&'static str, String)> {
    let mut decoder = ChunkDecoder::new(&api.settings.limits);
    match query.one("newline") {
        Some("lf") => body.split_inclusive(|octet| *octet == b'\n').for_each(|line| match line {
            [.., b'\r', b'\n'] | [] => decoder.push(line),
            [text @ .., b'\n'] => {
                decoder.push(text);
                decoder.push(b"\r\n");
            }
            text => decoder.push(text),
        }),
        _ => decoder.push(body),
    }
    let received = decoder.received();
    decoder
        .finish()
        .map(Bytes::from)
        .map_err(|fault| (code_of(fault), format!("{fault}; {received} octets came")))
}

/// The envelope, and why MAIL FROM would have been refused.
fn envelope(query: &Query, most: usize) -> Result<(Envelope, Option<String>), Problem> {
    let (mail_from, malformed) = match query.one("mail_from").map_or(ReversePath::Null, ReversePath::of) {
        ReversePath::Null => (None, None),
        ReversePath::Mailbox(address) => (Some(address), None),
        ReversePath::Malformed(why) => (None, Some(why)),
    };
    let recipients = query.all("rcpt").map(|text| {
        EmailAddress::parse(text).map_err(|error| {
            Problem::bad_request(format!("query parameter `rcpt` is `{}`: {error}", shown(text)))
        })
    });
    let recipients = recipients.collect::<Result<Vec<_>, _>>()?;
    match recipients.len() > most {
        true => Err(Problem::bad_request(format!("query parameter `rcpt` is there more than {most} times"))),
        false => Ok((Envelope { mail_from, recipients }, malformed)),
    }
}

fn ip(query: &Query) -> Result<Option<IpAddr>, Problem> {
    let parse = |text: &str| {
        text.parse().map_err(|_| {
            let why = format!(
                "query parameter `ip` is `{}`: an address is allowed, as in `192.0.2.7`",
                shown(text)
            );
            Problem::bad_request(why)
        })
    };
    query.one("ip").map(parse).transpose()
}

pub(super) const QUERY: &[Parameter] = &[
    Parameter {
        name: "gate",
        kind: ParameterKind::Word(&["send"]),
        says: "the gate that judges; `send` when absent",
    },
    Parameter {
        name: "account",
        kind: ParameterKind::Text,
        says: "whose message it is; a key of an account may leave it out",
    },
    Parameter {
        name: "credential",
        kind: ParameterKind::Text,
        says: "the login that brought it; the key's own when absent",
    },
    Parameter { name: "ip", kind: ParameterKind::Text, says: "the address of the client that brought it" },
    Parameter { name: "helo", kind: ParameterKind::Text, says: "what that client called itself" },
    Parameter {
        name: "mail_from",
        kind: ParameterKind::Text,
        says: "the reverse path; absent, empty or `<>` is the null one; not ASCII only where the upstream offers SMTPUTF8",
    },
    Parameter {
        name: "rcpt",
        kind: ParameterKind::Texts,
        says: "a recipient, as often as there are some; without any, what depends on recipients is not looked at",
    },
    Parameter {
        name: "record",
        kind: ParameterKind::Flag,
        says: "`false`: the ruling is not recorded and has no ref",
    },
    Parameter {
        name: "newline",
        kind: ParameterKind::Word(&["lf", "crlf"]),
        says: "`lf`: line feeds alone become line ends first, which SMTP never does",
    },
];
