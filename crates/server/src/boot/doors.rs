//! The doors of a house: opened together, closed gently.
//! `serve` and `try` open them; the ready line says where they are.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use serde::Serialize;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::descriptors;
use super::house::{BootError, House};
use super::presence;
use super::sockets::Sockets;
use crate::accounts::NamedUpstream;
use crate::config::{AccountFrom, Config, Listener, ListenerKind, ListenerTls, TlsFiles};
use crate::doors::api::{Api, ApiSettings};
use crate::doors::clock;
use crate::doors::clock::Clockwork;
use crate::doors::health::{self, Health};
use crate::doors::smtp::{
    Capacity, CapacitySettings, Connections, Door, DoorSettings, MostGuesses, RelayAccount, Who,
};
use crate::net::tls;

/// The ready line of the interface contract.
#[derive(Debug, Clone, Serialize)]
pub struct Ready {
    /// The version of this line.
    pub v: u8,
    pub ready: bool,
    pub pid: u32,
    pub listeners: BTreeMap<String, SocketAddr>,
    /// There is no console yet.
    pub console_url: Option<String>,
}

/// Open doors.
pub struct Running {
    pub ready: Ready,
    /// The house of the configuration that counts now.
    pub house: Arc<House>,
    capacity: Capacity,
    current: Current,
    sockets: Sockets,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

/// What the doors look at each time they begin something: a reload puts other values in.
struct Current {
    smtp: Vec<watch::Sender<Arc<Door>>>,
    api: watch::Sender<Arc<Api>>,
    clockwork: watch::Sender<Clockwork>,
}

impl Running {
    /// Opens every door of a house, on the sockets that were handed over where there are any. All are bound
    /// before any is served.
    ///
    /// # Errors
    /// When an address cannot be bound; it is named.
    pub async fn open(house: House, mut sockets: Sockets) -> Result<Self, BootError> {
        let house = Arc::new(house);
        let handle = recorder();
        let capacity = Capacity::new(capacity(&house.config), house.shared.clone());
        let (stop, stopped) = watch::channel(false);
        warn_of_ghosts(&house).await;
        warn_of_dead_ends(&house).await;
        warn_of_own_certificate(&house.config);
        let mut listeners = BTreeMap::new();
        let mut bound = Vec::new();
        for (number, settings) in house.config.send.listeners.iter().enumerate() {
            let name = format!("send.{number}");
            let listener = sockets.tcp(&name, settings.listen).await?;
            listeners.insert(name.clone(), local(&listener, &name)?);
            bound.push(listener);
        }
        let smtp = smtp_doors(&house, &capacity)?.into_iter().map(watch::Sender::new).collect();
        let api = watch::Sender::new(Arc::new(api(&house, &capacity)?));
        let current = Current { smtp, api, clockwork: watch::Sender::new(house.clockwork()) };
        let programs = sockets.tcp("api", house.config.api.listen).await?;
        listeners.insert("api".to_owned(), local(&programs, "api")?);
        let plain = sockets.tcp("metrics", house.config.metrics).await?;
        listeners.insert("metrics".to_owned(), local(&plain, "metrics")?);
        let socket = sockets.unix("control", &house.data.dir.join("control.sock"))?;
        sockets.settle();

        metrics::gauge!("countersign_sessions").set(0.0);
        let mut tasks = JoinSet::new();
        for (listener, door) in bound.into_iter().zip(&current.smtp) {
            tasks.spawn(Door::serve(door.subscribe(), listener, stopped.clone()));
        }
        let ledger = house.gate.ledger.clone();
        tasks.spawn(house.checkpoints.clone().serve(ledger.sizes(), ledger.signed(), stopped.clone()));
        tasks.spawn(house.cosigner.clone().serve(stopped.clone()));
        let (clockwork, cosigner) = (current.clockwork.subscribe(), house.cosigner.clone());
        let health = Health { store: house.data.store.clone(), ledger, cosigner, clockwork, metrics: handle };
        tasks.spawn(health::serve(plain, health, stopped.clone()));
        tasks.spawn(Api::serve(current.api.subscribe(), programs, stopped.clone()));
        tasks.spawn(Api::serve_local(current.api.subscribe(), socket, stopped.clone()));
        tasks.spawn(clock::serve(current.clockwork.subscribe(), stopped.clone()));
        tasks.spawn(presence::watch_changes(Arc::clone(&house), stopped.clone()));
        tasks.spawn(presence::be_present(Arc::clone(&house), stopped));
        let ready = Ready { v: 1, ready: true, pid: std::process::id(), listeners, console_url: None };
        Ok(Self { ready, house, capacity, current, sockets, stop, tasks })
    }

