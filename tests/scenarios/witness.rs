//! Witnesses: the real one beside the real server. What it cosigned it remembers, and a log that was set back, or is
//! there twice, does not go on under its name.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;

use countersign_core::ledger::witness::Request;
use countersign_core::ledger::{Checkpoint, Note, VerifierKey};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::ledger::both;
use crate::service::get;
use crate::world::{PROGRAM, Plan, Said, World, letter, within};

/// A witness that keeps its address and its memory.
struct Witness {
    dir: TempDir,
    child: Option<Child>,
    door: SocketAddr,
    key: String,
}

impl Witness {
    /// One that watches a log of nobody's, so that it has a key and an address already.
    async fn new() -> Self {
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut witness =
            Self { dir: TempDir::new().unwrap(), child: None, door: loopback, key: String::new() };
        witness.start(NOBODY).await;
        witness
    }

    fn command(&self, more: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command.env_clear().current_dir(self.dir.path()).kill_on_drop(true).stdin(Stdio::null());
        command.args(["ledger", "witness", "--listen", &self.door.to_string()]);
        if !more.contains(&"--state") {
            command.args(["--state", "state"]);
        }
        command.args(more);
        command
    }

    async fn start(&mut self, log: &str) {
        let path = self.dir.path().join("log");
        let log_file = std::fs::File::options().create(true).append(true).open(path).unwrap();
        let mut command = self.command(&["--name", "w.example", "--log", log]);
        let mut child = command.stdout(Stdio::piped()).stderr(log_file).spawn().unwrap();
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        within(60, "a witness", stdout.read_line(&mut line)).await.unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {}", self.log()));
        self.door = ready["listeners"]["witness"].as_str().unwrap().parse().unwrap();
        self.key = ready["key"].as_str().unwrap().to_owned();
        self.child = Some(child);
    }

    async fn stop(&mut self) {
        let mut child = self.child.take().unwrap();
        let pid = Pid::from_raw(child.id().unwrap().try_into().unwrap()).unwrap();
        kill_process(pid, Signal::TERM).unwrap();
        assert_eq!(within(40, "the end of a witness", child.wait()).await.unwrap().code(), Some(0));
    }

    async fn restart(&mut self, log: &str) {
        self.stop().await;
        self.start(log).await;
    }

