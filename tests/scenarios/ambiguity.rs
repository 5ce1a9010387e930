//! Ambiguity: every file of `tests/mail` over real SMTP and through `check message`, with one outcome.
//! What two readers could read in two ways is refused; what is only odd passes unchanged.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::client::{Client, Reply};
use crate::letters::reasons;
use crate::relay::{relay, relay_listener};
use crate::world::{Arrival, Plan, World, account, repository};

/// A file, and what its sidecar says.
struct Case {
    path: PathBuf,
    message: Vec<u8>,
    mail_from: String,
    decision: String,
    reason: Option<String>,
}

/// The doors through which every file goes; another kind of listener is one line here and one in `client`.
#[derive(Debug, Clone, Copy)]
enum Door {
    Submission,
    Relay,
}

const DOORS: [Door; 2] = [Door::Submission, Door::Relay];

impl Door {
    async fn client(self, world: &World) -> Client {
        match self {
            Self::Submission => world.client("acme").await,
            Self::Relay => relay(world, "send.2").await,
        }
    }
}

#[tokio::test]
async fn hostile_mail_is_refused_over_smtp_and_by_check_for_the_same_reasons() {
    let cases = cases("hostile");
    assert!(cases.len() >= 240, "{} files", cases.len());
    let world = acme().await;
    let checked = check(&world, &cases).await;
    for case in &cases {
        let line = &checked[&case.path];
        assert_eq!(case.decision, "refuse", "{}", case.path.display());
        assert_eq!(line["decision"], "refuse", "{line}");
        assert!(codes(line).contains(case.reason.as_ref().unwrap()), "{line}");
        for door in DOORS {
            is_refused(&world, door, case, line).await;
        }
    }
    assert_eq!(world.sink.taken(), 0);
}

async fn is_refused(world: &World, door: Door, case: &Case, line: &Value) {
    let name = format!("{} ({door:?})", case.path.display());
    let reply = submit(world, door, case, line).await;
    assert_eq!(reply.code / 100, 5, "{name}: {reply:?}");
    let said = reasons(world, &reply).await;
    if has_faulty_octets(&case.message) {
        assert_eq!((reply.enhanced(), said), ("5.6.11", vec!["bare-line-ending".to_owned()]), "{name}");
    } else if !is_malformed(line) {
        assert_eq!(said, codes(line), "{name}: over SMTP and by `check`");
    }
}

#[tokio::test]
async fn legal_mail_passes_over_smtp_and_by_check_and_arrives_unchanged() {
    let cases = cases("legal");
    assert!(cases.len() >= 165, "{} files", cases.len());
    let world = acme().await;
    let checked = check(&world, &cases).await;
    let mut sent = 0;
    for case in &cases {
        let line = &checked[&case.path];
        assert_eq!((line["decision"].as_str(), case.decision.as_str()), (Some("allow"), "allow"), "{line}");
        assert!(line["normalised"].is_null(), "{} is not as it stands on the wire", case.path.display());
        for door in DOORS {
            sent += 1;
            passes(&world, door, case, line, sent).await;
        }
    }
}

async fn passes(world: &World, door: Door, case: &Case, line: &Value, number: usize) {
    let name = format!("{} ({door:?})", case.path.display());
    let reply = submit(world, door, case, line).await;
    assert_eq!((reply.code, reply.text().as_str()), (250, "2.0.0 kept"), "{name}");
    let messages = world.sink.wait_for(number, crate::client::PATIENCE).await;
    let arrival = Arrival::of(&messages[number - 1]);
    let whole = match case.message.ends_with(b"\r\n") {
        true => case.message.clone(),
        false => [case.message.as_slice(), b"\r\n"].concat(),
    };
    assert!(arrival.message == whole, "{name} arrived changed");
    let trace = &arrival.trace;
    assert!(trace.ends_with("gate=send; decision=allow; mode=enforce"), "{name}: {trace}");
}

#[tokio::test]
async fn check_exits_with_the_worst_decision() {
    let world = acme().await;
    let mail = repository().join("tests/mail");
    let file = |name: &str| mail.join(name).display().to_string();
    let (plain, odd, foreign) =
        (file("legal/plain.eml"), file("legal/to-messy.eml"), file("hostile/foreign-prefix.eml"));
    world.cli(&["check", "message", &plain, &odd, "--json"]).await.expect_code(0);
    world.cli(&["check", "message", &plain, &foreign, &odd, "--json"]).await.expect_code(11);
    world.cli(&["check", "message", &plain, "--assume", "spf=unknown"]).await.expect_code(10);
    let [line] =
        world.cli(&["check", "message", &foreign, "--json"]).await.expect_code(11).json().try_into().unwrap();
    assert_eq!(line["ruling"]["ref"], Value::Null);
    assert_eq!(line["ruling"]["mode"], "enforce");
}

