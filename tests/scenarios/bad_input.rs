//! Bad input on the command line and in files: it is named, the exit code says whose fault it is, and nothing
//! changes.

use std::net::TcpListener;

use crate::world::{Plan, World, account, letter};

#[tokio::test]
async fn a_wrong_key_is_named_with_the_nearest_right_one() {
    let world = World::bare(Plan { send: "moed = \"enforce\"".to_owned(), ..Plan::default() }).await;
    for command in [["config", "check"].as_slice(), &["serve"], &["held", "ls"]] {
        let said = world.cli(command).await.expect_code(3);
        assert!(said.stderr.contains("`moed`") && said.stderr.contains("did you mean `mode`"), "{said:?}");
        assert!(said.stderr.contains("countersign.toml:"), "file and line: {said:?}");
        assert_eq!(said.stdout, "");
    }
    assert!(!world.path("data").exists());
}

#[tokio::test]
async fn a_wrong_accounts_file_changes_nothing() {
    let mut world = World::usual().await;
    let before = world.cli(&["account", "ls"]).await.expect_code(0).stdout;
    let broken = [
        ("no toml", "[[account]\nid = ".to_owned()),
        ("a wrong key", account("acme", &["bank.example"]).replace("proved", "prooved")),
        ("no id", account("acme", &["bank.example"]).replace("id = \"acme\"\n", "")),
        ("no domain", account("acme", &["not a domain"])),
        (
            "a secret that is not there",
            account("acme", &["bank.example"]).replace("secrets/acme", "secrets/gone"),
        ),
        (
            "the second is wrong",
            format!("{}{}", account("acme", &["bank.example"]), account("UP PER", &["a.example"])),
        ),
    ];
    for running in [true, false] {
        for (what, text) in &broken {
            world.write("broken.toml", text);
            let said = world.cli(&["apply", "broken.toml", "--trust-proof"]).await.expect_code(3);
            assert!(
                said.stderr.contains("broken.toml") || said.stderr.contains("secrets/gone"),
                "{what}: {said:?}"
            );
            assert_eq!(world.cli(&["account", "ls"]).await.expect_code(0).stdout, before, "{what}");
        }
        world.cli(&["apply", "nowhere.toml"]).await.expect_code(3);
        if running {
            assert_eq!(world.send("acme", "news@acme.example", &letter("news@acme.example")).await.code, 250);
            assert_eq!(world.terminate().await.0, Some(0));
        }
    }
}

#[tokio::test]
async fn proofs_in_a_file_need_to_be_trusted() {
    let world = World::bare(Plan::default()).await;
    let said = world.cli(&["apply", "accounts.toml"]).await.expect_code(3);
    assert!(said.stderr.contains("--trust-proof"), "{said:?}");
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let listener = format!("[[send.listener]]\nlisten = \"{address}\"\nplaintext = \"loopback\"");
    for more in [listener, format!("[metrics]\nlisten = \"{address}\"")] {
        let world = World::bare(Plan { more, ..Plan::default() }).await;
        let said = world.cli(&["serve"]).await.expect_code(3);
        assert!(said.stderr.contains(&address), "{said:?}");
        assert_eq!(said.stdout, "", "nothing is ready");
    }
}

#[tokio::test]
async fn a_second_server_leaves_the_first_alone() {
    let world = World::usual().await;
    let said = world.cli(&["serve"]).await.expect_code(3);
    assert!(said.stderr.contains("in use by another server"), "{said:?}");
    world.cli(&["account", "show", "acme"]).await.expect_code(0);
    world.cli(&["observe", "send", "--account", "acme"]).await.expect_code(0);
    assert_eq!(world.send("acme", "news@acme.example", &letter("news@acme.example")).await.code, 250);
}

#[tokio::test]
async fn a_store_without_its_key_is_not_given_a_new_one() {
    let world = World::without_server(Plan::default()).await;
    let key = world.path("data/root.key");
    std::fs::remove_file(&key).unwrap();
    for command in [["serve"].as_slice(), &["apply", "accounts.toml", "--trust-proof"], &["ledger", "verify"]]
    {
        let said = world.cli(command).await.expect_code(3);
        assert!(said.stderr.contains("root.key"), "{said:?}");
        assert!(!key.exists(), "{command:?}");
    }
}