    /// Takes another configuration: all of it or nothing. Transactions that have begun end by the old one.
    /// Gives the names of the keys whose new values need a restart; their old ones stay.
    ///
    /// # Errors
    /// When a part cannot be built; then everything is as it was.
    pub fn reload(&mut self, config: Config) -> Result<Vec<&'static str>, BootError> {
        let (config, kept) = config.while_running(&self.house.config);
        config.fit_to_serve()?;
        let house = Arc::new(self.house.renewed(config)?);
        let doors = smtp_doors(&house, &self.capacity)?;
        let api = Arc::new(api(&house, &self.capacity)?);
        self.current.smtp.iter().zip(doors).for_each(|(current, door)| drop(current.send_replace(door)));
        let CapacitySettings { connections, bytes_in_flight, guesses, .. } = capacity(&house.config);
        self.capacity.adopt(connections, bytes_in_flight, guesses);
        self.current.api.send_replace(api);
        self.current.clockwork.send_replace(house.clockwork());
        house.gate.bell.ring();
        self.house = house;
        Ok(kept)
    }

    /// Binds the addresses of another configuration that are not open yet, for who opens the doors next.
    ///
    /// # Errors
    /// When one cannot be bound; it is named, and everything is as it was.
    pub fn prepare(&mut self, config: &Config) -> Result<(), BootError> {
        let send = config.send.listeners.iter().enumerate();
        let mut wanted: Vec<_> =
            send.map(|(number, settings)| (format!("send.{number}"), settings.listen)).collect();
        wanted.push(("api".to_owned(), config.api.listen));
        wanted.push(("metrics".to_owned(), config.metrics));
        self.sockets.prepare(&wanted)
    }

    /// Closes the doors: no new connection, sessions end at their next boundary.
    pub async fn close(mut self) {
        // Nobody hears on a copy: whoever comes now is turned away at once.
        drop(std::mem::take(&mut self.sockets));
        self.drain().await;
        let _gone = std::fs::remove_file(self.house.data.dir.join("control.sock"));
    }

    /// Closes everything but the listening sockets, where newcomers wait for who opens the doors next.
    pub async fn hand_over(mut self) -> Sockets {
        self.drain().await;
        self.sockets.again()
    }

    async fn drain(&mut self) {
        // Nobody listens any more if every door has ended by itself.
        let _ended = self.stop.send(true);
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(DRAIN, ended).await.is_err() {
            tracing::warn!("some doors did not end within {} s and are cut", DRAIN.as_secs());
            self.tasks.shutdown().await;
        }
        self.house.gate.settled().await;
        self.house.gate.ledger.close().await;
        if let Err(error) = self.house.checkpoints.sign().await {
            tracing::warn!(%error, "the last leaves have no checkpoint yet");
        }
        self.house.data.store.close().await;
    }
}

/// The doors of the listeners, in their order.
fn smtp_doors(house: &House, capacity: &Capacity) -> Result<Vec<Arc<Door>>, BootError> {
    let doors = house.config.send.listeners.iter().map(|settings| {
        let acceptor = acceptor(house, settings)?;
        Ok(Arc::new(door(house, capacity, settings, acceptor)))
    });
    doors.collect()
}

/// A door for a listener of the configuration. Of its settings it keeps a copy of its own.
fn door(house: &House, capacity: &Capacity, listener: &Listener, tls: Option<TlsAcceptor>) -> Door {
    let limits = &house.config.limits;
    Door {
        gate: house.gate.clone(),
        directory: house.directory.clone(),
        verifier: house.verifier.clone(),
        clock: house.clock.clone(),
        exits: house.exits.clone(),
        capacity: capacity.clone(),
        settings: DoorSettings {
            limits: limits.wire(),
            hostname: house.hostname.clone(),
            mode: Some(house.config.send.mode),
            tls,
            implicit_tls: listener.tls == ListenerTls::Implicit,
            min_data_rate: limits.min_data_rate,
            who: who(listener),
            balancers: listener.proxy_protocol.clone(),
        },
    }
}

/// What programs and the CLI ask.
fn api(house: &House, capacity: &Capacity) -> Result<Api, BootError> {
    let config = &house.config.api;
    let tls = match config.tls {
        ListenerTls::Off => None,
        ListenerTls::StartTls | ListenerTls::Implicit => Some(secured(house, config.tls_files.as_ref())?),
    };
    let limits = &house.config.limits;
    Ok(Api {
        control: house.control(),
        verifier: house.verifier.clone(),
        capacity: capacity.clone(),
        settings: ApiSettings {
            limits: limits.wire(),
            mode: house.config.send.mode,
            min_data_rate: limits.min_data_rate,
            tls,
        },
    })
}

