//! The world of a scenario: a name server, a sink, and the real program between them on free ports. It keeps
//! everything in a file, or in a database of its own where COUNTERSIGN_TEST_STORE=postgres asks for that.
//! Every scenario builds one; it ends the server that it started, and no other process.

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use countersign::sandbox::dns::{self, DnsServer, ZoneMap};
use countersign::sandbox::sink::{self, Received, Sink, SinkSettings};
use countersign_services::{Database, Postgres, postgres_is_wanted};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdout, Command};

use crate::client::{Client, PATIENCE, Reply, password};

/// What a scenario wants of its world.
pub(crate) struct Plan {
    pub(crate) zones: ZoneMap,
    pub(crate) accounts: String,
    /// Lines of `[send]`.
    pub(crate) send: String,
    /// Lines of `[[send.upstream]]` after its name and address.
    pub(crate) upstream: String,
    /// Lines of `[store]` after its address.
    pub(crate) store: String,
    /// Tables after everything else.
    pub(crate) more: String,
    pub(crate) sink: SinkSettings,
}

/// Everything that a scenario meets.
pub(crate) struct World {
    pub(crate) dns: DnsServer,
    pub(crate) sink: Sink,
    server: Option<Server>,
    /// `[store] url`.
    pub(crate) url: String,
    pub(crate) database: Option<Database>,
    dir: TempDir,
}

struct Server {
    child: Child,
    stdout: BufReader<ChildStdout>,
    ready: Value,
}

/// What a command said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            zones: zones(),
            accounts: format!(
                "{}{}",
                account("acme", &["acme.example", KEPT]),
                account("globex", &["globex.example"])
            ),
            send: "mode = \"enforce\"".to_owned(),
            upstream: "egress = [\"192.0.2.0/28\"]".to_owned(),
            store: String::new(),
            more: String::new(),
            sink: SinkSettings::default(),
        }
    }
}

impl World {
    /// Two accounts, acme and globex, in enforce.
    pub(crate) async fn usual() -> Self {
        Self::of(Plan::default()).await
    }

    /// Accounts applied, the server ready.
    pub(crate) async fn of(plan: Plan) -> Self {
        let mut world = Self::without_server(plan).await;
        world.start().await;
        world
    }

    /// Accounts applied, no server.
    pub(crate) async fn without_server(plan: Plan) -> Self {
        let world = Self::bare(plan).await;
        world.cli(&["apply", "accounts.toml", "--trust-proof"]).await.expect_code(0);
        world
    }

    /// Only files: no store, no server.
    pub(crate) async fn bare(plan: Plan) -> Self {
        match postgres_is_wanted().unwrap() {
            true => {
                let server =
                    Postgres::shared().await.expect("COUNTERSIGN_TEST_STORE=postgres needs Postgres");
                Self::over(plan, server.database().unwrap()).await
            }
            false => Self::in_file(plan).await,
        }
    }

    /// The same, and whatever is asked for elsewhere, the store is a file: for what is said of files only.
    pub(crate) async fn in_file(plan: Plan) -> Self {
        Self::at(plan, "sqlite:".to_owned(), None).await
    }

    /// The same, with this database of Postgres.
    pub(crate) async fn over(plan: Plan, database: Database) -> Self {
        Self::at(plan, database.url(), Some(database)).await
    }

    /// The same, with a store at this address.
    pub(crate) async fn at(plan: Plan, url: String, database: Option<Database>) -> Self {
        let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let dns = dns::start(loopback, plan.zones.clone()).await.unwrap();
        let sink = sink::start(loopback, plan.sink.clone()).await.unwrap();
        let dir = TempDir::new().unwrap();
        let world = Self { dns, sink, server: None, url, database, dir };
        world.write("countersign.toml", &world.configuration(&plan));
        world.write("accounts.toml", &plan.accounts);
        world.write("policies/keep.cedar", KEEP);
        for login in plan.accounts.lines().filter_map(|line| line.strip_prefix("login = ")) {
            let login = login.trim_matches('"');
            world.write(&format!("secrets/{login}"), &password(login));
        }
        world
    }

