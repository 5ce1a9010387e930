//! What all commands have in common: versions in their JSON, manners on a closed stdout, help in every form.

use std::process::Stdio;

use serde_json::Value;

use crate::world::{KEPT, PROGRAM, Plan, Said, World, letter, within};

#[tokio::test]
async fn every_json_line_carries_its_version() {
    let world = World::usual().await;
    assert_eq!(world.ready()["v"], 1);
    let held = world.send("acme", "news@acme.example", &letter(&format!("ana@{KEPT}"))).await;
    let held = held.reference().unwrap().to_owned();
    world.write("a.eml", &String::from_utf8(letter("ana@acme.example")).unwrap());
    for command in [
        "account ls --json",
        "account show acme --json",
        "account block globex --reason x --json",
        "account unblock globex --json",
        "apply accounts.toml --trust-proof --json",
        "observe send --json",
        "enforce send --account acme --json",
        "enforce send --json",
        "check message a.eml --account acme --assume spf=pass,domain.exists=pass --mail-from news@acme.example --json",
        "check corpus . --account acme --mail-from news@acme.example --json",
        "check spf acme.example --ip 192.0.2.1 --json",
        "held ls --json",
        &format!("held show {held} --json"),
        &format!("explain {held} --json"),
        &format!("held release {held} --json"),
        "ledger verify --json",
        "policy validate policies --json",
        "policy whatif policies --json",
        "doctor --json",
    ] {
        let arguments: Vec<&str> = command.split(' ').collect();
        let said: Said = world.cli(&arguments).await.expect_code(0);
        let lines = said.json();
        assert!(!lines.is_empty(), "`{command}` says nothing: {said:?}");
        assert!(lines.iter().all(|line| line["v"] == 1), "`{command}`: {said:?}");
    }
}

#[tokio::test]
async fn a_block_says_in_json_what_it_blocks_and_under_which_ref() {
    let world = World::usual().await;
    let lines =
        world.json(&["account", "block", "acme", "--credential", "acme", "--reason", "x", "--json"]).await;
    let expected = (&"acme".into(), &"acme".into(), &true.into(), &Value::Null);
    assert_eq!(
        (&lines[0]["account"], &lines[0]["credential"], &lines[0]["blocked"], &lines[0]["domain"]),
        expected
    );
    let reference = lines[0]["ref"].as_str().unwrap();
    assert_eq!(world.json(&["explain", reference, "--json"]).await[0]["kind"], "command");
    let mode = world.json(&["observe", "send", "--account", "acme", "--json"]).await;
    assert_eq!((&mode[0]["mode"], &mode[0]["account"]), (&"observe".into(), &"acme".into()));
}

#[tokio::test]
async fn each_value_says_where_it_comes_from() {
    let world = World::usual().await;
    let shown = world.cli(&["config", "show", "--origin"]).await.expect_code(0).stdout;
    let line = |shown: &str, start: &str| {
        shown.lines().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("{shown}")).to_owned()
    };
    assert!(line(&shown, "mode = \"enforce\"").contains("countersign.toml:"), "{shown}");
    assert!(line(&shown, "custody_days").ends_with("# default"), "{shown}");
    world.cli(&["observe", "send"]).await.expect_code(0);
    let shown = world.cli(&["config", "show", "--origin"]).await.expect_code(0).stdout;
    assert!(line(&shown, "mode = \"observe\"").ends_with("# store"), "{shown}");
    let checked = world.cli(&["config", "check"]).await.expect_code(0).stdout;
    assert!(checked.contains("mode observe"), "{checked}");
}

#[tokio::test]
async fn a_reader_that_goes_away_is_no_reason_to_panic() {
    let world = World::bare(Plan::default()).await;
    world.write("draft/send.cedar", "permit(principal, action == Action::\"send\", resource);");
    for arguments in [
        &["policy", "diff", "built-in", "draft", "--json"][..],
        &["completions", "bash"],
        &["man"],
        &["--help"],
        &["config", "show"],
        &["doctor"],
    ] {
        let mut command = tokio::process::Command::new(PROGRAM);
        command.args(arguments).current_dir(world.path("")).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        drop(child.stdout.take());
        let output = within(60, "the end of a command", child.wait_with_output()).await.unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(!stderr.contains("panicked"), "{arguments:?}: {stderr}");
        assert!(output.status.code().is_some_and(|code| code != 101), "{arguments:?}: {output:?}");
    }
}

/// They ended with 0, and what they had found was nowhere.
#[tokio::test]
async fn a_command_whose_output_cannot_be_written_says_so_and_fails() {
    let world = World::usual().await;
    let held = world.send("acme", "news@acme.example", &letter(&format!("ana@{KEPT}"))).await;
    let held = held.reference().unwrap().to_owned();
    // A checkpoint covers it soon.
    let proved = async { while world.cli(&["ledger", "prove", &held]).await.code != 0 {} };
    within(30, "a proof", proved).await;
    for command in [
        "ledger verify",
        "ledger tail",
        "ledger tail --follow",
        &format!("ledger prove {held}"),
        &format!("explain {held}"),
        "held ls",
        "account ls --json",
        "config show",
        "config check",
        "policy whatif policies --json",
        "doctor",
        "man",
        "completions bash",
        "--help",
        "held --help",
        "--version",
    ] {
        let mut child = world.command(&command.split(' ').collect::<Vec<_>>());
        child.stdout(std::fs::File::options().write(true).open("/dev/full").unwrap()).stderr(Stdio::piped());
        let child = child.spawn().unwrap();
        let said = Said::of(&within(60, "the end of a command", child.wait_with_output()).await.unwrap());
        assert_eq!(said.code, 1, "`{command}`: {said:?}");
        assert!(said.stderr.contains("countersign: the output cannot be written: "), "`{command}`: {said:?}");
    }
}

#[tokio::test]
async fn pages_and_completions_are_written() {
    let world = World::bare(Plan::default()).await;
    let said = world.cli(&["man", "--dir", "pages"]).await.expect_code(0);
    assert!(said.stdout.lines().count() > 25, "{said:?}");
    for name in ["countersign.1", "countersign-policy-whatif.1", "countersign-held-release.1"] {
        let page = std::fs::read_to_string(world.path("pages").join(name)).unwrap();
        assert!(page.contains(".TH "), "{name}: {page}");
    }
    let page = world.cli(&["man", "held", "release"]).await.expect_code(0).stdout;
    assert!(page.contains("judged again"), "{page}");
    let none = world.cli(&["man", "dance"]).await.expect_code(2);
    assert!(none.stderr.contains("there is no command `dance`"), "{none:?}");
    for shell in ["bash", "zsh", "fish"] {
        let script = world.cli(&["completions", shell]).await.expect_code(0).stdout;
        assert!(script.contains("countersign") && script.contains("whatif"), "{shell}");
    }
}
