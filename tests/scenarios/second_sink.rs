//! The second sink from outside: killed under load, gone and back, its volume full.

use tokio::sync::mpsc::unbounded_channel;
use tokio::task::JoinSet;

use crate::client::Client;
use crate::crash::keep_sending;
use crate::service::get;
use crate::witness::copy;
use crate::world::{Plan, World, letter, within};

const FROM: &str = "news@acme.example";
const REFUSED: &str = "news@rival.example";

async fn world() -> World {
    with_sink(World::bare(plan()).await).await
}

fn plan() -> Plan {
    Plan { more: "[ledger]\nsecond_sink = \"second/ledger\"".to_owned(), ..Plan::default() }
}

async fn with_sink(world: World) -> World {
    std::fs::create_dir_all(world.path("second")).unwrap();
    world.cli(&["apply", "accounts.toml", "--trust-proof"]).await.expect_code(0);
    world
}

async fn send(client: &mut Client) -> (u16, String) {
    let reply = client.send(FROM, &letter(FROM)).await;
    (reply.code, format!("{reply:?}"))
}

/// What `ledger verify` says of the second sink.
async fn verified(world: &World) -> (u64, u64) {
    let said = world.json(&["ledger", "verify", "--json"]).await;
    (said[0]["leaves"].as_u64().unwrap(), said[0]["second_sink"]["leaves"].as_u64().unwrap())
}

#[tokio::test]
async fn killed_under_load_it_has_what_was_acknowledged_and_goes_on() {
    let mut world = world().await;
    let mut heard = 0;
    for round in 0..3 {
        world.start().await;
        let (told, mut acknowledged) = unbounded_channel();
        let mut senders = JoinSet::new();
        (0..6)
            .for_each(|sender| drop(senders.spawn(keep_sending(world.door("send.0"), sender, told.clone()))));
        drop(told);
        for _ in 0..60 {
            within(30, "the next acknowledgement", acknowledged.recv()).await.unwrap();
            heard += 1;
        }
        world.kill().await;
        senders.shutdown().await;
        while acknowledged.try_recv().is_ok() {
            heard += 1;
        }
        // As it lies there after the kill, without a start that mends it.
        let file = std::fs::read(world.path("second/ledger")).unwrap();
        let leaves = file.split(|octet| *octet == b'\n').filter(|line| line.starts_with(b"{\"idx\"")).count();
        assert!(leaves >= heard, "{heard} letters are acknowledged, {leaves} leaves in round {round}");
        let (stored, second) = verified(&world).await;
        println!("round {round}: {stored} leaves in the store, {second} in the second sink");
        assert!(second <= stored);
    }
    world.start().await;
    assert_eq!(world.terminate().await.0, Some(0));
    let (stored, second) = verified(&world).await;
    assert_eq!(stored, second);
    let said = world.cli(&["ledger", "verify", "--file", "second/ledger"]).await.expect_code(0);
    assert!(said.stdout.contains(&format!("second sink verified: {stored} leaves")), "{said:?}");
}

#[tokio::test]
async fn while_it_is_gone_mail_waits_and_refusals_go_ahead() {
    let mut world = world().await;
    world.start().await;
    let mut client = world.client("acme").await;
    let (code, reply) = send(&mut client).await;
    assert_eq!(code, 250, "{reply}");
    let taken = world.sink.taken();
    std::fs::rename(world.path("second"), world.path("away")).unwrap();
    for _ in 0..3 {
        let (code, reply) = send(&mut client).await;
        assert_eq!(code, 451, "{reply}");
        assert!(!reply.contains("second"), "where it lies is nobody's business: {reply}");
    }
    let reply = client.send(REFUSED, &letter(REFUSED)).await;
    assert_eq!(reply.code, 550, "{reply:?}");
    assert_eq!(world.sink.taken(), taken, "nothing passes");
    assert!(world.log().contains("the second sink `"), "{}", world.log());
    let (status, ready) = get(world.door("metrics"), "/readyz").await;
    assert!(status == 503 && ready.contains("second sink"), "{status} {ready}");
    // However many are refused meanwhile, the log says it once a second.
    for _ in 0..60 {
        assert_eq!(client.send(REFUSED, &letter(REFUSED)).await.code, 550);
    }
    let owed = world.log().lines().filter(|line| line.contains("is owed to the ledger")).count();
    assert!((1..60).contains(&owed), "{owed} lines of 61");
    std::fs::rename(world.path("away"), world.path("second")).unwrap();
    let (code, reply) = send(&mut client).await;
    assert_eq!(code, 250, "{reply}");
    assert_eq!(world.terminate().await.0, Some(0));
    let (stored, second) = verified(&world).await;
    assert_eq!(stored, second);
    // Then somebody changes it.
    let text = std::fs::read_to_string(world.path("second/ledger")).unwrap();
    std::fs::write(world.path("second/ledger"), text.replacen("\"idx\":1,", "\"idx\":7,", 1)).unwrap();
    let said = world.cli(&["ledger", "verify"]).await.expect_code(20);
    assert!(said.stderr.contains("second sink"), "{said:?}");
}

