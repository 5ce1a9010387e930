//! `serve`: builds the house, opens the doors, says where they are, and waits for a signal.

use std::path::Path;

use countersign_core::request::Gate;
use jiff::{SignedDuration, Timestamp};
use rustix::process::Signal;
use tokio::signal::unix::{SignalKind, signal};

use super::config::load;
use super::exit::{Code, Failure, data, talk};
use crate::boot::{DataError, House, Running};
use crate::clock::Clock;
use crate::config::Config;
use crate::store::{Store, StoreError, newest_entry};

/// Run the server
#[derive(Debug, clap::Args)]
pub(super) struct Serve {
    /// Log lines as JSON
    #[arg(long)]
    log_json: bool,
    /// Start though the ledger has later entries than the clock says: what is recorded keeps their time until
    /// the clock has caught up
    #[arg(long)]
    clock_is_right: bool,
}

impl Serve {
    pub(super) async fn run(self, file: Option<&Path>) -> Result<Code, Failure> {
        let mut loaded = load(file)?;
        loaded.config.fit_to_serve()?;
        start_log(self.log_json);
        for warning in &loaded.warnings {
            talk(&format!("countersign: {warning}"));
        }
        let failed = |error: std::io::Error| Failure::internal(format!("signals cannot be caught: {error}"));
        let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        let mut hangup = signal(SignalKind::hangup()).map_err(failed)?;
        // A file that may not grow is an error of the write, not the end of the process.
        let _caught = signal(SignalKind::from_raw(Signal::XFSZ.as_raw())).map_err(failed)?;
        if !self.clock_is_right {
            clock_goes_on(&loaded.config, Clock::system().now()).await?;
        }
        let house = House::build(loaded.config.clone(), Clock::system()).await?;
        if let Some(mode) = house.directory.gate_mode(Gate::Send).await.map_err(Failure::internal)? {
            loaded.mode_from_store(mode);
            loaded.config.fit_to_serve()?;
        }
        let mut running = Running::open(house).await?;
        data(&serde_json::to_string(&running.ready).map_err(Failure::internal)?);
        loop {
            tokio::select! {
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
                _ = hangup.recv() => reload(&mut running, file).await,
            }
        }
        tracing::info!("closing: sessions end at their next boundary");
        running.close().await;
        Ok(Code::Ok)
    }
}

/// Sees that the clock was not set back since the last start.
async fn clock_goes_on(config: &Config, now: Timestamp) -> Result<(), Failure> {
    let store = match Store::read_at(&config.store).await {
        Ok(store) => store,
        // Boot makes it, or brings it up to date, or says what is wrong with it.
        Err(StoreError::Missing { .. } | StoreError::Version { .. }) => return Ok(()),
        Err(error) => return Err(DataError::from(error).into()),
    };
    let newest = newest_entry(&store).await.map_err(DataError::from)?;
    store.close().await;
    match newest.filter(|newest| now.checked_add(SKEW).is_ok_and(|latest| latest < *newest)) {
        None => Ok(()),
        Some(newest) => Err(Failure::new(
            Code::Configuration,
            format!(
                "the clock says {now:.0}, and the last entry of the ledger is of {newest:.0}: nothing was changed (set \
                 the clock, or start with --clock-is-right)"
            ),
        )),
    }
}

/// Clocks of nodes that share a store differ a little.
const SKEW: SignedDuration = SignedDuration::from_mins(5);

/// Reads the configuration again. One that is wrong changes nothing.
async fn reload(running: &mut Running, file: Option<&Path>) {
    match read_again(running, file).await {
        Ok(kept) if kept.is_empty() => {
            tracing::info!("the configuration is read again and counts from now on")
        }
        Ok(kept) => {
            let kept = kept.join("; ");
            tracing::warn!(kept, "the configuration counts from now on, but these keys take a restart");
        }
        Err(failure) => tracing::error!(%failure, "the configuration is not taken; the old one counts"),
    }
}

async fn read_again(running: &mut Running, file: Option<&Path>) -> Result<Vec<&'static str>, Failure> {
    let mut loaded = load(file)?;
    if let Some(mode) = running.house.directory.gate_mode(Gate::Send).await.map_err(Failure::internal)? {
        loaded.mode_from_store(mode);
    }
    loaded.config.fit_to_serve()?;
    loaded.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    Ok(running.reload(loaded.config)?)
}

/// Logs to stderr; `RUST_LOG` says how much.
pub(super) fn start_log(json: bool) {
    use tracing_subscriber::EnvFilter;
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,sqlx=warn"));
    // A log that cannot be written is no reason to stop: telling so on the same stream would panic.
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        .log_internal_errors(false);
    // A second start in one process keeps the first log.
    let _kept = if json { log.json().try_init() } else { log.with_ansi(false).try_init() };
}
