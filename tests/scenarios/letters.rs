//! Letters: they pass unchanged, are refused with a reason, are held and let go, are observed only.
//! One letter through each ending, and the operator's commands about it.

use serde_json::Value;

use crate::client::Reply;
use crate::world::{KEPT, Plan, World, account, letter};

/// Letters that are odd in every way in which octets may be.
fn odd_letters() -> Vec<Vec<u8>> {
    let head = "From: Ana <news@acme.example>\r\nSubject: odd\r\n";
    let long = "x".repeat(2048);
    [
        format!("{head}\r\nplain\r\n"),
        format!("{head}\r\n.\r\n..\r\n.one\r\n...three\r\n\r\n.\r\n"),
        format!("{head}\r\n{long}\r\n{long}\r\n"),
        format!("{head}\r\n\r\n\r\n"),
        format!("{head}\r\n"),
        head.to_owned(),
    ]
    .map(String::into_bytes)
    .into_iter()
    .chain([[head.as_bytes(), b"\r\nB\xe4ckerei \xff\xfe\x80\x01\x7f \xe2\x82\xac\r\n"].concat()])
    .collect()
}

#[tokio::test]
async fn a_letter_passes_with_its_trace_on_top_and_not_an_octet_changed() {
    let world = World::usual().await;
    let mut client = world.client("acme").await;
    for (number, message) in odd_letters().iter().enumerate() {
        let reply = client.send("news@acme.example", message).await;
        assert_eq!((reply.code, reply.text().as_str()), (250, "2.0.0 kept"), "the upstream's own reply");
        let arrival = world.arrival(number + 1).await;
        assert_eq!(arrival.message, *message, "letter {number}");
        assert_eq!(arrival.envelope.mail_from, "news@acme.example");
        assert_eq!(arrival.envelope.recipients, ["bo@reader.example"]);
        let (start, rest) = arrival.trace.split_at("Countersign-Trace: v=1; ref=".len());
        assert_eq!(start, "Countersign-Trace: v=1; ref=");
        assert_eq!(&rest[10..], "; gate=send; decision=allow; mode=enforce");
    }
}

#[tokio::test]
async fn a_last_line_without_its_end_gets_one() {
    let world = World::usual().await;
    let message = b"From: news@acme.example\r\n\r\nno line end";
    assert_eq!(world.send("acme", "", message).await.code, 250);
    let arrival = world.arrival(1).await;
    assert_eq!(arrival.message, [message.as_slice(), b"\r\n"].concat());
    assert_eq!(arrival.envelope.mail_from, "");
}

#[tokio::test]
async fn a_passed_letter_is_explained_with_what_became_of_it() {
    let mut world = World::usual().await;
    assert_eq!(world.send("acme", "news@acme.example", &letter("news@acme.example")).await.code, 250);
    let trace = world.arrival(1).await.trace;
    let reference = trace.split_once("ref=").unwrap().1[..10].to_owned();
    world.restart().await;
    let story = world.cli(&["explain", &reference]).await.expect_code(0).stdout;
    assert!(story.contains(&format!("{reference}  ALLOW")), "{story}");
    assert!(story.contains("sent (250 2.0.0 kept)"), "{story}");
    let entries = world.json(&["explain", &reference, "--json"]).await;
    assert_eq!(entries[0]["payload"]["ruling"]["mode"], "enforce");
    assert_eq!(entries[0]["payload"]["envelope"]["mail_from"], "news@acme.example");
    assert_eq!(entries[1]["payload"]["outcome"]["result"], "sent");
}

