//! The stage of `try`: writes a directory, starts DNS and sink, opens the real doors, plays the scenes.
//! The directory stays: `explain`, `held` and `ledger` work on it afterwards.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use countersign_core::ids::Ref;
use countersign_core::policy::Decision;
use countersign_wire::smtp::auth::Credentials;
use serde_json::{Value, json};

use super::cast::{self, Before, Scene};
use super::dns::{self, DnsServer, DnsServerError};
use super::sender::{self, Letter};
use super::sink::{self, Sink, SinkError, SinkSettings};
use crate::boot::{BootError, House, Running, Sockets, is_in_use};
use crate::clock::Clock;
use crate::config::{self, ConfigError};
use crate::doors::control::Apply;
use crate::net::record::RecordKind;
use crate::store::{self, Payload, Report};

/// The stage, set: everything listens.
pub struct Stage {
    pub running: Running,
    pub dir: PathBuf,
    door: SocketAddr,
    dns: DnsServer,
    sink: Sink,
}

/// What became of a scene.
#[derive(Debug, Clone)]
pub struct Played {
    pub decision: String,
    pub reasons: Vec<String>,
    pub reference: Option<Ref>,
    pub sentence: String,
    pub smtp: String,
    pub as_expected: bool,
}

impl Stage {
    /// Sets the stage in a directory.
    ///
    /// # Errors
    /// When the directory is not ours, or something cannot listen.
    pub async fn set(dir: &Path, base_port: u16) -> Result<Self, StageError> {
        let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let dns = dns::start(loopback, cast::zones()).await?;
        let sink = sink::start(loopback, SinkSettings::default()).await?;
        let port = free_port(base_port)?;
        let file = prepare(dir, port, dns.address(), sink.address())?;
        let loaded = config::load(Some(&file), std::iter::empty())?;
        let house = House::build(loaded.config, Clock::system()).await?;
        house.control().apply_here(accounts_file(dir)?).await.map_err(StageError::Accounts)?;
        let running = Running::open(house, Sockets::default()).await?;
        let door = running.ready.listeners.get("send.0").copied().unwrap_or(loopback);
        Ok(Self { running, dir: dir.to_owned(), door, dns, sink })
    }

    /// Plays a scene over real SMTP and reads the ruling back from the ledger.
    ///
    /// # Errors
    /// When the letter cannot be sent or its ruling not be found.
    pub async fn play(&self, scene: &Scene) -> Result<Played, StageError> {
        self.prepare_world(scene).await?;
        let credentials = Credentials::new(scene.account, &secret_of(scene.account));
        let letter = Letter {
            credentials: &credentials.map_err(|e| StageError::Accounts(e.to_string()))?,
            mail_from: scene.mail_from,
            recipients: &["bo@reader.example"],
            octets: scene.message.trim_end_matches("\r\n").as_bytes(),
        };
        let before = self.sink.taken();
        let reply = sender::send(self.door, &letter).await?;
        let reference = match reference_in(&reply.to_string()) {
            Some(reference) => Some(reference),
            None => self.reference_at_sink(before).await,
        };
        let ruling = match reference {
            Some(reference) => self.ruling(reference).await?,
            None => Value::Null,
        };
        Ok(played(scene, &ruling, reference, reply.to_string()))
    }

    /// Verifies the ledger.
    ///
    /// # Errors
    /// When it does not add up.
    pub async fn verify(&self) -> Result<Report, StageError> {
        self.running.house.gate.settled().await;
        let data = &self.running.house.data;
        store::verify(&data.store, Some(&data.keys), |_, _| {})
            .await
            .map_err(|e| StageError::Ledger(e.to_string()))
    }

    /// Clears the stage; the directory stays.
    pub async fn close(self) {
        self.running.close().await;
    }

    async fn prepare_world(&self, scene: &Scene) -> Result<(), StageError> {
        match scene.before {
            Before::Nothing => Ok(()),
            Before::DropSpf(domain) => {
                self.dns.remove(domain, RecordKind::Txt);
                Ok(())
            }
            Before::Block => {
                let control = self.running.house.control();
                control
                    .block_here(scene.account, "a play about a stolen password")
                    .await
                    .map_err(StageError::Accounts)
            }
        }
    }

    /// The ref in the trace header of the message that the sink took.
    async fn reference_at_sink(&self, before: usize) -> Option<Ref> {
        let messages = self.sink.wait_for(before + 1, Duration::from_secs(5)).await;
        let trace = String::from_utf8_lossy(&messages.get(before)?.message).into_owned();
        reference_in(trace.lines().next()?)
    }

    async fn ruling(&self, reference: Ref) -> Result<Value, StageError> {
        let data = &self.running.house.data;
        let entries = store::find(&data.store, &data.keys, reference).await;
        let entries = entries.map_err(|e| StageError::Ledger(e.to_string()))?;
        let ruling = entries.into_iter().find_map(|entry| match entry.payload {
            Payload::Opened(payload) => payload.get("ruling").cloned(),
            Payload::Erased => None,
        });
        Ok(ruling.unwrap_or_default())
    }
}