    fn configuration(&self, plan: &Plan) -> String {
        let (dns, sink, url) = (self.dns.address(), self.sink.address(), &self.url);
        format!(
            "[server]\nhostname = \"gate.esp.example\"\ndata_dir = \"data\"\n[dns]\nresolvers = [\"{dns}\"]\n\
             [store]\nurl = \"{url}\"\n{}\n[policy]\ndir = \"policies\"\n[send]\n{}\n\
             [[send.listener]]\nlisten = \"127.0.0.1:0\"\nplaintext = \"loopback\"\n\
             [[send.listener]]\nlisten = \"127.0.0.1:0\"\n\
             [[send.upstream]]\nname = \"sink\"\nurl = \"smtp://{sink}\"\n{}\n{}\n",
            plan.store, plan.send, plan.upstream, plan.more
        )
    }

    /// Starts the server and waits until its doors are open.
    pub(crate) async fn start(&mut self) {
        self.start_with(&["serve"]).await;
    }

    /// The same in other words.
    pub(crate) async fn start_with(&mut self, arguments: &[&str]) {
        self.start_as(self.command(arguments)).await;
    }

    /// Starts the server with a directory, its store in `data` or another, on a volume of so many MiB, which only it
    /// can see: what is in it now is copied there. Nothing, after saying so, where that cannot be done.
    pub(crate) async fn start_on_small_volume(&mut self, dir: &str, mib: usize) -> Option<()> {
        let shell = format!(
            "cp -a {dir} copy && mount -t tmpfs -o size={mib}m none {dir} && cp -a copy/. {dir} && exec \"$@\""
        );
        let mut probe = Command::new("unshare");
        probe.args(["-rm", "sh", "-c", "mount -t tmpfs none /mnt"]).stderr(Stdio::null());
        if !probe.status().await.is_ok_and(|status| status.success()) {
            assert!(std::env::var_os("CI").is_none(), "CI must have unshare and user namespaces");
            eprintln!("skipped: no volume of its own can be mounted here (unshare -rm)");
            return None;
        }
        let mut command = Command::new("unshare");
        command.current_dir(self.dir.path()).kill_on_drop(true).stdin(Stdio::null());
        command.args(["-rm", "sh", "-c", &shell, "sh", PROGRAM, "--config"]);
        command.arg(self.path("countersign.toml")).arg("serve");
        self.start_as(command).await;
        Some(())
    }

    /// Starts the server from another file.
    pub(crate) async fn start_program(&mut self, program: &Path) {
        let mut command = Command::new(program);
        command.env_clear().current_dir(self.dir.path()).kill_on_drop(true).stdin(Stdio::null());
        command.arg("--config").arg(self.path("countersign.toml")).arg("serve");
        self.start_as(command).await;
    }

    /// Starts the server as a supervisor does that holds the socket of `send.0` and is told at `notify`.
    pub(crate) async fn start_on(&mut self, socket: &TcpListener) {
        let shell =
            "exec 3<&0 </dev/null; export LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=send.0; exec \"$@\"";
        let mut command = Command::new("sh");
        command.env_clear().env("NOTIFY_SOCKET", self.path("notify"));
        command.current_dir(self.dir.path()).kill_on_drop(true);
        command
            .args(["-c", shell, "sh", PROGRAM, "--config"])
            .arg(self.path("countersign.toml"))
            .arg("serve");
        command.stdin(OwnedFd::from(socket.try_clone().unwrap()));
        self.start_as(command).await;
    }

    async fn start_as(&mut self, mut command: Command) {
        assert!(self.server.is_none(), "it runs already");
        let log = std::fs::File::options().create(true).append(true).open(self.path("serve.log")).unwrap();
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let ready = ready(&mut stdout).await.unwrap_or_else(|| panic!("not ready: {}", self.log()));
        self.server = Some(Server { child, stdout, ready });
    }

    /// SIGUSR2: another program takes over in this process, and says when its doors are open.
    pub(crate) async fn succeed(&mut self) {
        self.signal(Signal::USR2);
        self.next_ready().await;
    }

    /// The doors are open once more.
    pub(crate) async fn next_ready(&mut self) {
        let mut server = self.server.take().unwrap();
        server.ready = ready(&mut server.stdout).await.unwrap_or_else(|| panic!("not ready: {}", self.log()));
        self.server = Some(server);
    }