#[tokio::test]
async fn a_directory_that_is_missing_keeps_the_server_from_starting() {
    let world = world().await;
    std::fs::remove_dir_all(world.path("second")).unwrap();
    let said = world.cli(&["serve"]).await;
    assert_ne!(said.code, 0);
    assert!(said.stderr.contains("the second sink") && said.stderr.contains("cannot be made"), "{said:?}");
}

#[tokio::test]
async fn a_full_volume_is_452_and_has_room_again_without_a_restart() {
    let mut world = world().await;
    if world.start_on_small_volume("second", 6).await.is_none() {
        return;
    }
    let filler = world.path_within("second/filler");
    std::fs::write(&filler, vec![1; 5 << 20]).unwrap();
    let mut client = world.client("acme").await;
    let (code, reply) = send(&mut client).await;
    assert_eq!(code, 452, "{reply}");
    assert_eq!(world.sink.taken(), 0);
    std::fs::remove_file(&filler).unwrap();
    let (code, reply) = send(&mut client).await;
    assert_eq!(code, 250, "{reply}");
    assert_eq!(world.sink.taken(), 1);
}

/// A world whose store and data directory are those of before its last letters; the second sink has them.
async fn set_back() -> World {
    let mut world = with_sink(World::in_file(plan()).await).await;
    world.start().await;
    let mut client = world.client("acme").await;
    assert_eq!(send(&mut client).await.0, 250);
    assert_eq!(world.terminate().await.0, Some(0));
    copy(&world.path("data"), &world.path("backup"));
    world.start().await;
    let mut client = world.client("acme").await;
    for _ in 0..3 {
        assert_eq!(send(&mut client).await.0, 250);
    }
    assert_eq!(world.terminate().await.0, Some(0));
    std::fs::remove_dir_all(world.path("data")).unwrap();
    copy(&world.path("backup"), &world.path("data"));
    world
}

fn id(world: &World) -> String {
    let note = std::fs::read_to_string(world.path("data/checkpoint")).unwrap();
    note.lines().next().unwrap().rsplit('/').next().unwrap().to_owned()
}

async fn logs(world: &World) -> i64 {
    world.number("SELECT COUNT(*) AS n FROM logs").await
}

#[tokio::test]
async fn a_name_that_is_taken_does_not_keep_it_from_being_set_aside() {
    let mut world = set_back().await;
    let id = id(&world);
    world.write(&format!("second/ledger.{id}"), "kept by somebody");
    world.start().await;
    assert!(world.log().contains(&format!("ledger.{id}.2")), "{}", world.log());
    assert_eq!(world.terminate().await.0, Some(0));
    let taken = std::fs::read_to_string(world.path(&format!("second/ledger.{id}"))).unwrap();
    assert_eq!(taken, "kept by somebody");
    let aside = format!("second/ledger.{id}.2");
    world.cli(&["ledger", "verify", "--file", &aside]).await.expect_code(0);
    world.cli(&["ledger", "verify"]).await.expect_code(0);
}

#[tokio::test]
async fn what_fails_with_the_file_fails_before_a_new_log_begins() {
    let world = set_back().await;
    // Somebody else has it open.
    let file = std::fs::File::open(world.path("second/ledger")).unwrap();
    rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let said = world.cli(&["serve"]).await.expect_code(3);
    assert!(said.stderr.contains("in use by another server"), "{said:?}");
    assert_eq!(logs(&world).await, 1, "no log began");
    assert!(!said.stderr.contains("a new one begins"), "{said:?}");
}

