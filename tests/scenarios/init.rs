//! `init`: from a machine without configuration to a server that serves, and a Postfix set up with the printed lines.

use crate::client::{Client, password, plain};
use crate::postfix::mta::{self, Postfix};
use crate::world::{Plan, Said, World, account, letter, within};

#[tokio::test]
async fn what_init_writes_is_checked_and_serves() {
    let mut world = empty().await;
    let said = init(&world, 1, &[]).await.expect_code(0);
    for made in ["countersign.toml", "countersign-data", "countersign.service"] {
        assert!(said.stdout.contains(&format!("made {}", world.path(made).display())), "{said:?}");
    }
    assert!(said.stdout.contains("smtpd_forbid_bare_newline=reject"), "{said:?}");
    let checked = world.cli(&["config", "check"]).await.expect_code(0);
    for sentence in ["is called gate.esp.example", "mode observe", "mail leaves from 192.0.2.1/32"] {
        assert!(checked.stdout.contains(sentence), "{sentence}: {checked:?}");
    }
    world.start().await;
    assert!(world.ready()["listeners"]["send.0"].is_string());
    assert_eq!(world.terminate().await.0, Some(0));
}

#[tokio::test]
async fn init_overwrites_nothing_and_leaves_nothing_beside_what_is_there() {
    let world = empty().await;
    world.write("countersign.service", "mine");
    let before = files(&world);
    let said = init(&world, 1, &[]).await.expect_code(3);
    assert!(said.stderr.contains("countersign.service` is there already"), "{said:?}");
    assert_eq!(files(&world), before);
    std::fs::remove_file(world.path("countersign.service")).unwrap();
    init(&world, 1, &[]).await.expect_code(0);
    let (before, key) = (files(&world), std::fs::read(world.path("countersign-data/root.key")).unwrap());
    init(&world, 1, &[]).await.expect_code(3);
    assert_eq!(files(&world), before);
    assert_eq!(std::fs::read(world.path("countersign-data/root.key")).unwrap(), key);
}

#[tokio::test]
async fn a_rehearsal_writes_nothing_and_shows_everything() {
    let world = empty().await;
    let before = files(&world);
    let said = init(&world, 10_026, &["--dry-run"]).await.expect_code(0);
    for line in ["[[send.upstream]]", "ProtectSystem=strict", "127.0.0.1:10026 inet n", "in_flow_delay = 0s"]
    {
        assert!(said.stdout.contains(line), "{line}: {said:?}");
    }
    assert_eq!(files(&world), before);
}

#[tokio::test]
async fn a_failure_in_the_middle_takes_everything_away_again() {
    let world = empty().await;
    let before = files(&world);
    // The unit comes last; where it should go is no directory.
    let said = init(&world, 1, &["--unit", "accounts.toml/x.service"]).await.expect_code(3);
    assert!(said.stderr.contains("accounts.toml/x.service"), "{said:?}");
    assert_eq!(files(&world), before);
}

/// A user with a line end in it became a line of the unit, and was run by root.
#[tokio::test]
async fn what_init_is_told_stands_in_no_file_as_something_else() {
    let world = empty().await;
    let before = files(&world);
    for (option, value) in [
        ("--user", "x\nExecStart=/bin/sh"),
        ("--user", ""),
        ("--user", "-x"),
        ("--user", "a b"),
        ("--user", "a-name-of-more-than-thirty-two-octets"),
        ("--hostname", "two words"),
        ("--hostname", "a b\""),
        ("--hostname", ""),
    ] {
        let said = world.cli(&["init", "--dir", ".", &format!("{option}={value}")]).await.expect_code(2);
        assert!(said.stderr.contains(option), "{said:?}");
        assert!(!said.stderr.contains("countersign.toml"), "{said:?}");
        assert_eq!(files(&world), before, "{option} {value:?}");
    }
    for (option, value) in [
        ("--data-dir", "x\nExecStart=/bin/sh"),
        ("--unit", "x\ny.service"),
        ("--upstream", "smtp://a b:25"),
        ("--upstream", "smtp://127.0.0.1:25\nx"),
        ("--egress", "192.0.2.1\nx"),
    ] {
        world.cli(&["init", "--dir", ".", &format!("{option}={value}")]).await.expect_code(2);
        assert_eq!(files(&world), before, "{option} {value:?}");
    }
}

#[tokio::test]
async fn a_postfix_with_the_printed_lines_passes_a_letter_through() {
    if !mta::is_here() {
        return;
    }
    let mut world = empty().await;
    let port = mta::free_port();
    let said = init(&world, port, &["--json"]).await.expect_code(0).json();
    let [line] = said.as_slice() else { panic!("{said:?}") };
    assert_eq!((&line["v"], line["postfix"]["version"].is_string()), (&1.into(), true), "{line}");
    let lines = |name: &str| line[name].as_str().unwrap();
    let mut postfix = Postfix::with(lines("master_cf"), lines("main_cf"), port, world.sink.address()).await;
    let config = std::fs::read_to_string(world.path("countersign.toml")).unwrap();
    world.write("countersign.toml", &format!("{config}[dns]\nresolvers = [\"{}\"]\n", world.dns.address()));
    world.cli(&["apply", "accounts.toml", "--trust-proof"]).await.expect_code(0);
    world.start().await;
    let mut client = Client::connect(world.door("send.0")).await;
    client.ask("EHLO client.example").await;
    let mut client = client.start_tls().await;
    client.ask("EHLO client.example").await;
    let sign_in = format!("AUTH PLAIN {}", plain("acme", &password("acme")));
    assert_eq!(client.ask(&sign_in).await.code, 235);
    let reply = client.send("news@acme.example", &letter("ana@acme.example")).await;
    assert!(reply.code == 250 && reply.text().contains("queued as"), "{reply:?}\n{}", postfix.log());
    let arrived = world.sink.wait_for(1, std::time::Duration::from_secs(20)).await;
    let text = String::from_utf8_lossy(&arrived[0].message).into_owned();
    assert!(text.contains("Countersign-Trace: v=1; ref=") && text.contains("decision=allow"), "{text}");
    assert!(arrived[0].message.ends_with(b"\r\n\r\nFresh bread.\r\n"), "{text}");
    assert_eq!(world.terminate().await.0, Some(0));
    within(10, "the end of Postfix", postfix.stop()).await;
}

/// A world of which only accounts, name server and sink are there.
async fn empty() -> World {
    let world = World::bare(Plan { accounts: account("acme", &["acme.example"]), ..Plan::default() }).await;
    std::fs::remove_file(world.path("countersign.toml")).unwrap();
    world
}

async fn init(world: &World, port: u16, more: &[&str]) -> Said {
    let upstream = format!("smtp://127.0.0.1:{port}");
    let usual = [
        "init",
        "--dir",
        ".",
        "--hostname",
        "gate.esp.example",
        "--listen",
        "127.0.0.1:0",
        "--upstream",
        &upstream,
        "--egress",
        "192.0.2.1",
        "--metrics",
        "127.0.0.1:0",
    ];
    world.cli(&[&usual, more].concat()).await
}

/// Every path of the world with its size.
fn files(world: &World) -> Vec<(String, u64)> {
    let mut found = Vec::new();
    let mut open = vec![world.path("")];
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap()) {
            let path = entry.path();
            if path.is_dir() {
                open.push(path.clone());
            }
            found.push((path.display().to_string(), entry.metadata().unwrap().len()));
        }
    }
    found.sort();
    found
}
