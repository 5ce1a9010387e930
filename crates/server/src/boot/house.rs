//! The house: every part built from a configuration, no door open yet.
//! `serve` and `try` open doors on it; `apply` without a server uses it alone.

use std::path::Path;
use std::sync::Arc;

use countersign_core::address::Domain;
use countersign_core::evidence::Kind;
use countersign_core::policy::{HoldAs, PolicyError, Rules};
use countersign_wire::smtp::auth::Credentials;

use super::data::{Data, DataError};
use super::watched;
use crate::accounts::Directory;
use crate::accounts::secret::Verifier;
use crate::acts::{Notifier, Sealer};
use crate::clock::Clock;
use crate::config::{self, Config, ConfigError, Resolvers, Scheme as UrlScheme, SharedUrl, read_auth_file};
use crate::custody;
use crate::doors::clock::{Clockwork, Days, Post};
use crate::doors::control::Control;
use crate::doors::cosign::Cosigner;
use crate::doors::{Exit, Exits};
use crate::gate::{Gate, Judge};
use crate::net::is_loopback;
use crate::net::resolver::{DnsSettings, Resolver, ResolverError, Servers};
use crate::net::tls::{self, TlsError};
use crate::net::upstream::{Scheme, Upstream, UpstreamSettings, UpstreamTimeouts};
use crate::probes::domain::DomainExists;
use crate::probes::limits::{DayCaps, Limits};
use crate::probes::spf::Spf;
use crate::probes::{Slow, Way};
use crate::store::shared::SharedError;
use crate::store::{Checkpoints, Ledger, Left, Log, Node, Retention, Shared, StoreError};
use crate::store::{jobs, outbox};
use crate::transit::Transit;

/// Everything that doors need.
pub struct House {
    pub config: Config,
    pub data: Arc<Data>,
    /// The log that we write.
    pub log: Log,
    pub gate: Gate,
    pub checkpoints: Checkpoints,
    /// What shows them to witnesses.
    pub cosigner: Cosigner,
    pub days: Days,
    pub directory: Directory,
    pub verifier: Verifier,
    pub exits: Exits,
    pub clock: Clock,
    pub hostname: Domain,
    /// What this node shares with others.
    pub shared: Shared,
}

impl House {
    /// Builds every part.
    ///
    /// # Errors
    /// When a part cannot be built; nothing listens then.
    pub async fn build(config: Config, clock: Clock) -> Result<Self, BootError> {
        // Whatever is wrong with it is said before the data directory is touched.
        judge(&config)?;
        let hostname =
            Domain::parse(&config.server.hostname).map_err(|e| BootError::Hostname(e.to_string()))?;
        let exits = exits(&config, &hostname)?;
        let watchers = watched::watchers(&config)?;
        let data = Data::take(&config, &clock).await?;
        let sink = config.second_sink.as_deref();
        let node = Node { hostname: hostname.as_str(), dir: &data.dir, sink };
        let (log, checkpoints, cosigner) = watched::log(&data, &watchers, node, &clock).await?;
        let ledger = Ledger::start(data.store.clone(), data.keys.clone(), clock.function(), &log).await?;
        let days = Days::of(Retention::of(data.store.clone(), &log), config.payload_days);
        let sealer = Sealer { keys: data.keys.clone(), custody_days: config.send.custody_days };
        let notifier = Notifier { keys: data.keys.clone(), hostname: hostname.clone() };
        let shared = match &config.shared {
            SharedUrl::Memory => Shared::memory(),
            SharedUrl::Redis(url) => Shared::redis(url, data.keys.clone())?,
        };
        let directory = Directory::of_store(data.store.clone()).shared(shared.clone());
        let judge = counting_judge(&config, &data, &directory)?;
        custody::seal_senders(&data.store, &data.keys).await.map_err(DataError::from)?;
        let left = Left::to(&data.store, log.number(), clock.now());
        custody::reconcile(&data.store, &ledger, left).await?;
        // The lock of the directory says that nobody else works on these.
        jobs::reconcile(&data.store, log.origin(), clock.now()).await?;
        outbox::reconcile(&data.store, log.origin(), clock.now()).await?;
        let transit = Transit::load(&data.store, data.keys.clone(), &ledger, left, clock.now()).await?;
        let gate = Gate::new(judge, ledger, sealer, notifier, transit, directory.clone());
        let (data, verifier) = (Arc::new(data), Verifier::default());
        Ok(Self {
            config,
            data,
            log,
            gate,
            checkpoints,
            cosigner,
            days,
            directory,
            verifier,
            exits,
            clock,
            hostname,
            shared,
        })
    }