#[tokio::test]
async fn a_refused_letter_says_why_under_a_ref_that_explain_opens() {
    let mut world = World::usual().await;
    let reply = world.send("acme", "news@acme.example", &letter("Your Bank <service@bank.example>")).await;
    assert_eq!((reply.code, reply.enhanced()), (550, "5.7.1"), "{reply:?}");
    assert!(reply.text().contains("From address service@bank.example is not in a domain"), "{reply:?}");
    assert!(reply.lines.iter().all(|line| line.len() + "550-\r\n".len() <= 500), "{reply:?}");
    let reference = reply.reference().unwrap();
    for running in [true, false] {
        let story = world.cli(&["explain", reference]).await.expect_code(0).stdout;
        assert!(story.contains(&format!("{reference}  REFUSE")), "{story}");
        assert!(story.contains("from-not-yours by send/from-not-yours"), "{story}");
        assert!(story.contains("remedy") && story.contains("evidence"), "{story}");
        if running {
            assert_eq!(world.terminate().await.0, Some(0));
        }
    }
    assert_eq!(world.sink.taken(), 0);
}

#[tokio::test]
async fn a_held_letter_is_released_once_and_unchanged() {
    let world = World::usual().await;
    let message = kept_letter();
    let reference = hold(&world, &message).await;

    let [row] = world.json(&["held", "ls", "--json"]).await.try_into().unwrap();
    assert_eq!(row["ref"], reference);
    for (key, value) in [("gate", "send"), ("account", "acme"), ("how", "custody"), ("state", "held")] {
        assert_eq!(row[key], value, "{row}");
    }
    assert_eq!(row["mail_from"], "news@acme.example");
    assert_eq!(row["rcpts"], 1);
    assert_eq!(row["size"], message.len());
    assert_eq!(row["reasons"], serde_json::json!(["policy"]));
    assert!(row["at"].as_str().unwrap() < row["until"].as_str().unwrap(), "{row}");
    let shown = world.cli(&["held", "show", &reference]).await.expect_code(0).stdout;
    assert_eq!(serde_json::from_str::<Value>(&shown).unwrap(), row);
    assert_eq!(world.sink.taken(), 0);

    world.cli(&["held", "release", &reference]).await.expect_code(0);
    let arrival = world.arrival(1).await;
    assert_eq!(arrival.message, message);
    assert_eq!(arrival.envelope.recipients, ["bo@reader.example"]);
    assert!(arrival.trace.starts_with("Countersign-Trace: v=1; ref="), "{}", arrival.trace);
    assert_eq!(state(&world, &reference).await, "released");
    assert_eq!(world.json(&["held", "ls", "--json"]).await.len(), 0);

    world.cli(&["held", "release", &reference]).await.expect_code(5);
    world.cli(&["held", "refuse", &reference]).await.expect_code(5);
    assert_eq!(world.sink.taken(), 1);
    let story = world.cli(&["explain", &reference]).await.expect_code(0).stdout;
    assert!(story.contains("HOLD (custody)") && story.contains("released (250 2.0.0 kept)"), "{story}");
}

#[tokio::test]
async fn a_held_letter_that_is_refused_is_gone() {
    let world = World::usual().await;
    let reference = hold(&world, &kept_letter()).await;
    world.cli(&["held", "refuse", &reference]).await.expect_code(0);
    assert_eq!(state(&world, &reference).await, "refused");
    world.cli(&["held", "release", &reference]).await.expect_code(5);
    assert_eq!(world.sink.taken(), 0);
}

#[tokio::test]
async fn a_release_that_the_upstream_does_not_take_stays_held() {
    use countersign::sandbox::sink::{Act, On};

    let world = World::usual().await;
    let reference = hold(&world, &kept_letter()).await;
    let faults = [
        (On::Rcpt("bo@".to_owned()), Act::Reply("450 4.2.1 later".to_owned())),
        (On::End, Act::Reply("451 4.3.0 full".to_owned())),
        (On::Mail, Act::Close),
    ];
    for (on, act) in faults {
        world.sink.always(on, act);
        world.cli(&["held", "release", &reference]).await.expect_code(4);
        assert_eq!(state(&world, &reference).await, "held");
        world.sink.clear_faults();
    }
    world.cli(&["held", "release", &reference]).await.expect_code(0);
    assert_eq!(world.arrival(1).await.message, kept_letter());
}

