//! `serve`: builds the house, opens the doors, says where they are, and waits for a signal.
//! SIGTERM ends it, SIGHUP reads the configuration again, SIGUSR2 puts the program that lies in its place in charge.

use std::path::Path;
use std::time::Duration;

use countersign_core::request::Gate;
use futures_util::FutureExt;
use rustix::process::Signal;
use tokio::signal::unix::{Signal as Signals, SignalKind, signal};
use tokio::time::Instant;

use super::config::load;
use super::exit::{Code, Failure, data, talk};
use super::log::start_log;
use super::time::clock_goes_on;
use crate::boot::{BootError, DataError, House, Program, Running, Sockets, Supervisor};
use crate::clock::Clock;
use crate::config::Config;

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

/// Who starts, stops and tells this process, and what it runs.
struct Circumstances<'a> {
    file: Option<&'a Path>,
    clock_is_right: bool,
    ends: [Signals; 2],
    hangup: Signals,
    succession: Signals,
    program: Program,
    supervisor: Supervisor,
}

/// How serving ends.
enum End {
    Stop,
    /// Another program takes the sockets over.
    Succession,
}

impl Serve {
    pub(super) async fn run(self, file: Option<&Path>) -> Result<Code, Failure> {
        start_log(self.log_json, "info,sqlx=warn");
        let mut sockets = Sockets::handed_over();
        let mut around = Circumstances::of_this_process(file, self.clock_is_right).map_err(|error| {
            Failure::internal(format!("this process cannot be asked about itself: {error}"))
        })?;
        loop {
            let mut running = around.open(sockets).await?;
            data(&serde_json::to_string(&running.ready).map_err(Failure::internal)?);
            around.supervisor.ready();
            match around.serve(&mut running).await {
                End::Stop => {
                    tracing::info!("closing: sessions end at their next boundary");
                    around.supervisor.stopping();
                    running.close().await;
                    return Ok(Code::Ok);
                }
                End::Succession => {
                    tracing::info!(
                        "another program takes over: sessions end at their next boundary, new ones wait"
                    );
                    around.supervisor.reloading();
                    sockets = running.hand_over().await;
                }
            }
            if around.is_told_to_end() {
                return Ok(Code::Ok);
            }
            let error = around.program.take_over(&sockets);
            tracing::error!(%error, "no other program takes over; this one opens its doors again");
        }
    }
}

impl<'a> Circumstances<'a> {
    fn of_this_process(file: Option<&'a Path>, clock_is_right: bool) -> std::io::Result<Self> {
        // A file that may not grow is an error of the write, not the end of the process.
        let _caught = signal(SignalKind::from_raw(Signal::XFSZ.as_raw()))?;
        Ok(Self {
            file,
            clock_is_right,
            ends: [signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?],
            hangup: signal(SignalKind::hangup())?,
            succession: signal(SignalKind::user_defined2())?,
            program: Program::of_this_process()?,
            supervisor: Supervisor::of_this_process(),
        })
    }

    /// Builds the house and opens its doors.
    async fn open(&self, sockets: Sockets) -> Result<Running, Failure> {
        let mut loaded = load(self.file)?;
        loaded.config.fit_to_serve()?;
        for warning in &loaded.warnings {
            talk(&format!("countersign: {warning}"));
        }
        if !self.clock_is_right {
            clock_goes_on(&loaded.config, Clock::system().now()).await?;
        }
        let patience = if sockets.is_empty() { Duration::ZERO } else { PATIENCE };
        let house = built(&loaded.config, Instant::now() + patience).await?;
        if let Some(mode) = house.directory.gate_mode(Gate::Send).await.map_err(Failure::internal)? {
            loaded.mode_from_store(mode);
            loaded.config.fit_to_serve()?;
        }
        Ok(Running::open(house, sockets).await?)
    }

    /// Until a signal ends it.
    async fn serve(&mut self, running: &mut Running) -> End {
        loop {
            let [terminate, interrupt] = &mut self.ends;
            tokio::select! {
                _ = terminate.recv() => return End::Stop,
                _ = interrupt.recv() => return End::Stop,
                _ = self.hangup.recv() => {
                    self.supervisor.reloading();
                    reload(running, self.file).await;
                    self.supervisor.ready();
                }
                _ = self.succession.recv() => if let Some(end) = self.successor(running).await {
                    return end;
                },
            }
        }
    }

    /// Whether the program that lies there now may take over. This one goes on when it would not start.
    async fn successor(&mut self, running: &mut Running) -> Option<End> {
        let [terminate, interrupt] = &mut self.ends;
        let checked = tokio::select! {
            checked = self.program.check(self.file) => checked,
            _ = terminate.recv() => return Some(End::Stop),
            _ = interrupt.recv() => return Some(End::Stop),
        };
        let ready = checked.map_err(Failure::internal).and_then(|()| prepared(running, self.file));
        match ready {
            Ok(()) => Some(End::Succession),
            Err(error) => {
                tracing::error!(%error, "no other program takes over; this one goes on");
                None
            }
        }
    }

    fn is_told_to_end(&mut self) -> bool {
        self.ends.iter_mut().any(|end| end.recv().now_or_never().is_some())
    }
}

/// Opens the sockets that the other program will want beside ours: where one cannot be had, it would end.
fn prepared(running: &mut Running, file: Option<&Path>) -> Result<(), Failure> {
    match load(file) {
        Ok(loaded) => Ok(running.prepare(&loaded.config)?),
        // It has said that it can; its format may be newer than ours.
        Err(failure) => {
            tracing::warn!(%failure, "this program cannot read what the other one can: new addresses are not tried");
            Ok(())
        }
    }
}

/// Builds the house. Where sockets were handed over nobody else serves, but `apply` may have the directory for
/// a moment: it is waited for.
async fn built(config: &Config, until: Instant) -> Result<House, BootError> {
    loop {
        match House::build(config.clone(), Clock::system()).await {
            Err(BootError::Data(DataError::Locked(_))) if Instant::now() < until => {
                tokio::time::sleep(AGAIN).await;
            }
            built => return built,
        }
    }
}

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

const PATIENCE: Duration = Duration::from_secs(10);
const AGAIN: Duration = Duration::from_millis(50);
