//! The ledger as strangers meet it: checkpoints that were kept, proofs, exports and who verifies them, erasure.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::clock::Timed;
use crate::world::{Plan, Said, World, letter, repository, within};

/// A world with some rulings, a checkpoint over all of them, and no server any more.
async fn recorded() -> (World, Vec<String>) {
    recorded_in(World::bare(Plan::default()).await).await
}

async fn recorded_in(mut world: World) -> (World, Vec<String>) {
    world.cli(&["apply", "accounts.toml", "--trust-proof"]).await.expect_code(0);
    world.start().await;
    let mut references = Vec::new();
    for number in 0..5 {
        let author = if number % 2 == 0 { "news@acme.example" } else { "ceo@bank.example" };
        let mut message = letter(author);
        message.extend(format!("number {number}\r\n").bytes());
        let reply = world.send("acme", "news@acme.example", &message).await;
        if reply.code != 250 {
            references.push(reply.reference().unwrap().to_owned());
        }
    }
    assert_eq!(world.terminate().await.0, Some(0));
    (world, references)
}

#[tokio::test]
async fn a_checkpoint_is_signed_within_seconds_and_the_ledger_begins_with_it_for_ever() {
    let world = World::usual().await;
    world.send("acme", "news@acme.example", &letter("ceo@bank.example")).await;
    let head = within(20, "a checkpoint", async {
        loop {
            let said = world.cli(&["ledger", "head"]).await;
            if said.code == 0 {
                return said.stdout;
            }
            assert_eq!(said.code, 2, "{said:?}");
        }
    })
    .await;
    assert!(head.starts_with("gate.esp.example/"), "{head}");
    world.write("head", &head);
    world.send("acme", "news@acme.example", &letter("other@bank.example")).await;
    let said = world.cli(&["ledger", "verify", "--head", "head"]).await.expect_code(0);
    assert!(said.stdout.contains("of the checkpoint that was kept"), "{said:?}");
    for (kept, code) in [
        (head.replacen("\n\n", "\n", 1), 2),
        (head.replacen("gate.esp.example", "gate.other.example", 2), 20),
        (head.replacen("\n1\n", "\n2\n", 1), 20),
    ] {
        world.write("head", &kept);
        world.cli(&["ledger", "verify", "--head", "head"]).await.expect_code(code);
    }
}

#[tokio::test]
async fn a_store_that_was_set_back_begins_a_new_log_and_shows_who_kept_a_checkpoint() {
    // A backup of a file is its copy; of Postgres it is another program's.
    let (mut world, _) = recorded_in(World::in_file(Plan::default()).await).await;
    let file = world.path("data/countersign.db");
    let old = std::fs::read(&file).unwrap();
    world.start().await;
    world.send("acme", "news@acme.example", &letter("ceo@bank.example")).await;
    assert_eq!(world.terminate().await.0, Some(0));
    let head = world.cli(&["ledger", "head"]).await.expect_code(0).stdout;
    world.write("head", &head);
    let origin = head.lines().next().unwrap().to_owned();
    // The backup comes back: whoever kept the checkpoint sees it, and the node does not go on with that log.
    std::fs::write(&file, old).unwrap();
    let said = world.cli(&["ledger", "verify", "--head", "head"]).await.expect_code(20);
    assert!(said.stderr.contains("its end is missing"), "{said:?}");
    world.start().await;
    world.send("acme", "news@acme.example", &letter("ceo@bank.example")).await;
    assert_eq!(world.terminate().await.0, Some(0));
    world.cli(&["ledger", "verify"]).await.expect_code(0);
    let new = world.cli(&["ledger", "head"]).await.expect_code(0).stdout;
    assert_ne!(new.lines().next().unwrap(), origin);
    let export = world.cli(&["ledger", "export"]).await.expect_code(0).stdout;
    let header: Value = serde_json::from_str(export.lines().next().unwrap()).unwrap();
    assert_eq!(header["continues"]["note"].as_str().unwrap(), head, "the new log says what it goes on from");
}

#[tokio::test]
async fn a_proof_proves_to_somebody_who_has_only_the_key() {
    let (world, references) = recorded().await;
    let proof = world.cli(&["ledger", "prove", &references[0]]).await.expect_code(0).stdout;
    assert!(proof.starts_with("c2sp.org/tlog-proof@v1\nextra "), "{proof}");
    let lines = world.json(&["ledger", "prove", &references[0], "--json"]).await;
    let key = lines[0]["key"].as_str().unwrap().to_owned();
    world.write("proof", &proof);
    let verify = ["ledger", "verify", "--file", "proof", "--key", &key];
    let said = world.cli(&verify).await.expect_code(0);
    assert!(said.stdout.starts_with("proof verified: leaf "), "{said:?}");
    world.cli(&["ledger", "verify", "--file", "proof"]).await.expect_code(2);
    let index = lines[0]["idx"].as_u64().unwrap();
    world.write("proof", &proof.replacen(&format!("index {index}"), &format!("index {}", index + 1), 1));
    world.cli(&verify).await.expect_code(20);
    world.cli(&["ledger", "prove", "0000000000"]).await.expect_code(2);
}

