//! Retries: a client that lost our answer sends again. Nothing is lost, and no second copy goes unflagged.

use countersign::sandbox::sink::{Act, On};

use crate::client::{Client, PATIENCE, stuffed};
use crate::world::{Arrival, KEPT, World, letter, within};

const SENDER: &str = "news@acme.example";

/// Sends a letter and is gone before the answer.
async fn send_and_vanish(world: &World, message: &[u8]) {
    let mut client = world.client("acme").await;
    assert_eq!(client.envelope(SENDER, &["bo@reader.example"]).await.code, 354);
    client.write(&stuffed(message)).await;
    drop(client);
}

/// As a client does that has heard the answer.
async fn send_and_quit(client: &mut Client, message: &[u8]) -> crate::client::Reply {
    let reply = client.send(SENDER, message).await;
    assert_eq!(client.ask("NOOP").await.code, 250);
    reply
}

#[tokio::test]
async fn a_message_whose_answer_was_lost_is_not_sent_again() {
    let world = World::usual().await;
    let message = letter("ana@acme.example");
    send_and_vanish(&world, &message).await;
    let first = world.arrival(1).await;
    let reference = first.trace.split("ref=").nth(1).unwrap().split(';').next().unwrap().to_owned();
    assert_eq!(world.outcome(&reference).await["result"], "sent");

    let reply = send_and_quit(&mut world.client("acme").await, &message).await;
    assert_eq!((reply.code, reply.reference()), (250, Some(reference.as_str())), "{reply:?}");
    assert_eq!(world.sink.taken(), 1, "one copy");

    // The client has heard it now; what it sends after that is a new message.
    let reply = send_and_quit(&mut world.client("acme").await, &message).await;
    assert_eq!(reply.code, 250, "{reply:?}");
    assert!(!world.arrival(2).await.trace.contains("retry-of"));
}

#[tokio::test]
async fn a_lost_answer_is_remembered_over_a_kill() {
    let mut world = World::usual().await;
    let message = letter("ana@acme.example");
    send_and_vanish(&world, &message).await;
    let trace = world.arrival(1).await.trace;
    let reference = trace.split("ref=").nth(1).unwrap().split(';').next().unwrap().to_owned();
    assert_eq!(world.outcome(&reference).await["result"], "sent");
    world.kill().await;
    world.start().await;
    let reply = send_and_quit(&mut world.client("acme").await, &message).await;
    assert_eq!(reply.reference(), Some(reference.as_str()), "{reply:?}");
    assert_eq!(world.sink.taken(), 1, "one copy");
}

#[tokio::test]
async fn a_message_in_doubt_is_sent_again_and_says_so() {
    let world = World::usual().await;
    let message = letter("ana@acme.example");
    world.sink.once(On::End, Act::KeepThenClose);
    let reply = send_and_quit(&mut world.client("acme").await, &message).await;
    assert_eq!(reply.code, 451, "{reply:?}");
    let doubtful = reply.reference().unwrap().to_owned();
    assert_eq!(world.outcome(&doubtful).await["result"], "in-doubt");

    let reply = send_and_quit(&mut world.client("acme").await, &message).await;
    assert_eq!(reply.code, 250, "{reply:?}");
    let copies = world.sink.wait_for(2, PATIENCE).await;
    let traces: Vec<String> = copies.iter().map(|copy| Arrival::of(copy).trace).collect();
    let again = traces.iter().find(|trace| trace.contains(&format!("retry-of={doubtful}")));
    let again = again.unwrap_or_else(|| panic!("no copy says that it may be the second: {traces:?}"));
    let reference = again.split("ref=").nth(1).unwrap().split(';').next().unwrap();
    let entry = world.recorded(reference, "ruling").await;
    assert_eq!((entry["retry_of"].as_str(), &entry["possible_duplicate"]), (Some(&*doubtful), &true.into()));
}

