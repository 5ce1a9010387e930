//! A Postgres server of a test: made in a directory of its own, on a free port of loopback, gone afterwards.
//! Tests of the store share one; those that break it start one for themselves.

mod processes;
mod programs;

use std::fs::{self, File};
use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;
use tokio::sync::OnceCell;

use self::programs::Programs;
use crate::watchdog::Watchdog;

/// A server. It ends when this is dropped, or with the test process.
#[derive(Debug)]
pub struct Postgres {
    programs: Programs,
    /// Data, socket and log.
    dir: PathBuf,
    port: u16,
    settings: Vec<String>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    server: Option<Child>,
    watchdog: Watchdog,
}

impl Postgres {
    /// The server that all tests of this process share. `None` where Postgres is not installed, after saying so.
    ///
    /// # Panics
    /// When it cannot be started; under CI also when it is not installed.
    pub async fn shared() -> Option<&'static Self> {
        static SHARED: OnceCell<Option<Postgres>> = OnceCell::const_new();
        SHARED.get_or_init(async || Self::start(&FAST).await).await.as_ref()
    }

    /// A server of one's own, to be stopped and killed; with these settings beside its own.
    ///
    /// # Panics
    /// As [`Postgres::shared`].
    #[expect(clippy::panic, reason = "only tests call it, and a test without its service has failed")]
    pub async fn start(settings: &[&str]) -> Option<Self> {
        let Some(programs) = Programs::find() else {
            let missing = "Postgres is not installed (Debian: apt-get install postgresql)";
            assert!(std::env::var_os("CI").is_none(), "CI must have Postgres: {missing}");
            eprintln!("skipped: {missing}");
            return None;
        };
        let settings = settings.iter().map(ToString::to_string).collect();
        match Self::made(programs, settings).await {
            Ok(server) => Some(server),
            Err(error) => panic!("Postgres cannot be started: {error}"),
        }
    }

    async fn made(programs: Programs, settings: Vec<String>) -> io::Result<Self> {
        let dir = TempDir::with_prefix("countersign-postgres-")?;
        programs.give(dir.path())?;
        programs.init(&dir.path().join("data"))?;
        // From here on the watchdog takes it away.
        let dir = dir.keep();
        let state = Mutex::new(State { server: None, watchdog: Watchdog::over(&dir)? });
        let mut server = Self { programs, dir, port: 0, settings, state };
        let mut tries = 0;
        loop {
            server.port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
            match server.start_again().await {
                // Somebody else took the port meanwhile.
                Err(_) if tries < 3 => tries += 1,
                done => return done.map(|()| server),
            }
        }
    }

    /// Starts it where it was, and waits until it answers.
    ///
    /// # Errors
    /// When it does not start; with the end of its log.
    pub async fn start_again(&self) -> io::Result<()> {
        let log = File::options().create(true).append(true).open(self.dir.join("log"))?;
        let mut command = self.programs.command("postgres");
        command.arg("-D").arg(self.data()).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let own = [
            "listen_addresses=127.0.0.1".to_owned(),
            format!("port={}", self.port),
            format!("unix_socket_directories={}", self.dir.display()),
            "max_connections=600".to_owned(),
            "shared_buffers=64MB".to_owned(),
        ];
        own.iter().chain(&self.settings).for_each(|setting| {
            command.args(["-c", setting]);
        });
        self.watch(command.spawn()?)?;
        self.ready().await
    }

    fn watch(&self, child: Child) -> io::Result<()> {
        let mut state = self.state();
        state.watchdog.tell(child.id())?;
        state.server = Some(child);
        Ok(())
    }

    /// The file that Postgres writes says on its last line when it takes connections.
    async fn ready(&self) -> io::Result<()> {
        for _ in 0..TRIES {
            let ended = match &mut self.state().server {
                Some(child) => child.try_wait()?,
                None => None,
            };
            if let Some(ended) = ended {
                return Err(io::Error::other(format!("it ended with {ended}: {}", self.log())));
            }
            let said = fs::read_to_string(self.data().join("postmaster.pid")).unwrap_or_default();
            let ours = said.lines().next().and_then(|pid| pid.parse().ok()) == self.pid();
            if ours && said.trim_end().ends_with("ready") {
                return Ok(());
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err(io::Error::other(format!("it is not ready after a minute: {}", self.log())))
    }

    /// A database of its own for a test.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn database(&self) -> io::Result<Database> {
        static MADE: AtomicU64 = AtomicU64::new(0);
        let name = format!("test_{}", MADE.fetch_add(1, Ordering::SeqCst));
        self.sql("postgres", &format!("CREATE DATABASE {name}"))?;
        Ok(Database { dir: self.dir.clone(), port: self.port, programs: self.programs.clone(), name })
    }

    /// Runs statements as the server's owner; what was answered, a row a line.
    ///
    /// # Errors
    /// When one fails.
    pub fn sql(&self, database: &str, statements: &str) -> io::Result<String> {
        self.programs.psql(&self.dir, self.port, database, statements)
    }

    /// The address of a database on this server.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        url(self.port, database)
    }

    /// Where it keeps everything, until it is gone.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.dir
    }

    /// The port of loopback on which it listens.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// SIGKILL to the server and to every process of it.
    ///
    /// # Errors
    /// When one does not go.
    pub async fn kill(&self) -> io::Result<()> {
        let Some(pid) = self.pid() else { return Ok(()) };
        let children = processes::children(pid);
        processes::signal(pid, Signal::KILL)?;
        self.reap()?;
        for child in &children {
            processes::signal(*child, Signal::KILL)?;
        }
        for _ in 0..TRIES {
            if !children.iter().any(|child| processes::is_there(*child)) {
                return Ok(());
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err(io::Error::other("a process of Postgres does not end"))
    }

    /// What `pg_ctl stop -m immediate` does: everybody is thrown out, and the next start recovers.
    ///
    /// # Errors
    /// When it does not end.
    pub fn stop_immediately(&self) -> io::Result<()> {
        if let Some(pid) = self.pid() {
            processes::signal(pid, Signal::QUIT)?;
        }
        self.reap()
    }

    /// SIGSTOP: it answers nothing, and its connections stand.
    ///
    /// # Errors
    /// When it is not there.
    pub fn pause(&self) -> io::Result<()> {
        self.everybody(Signal::STOP)
    }

    /// SIGCONT.
    ///
    /// # Errors
    /// When it is not there.
    pub fn resume(&self) -> io::Result<()> {
        self.everybody(Signal::CONT)
    }

    fn everybody(&self, signal: Signal) -> io::Result<()> {
        let pid = self.pid().ok_or(io::ErrorKind::NotFound)?;
        processes::signal(pid, signal)?;
        processes::children(pid).into_iter().try_for_each(|child| processes::signal(child, signal))
    }

    fn reap(&self) -> io::Result<()> {
        let mut state = self.state();
        state.watchdog.tell(0)?;
        match state.server.take() {
            Some(mut server) => server.wait().map(drop),
            None => Ok(()),
        }
    }

    fn pid(&self) -> Option<u32> {
        self.state().server.as_ref().map(Child::id)
    }

    fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    fn log(&self) -> String {
        let log = fs::read_to_string(self.dir.join("log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines.iter().skip(lines.len().saturating_sub(5)).copied().collect::<Vec<_>>().join("; ")
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let _gone = self.resume();
        let _gone = self.stop_immediately();
    }
}

/// A database that goes away with its test.
#[derive(Debug)]
pub struct Database {
    programs: Programs,
    dir: PathBuf,
    port: u16,
    name: String,
}

impl Database {
    /// Its address, over TCP.
    #[must_use]
    pub fn url(&self) -> String {
        url(self.port, &self.name)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs statements as the server's owner; what was answered, a row a line.
    ///
    /// # Errors
    /// When one fails.
    pub fn sql(&self, statements: &str) -> io::Result<String> {
        self.programs.psql(&self.dir, self.port, &self.name, statements)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let drop = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        // With the server it goes anyway.
        let _gone = self.programs.psql(&self.dir, self.port, "postgres", &drop);
    }
}

fn url(port: u16, database: &str) -> String {
    format!("postgres://{OWNER}@127.0.0.1:{port}/{database}")
}

/// The role that owns everything.
const OWNER: &str = "postgres";
/// A role that needs a password over TCP, when a test makes it.
pub const GUARDED: &str = "guarded";
/// Nothing of a test has to outlive the machine.
const FAST: [&str; 2] = ["fsync=off", "full_page_writes=off"];
const PAUSE: Duration = Duration::from_millis(20);
const TRIES: u32 = 3000;
