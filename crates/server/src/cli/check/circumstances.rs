//! The circumstances of a message file: option first, then sidecar, then what its header says.

use std::path::Path;
use std::sync::Arc;

use countersign_core::address::{Domain, EmailAddress};
use countersign_core::evidence::Evidence;
use countersign_core::ids::{AccountId, Ref};
use countersign_core::message::Message;
use countersign_core::policy::refuse_bytes;
use countersign_core::reason;
use countersign_core::request::{Ask, Client, Envelope, Mode, Request, Submission};
use jiff::Timestamp;
use serde_json::Value;

use super::super::assume::Assumptions;
use super::super::exit::{Code, Failure};
use super::{Asked, Bench, MessageFile, warn};
use crate::accounts::file::AccountsFile;
use crate::accounts::sidecar::{ReversePath, Sidecar};
use crate::accounts::{Account, Directory};
use crate::boot::{Data, way};
use crate::clock::Clock;
use crate::config::Config;
use crate::doors::code_of;
use crate::probes::{Case, Way};

/// Who submits a message, from where, to whom.
pub(super) struct Circumstances {
    account: Arc<Account>,
    credential: String,
    client: Client,
    envelope: Envelope,
    assumed: Vec<Evidence>,
    at: Timestamp,
    /// Why MAIL FROM would have been refused.
    malformed: Option<String>,
}

impl Circumstances {
    pub(super) async fn of(
        asked: &Asked,
        path: &Path,
        message: &MessageFile,
        bench: &Bench,
    ) -> Result<Self, Failure> {
        let sidecar = sidecar(path)?;
        let directory = directory(asked, &sidecar, bench).await?;
        let account = account(asked, &sidecar, &directory).await?;
        let at = asked.now.or(sidecar.now).unwrap_or_else(|| Clock::system().now());
        let assumed = asked.assume.clone().unwrap_or_else(|| Assumptions(sidecar.assume.clone()));
        let mail_from = match (&asked.mail_from, sidecar.mail_from) {
            (Some(text), _) => ReversePath::of(text),
            (None, Some(path)) => path,
            (None, None) => return_path(message, bench),
        };
        let asked_for = asked.rcpt.iter().map(|text| address(text)).collect::<Result<Vec<_>, _>>()?;
        let (mail_from, malformed) = match mail_from {
            ReversePath::Null => (None, None),
            ReversePath::Mailbox(address) => (Some(address), None),
            ReversePath::Malformed(why) => (None, Some(why)),
        };
        Ok(Self {
            account,
            malformed,
            credential: asked.credential.clone().or_else(|| sidecar.credential.clone()).unwrap_or_default(),
            client: Client {
                ip: asked.ip.or(sidecar.ip),
                helo: asked.helo.clone().or_else(|| sidecar.helo.clone()).unwrap_or_default(),
                tls: sidecar.tls.unwrap_or_default(),
            },
            envelope: Envelope {
                mail_from,
                recipients: if asked_for.is_empty() { sidecar.rcpt } else { asked_for },
            },
            assumed: assumed.evidence(at),
            at,
        })
    }

    /// Rules as the gate would, in enforce unless the account says otherwise.
    pub(super) async fn rule(self, file: MessageFile, bench: &Bench) -> Result<(Value, Code), Failure> {
        let limits = bench.config.limits.wire();
        let fault = file.fault(&limits);
        let submission = Submission {
            credential: self.credential,
            client: self.client,
            envelope: self.envelope,
            message: Arc::new(Message::read(file.bytes, &limits)),
        };
        let request = Request {
            // A check is not recorded: its ruling has no ref.
            reference: Ref::from_random(0),
            at: self.at,
            mode: self.account.own_mode().unwrap_or(Mode::Enforce),
            account: self.account.id.clone(),
            ask: Ask::Send(Box::new(submission)),
        };
        let on_the_wire = match (self.malformed, fault) {
            (Some(why), _) => Some(("mail-from-malformed", why)),
            (None, Some(fault)) => Some((code_of(fault), fault.to_string())),
            (None, None) => None,
        };
        let ruling = match on_the_wire {
            Some((code, why)) => {
                refuse_bytes(&request, reason::known(code), &why, bench.judge.rules.digest())
            }
            None => {
                let way = way_of(&self.account, &bench.config)?;
                let case = Case { request, account: self.account, way };
                bench.judge.rule(&case, self.assumed).await
            }
        };
        let mut json = ruling.to_json();
        if let Some(reference) = json.get_mut("ref") {
            *reference = Value::Null;
        }
        Ok((json, ruling.decision().into()))
    }
}