#[tokio::test]
async fn check_corpus_judges_every_file_below_a_directory() {
    let world = acme().await;
    let mail = repository().join("tests/mail");
    let mail = mail.to_str().unwrap();
    let done = world.cli(&["check", "corpus", mail]).await.expect_code(0);
    assert_eq!(done.stderr, "", "no bar and no table where stderr is no terminal");
    let lines = done.json();
    let files: Vec<&str> = lines.iter().map(|line| line["file"].as_str().unwrap()).collect();
    assert!(files.is_sorted() && files.len() == cases("hostile").len() + cases("legal").len());
    for line in &lines {
        let hostile = line["file"].as_str().unwrap().contains("/hostile/");
        assert_eq!(line["decision"], if hostile { "refuse" } else { "allow" }, "{line}");
    }
    world.cli(&["check", "corpus", mail, "--json", "--fail-on", "refuse"]).await.expect_code(11);
    let legal = format!("{mail}/legal");
    world.cli(&["check", "corpus", &legal, "--fail-on", "hold"]).await.expect_code(0);
    let unknown = ["check", "corpus", &legal, "--fail-on", "hold", "--assume", "spf=unknown"];
    world.cli(&unknown).await.expect_code(10);
    world.cli(&["check", "corpus", &legal, "--fail-on", "maybe"]).await.expect_code(2);
}

#[tokio::test]
async fn check_corpus_tells_which_file_it_could_not_judge() {
    let world = acme().await;
    let corpus = tempfile::tempdir().unwrap();
    let path = |name: &str| corpus.path().join(name);
    let root = corpus.path().to_str().unwrap();
    world.cli(&["check", "corpus", root]).await.expect_code(2);
    let plain = repository().join("tests/mail/legal/plain.eml");
    std::fs::create_dir(path("below")).unwrap();
    std::fs::copy(&plain, path("below/a.eml")).unwrap();
    std::fs::copy(plain.with_extension("toml"), path("below/a.toml")).unwrap();
    std::os::unix::fs::symlink(path("nowhere"), path("below/b.eml")).unwrap();
    std::os::unix::fs::symlink(corpus.path(), path("below/circle")).unwrap();
    let lines = world.cli(&["check", "corpus", root]).await.expect_code(4).json();
    let [judged, unread] = lines.try_into().unwrap();
    assert_eq!((judged["decision"].as_str(), judged["error"].is_null()), (Some("allow"), true));
    assert_eq!(unread["decision"], Value::Null);
    assert!(unread["error"].as_str().unwrap().contains("cannot be read"), "{unread}");
}

async fn acme() -> World {
    let more = relay_listener("127.0.0.0/8", "account:acme");
    World::of(Plan { accounts: account("acme", &["acme.example"]), more, ..Plan::default() }).await
}

/// All files in one process; one JSON line a file.
async fn check(world: &World, cases: &[Case]) -> BTreeMap<PathBuf, Value> {
    let files = cases.iter().map(|case| case.path.to_str().unwrap());
    let arguments: Vec<&str> = ["check", "message", "--json"].into_iter().chain(files).collect();
    let lines = world.cli(&arguments).await.json();
    assert_eq!(lines.len(), cases.len());
    lines.into_iter().map(|line| (PathBuf::from(line["file"].as_str().unwrap()), line)).collect()
}

/// Submits a file as its sidecar says. A MAIL FROM that is no address is refused as syntax; the message is
/// then sent from the account's own address.
async fn submit(world: &World, door: Door, case: &Case, checked: &Value) -> Reply {
    let mut client = door.client(world).await;
    let mut mail_from = case.mail_from.as_str();
    if is_malformed(checked) {
        let reply = client.ask(&format!("MAIL FROM:<{mail_from}>")).await;
        assert!([501, 553].contains(&reply.code), "{}: {reply:?}", case.path.display());
        assert_eq!(reply.reference(), None, "a protocol reply has no ref");
        mail_from = "news@acme.example";
    }
    let reply = client.send(mail_from, &case.message).await;
    // Who has heard the reply says so: the same message at the next door is then another one.
    if reply.code == 250 {
        assert_eq!(client.ask("QUIT").await.code, 221);
    }
    reply
}

fn is_malformed(checked: &Value) -> bool {
    codes(checked) == ["mail-from-malformed"]
}

fn has_faulty_octets(message: &[u8]) -> bool {
    let whole_lines = String::from_utf8_lossy(message).replace("\r\n", "");
    whole_lines.contains(['\r', '\n', '\0'])
}

fn codes(line: &Value) -> Vec<String> {
    line["reasons"].as_array().unwrap().iter().map(|code| code.as_str().unwrap().to_owned()).collect()
}

fn cases(folder: &str) -> Vec<Case> {
    let folder = repository().join("tests/mail").join(folder);
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "eml"));
    paths.sort();
    paths.iter().map(|path| case(path)).collect()
}

fn case(path: &Path) -> Case {
    let text = std::fs::read_to_string(path.with_extension("toml")).unwrap();
    let sidecar: toml::Table = toml::from_str(&text).unwrap();
    let text = |value: &toml::Value| value.as_str().unwrap().to_owned();
    Case {
        path: path.to_owned(),
        message: std::fs::read(path).unwrap(),
        mail_from: text(&sidecar["mail_from"]),
        decision: text(&sidecar["expect"]["decision"]),
        reason: sidecar["expect"].get("reason").map(text),
    }
}