#[tokio::test]
async fn an_export_verifies_here_and_by_the_python_verifier_and_a_changed_one_does_not() {
    let (world, references) = recorded().await;
    let export = world.cli(&["ledger", "export", "--out", "export.jsonl"]).await.expect_code(0);
    let key = export.stderr.trim().rsplit(' ').next().unwrap().to_owned();
    world.cli(&["ledger", "export", "--out", "export.jsonl"]).await.expect_code(2);
    let head = world.cli(&["ledger", "head"]).await.expect_code(0).stdout;
    world.write("head", &head);
    let text = std::fs::read_to_string(world.path("export.jsonl")).unwrap();
    assert!(references.iter().all(|reference| text.contains(reference)), "refusals are there");
    both(&world, "export.jsonl", &key, 0).await;
    world.write("changed", &text.replacen("bank.example", "tank.example", 1));
    both(&world, "changed", &key, 20).await;
    let first = text.split_inclusive('\n').next().unwrap();
    world.write("cut", &text.replacen(text.split_inclusive('\n').nth(2).unwrap(), "", 1));
    both(&world, "cut", &key, 20).await;
    world.write("only-a-header", first);
    both(&world, "only-a-header", &key, 20).await;

    let said = world.cli(&["ledger", "export", "--without-payloads"]).await.expect_code(0);
    assert!(!said.stdout.contains("acme") && !said.stdout.contains("bank.example"), "{said:?}");
    world.write("bare", &said.stdout);
    both(&world, "bare", &key, 0).await;
}

#[tokio::test]
async fn events_for_others_have_what_their_form_requires() {
    let (world, references) = recorded().await;
    let said = world.cli(&["ledger", "export", "--format", "ocsf"]).await.expect_code(0);
    assert!(said.stderr.contains("nobody can verify them"), "{said:?}");
    let events = said.json();
    for event in &events {
        let number = |name: &str| event[name].as_u64().unwrap_or_else(|| panic!("{name}: {event}"));
        assert_eq!(number("type_uid"), number("class_uid") * 100 + number("activity_id"));
        assert_eq!(number("category_uid"), number("class_uid") / 1000);
        assert!((1..=3).contains(&number("severity_id")) && number("time") > 1_500_000_000_000);
        assert_eq!(event["metadata"]["product"]["vendor_name"], "Countersign");
        match number("class_uid") {
            4009 => {
                assert!(event["email"]["from"].as_str().unwrap().contains('@'), "{event}");
                assert!(event["email"]["to"][0].as_str().unwrap().contains('@'), "{event}");
                assert!(event["src_endpoint"]["ip"].is_string() && event["direction_id"] == 2, "{event}");
            }
            6003 => {
                assert!(event["actor"]["user"]["name"] != "" && event["api"]["operation"] != "", "{event}")
            }
            class => assert_eq!((class, &event["activity_name"]), (0, &"outcome".into())),
        }
    }
    let of = |class: u64| events.iter().filter(|event| event["class_uid"] == class).count();
    assert!(of(4009) >= references.len() && of(6003) >= 1, "{events:?}");
    let csv = world.cli(&["ledger", "export", "--format", "csv"]).await.expect_code(0).stdout;
    let lines: Vec<&str> = csv.trim_end().split("\r\n").collect();
    assert_eq!(lines.len(), events.len() + 1);
    assert!(lines[0].starts_with("time,log,idx,kind,ref,account,"), "{}", lines[0]);
    assert!(references.iter().all(|reference| csv.contains(reference.as_str())));
    let bare = ["ledger", "export", "--format", "csv", "--without-payloads"];
    let bare = world.cli(&bare).await.expect_code(0).stdout;
    assert!(bare.contains(",erased,") && !bare.contains('@'), "{bare}");
}

