//! Ambiguity: every file of `tests/mail` over real SMTP and through `check message`, with one outcome.
//! What two readers could read in two ways is refused; what is only odd passes unchanged.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::client::{Client, Reply};
use crate::letters::reasons;
use crate::world::{Arrival, Plan, World, account, repository};

/// A file, and what its sidecar says.
struct Case {
    path: PathBuf,
    message: Vec<u8>,
    mail_from: String,
    decision: String,
    reason: Option<String>,
}

#[tokio::test]
async fn hostile_mail_is_refused_over_smtp_and_by_check_for_the_same_reasons() {
    let cases = cases("hostile");
    assert!(cases.len() >= 40, "{} files", cases.len());
    let world = acme().await;
    let checked = check(&world, &cases).await;
    for case in &cases {
        let name = case.path.display();
        let line = &checked[&case.path];
        let reply = submit(&world, case, line).await;
        assert_eq!(reply.code / 100, 5, "{name}: {reply:?}");
        let (said, expected) = (reasons(&world, &reply).await, case.reason.as_ref().unwrap());
        assert_eq!(
            (line["decision"].as_str(), case.decision.as_str()),
            (Some("refuse"), "refuse"),
            "{name}: {line}"
        );
        assert!(codes(line).contains(expected), "{name}: {line}");
        if has_faulty_octets(&case.message) {
            assert_eq!((reply.enhanced(), said), ("5.6.11", vec!["bare-line-ending".to_owned()]), "{name}");
        } else if !is_malformed(line) {
            assert_eq!(said, codes(line), "{name}: over SMTP and by `check`");
        }
    }
    assert_eq!(world.sink.taken(), 0);
}

#[tokio::test]
async fn legal_mail_passes_over_smtp_and_by_check_and_arrives_unchanged() {
    let cases = cases("legal");
    assert!(cases.len() >= 25, "{} files", cases.len());
    let world = acme().await;
    let checked = check(&world, &cases).await;
    for (number, case) in cases.iter().enumerate() {
        let name = case.path.display();
        let line = &checked[&case.path];
        assert_eq!(
            (line["decision"].as_str(), case.decision.as_str()),
            (Some("allow"), "allow"),
            "{name}: {line}"
        );
        assert!(line["normalised"].is_null(), "{name} is not as it stands on the wire");
        let reply = submit(&world, case, line).await;
        assert_eq!((reply.code, reply.text().as_str()), (250, "2.0.0 kept"), "{name}");
        let messages = world.sink.wait_for(number + 1, crate::client::PATIENCE).await;
        let arrival = Arrival::of(&messages[number]);
        let whole = match case.message.ends_with(b"\r\n") {
            true => case.message.clone(),
            false => [case.message.as_slice(), b"\r\n"].concat(),
        };
        assert!(arrival.message == whole, "{name} arrived changed");
        assert!(
            arrival.trace.ends_with("gate=send; decision=allow; mode=enforce"),
            "{name}: {}",
            arrival.trace
        );
    }
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

async fn acme() -> World {
    World::of(Plan { accounts: account("acme", &["acme.example"]), ..Plan::default() }).await
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
async fn submit(world: &World, case: &Case, checked: &Value) -> Reply {
    let mut client: Client = world.client("acme").await;
    if !is_malformed(checked) {
        return client.send(&case.mail_from, &case.message).await;
    }
    let reply = client.ask(&format!("MAIL FROM:<{}>", case.mail_from)).await;
    assert!([501, 553].contains(&reply.code), "{}: {reply:?}", case.path.display());
    assert_eq!(reply.reference(), None, "a protocol reply has no ref");
    client.send("news@acme.example", &case.message).await
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