fn who(listener: &Listener) -> Who {
    let account = match (&listener.kind, &listener.account_from) {
        (ListenerKind::Relay, AccountFrom::Account(account)) => RelayAccount::Fixed(account.clone()),
        (ListenerKind::Relay, AccountFrom::Header(name)) => RelayAccount::Field(name.clone()),
        (ListenerKind::Relay, AccountFrom::Xclient) => RelayAccount::Login,
        (ListenerKind::Relay, AccountFrom::MailFromMap) => RelayAccount::Sender,
        // `fit_to_serve` lets no other relay come here.
        _ => return Who::Customers { plaintext_loopback: listener.plaintext_loopback },
    };
    Who::Relays { trusted: listener.trusted.clone(), account }
}

/// Relays that send for an account that the store does not have, or not yet: all their mail is refused.
async fn warn_of_ghosts(house: &House) {
    for listener in &house.config.send.listeners {
        let AccountFrom::Account(account) = &listener.account_from else { continue };
        if let Err(error) = house.directory.account(account).await {
            let listener = listener.listen;
            tracing::warn!(%listener, %error, "a relay names an account whose mail cannot be taken now");
        }
    }
}

/// Accounts that name an upstream which the configuration does not have: their mail hears 451.
async fn warn_of_dead_ends(house: &House) {
    let named = match house.directory.upstreams().await {
        Ok(named) => named,
        Err(error) => return tracing::error!(%error, "the upstreams of accounts cannot be read"),
    };
    for NamedUpstream { name, account, accounts } in named {
        if !house.exits.0.iter().any(|exit| exit.name == name) {
            tracing::warn!(
                upstream = name,
                "account.id" = account,
                accounts,
                "accounts name an upstream that the configuration does not have: their mail cannot be taken"
            );
        }
    }
}

fn capacity(config: &Config) -> CapacitySettings {
    let limits = &config.limits;
    let failures = &limits.auth_failures;
    let upstream: usize = config.send.upstreams.iter().map(|upstream| upstream.pool).sum();
    CapacitySettings {
        connections: Connections {
            per_ip: limits.connections_per_ip,
            per_net: limits.connections_per_net,
            all: descriptors::sessions(limits.connections, upstream),
        },
        bytes_in_flight: limits.bytes_in_flight,
        guesses: MostGuesses {
            login: failures.account,
            net: failures.net,
            all: failures.all,
            window: failures.window,
        },
        data_dir: config.server.data_dir.clone(),
    }
}

fn acceptor(house: &House, listener: &Listener) -> Result<Option<TlsAcceptor>, BootError> {
    match listener.tls {
        ListenerTls::Off => Ok(None),
        ListenerTls::StartTls | ListenerTls::Implicit => {
            secured(house, listener.tls_files.as_ref()).map(Some)
        }
    }
}

/// Once, however many doors show it.
fn warn_of_own_certificate(config: &Config) {
    let shows = |tls: ListenerTls, own: Option<&TlsFiles>| tls != ListenerTls::Off && own.is_none();
    let api = shows(config.api.tls, config.api.tls_files.as_ref());
    let send = config.send.listeners.iter().any(|door| shows(door.tls, door.tls_files.as_ref()));
    if config.tls.is_none() && (api || send) {
        tracing::warn!("no certificate is configured ([tls] cert_file): a self-signed one is used");
    }
}

/// With a certificate of its own, else that of the house.
fn secured(house: &House, own: Option<&TlsFiles>) -> Result<TlsAcceptor, BootError> {
    let config = match own.or(house.config.tls.as_ref()) {
        Some(TlsFiles { cert_file, key_file }) => tls::server_config(cert_file, key_file)?,
        None => tls::own_server_config(&house.data.dir, house.hostname.as_str())?,
    };
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn local(listener: &tokio::net::TcpListener, what: &str) -> Result<SocketAddr, BootError> {
    let failed = |cause| BootError::Bind { what: what.to_owned(), address: String::new(), cause };
    listener.local_addr().map_err(failed)
}

/// The recorder of this process; a second server in one process (tests) shares it.
fn recorder() -> PrometheusHandle {
    use std::sync::OnceLock;
    static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();
    let install = || {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        if metrics::set_global_recorder(recorder).is_err() {
            tracing::warn!("another metrics recorder is installed: /metrics stays empty");
        }
        handle
    };
    RECORDER.get_or_init(install).clone()
}

/// Longer than any door gives its sessions.
const DRAIN: Duration = Duration::from_secs(60);