/// Our verifier and the other one, with the checkpoint in `head`, say the same.
pub(crate) async fn both(world: &World, file: &str, key: &str, code: i32) {
    let ours = ["ledger", "verify", "--file", file, "--key", key, "--head", "head"];
    let ours = world.cli(&ours).await;
    assert_eq!(ours.code, code, "{file}: {ours:?}");
    let works = Command::new("python3").args(["-c", "import cryptography"]).output();
    if !works.is_ok_and(|works| works.status.success()) {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "python3-cryptography is missing");
        eprintln!("skipped: no Python with the package `cryptography` (Debian: python3-cryptography)");
        return;
    }
    let mut python = Command::new("python3");
    python.arg(repository().join("tools/verify.py")).arg(world.path(file));
    python.args(["--key", key, "--head"]).arg(world.path("head"));
    let theirs = Said::of(&python.output().unwrap());
    assert_eq!(theirs.code, code, "{file}: {theirs:?}");
}

#[tokio::test]
async fn what_is_erased_is_gone_and_the_ledger_still_adds_up() {
    let mut world = World::usual().await;
    let mut references = Vec::new();
    for author in ["a@bank.example", "b@bank.example"] {
        let reply = world.send("acme", "news@acme.example", &letter(author)).await;
        references.push(reply.reference().unwrap().to_owned());
    }
    let said = world.cli(&["ledger", "erase", &references[0]]).await.expect_code(0);
    assert!(said.stderr.starts_with("erased 1 payload (recorded as "), "{said:?}");
    world.cli(&["ledger", "erase", &references[0]]).await.expect_code(5);
    world.cli(&["ledger", "erase", "0000000000"]).await.expect_code(2);
    let told = world.cli(&["explain", &references[0]]).await.expect_code(0);
    assert!(told.stdout.contains("the payload is erased"), "{told:?}");
    world.cli(&["explain", &references[1]]).await.expect_code(0);
    assert_eq!(world.json(&["ledger", "verify", "--json"]).await[0]["erased"], 1);

    assert_eq!(world.terminate().await.0, Some(0));
    world.cli(&["ledger", "prove", &references[0]]).await.expect_code(0);
    let export = world.cli(&["ledger", "export"]).await.expect_code(0).stdout;
    assert!(export.contains("\"payload\":\"erased\"") && !export.contains("a@bank.example"), "{export}");
    for path in files(&world.path("data")) {
        let octets = std::fs::read(&path).unwrap();
        assert!(!octets.windows(14).any(|text| text == b"a@bank.example"), "{}", path.display());
    }
    let tail = world.cli(&["ledger", "tail"]).await.expect_code(0).stdout;
    assert!(tail.contains("ledger-erase allow by local:") && tail.contains("payload erased"), "{tail}");
}

#[tokio::test]
async fn an_account_is_erased_only_when_it_is_blocked_and_then_with_its_key() {
    let world = World::usual().await;
    let reply = world.send("acme", "news@acme.example", &letter("a@bank.example")).await;
    let reference = reply.reference().unwrap().to_owned();
    let erase = ["ledger", "erase", "--account", "acme"];
    let said = world.cli(&erase).await.expect_code(5);
    assert!(said.stderr.contains("block it first"), "{said:?}");
    world.cli(&["account", "block", "acme", "--reason", "the contract has ended"]).await.expect_code(0);
    world.cli(&erase).await.expect_code(0);
    let told = world.cli(&["explain", &reference]).await.expect_code(0);
    assert!(told.stdout.contains("the payload is erased"), "{told:?}");
    world.cli(&["ledger", "verify"]).await.expect_code(0);
    // It may come back: with a new key.
    world.cli(&["account", "unblock", "acme"]).await.expect_code(0);
    let reply = world.send("acme", "news@acme.example", &letter("b@bank.example")).await;
    world.cli(&["explain", reply.reference().unwrap()]).await.expect_code(0);
    world.cli(&["ledger", "verify"]).await.expect_code(0);
}

#[tokio::test]
async fn what_was_said_goes_when_its_days_are_over() {
    let plan = Plan { more: "[ledger]\npayload_days = 30".to_owned(), ..Plan::default() };
    let timed = Timed::of(plan).await;
    timed.client("acme").await.send("news@acme.example", &letter("ceo@bank.example")).await;
    timed.pass(29 * 86_400).await;
    timed.client("acme").await.send("news@acme.example", &letter("other@bank.example")).await;
    assert_eq!(timed.world.json(&["ledger", "verify", "--json"]).await[0]["erased"], 0);
    timed.pass(2 * 86_400).await;
    let world = timed.close().await;
    let verified = &world.json(&["ledger", "verify", "--json"]).await[0];
    let erased = verified["erased"].as_u64().unwrap();
    assert!(erased > 0 && erased < verified["leaves"].as_u64().unwrap(), "{verified}");
    let tail = world.cli(&["ledger", "tail", "-n", "100"]).await.expect_code(0).stdout;
    assert!(tail.contains("ledger-expire allow by clock"), "{tail}");
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.is_file()).collect()
}
