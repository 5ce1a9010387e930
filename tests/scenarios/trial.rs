//! `try`: the first five minutes. It plays its cast, says what became of each letter, and leaves everything behind.

use std::process::Stdio;

use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

use crate::world::{PROGRAM, Said, within};

#[tokio::test]
async fn try_shows_its_verdicts_and_leaves_what_explains_them() {
    let dir = TempDir::new().unwrap();
    let played =
        run(&dir, &["try", "--once", "--json", "--dir", "play", "--base-port", "0"]).await.expect_code(0);
    let lines = played.json();
    let (ready, cases, done) = (&lines[0], &lines[1..lines.len() - 1], &lines[lines.len() - 1]);
    assert_eq!(ready["ready"], true);
    assert!(ready["listeners"]["send.0"].is_string(), "{ready}");
    assert!(cases.len() >= 9, "{} verdicts", cases.len());
    for case in cases {
        assert_eq!(case["decision"], case["expected"], "{case}");
        for key in ["case", "account", "from", "ref", "smtp"] {
            assert!(case[key].is_string(), "`{key}` of {case}");
        }
    }
    assert_eq!(
        (&done["done"], &done["ok"], &done["ledger"]["verified"]),
        (&true.into(), &true.into(), &true.into())
    );

    // No server runs any more.
    for case in cases {
        let reference = case["ref"].as_str().unwrap();
        let story = after(&dir, &["explain", reference]).await.expect_code(0).stdout;
        let decision = case["decision"].as_str().unwrap().to_uppercase();
        assert!(story.contains(&format!("{reference}  {decision}")), "{story}");
    }
    let held = after(&dir, &["held", "ls", "--json"]).await.expect_code(0).json();
    let expected = cases.iter().filter(|case| case["smtp"].as_str().unwrap().contains("held ref=")).count();
    assert_eq!((held.len(), expected > 0), (expected, true));
    let verified = after(&dir, &["ledger", "verify", "--json"]).await.expect_code(0).json();
    assert_eq!(verified[0]["leaves"], done["ledger"]["leaves"]);
    assert_eq!(verified[0]["verified"], Value::Bool(true));
}

#[tokio::test]
async fn try_leaves_a_directory_alone_that_is_not_its_own() {
    let dir = TempDir::new().unwrap();
    std::fs::create_dir(dir.path().join("mine")).unwrap();
    std::fs::write(dir.path().join("mine/letter.txt"), "dear diary").unwrap();
    let said = run(&dir, &["try", "--once", "--dir", "mine", "--base-port", "0"]).await.expect_code(3);
    assert!(said.stderr.contains("`mine` is not empty"), "{said:?}");
    assert_eq!(std::fs::read_dir(dir.path().join("mine")).unwrap().count(), 1);
}

/// A command on what the play left behind.
async fn after(dir: &TempDir, arguments: &[&str]) -> Said {
    let config = dir.path().join("play/countersign.toml").display().to_string();
    run(dir, &[&["--config", &config], arguments].concat()).await
}

async fn run(dir: &TempDir, arguments: &[&str]) -> Said {
    let mut command = Command::new(PROGRAM);
    command.env_clear().current_dir(dir.path()).args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    Said::of(&within(60, "the end of a command", command.output()).await.unwrap())
}