fn played(scene: &Scene, ruling: &Value, reference: Option<Ref>, smtp: String) -> Played {
    let text =
        |value: &Value, name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let causes = ruling.get("reasons").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let reasons: Vec<String> = causes.iter().map(|cause| text(cause, "code")).collect();
    let decision = text(ruling, "decision");
    let has_reason = scene.reason.is_none_or(|code| reasons.iter().any(|reason| reason == code));
    let passes = smtp.starts_with('2');
    let must_pass = scene.expected == Decision::Allow
        || text(ruling, "mode") == "observe"
        || text(ruling, "how") == "custody";
    Played {
        as_expected: decision == scene.expected.word() && has_reason && passes == must_pass,
        sentence: causes.first().map(|cause| text(cause, "sentence")).unwrap_or_default(),
        decision,
        reasons,
        reference,
        smtp,
    }
}

/// `ref=` and what follows it.
fn reference_in(text: &str) -> Option<Ref> {
    let (_, rest) = text.split_once("ref=")?;
    Ref::parse(rest.get(..10)?).ok()
}

/// The directory with configuration, accounts and secrets. One that was not made by `try` is left alone.
fn prepare(dir: &Path, port: u16, dns: SocketAddr, sink: SocketAddr) -> Result<PathBuf, StageError> {
    let file = dir.join("countersign.toml");
    if dir.exists() && !dir.join(MARK).exists() && fs::read_dir(dir)?.next().is_some() {
        return Err(StageError::Foreign(dir.to_owned()));
    }
    let data = dir.join("data");
    if is_in_use(&data) {
        return Err(StageError::InUse(dir.to_owned()));
    }
    if data.exists() {
        fs::remove_dir_all(&data)?;
    }
    fs::create_dir_all(dir.join("secrets"))?;
    fs::write(dir.join(MARK), "made by `countersign try`, which makes it anew each time\n")?;
    for login in cast::LOGINS {
        fs::write(dir.join("secrets").join(login), secret_of(login))?;
    }
    fs::write(dir.join("accounts.toml"), cast::ACCOUNTS)?;
    fs::write(&file, configuration(port, dns, sink))?;
    Ok(file)
}

fn configuration(port: u16, dns: SocketAddr, sink: SocketAddr) -> String {
    format!(
        "# Made by `countersign try`. The name server and the mail server behind it live only while it runs.\n\n\
         [server]\nhostname = \"gate.esp.example\"\ndata_dir = \"data\"\n\n\
         [dns]\nresolvers = [\"{dns}\"]\ntimeout_ms = 400\nbudget_ms = 2000\n\n\
         [send]\nmode = \"enforce\"\n\n\
         [[send.listener]]\nlisten = \"127.0.0.1:{port}\"\nplaintext = \"loopback\"\n\n\
         [[send.upstream]]\nname = \"sink\"\nurl = \"smtp://{sink}\"\negress = [\"192.0.2.0/28\"]\n"
    )
}

fn accounts_file(dir: &Path) -> Result<Apply, StageError> {
    let secrets = cast::LOGINS.iter().map(|login| ((*login).to_owned(), secret_of(login)));
    let file = dir.join("accounts.toml");
    Ok(Apply {
        text: fs::read_to_string(&file)?,
        file: file.display().to_string(),
        secrets: secrets.collect(),
        staff_secrets: std::collections::BTreeMap::new(),
        trust_proof: true,
        prune: false,
    })
}

/// A play's password is no secret.
fn secret_of(login: &str) -> String {
    format!("{login}-secret")
}

/// The first free port from `base` up; 0 lets the system choose.
fn free_port(base: u16) -> Result<u16, StageError> {
    if base == 0 {
        return Ok(0);
    }
    let free = |port: &u16| std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    (base..=base.saturating_add(200)).find(free).ok_or(StageError::NoPort(base))
}

/// Why the stage cannot be set.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    #[error("`{}` is not empty and was not made by `countersign try`: name another with --dir", .0.display())]
    Foreign(PathBuf),
    #[error("another `countersign try` runs in `{}`: end it, or name another with --dir", .0.display())]
    InUse(PathBuf),
    #[error("no port from `{0}` up is free: name another with --base-port")]
    NoPort(u16),
    #[error("a file or connection failed: {0}")]
    Io(#[from] io::Error),
    #[error(transparent)]
    Dns(#[from] DnsServerError),
    #[error(transparent)]
    Sink(#[from] SinkError),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Boot(#[from] BootError),
    #[error("the play's accounts: {0}")]
    Accounts(String),
    #[error("the ledger: {0}")]
    Ledger(String),
}

const MARK: &str = ".countersign-try";

/// One scene as `--json` prints it.
#[must_use]
pub fn line(scene: &Scene, played: &Played) -> Value {
    json!({
        "case": scene.name,
        "account": scene.account,
        "from": scene.author(),
        "expected": scene.expected.word(),
        "decision": played.decision,
        "reasons": played.reasons,
        "ref": played.reference,
        "smtp": played.smtp,
    })
}
