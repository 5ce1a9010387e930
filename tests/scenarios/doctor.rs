//! `doctor`: what it says of a house that is well, of each part that is not, and what a probe shows.

use serde_json::Value;

use crate::postfix::mta::free_port;
use crate::world::{Plan, World, account};

#[tokio::test]
async fn a_house_that_is_well_is_told_to_be_well() {
    let (mut world, port) = with_a_door("mode = \"enforce\"").await;
    world.start().await;
    let lines = doctor(&world, &[], 0).await;
    for (check, says) in [
        ("configuration", "mode enforce"),
        ("data directory", "for its owner only"),
        ("store", "opens"),
        ("root key", "opens"),
        ("ledger", "leaves verify"),
        ("clock", ""),
        ("listener", &format!("127.0.0.1:{port} says `220 gate.esp.example")),
        ("DNS", "answers"),
        ("upstream", "8BITMIME"),
        ("SPF", "acme.example of account `acme`: authorises all 16 addresses"),
    ] {
        assert!(
            lines.iter().any(|line| {
                line["check"] == check
                    && line["status"] == "ok"
                    && line["what"].as_str().unwrap().contains(says)
            }),
            "{check}: {lines:#?}"
        );
    }
    // A certificate of our own making, and nobody to tell: to look at, not wrong.
    for check in ["certificate", "notices"] {
        assert_eq!(line(&lines, check)["status"], "warn", "{lines:#?}");
        assert!(line(&lines, check)["remedy"].is_string());
    }
    let told = world.cli(&["doctor"]).await.expect_code(0);
    assert!(told.stdout.contains("\n                         -> "), "{told:?}");
    assert!(told.stdout.trim_end().ends_with("skipped"), "{told:?}");
}

#[tokio::test]
async fn what_cannot_be_reached_is_named_and_is_exit_4() {
    let (world, _) = with_a_door("mode = \"enforce\"").await;
    let config = std::fs::read_to_string(world.path("countersign.toml")).unwrap();
    let dead = format!("127.0.0.1:{}", free_port());
    let lines = doctor(&world, &[], 0).await;
    assert_eq!(line(&lines, "server")["status"], "skipped", "{lines:#?}");

    world.write("countersign.toml", &config.replace(&world.sink.address().to_string(), &dead));
    let lines = doctor(&world, &[], 4).await;
    assert_eq!(
        (&line(&lines, "upstream")["status"], &line(&lines, "DNS")["status"]),
        (&"fail".into(), &"ok".into())
    );

    world.write("countersign.toml", &config.replace(&world.dns.address().to_string(), &dead));
    let lines = doctor(&world, &[], 4).await;
    assert_eq!(line(&lines, "DNS")["status"], "fail", "{lines:#?}");
    assert!(line(&lines, "DNS")["what"].as_str().unwrap().contains(&dead), "{lines:#?}");

    let probed = doctor(&world, &["--probe"], 4).await;
    assert!(line(&probed, "probe")["what"].as_str().unwrap().contains("no server runs"), "{probed:#?}");
}

#[tokio::test]
async fn what_is_wrong_in_the_house_is_named_and_is_exit_3() {
    use std::os::unix::fs::PermissionsExt;

    let (world, _) = with_a_door("mode = \"enforce\"").await;
    let chmod = |name: &str, mode| {
        std::fs::set_permissions(world.path(name), PermissionsExt::from_mode(mode)).unwrap();
    };
    chmod("data", 0o755);
    let lines = doctor(&world, &[], 0).await;
    assert_eq!(line(&lines, "data directory")["status"], "warn", "{lines:#?}");
    chmod("data/root.key", 0o644);
    assert_eq!(line(&doctor(&world, &[], 3).await, "root key")["status"], "fail");
    chmod("data/root.key", 0o600);
    std::fs::rename(world.path("data/root.key"), world.path("kept.key")).unwrap();
    assert_eq!(line(&doctor(&world, &[], 3).await, "root key")["status"], "fail");
    std::fs::rename(world.path("kept.key"), world.path("data/root.key")).unwrap();

    world.write("policies/keep.cedar", "forbid(principal");
    let lines = doctor(&world, &[], 3).await;
    assert!(line(&lines, "configuration")["what"].as_str().unwrap().contains("keep.cedar"), "{lines:#?}");
    world.write("countersign.toml", "[sever]\n");
    let lines = doctor(&world, &[], 3).await;
    assert_eq!((lines.len(), &lines[0]["status"]), (2, &"fail".into()), "{lines:#?}");
}