    /// Ends with an error.
    async fn fails(&self, more: &[&str]) -> Said {
        Said::of(&within(60, "the end of a witness", self.command(more).output()).await.unwrap())
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// Tells a server of it.
    fn watches(&self, world: &World) {
        let file = world.path("countersign.toml");
        let text = std::fs::read_to_string(&file).unwrap();
        let (door, key) = (self.door, &self.key);
        let witness = format!("[[ledger.witnesses]]\nurl = \"http://{door}\"\nkey = \"{key}\"\n");
        std::fs::write(file, text + &witness).unwrap();
    }

    /// Posts octets, as whoever likes to.
    async fn post(&self, body: &[u8]) -> (u16, String) {
        let mut stream = TcpStream::connect(self.door).await.unwrap();
        let length = body.len();
        let head = format!(
            "POST /add-checkpoint HTTP/1.1\r\nHost: w\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        // It may have said no before it has read all.
        let _refused = stream.write_all(body).await;
        let mut answer = Vec::new();
        let _reset = within(20, "an answer", stream.read_to_end(&mut answer)).await;
        let text = String::from_utf8(answer).unwrap();
        let status = text.get(9..12).unwrap_or_else(|| panic!("no answer: {text}")).parse().unwrap();
        (status, text)
    }
}

impl World {
    async fn refused_once(&self) -> String {
        let reply = self.send("acme", "news@acme.example", &letter("ceo@bank.example")).await;
        reply.reference().unwrap().to_owned()
    }

    /// The last checkpoint of the server's own log, with its key.
    async fn head(&self) -> Value {
        within(20, "a checkpoint", async {
            loop {
                let said = self.cli(&["ledger", "head", "--json"]).await;
                if said.code == 0 {
                    return said.json().remove(0);
                }
            }
        })
        .await
    }

    /// What /readyz says of its only witness, once it is in this state.
    async fn witness(&self, state: &str) -> Value {
        let mut last = Value::Null;
        let stands = async {
            loop {
                let (status, body) = get(self.door("metrics"), "/readyz").await;
                assert_eq!(status, 200, "{body}");
                last = serde_json::from_str(&body).unwrap();
                let one = &last["witnesses"][0];
                if one["state"] == state && (state != "cosigns" || one["behind"] == 0) {
                    return last.clone();
                }
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        };
        within(60, &format!("a witness that {state}"), stands).await
    }

    /// How many leaves its only witness has cosigned, once they are more than so many.
    async fn cosigned_beyond(&self, leaves: u64) -> u64 {
        within(60, "a cosignature", async {
            loop {
                let cosigned = self.witness("cosigns").await["witnesses"][0]["cosigned"].as_u64().unwrap();
                if cosigned > leaves {
                    return cosigned;
                }
            }
        })
        .await
    }

    fn origin(&self) -> String {
        let note = std::fs::read_to_string(self.path("data/checkpoint")).unwrap();
        note.lines().next().unwrap().to_owned()
    }
}

pub(crate) fn copy(from: &Path, to: &Path) {
    let _gone = std::fs::remove_dir_all(to);
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_file() {
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

/// A server in a file, with a log that its witness knows and has cosigned.
async fn watched() -> (World, Witness) {
    let mut witness = Witness::new().await;
    let mut world = World::in_file(Plan::default()).await;
    world.cli(&["apply", "accounts.toml", "--trust-proof"]).await.expect_code(0);
    witness.watches(&world);
    world.start().await;
    world.refused_once().await;
    let key = world.head().await["key"].as_str().unwrap().to_owned();
    witness.restart(&key).await;
    world.witness("cosigns").await;
    (world, witness)
}

#[tokio::test]
async fn a_checkpoint_is_cosigned_by_a_witness_that_was_down_and_comes_back_and_remembers() {
    let mut witness = Witness::new().await;
    let mut world = World::bare(Plan::default()).await;
    world.cli(&["apply", "accounts.toml", "--trust-proof"]).await.expect_code(0);
    witness.watches(&world);
    witness.stop().await;
    world.start().await;
    let first = world.refused_once().await;
    assert_eq!(world.witness("silent").await["witnesses"][0]["behind"], 1);
    world.cli(&["ledger", "head", "--witnessed"]).await.expect_code(2);
    witness.start(NOBODY).await;
    let why = world.witness("refuses").await["witnesses"][0]["why"].as_str().unwrap().to_owned();
    let head = world.head().await;
    let (key, origin) = (head["key"].as_str().unwrap(), head["origin"].as_str().unwrap());
    assert!(why.contains(key), "the key to be told is in {why}");
    witness.restart(key).await;
    world.witness("cosigns").await;

    let (log, cosigner) = (VerifierKey::parse(key).unwrap(), VerifierKey::parse(&witness.key).unwrap());
    let note = world.cli(&["ledger", "head", "--witnessed"]).await.expect_code(0).stdout;
    let (checkpoint, note) = Checkpoint::open(&note, &log).unwrap();
    assert!(checkpoint.size >= 1 && note.verify(&cosigner).unwrap().time > Some(1_700_000_000));
    let proof = world.json(&["ledger", "prove", &first, "--json"]).await;
    let under = Note::parse(proof[0]["checkpoint"].as_str().unwrap()).unwrap();
    assert!(under.verify(&log).is_ok() && under.verify(&cosigner).is_ok());
    let (_, metrics) = get(world.door("metrics"), "/metrics").await;
    for line in [
        "countersign_ledger_disputed 0",
        "countersign_ledger_witness_up{witness=\"w.example\"} 1",
        "countersign_ledger_witness_behind_leaves{witness=\"w.example\"} 0",
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line}: {metrics}");
    }

    // It remembers over a restart, and so does the log over its own.
    let one = world.cosigned_beyond(0).await;
    witness.child.take().unwrap().kill().await.unwrap();
    witness.start(key).await;
    let as_if_first = Request::of(0, Vec::new(), note.clone()).unwrap().to_string();
    let (status, answer) = witness.post(as_if_first.as_bytes()).await;
    assert!(status == 409 && answer.contains("text/x.tlog.size"), "{answer}");
    world.refused_once().await;
    let two = world.cosigned_beyond(one).await;
    world.restart().await;
    world.refused_once().await;
    world.cosigned_beyond(two).await;
    assert_eq!(world.origin(), origin);
    let empty = Checkpoint { origin: origin.to_owned(), size: 0, ..checkpoint };
    let (status, _) = witness.post(format!("old 0\n\n{empty}\n\u{2014} x AAAAAAA=\n").as_bytes()).await;
    assert_eq!(status, 403, "it watches the log, and nobody has signed this");
    assert_eq!(world.log().matches("a witness does not cosign").count(), 2, "once for each change");
    assert_eq!(world.terminate().await.0, Some(0));
    world.cli(&["ledger", "verify"]).await.expect_code(0);
    let export = world.cli(&["ledger", "export", "--out", "export"]).await.expect_code(0);
    assert!(export.stderr.contains(key));
    let text = std::fs::read_to_string(world.path("export")).unwrap();
    assert!(text.contains("\u{2014} w.example "), "the last cosigned checkpoint is in the file: {text}");
    world.write("head", &note.to_string());
    both(&world, "export", key, 0).await;
}

#[tokio::test]
async fn a_machine_that_was_set_back_hears_it_from_its_witness_and_begins_a_new_log_at_once() {
    let (mut world, _witness) = watched().await;
    let origin = world.origin();
    let before = world.cosigned_beyond(0).await;
    assert_eq!(world.terminate().await.0, Some(0));
    copy(&world.path("data"), &world.path("backup"));
    world.start().await;
    world.refused_once().await;
    world.cosigned_beyond(before).await;
    assert_eq!(world.terminate().await.0, Some(0));
    // Store and data directory come back together: nothing on this machine knows of the time after.
    copy(&world.path("backup"), &world.path("data"));
    let kept = std::fs::read_to_string(world.path("data/checkpoint")).unwrap();
    world.start().await;
    assert_ne!(world.origin(), origin);
    assert!(world.log().contains("has cosigned"), "{}", world.log());
    world.refused_once().await;
    assert_eq!(world.witness("refuses").await["disputed"], false, "the new log is unknown to the witness");
    assert_eq!(world.terminate().await.0, Some(0));
    world.cli(&["ledger", "verify"]).await.expect_code(0);
    let export = world.cli(&["ledger", "export"]).await.expect_code(0).stdout;
    let header: Value = serde_json::from_str(export.lines().next().unwrap()).unwrap();
    assert_eq!(header["continues"]["note"].as_str().unwrap(), kept);
}

#[tokio::test]
async fn a_server_that_is_killed_again_and_again_never_seems_to_be_set_back() {
    let (mut world, _witness) = watched().await;
    let origin = world.origin();
    let mut cosigned = world.cosigned_beyond(0).await;
    for round in 0..6 {
        world.refused_once().await;
        // At once, and as soon as the witness has it.
        if round % 2 == 0 {
            cosigned = world.cosigned_beyond(cosigned).await;
        }
        world.kill().await;
        world.start().await;
    }
    world.refused_once().await;
    world.cosigned_beyond(cosigned + 1).await;
    assert_eq!(world.witness("cosigns").await["disputed"], false);
    assert_eq!(world.origin(), origin);
    assert_eq!(world.terminate().await.0, Some(0));
    world.cli(&["ledger", "verify"]).await.expect_code(0);
}

#[tokio::test]
async fn of_two_copies_of_a_log_the_witness_cosigns_one_and_the_other_stops_signing() {
    let (mut world, mut witness) = watched().await;
    let (origin, key) = (world.origin(), world.head().await["key"].as_str().unwrap().to_owned());
    let before = world.cosigned_beyond(0).await;
    assert_eq!(world.terminate().await.0, Some(0));
    let mut twin = World::in_file(Plan::default()).await;
    copy(&world.path("data"), &twin.path("data"));
    witness.watches(&twin);
    world.start().await;
    world.refused_once().await;
    world.cosigned_beyond(before).await;

    // The twin starts while nobody can tell it, and writes as much of another history, and more.
    witness.stop().await;
    twin.start().await;
    for _ in 0..3 {
        twin.refused_once().await;
    }
    within(20, "a checkpoint over all of it", async {
        while twin.witness("silent").await["witnesses"][0]["behind"].as_u64().unwrap() < before + 3 {}
    })
    .await;
    witness.start(&key).await;
    assert_eq!(twin.witness("disputes").await["disputed"], true);
    let signed = twin.head().await["checkpoint"].as_str().unwrap().to_owned();
    assert!(signed.starts_with(&origin), "{signed}");
    assert!(witness.log().contains("another history"), "{}", witness.log());
    let (_, metrics) = get(twin.door("metrics"), "/metrics").await;
    assert!(metrics.lines().any(|line| line == "countersign_ledger_disputed 1"), "{metrics}");
    let said = twin.cli(&["ledger", "verify"]).await.expect_code(20);
    assert!(said.stderr.contains("knows another history"), "{said:?}");
    let said = twin.cli(&["doctor"]).await.expect_code(20).stdout;
    let line = |check: &str| said.lines().find(|line| line[9..].starts_with(check)).unwrap_or_default();
    assert!(
        line("ledger").starts_with("fail") && line("witness").contains(&witness.door.to_string()),
        "{said}"
    );
    twin.cli(&["ledger", "head", "--witnessed"]).await.expect_code(0);
    // Mail is judged and recorded as before, and not signed under that name.
    twin.refused_once().await;
    assert_eq!(twin.terminate().await.0, Some(0));
    assert_eq!(twin.head().await["checkpoint"].as_str().unwrap(), signed);
    twin.start().await;
    assert_ne!(twin.origin(), origin);
    twin.refused_once().await;
    assert_eq!(twin.terminate().await.0, Some(0));
    twin.cli(&["ledger", "verify"]).await.expect_code(0);

    // The other one goes on.
    let before = world.witness("cosigns").await["witnesses"][0]["cosigned"].as_u64().unwrap();
    world.refused_once().await;
    world.cosigned_beyond(before).await;
    assert_eq!(world.witness("cosigns").await["disputed"], false);
    assert_eq!(world.origin(), origin);
}

#[tokio::test]
async fn a_witness_says_what_is_wrong_with_a_request_and_goes_on() {
    let witness = Witness::new().await;
    let root = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let request = |origin: &str| format!("old 0\n\n{origin}\n1\n{root}\n\n\u{2014} {origin} AAAAAAA=\n");
    for (body, status) in [
        (request("gate.example/other").into_bytes(), 404),
        (request("gate.example/nobody").into_bytes(), 403),
        (b"old 1\n".to_vec(), 400),
        (vec![0xff; 64], 400),
        (Vec::new(), 400),
        (vec![b'x'; 70_000], 413),
        (vec![b'x'; 4_000_000], 413),
    ] {
        let (found, text) = witness.post(&body).await;
        assert_eq!(found, status, "{text}");
    }
    // Nobody who only connects keeps others out for long: 200 silent connections, and an answer.
    let mut silent = Vec::new();
    for _ in 0..200 {
        silent.push(TcpStream::connect(witness.door).await.unwrap());
    }
    assert_eq!(witness.post(b"old 1\n").await.0, 400);
    assert_eq!(get(witness.door, "/add-checkpoint").await.0, 405);
}

#[tokio::test]
async fn a_witness_that_cannot_be_one_says_why() {
    let witness = Witness::new().await;
    for (more, code, says) in [
        (&["--log", NOBODY][..], 3, "is in use by another witness"),
        (&["--log", NOBODY, "--state", "other"], 3, "--name says"),
        (&["--log", NOBODY, "--state", "other", "--name", "v.example"], 3, "cannot listen on"),
        (&["--state", "other"], 2, "name a log"),
        (&["--log", "gate.example", "--state", "other"], 2, "is no verifier key"),
        (&["--log", &witness.key, "--state", "other"], 2, "the key of a witness, not of a log"),
        (&["--log", NOBODY, "--state", "other", "--key", "state/witness.key"], 3, "is of `v.example+"),
        (&["--log", NOBODY, "--state", "third", "--key", "log"], 3, "others may use it"),
    ] {
        let said = witness.fails(more).await;
        assert_eq!(said.code, code, "{more:?}: {said:?}");
        assert!(said.stderr.contains(says), "{more:?}: {said:?}");
    }
}

#[tokio::test]
async fn a_witness_whose_list_is_empty_starts_and_says_its_key() {
    let mut witness = Witness::new().await;
    witness.stop().await;
    std::fs::write(witness.dir.path().join("logs"), "# nobody yet\n").unwrap();
    let mut command = witness.command(&["--name", "w.example", "--logs", "logs"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    within(60, "a witness of nobody", stdout.read_line(&mut line)).await.unwrap();
    let ready: Value = serde_json::from_str(&line).unwrap();
    assert_eq!((ready["key"].as_str(), ready["logs"].as_array().unwrap().len()), (Some(&*witness.key), 0));
    child.kill().await.unwrap();
}

#[tokio::test]
async fn a_server_with_the_wrong_key_of_its_witness_says_so_and_serves() {
    let (world, witness) = watched().await;
    let other = Witness::new().await;
    let mut twin = World::in_file(Plan::default()).await;
    twin.cli(&["apply", "accounts.toml", "--trust-proof"]).await.expect_code(0);
    other.watches(&twin);
    let file = twin.path("countersign.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace(&other.door.to_string(), &witness.door.to_string())).unwrap();
    twin.start().await;
    twin.refused_once().await;
    let mut witness = witness;
    let key = twin.head().await["key"].as_str().unwrap().to_owned();
    drop(world);
    witness.restart(&key).await;
    let says = "the answer has no cosignature of `w.example`";
    within(60, says, async {
        while !twin.witness("refuses").await["witnesses"][0]["why"].as_str().unwrap().contains(says) {}
    })
    .await;
    twin.cli(&["ledger", "head", "--witnessed"]).await.expect_code(2);
    std::fs::write(&file, text.replace("[[ledger.witnesses]]\nurl", "[[ledger.witnesses]]\nuri")).unwrap();
    let said = twin.cli(&["config", "check"]).await.expect_code(3);
    assert!(said.stderr.contains("did you mean `url`"), "{said:?}");
}

/// The key of a log that nobody writes.
const NOBODY: &str = "gate.example/nobody+3e771c80+AQABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";
