//! A Postfix of one's own: in a temporary directory, on a free port, relaying everything to one place.
//! Set up as `docs/how-to/postfix.md` says; what is tested is what operators read.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, UNIX_EPOCH};

use rustix::process::{Pid, Signal, geteuid, kill_process};
use tempfile::TempDir;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::world::repository;

/// A running Postfix. Its `master` was started here and is ended here, by its process id; its children end with it.
pub(crate) struct Postfix {
    master: Child,
    dir: TempDir,
}

/// Whether it can be started; if not, that has been said.
pub(crate) fn is_here() -> bool {
    if !geteuid().is_root() {
        return skipped("Postfix starts as root only");
    }
    daemons().is_some() || missing("postfix is not installed")
}

/// A program that is missing is skipped aloud, and a failure in CI, which installs it.
pub(crate) fn missing(what: &str) -> bool {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{what}, and this is CI");
    skipped(what)
}

/// Written past the capture of the test runner: a skipped scenario must be seen.
fn skipped(why: &str) -> bool {
    writeln!(std::io::stderr(), "skipped: {why}").unwrap();
    false
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

impl Postfix {
    /// Starts it as the page says and waits for its greeting.
    pub(super) async fn start(port: u16, sink: SocketAddr) -> Self {
        Self::start_with(port, sink, "").await
    }

    /// As `start`, with more settings of its listener; the last one of a name counts.
    pub(super) async fn start_with(port: u16, sink: SocketAddr, more: &str) -> Self {
        let (listener, settings) = page();
        let listener = listener.replacen("10026", &port.to_string(), 1) + more;
        Self::with(&listener, &settings, port, sink).await
    }

    /// Starts it with a listener for `master.cf` and settings for `main.cf`, and waits for its greeting.
    pub(crate) async fn with(listener: &str, settings: &str, port: u16, sink: SocketAddr) -> Self {
        let dir = TempDir::new().unwrap();
        lay_out(dir.path());
        let root = dir.path().display().to_string();
        let main = MAIN.replace("ROOT", &root).replace("SINK", &sink.port().to_string());
        write_as_of_old(&dir.path().join("etc/main.cf"), &(main + settings));
        write_as_of_old(&dir.path().join("etc/master.cf"), &(listener.to_owned() + SERVICES));
        let mut command = Command::new(daemons().unwrap().join("master"));
        // Without -d it would leave; the `postfix` command would touch the system's own Postfix.
        command.arg("-c").arg(dir.path().join("etc")).arg("-d").stdin(Stdio::null()).stdout(Stdio::null());
        // It ends its children by its process group, so it has to have one.
        command.process_group(0);
        let postfix = Self { master: command.spawn().unwrap(), dir };
        let greeted = tokio::time::timeout(Duration::from_secs(60), greeting(port)).await;
        assert!(greeted.is_ok(), "Postfix does not greet:\n{}", postfix.log());
        postfix
    }

    /// What it wrote into its log.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("maillog")).unwrap_or_default()
    }

    /// Ends it and waits until it has ended.
    pub(crate) async fn stop(&mut self) {
        self.terminate();
        self.master.wait().await.unwrap();
    }

    fn terminate(&self) {
        if let Some(id) = self.master.id() {
            let _it_may_have_ended = kill_process(Pid::from_raw(id.cast_signed()).unwrap(), Signal::TERM);
        }
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        self.terminate();
    }
}

/// Postfix waits for two seconds after a change of its files before it believes them.
fn write_as_of_old(path: &Path, text: &str) {
    let mut file = std::fs::File::create_new(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file.set_modified(UNIX_EPOCH + Duration::from_secs(1_000_000_000)).unwrap();
}

async fn greeting(port: u16) {
    loop {
        let mut start = [0; 3];
        if let Ok(mut stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await
            && stream.read_exact(&mut start).await.is_ok()
            && start == *b"220"
        {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The directory of Postfix's daemons.
fn daemons() -> Option<PathBuf> {
    let postconf = ["postconf", "/usr/sbin/postconf"].iter().find_map(|program| {
        std::process::Command::new(program).args(["-h", "daemon_directory"]).output().ok()
    })?;
    let directory = PathBuf::from(String::from_utf8(postconf.stdout).ok()?.trim());
    directory.join("master").is_file().then_some(directory)
}

/// The directories of its queue, each with the owner and the mode that Postfix wants.
fn lay_out(root: &Path) {
    let (postfix, postdrop) = (id("/etc/passwd", "postfix"), id("/etc/group", "postdrop"));
    let make = |name: &str, mode, owner, group| {
        let path = root.join(name);
        std::fs::create_dir_all(&path).unwrap();
        chown(&path, owner, group).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
    };
    ["", "etc", "spool", "spool/pid"].iter().for_each(|name| make(name, 0o755, None, None));
    make("data", 0o700, postfix, None);
    QUEUES.iter().for_each(|name| make(&format!("spool/{name}"), 0o700, postfix, None));
    make("spool/maildrop", 0o730, postfix, postdrop);
    make("spool/public", 0o710, postfix, postdrop);
}

/// The number of a user or a group.
fn id(file: &str, name: &str) -> Option<u32> {
    let text = std::fs::read_to_string(file).unwrap();
    let line = text.lines().find(|line| line.split(':').next() == Some(name));
    line.and_then(|line| line.split(':').nth(2)).and_then(|number| number.parse().ok())
}

/// The listener for `master.cf` and the settings for `main.cf`, as the page gives them.
fn page() -> (String, String) {
    let page = std::fs::read_to_string(repository().join("docs/how-to/postfix.md")).unwrap();
    let block = |start: &str| {
        let blocks = page.split("```").map(|block| block.trim_start_matches('\n'));
        blocks.into_iter().find(|block| block.starts_with(start)).unwrap().to_owned()
    };
    (block("127.0.0.1:10026 inet"), block("smtp_line_length_limit"))
}

const QUEUES: &[&str] = &[
    "active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "private", "saved",
    "trace",
];

/// What an operator's Postfix has anyway, or what only a test needs.
const MAIN: &str = "\
compatibility_level = 3.6
queue_directory = ROOT/spool
data_directory = ROOT/data
maillog_file = ROOT/maillog
maillog_file_prefixes = ROOT
myhostname = mta.example
mydestination =
inet_interfaces = loopback-only
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
alias_maps =
alias_database =
smtpd_peername_lookup = no
smtp_dns_support_level = disabled
smtp_host_lookup = native
default_transport = smtp:[127.0.0.1]:SINK
smtp_tls_security_level = none
smtpd_relay_restrictions = permit_mynetworks, reject
minimal_backoff_time = 1s
maximal_backoff_time = 2s
queue_run_delay = 2s
";

const SERVICES: &str = "\
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
";