#[tokio::test]
async fn a_probe_goes_through_the_door_is_judged_recorded_and_arrives() {
    let (mut world, _) = with_a_door("mode = \"enforce\"").await;
    world.start().await;
    let lines = doctor(&world, &["--probe", "--probe-as", "acme=news@acme.example"], 0).await;
    let said = line(&lines, "probe");
    let what = said["what"].as_str().unwrap();
    assert!(said["status"] == "ok" && what.contains("allow, recorded as ") && what.contains("250"), "{said}");
    let arrived = world.arrival(1).await;
    assert_eq!(arrived.envelope.recipients, ["news@acme.example"]);
    assert!(String::from_utf8_lossy(&arrived.message).contains("Subject: Probe of Countersign"));
    let reference = what.split("recorded as ").nth(1).unwrap().split(' ').next().unwrap();
    let payload = world.recorded(reference, "ruling").await;
    assert!(payload["actor"].as_str().unwrap().starts_with("credential:probe-"), "{payload}");

    // Who is blocked hears it from the probe too; without a notice account somebody has to be named.
    world.cli(&["account", "block", "acme", "--reason", "a test"]).await.expect_code(0);
    let lines = doctor(&world, &["--probe", "--probe-as", "acme=news@acme.example"], 11).await;
    assert!(line(&lines, "probe")["what"].as_str().unwrap().contains("refuse, recorded as"), "{lines:#?}");
    let lines = doctor(&world, &["--probe"], 3).await;
    assert!(line(&lines, "probe")["remedy"].as_str().unwrap().contains("--probe-as"), "{lines:#?}");
    let lines = doctor(&world, &["--probe", "--probe-as", "nobody=a@acme.example"], 2).await;
    assert!(line(&lines, "probe")["what"].as_str().unwrap().contains("no account `nobody`"), "{lines:#?}");
}

#[tokio::test]
async fn a_probe_in_observe_tells_what_enforce_would_do() {
    let (mut world, _) = with_a_door("mode = \"observe\"").await;
    world.start().await;
    let lines = doctor(&world, &["--probe", "--probe-as", "acme=ana@elsewhere.example"], 0).await;
    let said = line(&lines, "probe");
    assert_eq!(said["status"], "warn", "{said}");
    assert!(said["what"].as_str().unwrap().contains("refuse, recorded as"), "{said}");
    world.arrival(1).await;
}

/// A world whose third listener has a port that stands in the configuration.
async fn with_a_door(send: &str) -> (World, u16) {
    let port = free_port();
    let more = format!("[[send.listener]]\nlisten = \"127.0.0.1:{port}\"\n");
    let accounts = account("acme", &["acme.example"]);
    let plan = Plan { accounts, send: send.to_owned(), more, ..Plan::default() };
    (World::without_server(plan).await, port)
}

async fn doctor(world: &World, more: &[&str], code: i32) -> Vec<Value> {
    let said = world.cli(&[&["doctor", "--json"], more].concat()).await.expect_code(code);
    let lines = said.json();
    assert!(lines.iter().all(|line| line["v"] == 1), "{lines:#?}");
    lines
}

fn line<'a>(lines: &'a [Value], check: &str) -> &'a Value {
    lines.iter().find(|line| line["check"] == check).unwrap_or_else(|| panic!("no {check}: {lines:#?}"))
}

/// Until there were accounts, nobody heard that `egress` was missing.
#[tokio::test]
async fn a_missing_egress_is_told_before_there_are_accounts() {
    let world =
        World::bare(Plan { upstream: String::new(), accounts: String::new(), ..Plan::default() }).await;
    let said = world.cli(&["doctor"]).await;
    assert!(said.stdout.contains("`sink` has no `egress`: SPF cannot be checked"), "{said:?}");
}