    /// The same house after another configuration: what rules, the ways out and the settings are new; store,
    /// ledger, accounts and what is on its way stay.
    ///
    /// # Errors
    /// When a part cannot be built; the old house stands as it did.
    pub fn renewed(&self, config: Config) -> Result<Self, BootError> {
        let hostname =
            Domain::parse(&config.server.hostname).map_err(|e| BootError::Hostname(e.to_string()))?;
        let sealer = Sealer { custody_days: config.send.custody_days, ..self.gate.sealer.clone() };
        let notifier = Notifier { hostname: hostname.clone(), ..self.gate.notifier.clone() };
        let judge = counting_judge(&config, &self.data, &self.directory)?;
        let gate = self.gate.with(judge, sealer, notifier);
        Ok(Self {
            exits: exits(&config, &hostname)?,
            days: self.days.with(config.payload_days),
            config,
            data: Arc::clone(&self.data),
            log: self.log.clone(),
            gate,
            checkpoints: self.checkpoints.clone(),
            cosigner: self.cosigner.clone(),
            directory: self.directory.clone(),
            verifier: self.verifier.clone(),
            clock: self.clock.clone(),
            hostname,
            shared: self.shared.clone(),
        })
    }

    /// Reads every file that a configuration names, and builds nothing: `config check`.
    ///
    /// # Errors
    /// What `serve` would say.
    pub fn rehearse(config: &Config) -> Result<(), BootError> {
        judge(config)?;
        let hostname =
            Domain::parse(&config.server.hostname).map_err(|e| BootError::Hostname(e.to_string()))?;
        exits(config, &hostname)?;
        watched::watchers(config)?;
        if let SharedUrl::Redis(url) = &config.shared {
            Shared::rehearse(url)?;
        }
        let own = config.send.listeners.iter().filter_map(|listener| listener.tls_files.as_ref());
        for files in own.chain(config.api.tls_files.as_ref()).chain(config.tls.as_ref()) {
            tls::server_config(&files.cert_file, &files.key_file)?;
        }
        Ok(())
    }

    /// Closes a house without doors.
    pub async fn close(self) {
        let store = self.data.store.clone();
        drop(self);
        store.close().await;
    }

    /// What commands need.
    #[must_use]
    pub fn control(&self) -> Control {
        Control {
            gate: self.gate.clone(),
            directory: self.directory.clone(),
            store: self.data.store.clone(),
            keys: self.data.keys.clone(),
            clock: self.clock.clone(),
            exits: self.exits.clone(),
        }
    }
}

impl House {
    /// What the clock needs.
    #[must_use]
    pub fn clockwork(&self) -> Clockwork {
        let name = self.log.origin().to_owned();
        Clockwork { control: self.control(), post: self.post(), days: self.days.clone(), name }
    }

    /// What sends our own mail.
    #[must_use]
    pub fn post(&self) -> Post {
        let server = &self.config.server;
        Post {
            gate: self.gate.clone(),
            directory: self.directory.clone(),
            exits: self.exits.clone(),
            store: self.data.store.clone(),
            keys: self.data.keys.clone(),
            clock: self.clock.clone(),
            hostname: self.hostname.clone(),
            sender: server.notice_account.clone().zip(server.notice_from.clone()),
        }
    }
}

/// What rules, from a configuration: policies and probes.
///
/// # Errors
/// When policies cannot be read or the resolver cannot be made.
pub fn judge(config: &Config) -> Result<Judge, BootError> {
    let rules = Arc::new(rules(config.policy_dir.as_deref())?);
    let resolver = Arc::new(resolver(config)?);
    let patience = config.dns.budget.mul_f64(0.9);
    let slow: Vec<Arc<dyn Slow>> = vec![
        Arc::new(DomainExists::new(Arc::clone(&resolver))),
        Arc::new(Spf::new(resolver, patience)),
        // A house with a store counts; `check` has none.
        Limits::uncounted(),
    ];
    Ok(Judge { rules, slow, hold: HoldAs(config.send.hold), budget: config.dns.budget })
}

/// What rules in a house with a store: there, day caps are counted.
fn counting_judge(config: &Config, data: &Data, directory: &Directory) -> Result<Judge, BootError> {
    let mut judge = judge(config)?;
    judge.slow.retain(|probe| probe.kind() != Kind::Limits);
    let (store, keys) = (data.store.clone(), data.keys.clone());
    judge.slow.push(Limits::counted(day_caps(config), store, directory.clone(), keys));
    Ok(judge)
}

fn day_caps(config: &Config) -> DayCaps {
    let limits = &config.limits;
    DayCaps { per_credential: limits.per_credential_day, new_recipients: limits.new_recipients_day }
}