    /// A file as the server sees it, which may have volumes of its own.
    pub(crate) fn path_within(&self, name: &str) -> PathBuf {
        let pid = self.server.as_ref().unwrap().child.id().unwrap();
        let path = self.path(name);
        Path::new("/proc").join(pid.to_string()).join("root").join(path.strip_prefix("/").unwrap_or(&path))
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = self.server.as_ref().unwrap().child.id().unwrap();
        kill_process(Pid::from_raw(pid.try_into().unwrap()).unwrap(), signal).unwrap();
    }

    /// SIGKILL: no goodbye.
    pub(crate) async fn kill(&mut self) {
        let mut server = self.server.take().unwrap();
        server.child.kill().await.unwrap();
    }

    /// SIGTERM: the exit code once it has closed, and what it said on stdout after the ready line.
    pub(crate) async fn terminate(&mut self) -> (Option<i32>, String) {
        use tokio::io::AsyncReadExt;

        self.signal(Signal::TERM);
        let mut server = self.server.take().unwrap();
        let status = within(40, "the end of the server", server.child.wait()).await.unwrap();
        let mut rest = String::new();
        server.stdout.read_to_string(&mut rest).await.unwrap();
        (status.code(), rest)
    }

    /// SIGHUP, until the log says what became of it.
    pub(crate) async fn hang_up(&self, says: &str) {
        self.signalled(Signal::HUP, says).await;
    }

