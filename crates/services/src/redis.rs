//! A Redis server of a test: on a socket in a directory of its own, gone afterwards.
//! Tests of what nodes share start one each, and stop, kill and empty it.

use std::io;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::watchdog::Watchdog;

/// A server. It ends when this is dropped, or with the test process.
#[derive(Debug)]
pub struct Redis {
    dir: PathBuf,
    options: Vec<String>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    server: Option<Child>,
    watchdog: Watchdog,
}

impl Redis {
    /// A server of one's own, with these options beside its own. `None` where Redis is not installed, after saying so.
    ///
    /// # Panics
    /// When it cannot be started; under CI also when it is not installed.
    #[expect(clippy::panic, reason = "only tests call it, and a test without its service has failed")]
    pub async fn start(options: &[&str]) -> Option<Self> {
        let version = Command::new("redis-server").arg("--version").stdout(Stdio::null()).status();
        if version.is_err() {
            let missing = "Redis is not installed (Debian: apt-get install redis-server)";
            assert!(std::env::var_os("CI").is_none(), "CI must have Redis: {missing}");
            eprintln!("skipped: {missing}");
            return None;
        }
        let options = options.iter().map(ToString::to_string).collect();
        match Self::made(options).await {
            Ok(server) => Some(server),
            Err(error) => panic!("Redis cannot be started: {error}"),
        }
    }

    async fn made(options: Vec<String>) -> io::Result<Self> {
        let dir = TempDir::with_prefix("countersign-redis-")?.keep();
        let state = Mutex::new(State { server: None, watchdog: Watchdog::over(&dir)? });
        let server = Self { dir, options, state };
        server.start_again().await?;
        Ok(server)
    }

    /// Starts one in its place that knows nothing, and waits until it answers.
    ///
    /// # Errors
    /// When it does not.
    pub async fn start_again(&self) -> io::Result<()> {
        let mut command = Command::new("redis-server");
        command.args(["--port", "0", "--save", "", "--appendonly", "no", "--unixsocket", "redis.sock"]);
        command.args(&self.options).current_dir(&self.dir).stdin(Stdio::null()).stdout(Stdio::null());
        let child = command.spawn()?;
        {
            let mut state = self.state();
            state.watchdog.tell(child.id())?;
            state.server = Some(child);
        }
        for _ in 0..TRIES {
            let answer = self.ask(&["PING"])?;
            if answer == "PONG" || answer.contains("NOAUTH") {
                return Ok(());
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err(io::Error::other("it does not answer"))
    }

    /// Its address.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis+unix://{}", self.socket().display())
    }

    /// What it says to a command.
    ///
    /// # Errors
    /// When it cannot be asked.
    pub fn ask(&self, command: &[&str]) -> io::Result<String> {
        let output = Command::new("redis-cli").arg("-s").arg(self.socket()).args(command).output()?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// How many connections hear a channel.
    ///
    /// # Errors
    /// When it cannot be asked.
    pub fn listeners(&self) -> io::Result<usize> {
        Ok(self.ask(&["CLIENT", "LIST"])?.lines().filter(|client| client.contains(" sub=1 ")).count())
    }

    /// SIGKILL.
    ///
    /// # Errors
    /// When it does not end.
    pub fn kill(&self) -> io::Result<()> {
        let mut state = self.state();
        state.watchdog.tell(0)?;
        match state.server.take() {
            Some(mut server) => server.kill().and_then(|()| server.wait().map(drop)),
            None => Ok(()),
        }
    }

    /// SIGSTOP: it takes connections and answers nothing.
    ///
    /// # Errors
    /// When it is not there.
    pub fn pause(&self) -> io::Result<()> {
        self.signal(Signal::STOP)
    }

    /// SIGCONT.
    ///
    /// # Errors
    /// When it is not there.
    pub fn resume(&self) -> io::Result<()> {
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> io::Result<()> {
        let pid = self.state().server.as_ref().and_then(|server| i32::try_from(server.id()).ok());
        let pid = pid.and_then(Pid::from_raw).ok_or(io::ErrorKind::NotFound)?;
        Ok(kill_process(pid, signal)?)
    }

    fn socket(&self) -> PathBuf {
        self.dir.join("redis.sock")
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _gone = self.kill();
    }
}

const PAUSE: Duration = Duration::from_millis(10);
const TRIES: u32 = 3000;