/// The resolver of a configuration.
///
/// # Errors
/// When there is no server to ask.
pub fn resolver(config: &Config) -> Result<Resolver, ResolverError> {
    let servers = match &config.dns.resolvers {
        Resolvers::System => Servers::System,
        Resolvers::List(list) => Servers::These(list.clone()),
    };
    Resolver::new(&DnsSettings { servers, timeout: config.dns.timeout, attempts: 2 })
}

/// The built-in policies, and an operator's own `*.cedar` files beside them.
///
/// # Errors
/// When a file cannot be read or is no valid policy.
pub fn rules(dir: Option<&Path>) -> Result<Rules, BootError> {
    let mut own = Vec::new();
    if let Some(dir) = dir {
        let unreadable = |cause| BootError::PolicyDir { dir: dir.to_owned(), cause };
        for entry in std::fs::read_dir(dir).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            if path.extension().is_some_and(|extension| extension == "cedar") {
                let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                own.push((name, std::fs::read_to_string(&path).map_err(unreadable)?));
            }
        }
    }
    own.sort();
    Ok(Rules::with_own(own)?)
}

/// The ways out of a configuration, without connecting.
///
/// # Errors
/// When a file that an upstream names cannot be read.
pub fn exits(config: &Config, hostname: &Domain) -> Result<Exits, BootError> {
    let exits = config.send.upstreams.iter().map(|upstream| exit(config, upstream, hostname));
    Ok(Exits(exits.collect::<Result<_, _>>()?))
}

fn exit(config: &Config, upstream: &config::Upstream, hostname: &Domain) -> Result<Exit, BootError> {
    // On loopback there is nobody to hide from, and an MTA there has a certificate of its own making, unless its
    // issuer is named.
    let starttls = !is_loopback(&upstream.url.host) || upstream.ca_file.is_some();
    let secured = starttls || upstream.url.scheme == UrlScheme::Smtps;
    let named = upstream.ca_file.is_some() || upstream.auth_file.is_some();
    let tls = match secured && upstream.tls_verify {
        true => tls::client_config(upstream.ca_file.as_deref())?,
        false => tls::unverified_client_config()?,
    };
    let way = way(config, upstream, hostname);
    let settings = UpstreamSettings {
        name: upstream.name.clone(),
        host: upstream.url.host.clone(),
        port: upstream.url.port,
        scheme: match upstream.url.scheme {
            UrlScheme::Smtps => Scheme::Smtps,
            UrlScheme::Smtp => Scheme::Smtp,
            UrlScheme::Lmtp => Scheme::Lmtp,
        },
        starttls,
        tls_required: starttls && upstream.tls_verify && named,
        helo: way.helo.clone(),
        tls: Arc::new(tls),
        auth: upstream.auth_file.as_deref().map(|file| credentials(&upstream.name, file)).transpose()?,
        xclient: upstream.xclient,
        pool: upstream.pool,
        timeouts: UpstreamTimeouts::default(),
        limits: config.limits.wire(),
    };
    Ok(Exit { name: upstream.name.clone(), upstream: Arc::new(Upstream::new(settings)), way: Arc::new(way) })
}

/// From where an upstream sends. Nothing is opened for it.
#[must_use]
pub fn way(config: &Config, upstream: &config::Upstream, hostname: &Domain) -> Way {
    Way {
        pool: upstream.name.clone(),
        egress: upstream.egress_addresses(),
        helo: upstream.helo.clone().unwrap_or_else(|| hostname.to_string()),
        return_path_domains: config.send.return_path_domains.clone(),
    }
}

fn credentials(upstream: &str, file: &Path) -> Result<Credentials, BootError> {
    let failed = |why| BootError::Credentials { upstream: upstream.to_owned(), why };
    let (user, password) = read_auth_file(file).map_err(|error| failed(error.to_string()))?;
    Credentials::new(&user, &password).map_err(|error| failed(format!("`{}`: {error}", file.display())))
}

/// Why the house cannot be built or its doors not be opened.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Data(#[from] DataError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Shared(#[from] SharedError),
    #[error(transparent)]
    Policy(#[from] PolicyError),
    #[error("policy directory `{}` cannot be read: {cause}", .dir.display())]
    PolicyDir { dir: std::path::PathBuf, cause: std::io::Error },
    #[error(transparent)]
    Resolver(#[from] ResolverError),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("`[server] hostname` is no domain name: {0}")]
    Hostname(String),
    #[error("the credentials of upstream `{upstream}` cannot be read: {why}")]
    Credentials { upstream: String, why: String },
    #[error("cannot listen on {what} `{address}`: {cause}")]
    Bind { what: String, address: String, cause: std::io::Error },
}