#[tokio::test]
async fn a_kill_before_the_upstreams_answer_leaves_doubt() {
    let mut world = World::usual().await;
    let message = letter("ana@acme.example");
    world.sink.once(On::End, Act::Silence);
    let mut client = world.client("acme").await;
    assert_eq!(client.envelope(SENDER, &["bo@reader.example"]).await.code, 354);
    client.write(&stuffed(&message)).await;
    // The leaf and the row are there when the sink has read the end mark and says nothing.
    within(10, "the end mark at the sink", async {
        while world.sink.faults_left() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    world.kill().await;
    drop(client);
    world.start().await;

    let reply = send_and_quit(&mut world.client("acme").await, &message).await;
    assert_eq!(reply.code, 250, "{reply:?}");
    let copies = world.sink.wait_for(1, PATIENCE).await;
    let trace = Arrival::of(copies.last().unwrap()).trace;
    let doubtful =
        trace.split("retry-of=").nth(1).unwrap_or_else(|| panic!("not flagged: {trace}")).to_owned();
    assert_eq!(world.outcome(&doubtful).await["result"], "in-doubt", "the start says what it found");
    world.cli(&["ledger", "verify"]).await.expect_code(0);
}

#[tokio::test]
async fn custody_is_not_taken_twice() {
    let world = World::usual().await;
    let message = letter(&format!("ana@{KEPT}"));
    send_and_vanish(&world, &message).await;
    let held = within(10, "held mail", async {
        loop {
            if let Some(row) = world.json(&["held", "ls", "--json"]).await.into_iter().next() {
                return row["ref"].as_str().unwrap().to_owned();
            }
        }
    })
    .await;
    let reply = send_and_quit(&mut world.client("acme").await, &message).await;
    assert_eq!((reply.code, reply.reference()), (250, Some(held.as_str())), "{reply:?}");
    assert_eq!(world.json(&["held", "ls", "--json"]).await.len(), 1);
}

#[tokio::test]
async fn a_release_whose_command_is_interrupted_goes_on_to_its_end() {
    let world = World::usual().await;
    let held = world.send("acme", SENDER, &letter(&format!("ana@{KEPT}"))).await;
    let reference = held.reference().unwrap().to_owned();
    world.sink.once(On::End, Act::Late(1500));
    let mut command = world.spawn(&["held", "release", &reference]);
    within(10, "the end mark at the sink", async {
        while world.sink.faults_left() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    command.kill().await.unwrap();
    let open = world.json(&["held", "ls", "--json"]).await;
    assert_eq!((open.len(), &open[0]["state"]), (1, &"held".into()), "it is not lost from sight");

    let outcome = world.outcome(&reference).await;
    assert_eq!(outcome["result"], "released", "{outcome}");
    let all = world.json(&["held", "ls", "--all", "--json"]).await;
    assert_eq!((all.len(), &all[0]["state"]), (1, &"released".into()));
    assert_eq!(world.sink.taken(), 1);
}

#[tokio::test]
async fn what_has_no_message_id_is_never_taken_for_a_retry() {
    let world = World::usual().await;
    let message = b"From: ana@acme.example\r\nTo: bo@reader.example\r\nSubject: News\r\n\r\nBread.\r\n";
    send_and_vanish(&world, message).await;
    world.arrival(1).await;
    let reply = send_and_quit(&mut world.client("acme").await, message).await;
    assert_eq!(reply.code, 250, "{reply:?}");
    assert!(!world.arrival(2).await.trace.contains("retry-of"));
}

#[tokio::test]
async fn other_octets_or_recipients_are_another_message() {
    let world = World::usual().await;
    let message = letter("ana@acme.example");
    send_and_vanish(&world, &message).await;
    world.arrival(1).await;
    let mut client = world.client("acme").await;
    let other = String::from_utf8(message.clone()).unwrap().replace("Fresh bread", "Stale bread");
    assert_eq!(send_and_quit(&mut client, other.as_bytes()).await.code, 250);
    assert!(!world.arrival(2).await.trace.contains("retry-of"));
    assert_eq!(client.envelope(SENDER, &["cy@reader.example"]).await.code, 354);
    client.write(&stuffed(&message)).await;
    assert_eq!(client.hear().await.code, 250);
    assert!(!world.arrival(3).await.trace.contains("retry-of"));
}

/// The traces of everything at the sink.
async fn traces(world: &World, count: usize) -> Vec<String> {
    world.sink.wait_for(count, PATIENCE).await.iter().map(|copy| Arrival::of(copy).trace).collect()
}

#[tokio::test]
async fn a_no_to_the_second_attempt_does_not_end_the_doubt_about_the_first() {
    let world = World::usual().await;
    let message = letter("ana@acme.example");
    world.sink.once(On::End, Act::KeepThenClose);
    let doubtful = send_and_quit(&mut world.client("acme").await, &message).await;
    let reference = doubtful.reference().unwrap().to_owned();
    for fault in [On::End, On::Data] {
        world.sink.once(fault, Act::Reply("451 4.3.0 not now".to_owned()));
        assert_eq!(send_and_quit(&mut world.client("acme").await, &message).await.code, 451);
    }
    assert_eq!(send_and_quit(&mut world.client("acme").await, &message).await.code, 250);
    let traces = traces(&world, 2).await;
    assert!(traces[1].contains(&format!("retry-of={reference}")), "{traces:?}");
}

#[tokio::test]
async fn a_message_in_doubt_that_goes_into_custody_says_so_when_it_is_released() {
    let mut world = World::usual().await;
    let message = letter(&format!("ana@{KEPT}"));
    let policy = std::fs::read_to_string(world.path("policies/keep.cedar")).unwrap();
    std::fs::remove_file(world.path("policies/keep.cedar")).unwrap();
    world.restart().await;
    world.sink.once(On::End, Act::KeepThenClose);
    assert_eq!(send_and_quit(&mut world.client("acme").await, &message).await.code, 451);
    world.write("policies/keep.cedar", &policy);
    world.hang_up("the configuration is read again").await;
    let held = send_and_quit(&mut world.client("acme").await, &message).await;
    assert!(held.text().contains("held"), "{held:?}");
    world.cli(&["held", "release", held.reference().unwrap()]).await.expect_code(0);
    let traces = traces(&world, 2).await;
    assert!(traces[1].contains("retry-of="), "{traces:?}");
}

#[tokio::test]
async fn a_recipient_who_fares_otherwise_makes_it_a_copy_that_is_flagged_not_one_that_is_swallowed() {
    let world = World::usual().await;
    let message = letter("ana@acme.example");
    let mut client = world.client("acme").await;
    world.sink.once(On::Rcpt("cy@".to_owned()), Act::Reply("450 4.2.0 greylisted".to_owned()));
    client.ask(&format!("MAIL FROM:<{SENDER}>")).await;
    assert_eq!(client.ask("RCPT TO:<bo@reader.example>").await.code, 250);
    assert_eq!(client.ask("RCPT TO:<cy@reader.example>").await.code, 450);
    assert_eq!(client.ask("DATA").await.code, 354);
    client.write(&stuffed(&message)).await;
    drop(client);
    world.arrival(1).await;

    let mut client = world.client("acme").await;
    assert_eq!(client.envelope(SENDER, &["bo@reader.example", "cy@reader.example"]).await.code, 354);
    client.write(&stuffed(&message)).await;
    assert_eq!(client.hear().await.code, 250);
    let second = world.arrival(2).await;
    assert_eq!(second.envelope.recipients, ["bo@reader.example", "cy@reader.example"]);
    assert!(second.trace.contains("retry-of="), "{}", second.trace);
}

#[tokio::test]
async fn a_goodbye_that_was_said_before_the_answer_does_not_show_that_it_was_heard() {
    let world = World::usual().await;
    let message = letter("ana@acme.example");
    world.sink.once(On::End, Act::Late(700));
    let mut client = world.client("acme").await;
    assert_eq!(client.envelope(SENDER, &["bo@reader.example"]).await.code, 354);
    client.write(&stuffed(&message)).await;
    // The sink has the message and is in no hurry to say so: the client gives up and leaves politely.
    within(10, "the message at the sink", async {
        while world.sink.faults_left() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    client.write(b"QUIT\r\n").await;
    drop(client);
    let trace = world.arrival(1).await.trace;
    let reference = trace.split("ref=").nth(1).unwrap().split(';').next().unwrap();
    assert_eq!(world.outcome(reference).await["result"], "sent");
    let reply = send_and_quit(&mut world.client("acme").await, &message).await;
    assert!(reply.text().contains("accepted before"), "{reply:?}");
    assert_eq!(world.sink.taken(), 1);
}