    /// A signal, until the log says what became of it.
    pub(crate) async fn signalled(&self, signal: Signal, says: &str) {
        let before = self.log().matches(says).count();
        self.signal(signal);
        within(20, says, async {
            while self.log().matches(says).count() == before {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
    }

    /// SIGTERM, and up again.
    pub(crate) async fn restart(&mut self) {
        assert_eq!(self.terminate().await.0, Some(0));
        self.start().await;
    }

    /// The ready line.
    pub(crate) fn ready(&self) -> &Value {
        &self.server.as_ref().unwrap().ready
    }

    /// The address of a listener: `send.0` takes passwords in the clear, `send.1` does not.
    pub(crate) fn door(&self, name: &str) -> SocketAddr {
        self.ready()["listeners"][name].as_str().unwrap().parse().unwrap()
    }

    /// A client that has signed in.
    pub(crate) async fn client(&self, login: &str) -> Client {
        Client::sign_in(self.door("send.0"), login).await
    }

    /// Sends one letter over a session of its own; the reply that decides it.
    pub(crate) async fn send(&self, login: &str, mail_from: &str, message: &[u8]) -> Reply {
        let mut client = self.client(login).await;
        let reply = client.send(mail_from, message).await;
        // Who leaves without a word may send the same again, and is taken for one that has lost the answer.
        client.write(b"QUIT\r\n").await;
        let _goodbye = client.try_hear().await;
        reply
    }

    /// A command of the program, on this world's configuration and in its directory.
    pub(crate) async fn cli(&self, arguments: &[&str]) -> Said {
        let output = within(60, "the end of a command", self.command(arguments).output()).await.unwrap();
        Said::of(&output)
    }

    /// A command that is only begun.
    pub(crate) fn spawn(&self, arguments: &[&str]) -> Child {
        self.command(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    /// The lines of a command that speaks JSON.
    pub(crate) async fn json(&self, arguments: &[&str]) -> Vec<Value> {
        self.cli(arguments).await.expect_code(0).json()
    }

    /// What became of an allowed letter: recorded soon after the client has heard of it.
    pub(crate) async fn outcome(&self, reference: &str) -> Value {
        self.recorded(reference, "outcome").await["outcome"].clone()
    }

    /// The payload of the first entry of a kind under a ref, as soon as it is there.
    pub(crate) async fn recorded(&self, reference: &str, kind: &str) -> Value {
        let recorded = async {
            loop {
                let entries = self.cli(&["explain", reference, "--json"]).await.json();
                if let Some(entry) = entries.iter().find(|entry| entry["kind"] == kind) {
                    return entry["payload"].clone();
                }
            }
        };
        within(10, "an entry of the ledger", recorded).await
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        // What the tester's shell sets is no part of the world.
        command.env_clear().current_dir(self.dir.path()).kill_on_drop(true);
        command.arg("--config").arg(self.path("countersign.toml")).args(arguments).stdin(Stdio::null());
        command
    }

    /// The first message that the sink has taken since it was last asked to forget, split after its trace.
    pub(crate) async fn arrival(&self, count: usize) -> Arrival {
        let messages = self.sink.wait_for(count, PATIENCE).await;
        assert_eq!(messages.len(), count, "arrived so far");
        Arrival::of(&messages[count - 1])
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// A file that its owner alone may read, in a folder that is.
    pub(crate) fn write_secret(&self, name: &str, octets: &[u8]) {
        use std::os::unix::fs::PermissionsExt;

        self.write(name, "");
        let path = self.path(name);
        for (path, mode) in [(path.parent().unwrap(), 0o700), (path.as_path(), 0o600)] {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        }
        std::fs::write(path, octets).unwrap();
    }

    /// What the server has logged.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.path("serve.log")).unwrap_or_default()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            eprintln!("the server's log ends:\n{}", lines[lines.len().saturating_sub(20)..].join("\n"));
        }
    }
}

impl Said {
    pub(crate) fn of(output: &Output) -> Self {
        let text = |octets: &[u8]| String::from_utf8(octets.to_vec()).unwrap();
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        Self { code: output.status.code().unwrap_or(-1), stdout, stderr }
    }

    pub(crate) fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:?}");
        self
    }

    /// Each line of stdout as JSON.
    pub(crate) fn json(&self) -> Vec<Value> {
        self.stdout
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
            .collect()
    }
}

/// What arrived behind the server.
pub(crate) struct Arrival {
    /// The first field, without its line end.
    pub(crate) trace: String,
    /// Everything after it.
    pub(crate) message: Vec<u8>,
    pub(crate) envelope: Arc<Received>,
}

impl Arrival {
    pub(crate) fn of(received: &Arc<Received>) -> Self {
        let end = received.message.windows(2).position(|pair| pair == b"\r\n").unwrap();
        let trace = String::from_utf8(received.message[..end].to_vec()).unwrap();
        Self { trace, message: received.message[end + 2..].to_vec(), envelope: Arc::clone(received) }
    }
}

/// A plain letter of an author.
pub(crate) fn letter(from: &str) -> Vec<u8> {
    format!(
        "From: {from}\r\nTo: Bo Reader <bo@reader.example>\r\nSubject: News\r\n\
         Date: Tue, 24 Nov 2026 08:00:00 +0000\r\nMessage-ID: <1@client.example>\r\n\r\nFresh bread.\r\n"
    )
    .into_bytes()
}

/// An account with a login of the same name.
pub(crate) fn account(id: &str, domains: &[&str]) -> String {
    let domains: String = domains
        .iter()
        .map(|name| format!("[[account.domain]]\nname = \"{name}\"\nproved = true\n"))
        .collect();
    format!(
        "[[account]]\nid = \"{id}\"\n{domains}[[account.credential]]\nlogin = \"{id}\"\nsecret_file = \"secrets/{id}\"\n"
    )
}

/// Domains that exist and authorise the addresses from which the world's mail leaves.
pub(crate) fn zones() -> ZoneMap {
    let zones = ZoneMap::new().txt("spf.esp.example", "v=spf1 ip4:192.0.2.0/28 -all");
    ["acme.example", KEPT, "globex.example"].iter().fold(zones, |zones, domain| {
        zones.mx(domain, 10, "mx.esp.example").txt(domain, "v=spf1 include:spf.esp.example -all")
    })
}

/// The next ready line.
async fn ready(stdout: &mut BufReader<ChildStdout>) -> Option<Value> {
    let mut line = String::new();
    within(60, "the ready line", stdout.read_line(&mut line)).await.unwrap();
    serde_json::from_str(&line).ok()
}

/// What must come, or a panic that says what did not.
pub(crate) async fn within<T>(seconds: u64, what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(Duration::from_secs(seconds), future).await {
        Ok(value) => value,
        Err(_) => panic!("{what} did not come within {seconds} s"),
    }
}

/// The root of the repository.
pub(crate) fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// The program under test.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_countersign");

/// A domain of acme whose mail the operator's own policy keeps.
pub(crate) const KEPT: &str = "kept.example";

/// A forbid without annotations: a hold with reason `policy`.
const KEEP: &str = "forbid(principal, action == Action::\"send\", resource)\n\
    when { context.author_domain == \"kept.example\" };\n";
