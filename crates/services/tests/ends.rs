//! A service ends with its test, however that ends, and leaves nothing behind.
#![cfg(test)]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use countersign_services::Postgres;

async fn gone(directory: &Path) {
    for _ in 0..1500 {
        if !directory.exists() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("`{}` is still there", directory.display());
}

#[tokio::test]
async fn a_server_answers_is_killed_and_comes_back_with_what_was_committed() {
    let Some(server) = Postgres::start(&["fsync=off"]).await else { return };
    let database = server.database().unwrap();
    database.sql("CREATE TABLE kept (n INT); INSERT INTO kept VALUES (7)").unwrap();
    server.kill().await.unwrap();
    assert!(database.sql("SELECT 1").is_err());
    server.start_again().await.unwrap();
    assert_eq!(database.sql("SELECT n FROM kept").unwrap(), "7");
    server.stop_immediately().unwrap();
    server.start_again().await.unwrap();
    assert_eq!(database.sql("SELECT n FROM kept").unwrap(), "7");
    let directory = server.directory().to_owned();
    drop(server);
    gone(&directory).await;
}

#[tokio::test]
async fn a_server_ends_when_its_test_is_killed() {
    let myself = std::env::current_exe().unwrap();
    let mut other = Command::new(myself);
    other.args(["--exact", "waits_to_be_killed", "--ignored", "--nocapture"]);
    let mut other = other.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
    let lines = BufReader::new(other.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut told = lines.filter_map(|line| line.split_once("directory: ").map(|(_, path)| path.to_owned()));
    let directory = told.next();
    let there = directory.as_deref().map(|directory| Path::new(directory).join("data").exists());
    other.kill().unwrap();
    other.wait().unwrap();
    let Some(directory) = directory else { return };
    assert_eq!(there, Some(true));
    gone(Path::new(&directory)).await;
}

#[tokio::test]
#[ignore = "it is run by the test above, and killed"]
async fn waits_to_be_killed() {
    let Some(server) = Postgres::start(&[]).await else { return };
    // Half of it stands still, as when a test that stops it is killed.
    server.pause().unwrap();
    writeln!(std::io::stdout(), "directory: {}", server.directory().display()).unwrap();
    std::io::stdout().flush().unwrap();
    tokio::time::sleep(Duration::from_secs(600)).await;
}