#[tokio::test]
async fn the_file_of_another_installation_is_refused_and_left_alone() {
    let (mut theirs, ours) = (world().await, world().await);
    theirs.start().await;
    let mut client = theirs.client("acme").await;
    assert_eq!(send(&mut client).await.0, 250);
    assert_eq!(theirs.terminate().await.0, Some(0));
    let file = ours.path("second/ledger");
    std::fs::copy(theirs.path("second/ledger"), &file).unwrap();
    let before = (std::fs::read(&file).unwrap(), logs(&ours).await);
    for command in [&["serve"][..], &["apply", "accounts.toml", "--trust-proof"]] {
        let said = ours.cli(command).await.expect_code(3);
        let says = said.stderr.lines().last().unwrap();
        assert!(says.contains(&id(&theirs)) && says.contains("of another installation"), "{says}");
        assert!(says.contains("name another file"), "{says}");
    }
    assert_eq!((std::fs::read(&file).unwrap(), logs(&ours).await), before);
    assert_eq!(std::fs::read_dir(ours.path("second")).unwrap().count(), 1, "nothing is set aside");
}

#[tokio::test]
async fn a_command_without_a_server_says_that_a_new_log_begins() {
    let world = set_back().await;
    let said = world.cli(&["apply", "accounts.toml", "--trust-proof"]).await.expect_code(0);
    assert!(said.stderr.contains("a new one begins that continues it"), "{said:?}");
    assert!(said.stderr.contains("it is set aside and a new one begins"), "{said:?}");
    assert_eq!(logs(&world).await, 2);
}

#[tokio::test]
async fn a_volume_that_is_missing_does_not_keep_the_store_from_being_verified() {
    let mut world = world().await;
    world.start().await;
    assert_eq!(world.terminate().await.0, Some(0));
    std::fs::rename(world.path("second"), world.path("away")).unwrap();
    let said = world.cli(&["ledger", "verify"]).await.expect_code(4);
    assert!(said.stdout.contains("ledger verified: "), "{said:?}");
    assert!(said.stderr.contains("second/ledger` cannot be read"), "{said:?}");
    let said = world.cli(&["ledger", "verify", "--json"]).await.expect_code(4).json().remove(0);
    assert!(said["verified"] == true && said["second_sink"]["why"].is_string(), "{said}");
}

#[tokio::test]
async fn a_file_whose_leaves_are_all_signed_has_none_that_are_not() {
    let mut world = world().await;
    world.start().await;
    assert_eq!(world.terminate().await.0, Some(0));
    // The last checkpoint is signed when the file is closed already: the next start writes it.
    world.start().await;
    assert_eq!(world.terminate().await.0, Some(0));
    let said = world.cli(&["ledger", "verify", "--file", "second/ledger"]).await.expect_code(0);
    assert!(!said.stdout.contains("; the 0 after"), "{said:?}");
    let all = said.stdout.contains("its last checkpoint covers all ");
    assert!(all != said.stdout.contains(" after it are not signed"), "{said:?}");
    let said = world.cli(&["ledger", "verify", "--key", "a+00000000+AQ=="]).await.expect_code(2);
    assert!(said.stderr.contains("--key belongs to --file"), "{said:?}");
}

#[tokio::test]
async fn doctor_sees_that_it_is_ahead_of_the_store_behind_it_or_gone() {
    let world = set_back().await;
    let lines = async |code| world.cli(&["doctor", "--json"]).await.expect_code(code).json();
    let status = |lines: &[serde_json::Value], check: &str| {
        let line = lines.iter().find(|line| line["check"] == check).unwrap_or_else(|| panic!("{lines:#?}"));
        line["status"].as_str().unwrap().to_owned()
    };
    let said = lines(20).await;
    assert_eq!(
        (status(&said, "second sink"), status(&said, "ledger")),
        ("fail".into(), "fail".into()),
        "{said:#?}"
    );
    world.cli(&["ledger", "verify"]).await.expect_code(20);
    world.cli(&["apply", "accounts.toml", "--trust-proof"]).await.expect_code(0);
    // On the volume of the data directory: to look at, not wrong.
    let said = lines(0).await;
    assert_eq!(
        (status(&said, "second sink"), status(&said, "ledger")),
        ("warn".into(), "ok".into()),
        "{said:#?}"
    );
    std::fs::rename(world.path("second"), world.path("away")).unwrap();
    let said = lines(3).await;
    assert_eq!(
        (status(&said, "second sink"), status(&said, "ledger")),
        ("fail".into(), "ok".into()),
        "{said:#?}"
    );
}