#[tokio::test]
async fn a_key_of_another_store_opens_nothing() {
    let (world, other) =
        (World::without_server(Plan::default()).await, World::without_server(Plan::default()).await);
    std::fs::copy(other.path("data/root.key"), world.path("data/root.key")).unwrap();
    let said = world.cli(&["serve"]).await.expect_code(3);
    assert!(said.stderr.contains("key"), "{said:?}");
}

#[tokio::test]
async fn refs_that_are_none_and_refs_that_nobody_knows_are_exit_2() {
    let world = World::usual().await;
    let nonsense = world.cli(&["explain", "nonsense!"]).await.expect_code(2);
    assert!(nonsense.stderr.contains("`nonsense!`"), "{nonsense:?}");
    for command in
        [["explain", UNKNOWN].as_slice(), &["held", "show", UNKNOWN], &["held", "release", UNKNOWN]]
    {
        let said = world.cli(command).await.expect_code(2);
        assert!(said.stderr.contains(UNKNOWN), "{said:?}");
    }
    for command in
        [["account", "show", "nobody"].as_slice(), &["account", "block", "nobody", "--reason", "x"]]
    {
        let said = world.cli(command).await.expect_code(2);
        assert!(said.stderr.contains("`nobody`"), "{said:?}");
    }
}

#[tokio::test]
async fn without_a_server_reading_works_and_changing_is_exit_4() {
    let world = World::without_server(Plan::default()).await;
    for command in
        [["held", "ls"].as_slice(), &["account", "ls"], &["account", "show", "acme"], &["ledger", "verify"]]
    {
        world.cli(command).await.expect_code(0);
    }
    world.cli(&["explain", UNKNOWN]).await.expect_code(2);
    let changing = [
        ["held", "release", UNKNOWN].as_slice(),
        &["held", "refuse", UNKNOWN],
        &["account", "block", "acme", "--reason", "x"],
        &["account", "unblock", "acme"],
        &["observe", "send"],
    ];
    for command in changing {
        let said = world.cli(command).await.expect_code(4);
        assert!(said.stderr.contains("no server"), "{said:?}");
    }
}

#[tokio::test]
async fn check_without_accounts_names_the_three_ways() {
    let world = World::bare(Plan::default()).await;
    world.write("letter.eml", &String::from_utf8(letter("news@acme.example")).unwrap());
    let said = world.cli(&["check", "message", "letter.eml"]).await.expect_code(2);
    for way in ["--accounts", "[[account]]", "--config"] {
        assert!(said.stderr.contains(way), "{way}: {said:?}");
    }
    assert!(!world.path("data").exists(), "check writes nothing");
    let with = ["check", "message", "letter.eml", "--accounts", "accounts.toml", "--account", "acme"];
    world.cli(&with).await.expect_code(0);
    world.cli(&["check", "message", "nowhere.eml", "--accounts", "accounts.toml"]).await.expect_code(4);
    assert!(!world.path("data").exists(), "check writes nothing");
}

#[tokio::test]
async fn enforcing_without_egress_does_not_start() {
    let world = World::bare(Plan { upstream: String::new(), ..Plan::default() }).await;
    let said = world.cli(&["serve"]).await.expect_code(3);
    assert!(said.stderr.contains("`egress`") && said.stderr.contains("`sink`"), "{said:?}");
}

#[tokio::test]
async fn a_policy_that_is_none_does_not_start() {
    let world = World::bare(Plan::default()).await;
    world.write(
        "policies/typo.cedar",
        "forbid(principal, action, resource) when { context.sfp.finding == \"pass\" };",
    );
    for command in [["serve"].as_slice(), &["config", "check"]] {
        let said = world.cli(command).await.expect_code(3);
        assert!(said.stderr.contains("typo") && said.stderr.contains("sfp"), "{said:?}");
    }
}

const UNKNOWN: &str = "7Q2K3M9TBC";
