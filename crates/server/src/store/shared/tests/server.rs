//! A Redis of its own for a test: on a socket in a temporary directory, ended with the test.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::time::Instant;

/// A running server, or one that was killed.
pub(super) struct Redis {
    dir: tempfile::TempDir,
    options: Vec<String>,
    child: Child,
}

impl Redis {
    /// Starts one; nothing, after saying so, where there is none to start.
    pub(super) async fn start() -> Option<Self> {
        Self::start_with(&[]).await
    }

    pub(super) async fn start_with(options: &[&str]) -> Option<Self> {
        if Command::new("redis-server").arg("--version").stdout(Stdio::null()).status().is_err() {
            assert!(std::env::var_os("CI").is_none(), "CI must have redis-server");
            eprintln!("skipped: there is no redis-server (Debian: apt-get install redis-server)");
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        let options: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
        let child = spawn(&dir, &options);
        let redis = Self { dir, options, child };
        redis.answers().await;
        Some(redis)
    }

    pub(super) fn address(&self) -> String {
        format!("redis+unix://{}", self.dir.path().join("redis.sock").display())
    }

    /// What redis-cli says to a command.
    pub(super) fn ask(&self, command: &str) -> String {
        let mut cli = Command::new("redis-cli");
        cli.arg("-s").arg(self.dir.path().join("redis.sock"));
        cli.args(command.split(' ').map(|word| word.replace('+', " ")));
        let output = cli.output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// How many connections hear a channel.
    pub(super) fn listeners(&self) -> usize {
        self.ask("CLIENT LIST").lines().filter(|client| client.contains(" sub=1 ")).count()
    }

    pub(super) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Another one in its place, which knows nothing.
    pub(super) async fn start_again(&mut self) {
        self.child = spawn(&self.dir, &self.options);
        self.answers().await;
    }

    /// It takes connections and answers nothing.
    pub(super) fn stop(&self) {
        self.signal(Signal::STOP);
    }

    pub(super) fn go_on(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.child.id().try_into().unwrap()).unwrap(), signal).unwrap();
    }

    async fn answers(&self) {
        let answer = || self.ask("PING");
        eventually("redis-server answers", async || answer() == "PONG" || answer().contains("NOAUTH")).await;
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // It may be dead already.
        let _dead = self.child.kill();
        let _ended = self.child.wait();
    }
}

fn spawn(dir: &tempfile::TempDir, options: &[String]) -> Child {
    let mut server = Command::new("redis-server");
    server.args(["--port", "0", "--save", "", "--appendonly", "no", "--unixsocket", "redis.sock"]);
    server.args(options).current_dir(dir.path()).stdin(Stdio::null()).stdout(Stdio::null());
    server.spawn().unwrap()
}

/// Waits for what has to come true, but not for ever.
pub(super) async fn eventually(what: &str, is_so: impl AsyncFn() -> bool) {
    let until = Instant::now() + Duration::from_secs(30);
    while !is_so().await {
        assert!(Instant::now() < until, "{what}: not within 30 s");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