#[tokio::test]
async fn nothing_is_released_for_a_blocked_account() {
    let world = World::usual().await;
    let reference = hold(&world, &kept_letter()).await;
    world.cli(&["account", "block", "acme", "--reason", "a stolen password"]).await.expect_code(0);
    let said = world.cli(&["held", "release", &reference]).await.expect_code(5);
    assert!(said.stderr.contains("Account `acme` is blocked"), "{said:?}");
    assert_eq!(state(&world, &reference).await, "held");
    world.cli(&["account", "unblock", "acme"]).await.expect_code(0);
    world.cli(&["held", "release", &reference]).await.expect_code(0);
    assert_eq!(world.sink.taken(), 1);
}

#[tokio::test]
async fn blocking_reaches_open_sessions_also_inside_data() {
    let world = World::usual().await;
    let (mut idle, mut inside) = (world.client("acme").await, world.client("acme").await);
    assert_eq!(inside.envelope("news@acme.example", &["bo@reader.example"]).await.code, 354);
    world.cli(&["account", "block", "acme", "--reason", "a stolen password"]).await.expect_code(0);

    inside.write(&crate::client::stuffed(&letter("news@acme.example"))).await;
    let late = inside.hear().await;
    let early = idle.ask("MAIL FROM:<news@acme.example>").await;
    for reply in [&late, &early] {
        assert_eq!((reply.code, reply.enhanced()), (550, "5.7.1"), "{reply:?}");
        assert_eq!(reasons(&world, reply).await, ["account-blocked"]);
    }
    assert_eq!(world.send("globex", "a@globex.example", &letter("a@globex.example")).await.code, 250);
    world.cli(&["account", "unblock", "acme"]).await.expect_code(0);
    assert_eq!(idle.send("news@acme.example", &letter("news@acme.example")).await.code, 250);
    assert_eq!(world.sink.taken(), 2);
}

#[tokio::test]
async fn the_mode_of_an_account_goes_before_that_of_the_gate() {
    let initech = account("initech", &["initech.example"]);
    let initech = initech.replacen("[[account.domain]]", "mode = \"observe\"\n[[account.domain]]", 1);
    let accounts =
        format!("{}{}{initech}", account("acme", &["acme.example"]), account("globex", &["globex.example"]));
    let world = World::of(Plan { accounts, send: "mode = \"observe\"".to_owned(), ..Plan::default() }).await;
    // What is set, and who may then write as a bank: acme, globex, initech.
    let steps: [(&[&str], [bool; 3]); 7] = [
        (&[], [true, true, true]),
        (&["enforce", "send", "--account", "globex"], [true, false, true]),
        (&["enforce", "send"], [false, false, true]),
        (&["observe", "send", "--account", "acme"], [true, false, true]),
        (&["enforce", "send", "--account", "initech"], [true, false, false]),
        (&["observe", "send"], [true, false, false]),
        (&["observe", "send", "--account", "globex"], [true, true, false]),
    ];
    for (command, passes) in steps {
        if !command.is_empty() {
            world.cli(command).await.expect_code(0);
        }
        for (login, passes) in ["acme", "globex", "initech"].into_iter().zip(passes) {
            let from = format!("a@{login}.example");
            let reply = world.send(login, &from, &letter("service@bank.example")).await;
            assert_eq!(reply.code, if passes { 250 } else { 550 }, "{login} after {command:?}: {reply:?}");
        }
    }
}

#[tokio::test]
async fn observing_records_the_refusal_and_passes_the_letter() {
    let world = World::of(Plan { send: "mode = \"observe\"".to_owned(), ..Plan::default() }).await;
    let message = letter("service@bank.example");
    let reply = world.send("acme", "news@acme.example", &message).await;
    assert_eq!((reply.code, reply.text().as_str()), (250, "2.0.0 kept"));
    let arrival = world.arrival(1).await;
    assert_eq!(arrival.message, message);
    let (trace, rest) = arrival.trace.split_once("; gate=").unwrap();
    assert_eq!(rest, "send; decision=refuse; mode=observe");
    let reference = trace.rsplit_once('=').unwrap().1;
    let ruling = &world.json(&["explain", reference, "--json"]).await[0]["payload"]["ruling"];
    assert_eq!((&ruling["decision"], &ruling["mode"]), (&"refuse".into(), &"observe".into()));
    assert_eq!(ruling["reasons"][0]["code"], "from-not-yours");

    let held = world.send("acme", "news@acme.example", &kept_letter()).await;
    assert_eq!((held.code, held.text().as_str()), (250, "2.0.0 kept"), "a hold passes too");
}