/// The way out of the account's upstream, else of the first; without one SPF is `unknown(not-configured)` unless assumed.
fn way_of(account: &Account, config: &Config) -> Result<Arc<Way>, Failure> {
    let hostname =
        Domain::parse(&config.server.hostname).map_err(|e| Failure::new(Code::Configuration, e))?;
    let mut upstreams = config.send.upstreams.iter();
    let upstream = match &account.upstream {
        Some(name) => upstreams.find(|upstream| upstream.name == *name),
        None => upstreams.next(),
    };
    Ok(upstream.map(|upstream| Arc::new(way(config, upstream, &hostname))).unwrap_or_default())
}

fn sidecar(path: &Path) -> Result<Sidecar, Failure> {
    let sidecar = Sidecar::beside(path).map_err(Failure::usage)?.unwrap_or_default();
    sidecar.warnings.iter().for_each(|warning| warn(path, warning));
    Ok(sidecar)
}

async fn directory(asked: &Asked, sidecar: &Sidecar, bench: &Bench) -> Result<Directory, Failure> {
    if let Some(file) = &asked.accounts {
        let text = std::fs::read_to_string(file)
            .map_err(|e| Failure::usage(format!("accounts file `{}` cannot be read: {e}", file.display())))?;
        let parsed = AccountsFile::parse(&text, file, true).map_err(Failure::usage)?;
        return Ok(Directory::fixed(parsed.accounts.iter().map(Account::of_spec).collect()));
    }
    if !sidecar.accounts.is_empty() {
        return Ok(Directory::fixed(sidecar.accounts.iter().map(Account::of_spec).collect()));
    }
    match Data::read(&bench.config, &Clock::system()).await {
        Ok(read) => Ok(Directory::of_store(read.store)),
        Err(error) => Err(Failure::usage(format!(
            "no accounts to judge with: name a file with --accounts, write [[account]] into the message's sidecar \
             `X.toml`, or point --config at a server's data directory ({error})"
        ))),
    }
}

async fn account(asked: &Asked, sidecar: &Sidecar, directory: &Directory) -> Result<Arc<Account>, Failure> {
    let named = asked.account.clone().or_else(|| sidecar.account.as_ref().map(ToString::to_string));
    let id = match named {
        Some(text) => AccountId::parse(&text).map_err(Failure::usage)?,
        None => match directory.ids().await.map_err(Failure::internal)?.as_slice() {
            [only] => only.clone(),
            _ => return Err(Failure::usage("which account submits it? name it with --account")),
        },
    };
    directory.account(&id).await.map_err(Failure::usage)
}

/// The Return-Path field, as a server that delivered the file wrote it; without one, the null reverse path.
fn return_path(file: &MessageFile, bench: &Bench) -> ReversePath {
    let message = Message::read(file.bytes.clone(), &bench.config.limits.wire());
    let field =
        message.fields().find(|field| field.is("return-path")).map(|field| field.unfolded().into_owned());
    match field {
        Some(value) => ReversePath::of(String::from_utf8_lossy(&value).trim()),
        None => ReversePath::Null,
    }
}

fn address(text: &str) -> Result<EmailAddress, Failure> {
    EmailAddress::parse(text).map_err(|e| Failure::usage(format!("`{text}` is no address: {e}")))
}
