//! `ledger witness`: a witness of other people's logs, until it is told to end. It needs no configuration.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use countersign_core::ledger::{Algorithm, KeyName, VerifierKey};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::boot::Seat;
use crate::cli::exit::{Code, Failure, data};
use crate::cli::log::start_log;
use crate::clock::Clock;
use crate::doors::witness;

/// Cosign the checkpoints of logs, as their witness (C2SP tlog-witness)
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Witness {
    /// Address and port; port 0 takes a free one. HTTP in the clear: a proxy brings TLS
    #[arg(long, value_name = "ADDRESS")]
    listen: SocketAddr,
    /// The directory of its memory, and of its key
    #[arg(long, value_name = "DIR", default_value = "./countersign-witness")]
    state: PathBuf,
    /// Its key, when that is elsewhere
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// What it is called in its cosignatures; needed when there is no key yet
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// The key of a log that it watches, `name+id+base64`, where the name is the origin; may be given again
    #[arg(long, value_name = "KEY")]
    log: Vec<String>,
    /// A file with one such key a line; it may be empty
    #[arg(long, value_name = "FILE")]
    logs: Option<PathBuf>,
    /// Log lines as JSON
    #[arg(long)]
    log_json: bool,
}

impl Witness {
    pub(super) async fn run(self) -> Result<Code, Failure> {
        start_log(self.log_json, "info");
        let unheard = |error| Failure::internal(format!("this process hears no signals: {error}"));
        let mut terminate = signal(SignalKind::terminate()).map_err(unheard)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(unheard)?;
        let logs = self.watched()?;
        let name = self.name.as_deref().map(KeyName::parse).transpose().map_err(Failure::usage)?;
        let wrong = |error: &dyn std::fmt::Display| Failure::new(Code::Configuration, error);
        let seat = Seat::take(&self.state, self.key.as_deref(), name.as_ref()).await;
        let Seat { store, signer, lock: _held } = seat.map_err(|error| wrong(&error))?;
        let bound = TcpListener::bind(self.listen).await;
        let cannot = |error| wrong(&format!("cannot listen on `{}`: {error}", self.listen));
        let listener = bound.map_err(cannot)?;
        let address = listener.local_addr().map_err(Failure::internal)?;
        let ready = json!({
            "v": 1, "ready": true, "pid": std::process::id(), "listeners": { "witness": address },
            "key": signer.verifier().to_string(), "logs": logs.keys().collect::<Vec<_>>(),
        });
        data(&ready.to_string());
        let door = witness::Witness { store: store.clone(), signer, logs, clock: Clock::system() };
        let (stop, stopped) = watch::channel(false);
        let serving = tokio::spawn(Arc::new(door).serve(listener, stopped));
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("closing: requests that are at work are answered");
        // It listens as long as it serves.
        let _ended = stop.send(true);
        serving.await.map_err(Failure::internal)?;
        store.close().await;
        Ok(Code::Ok)
    }

    /// The keys of the logs, by origin.
    fn watched(&self) -> Result<BTreeMap<String, Vec<VerifierKey>>, Failure> {
        let unread = |file: &PathBuf, error| format!("`{}` cannot be read: {error}", file.display());
        let file = self
            .logs
            .as_ref()
            .map(|file| std::fs::read_to_string(file).map_err(|error| Failure::usage(unread(file, error))));
        let file = file.transpose()?.unwrap_or_default();
        let lines = file.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let mut logs = BTreeMap::<String, Vec<VerifierKey>>::new();
        for text in self.log.iter().map(String::as_str).chain(lines) {
            let key = VerifierKey::parse(text).map_err(Failure::usage)?;
            if key.algorithm() != Algorithm::Ed25519 {
                return Err(Failure::usage(format!(
                    "`{}` is the key of a witness, not of a log",
                    key.name()
                )));
            }
            let keys = logs.entry(key.name().to_string()).or_default();
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        // An empty file is a list that is still to be filled: whoever owns a log wants our key first.
        match logs.is_empty() && self.logs.is_none() {
            true => Err(Failure::usage(NO_LOG)),
            false => Ok(logs),
        }
    }
}

const NO_LOG: &str = "name a log with --log or --logs: a witness watches those only (its owner prints the key with \
                      `countersign ledger head --json`)";