#[tokio::test]
async fn observing_lets_no_faulty_octet_and_no_blocked_account_pass() {
    let world = World::of(Plan { send: "mode = \"observe\"".to_owned(), ..Plan::default() }).await;
    let faults: [(&[u8], u16, &str); 4] = [
        (b"From: news@acme.example\r\n\r\nbare\nLF\r\n", 550, "bare-line-ending"),
        (b"From: news@acme.example\r\n\r\nbare\rCR\r\n", 550, "bare-line-ending"),
        (b"From: news@acme.example\r\n\r\nNUL\0\r\n", 550, "bare-line-ending"),
        (
            &[b"From: news@acme.example\r\n\r\n", [b'x'; 2049].as_slice(), b"\r\n"].concat(),
            550,
            "line-too-long",
        ),
    ];
    for (message, code, reason) in faults {
        let reply = world.send("acme", "news@acme.example", message).await;
        assert_eq!(reply.code, code, "{reply:?}");
        assert_eq!(reasons(&world, &reply).await, [reason]);
    }
    world.cli(&["account", "block", "acme", "--reason", "a stolen password"]).await.expect_code(0);
    let reply = world.send("acme", "news@acme.example", &letter("news@acme.example")).await;
    assert_eq!(reply.code, 550, "{reply:?}");
    assert_eq!(reasons(&world, &reply).await, ["account-blocked"]);
    assert_eq!(world.sink.taken(), 0);
}

#[tokio::test]
async fn a_hold_that_defers_leaves_the_letter_with_the_client() {
    let send = "mode = \"enforce\"\nhold = \"defer\"".to_owned();
    let world = World::of(Plan { send, ..Plan::default() }).await;
    let reply = world.send("acme", "news@acme.example", &kept_letter()).await;
    assert_eq!((reply.code, reply.enhanced()), (451, "4.7.1"), "{reply:?}");
    assert_eq!(reasons(&world, &reply).await, ["policy"]);
    assert_eq!(world.json(&["held", "ls", "--all", "--json"]).await.len(), 0);
    assert_eq!(world.sink.taken(), 0);
}

fn kept_letter() -> Vec<u8> {
    let mut message = letter(&format!("Ana <ana@{KEPT}>"));
    message.extend_from_slice(b".dots\r\n..\r\n\xe4 and long: ");
    message.extend_from_slice("y".repeat(1500).as_bytes());
    message.extend_from_slice(b"\r\n\r\n");
    message
}

/// Sends a letter that the operator's policy keeps; its ref.
async fn hold(world: &World, message: &[u8]) -> String {
    let reply = world.send("acme", "news@acme.example", message).await;
    let reference = reply.reference().unwrap_or_else(|| panic!("{reply:?}")).to_owned();
    assert_eq!((reply.code, reply.text()), (250, format!("2.0.0 held ref={reference}")));
    reference
}

async fn state(world: &World, reference: &str) -> String {
    let rows = world.json(&["held", "ls", "--all", "--json"]).await;
    let row = rows.iter().find(|row| row["ref"] == reference).unwrap();
    row["state"].as_str().unwrap().to_owned()
}

/// The codes of the ruling whose ref is in a reply, as `explain` tells them.
pub(crate) async fn reasons(world: &World, reply: &Reply) -> Vec<String> {
    let reference = reply.reference().unwrap_or_else(|| panic!("no ref in {reply:?}"));
    let entries = world.json(&["explain", reference, "--json"]).await;
    let reasons = entries[0]["payload"]["ruling"]["reasons"].as_array().unwrap().clone();
    reasons.iter().map(|reason| reason["code"].as_str().unwrap().to_owned()).collect()
}
