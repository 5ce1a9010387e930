//! Notices: what we write ourselves, to whom, and how it leaves: through our own send gate, at least once.

use std::time::Duration;

use countersign::custody::State;
use countersign::sandbox::sink::{Act, On, Received};
use countersign_core::message::Message;
use countersign_wire::limits::Limits;
use serde_json::Value;

use crate::client::{PATIENCE, stuffed};
use crate::clock::Timed;
use crate::service::get;
use crate::world::{KEPT, Plan, World, account, letter, within, zones};

#[tokio::test]
async fn a_refusal_of_held_mail_is_reported_to_the_owner_and_the_sender() {
    let mut world = World::without_server(plan()).await;
    with_post(&world);
    world.start().await;
    let reply = world.send("acme", "news@acme.example", &letter(&format!("a@{KEPT}"))).await;
    let reference = reply.reference().unwrap().to_owned();
    world.cli(&["held", "refuse", &reference]).await.expect_code(0);
    world.arrival(2).await;
    let mut reports = world.sink.messages();
    reports.sort_by_key(|report| report.recipients.clone());
    assert_eq!(
        reports.iter().map(|report| report.recipients[0].as_str()).collect::<Vec<_>>(),
        ["news@acme.example", "owner@acme.example"]
    );
    for report in &reports {
        assert_eq!(report.mail_from, "", "RFC 3464 2: nothing answers a report");
        let text = text(report);
        for expected in [
            "From: <notices@esp.example>\r\n",
            "Auto-Submitted: auto-replied\r\n",
            "Content-Type: multipart/report; report-type=delivery-status;\r\n",
            "\r\n\r\nReporting-MTA: dns; gate.esp.example\r\nArrival-Date: ",
            &format!(
                "X-Countersign-Ref: {reference}\r\n\r\nFinal-Recipient: rfc822; bo@reader.example\r\nAction: failed\r\nStatus: 5.7.1\r\n"
            ),
            "Content-Type: text/rfc822-headers\r\n\r\nFrom: a@kept.example\r\n",
            "Message-ID: <1@client.example>\r\n",
        ] {
            assert!(text.contains(expected), "{expected}\n{text}");
        }
        assert!(!text.contains("Fresh bread"), "only the header section goes back");
        assert_eq!(one_way(report).structure().unwrap().ambiguities, vec![]);
    }
    assert_ne!(message_id(&reports[0]), message_id(&reports[1]));
    until_notices(&world, 0, 0).await;
    world.cli(&["ledger", "verify"]).await.expect_code(0);
}

#[tokio::test]
async fn a_report_of_mail_in_doubt_does_not_say_that_it_was_not_sent() {
    let mut world = World::without_server(plan()).await;
    with_post(&world);
    world.start().await;
    let reply = world.send("acme", "owner@acme.example", &letter(&format!("a@{KEPT}"))).await;
    let reference = reply.reference().unwrap().to_owned();
    world.sink.once(On::End, Act::KeepThenClose);
    world.cli(&["held", "release", &reference]).await.expect_code(4);
    assert_eq!(world.outcome(&reference).await["result"], "in-doubt");
    world.cli(&["held", "refuse", &reference]).await.expect_code(0);
    let report = text(&world.arrival(2).await.envelope);
    assert!(report.contains("Subject: Perhaps undelivered: held mail was refused"), "{report}");
    assert!(report.contains("it may have been delivered all the same"), "{report}");
    assert!(!report.contains("not sent"), "{report}");
}

#[tokio::test]
async fn a_report_obeys_what_the_sender_asked_for_in_notify_and_names_what_it_named() {
    let mut world = World::without_server(Plan { sink: crate::extensions::rich().sink, ..plan() }).await;
    with_post(&world);
    world.start().await;
    let mut client = world.client("acme").await;
    let mut ended = 0;
    for (number, (first, second, told)) in [
        ("NOTIFY=NEVER", "NOTIFY=SUCCESS,DELAY", &[][..]),
        ("NOTIFY=NEVER", "NOTIFY=FAILURE ORCPT=rfc822;Cy+2Bold@reader.example", &["cy@reader.example"]),
    ]
    .into_iter()
    .enumerate()
    {
        for command in [
            "MAIL FROM:<news@acme.example> ENVID=QQ+2B314159".to_owned(),
            format!("RCPT TO:<bo@reader.example> {first}"),
            format!("RCPT TO:<cy@reader.example> {second}"),
        ] {
            assert_eq!(client.ask(&command).await.code, 250, "{command}");
        }
        assert_eq!(client.ask("DATA").await.code, 354);
        let message = [letter(&format!("a@{KEPT}")), number.to_string().into_bytes(), b"\r\n".to_vec()];
        client.write(&stuffed(&message.concat())).await;
        let held = client.hear().await;
        world.cli(&["held", "refuse", held.reference().unwrap()]).await.expect_code(0);
        let before = ended;
        ended += if told.is_empty() { 1 } else { 2 };
        world.sink.wait_for(ended, PATIENCE).await;
        until_notices(&world, 0, 0).await;
        let reports = world.sink.messages().split_off(before);
        assert_eq!(reports.len(), ended - before);
        for report in &reports {
            let of_owner = report.recipients[0] == "owner@acme.example";
            let expected = if of_owner { &["bo@reader.example", "cy@reader.example"][..] } else { told };
            let text = text(report);
            let finals = text.lines().filter_map(|line| line.strip_prefix("Final-Recipient: rfc822; "));
            assert_eq!(finals.collect::<Vec<_>>(), expected, "{text}");
            assert!(text.contains("\r\nOriginal-Envelope-Id: QQ+314159\r\n"), "{text}");
            let original =
                "\r\nOriginal-Recipient: rfc822;Cy+old@reader.example\r\nFinal-Recipient: rfc822; cy@";
            assert_eq!(text.contains(original), number == 1, "{text}");
        }
    }
}

#[tokio::test]
async fn the_owner_hears_of_a_block_and_of_its_end() {
    let mut world = World::without_server(plan()).await;
    with_post(&world);
    world.start().await;
    let reason = "a stolen password\r\nBcc: everybody@reader.example";
    world.cli(&["account", "block", "acme", "--reason", reason]).await.expect_code(0);
    let blocked = text(&world.arrival(1).await.envelope);
    assert!(blocked.contains("Subject: Account acme is blocked\r\n"), "{blocked}");
    assert!(blocked.contains("To: <owner@acme.example>\r\n"), "{blocked}");
    assert!(blocked.contains("Reason: a stolen password  Bcc: everybody@reader.example"), "{blocked}");
    assert!(!blocked.contains("\r\nBcc:"), "{blocked}");
    world.cli(&["account", "unblock", "acme"]).await.expect_code(0);
    let unblocked = text(&world.arrival(2).await.envelope);
    assert!(unblocked.contains("Subject: Account acme is no longer blocked\r\n"), "{unblocked}");
    // An account without an owner's address has nobody to tell.
    world.cli(&["account", "block", "globex", "--reason", "a test"]).await.expect_code(0);
    until_notices(&world, 0, 0).await;
    assert_eq!(world.sink.taken(), 2);
}

#[tokio::test]
async fn a_notice_waits_for_a_notice_account_and_readyz_says_so() {
    let mut world = World::of(plan()).await;
    world.cli(&["account", "block", "acme", "--reason", "a test"]).await.expect_code(0);
    let notices = until_notices(&world, 1, 0).await;
    assert_eq!(notices["why"], "`[server] notice_account` and `notice_from` are not set");
    assert_eq!(world.sink.taken(), 0);
    world.terminate().await;
    with_post(&world);
    world.start().await;
    assert!(text(&world.arrival(1).await.envelope).contains("is blocked"));
    assert_eq!(until_notices(&world, 0, 0).await["why"], Value::Null);
}

#[tokio::test]
async fn a_notice_account_that_has_not_proved_the_domain_sends_nothing() {
    let mut world = World::without_server(plan()).await;
    let file = std::fs::read_to_string(world.path("countersign.toml")).unwrap();
    let lines = "[server]\nnotice_account = \"desk\"\nnotice_from = \"notices@other.example\"\n";
    world.write("countersign.toml", &file.replace("[server]\n", lines));
    world.start().await;
    world.cli(&["account", "block", "acme", "--reason", "a test"]).await.expect_code(0);
    let notices = until_notices(&world, 1, 0).await;
    assert_eq!(notices["why"], "the notice account `desk` has not proved `other.example`");
    assert_eq!(world.sink.taken(), 0);
}

#[tokio::test]
async fn notices_wait_while_the_domain_of_the_notice_account_is_blocked() {
    for blocked in [&["desk", "--domain", "esp.example"][..], &["--domain", "esp.example"]] {
        let mut world = World::without_server(plan()).await;
        with_post(&world);
        world.start().await;
        let block = [&["account", "block"], blocked, &["--reason", "a test"]].concat();
        world.cli(&block).await.expect_code(0);
        world.cli(&["account", "block", "acme", "--reason", "meanwhile"]).await.expect_code(0);
        let notices = until_notices(&world, 1, 0).await;
        assert_eq!(notices["why"], "the domain of `notice_from`, `esp.example`, is blocked");
        assert_eq!(world.sink.taken(), 0);
        world.cli(&[&["account", "unblock"], blocked].concat()).await.expect_code(0);
        assert!(text(&world.arrival(1).await.envelope).contains("Reason: meanwhile"));
        until_notices(&world, 0, 0).await;
    }
}

#[tokio::test]
async fn a_notice_that_a_block_overtakes_waits_for_its_end() {
    let mut world = World::without_server(plan()).await;
    with_post(&world);
    world.start().await;
    // The block comes while the mail server is asked: the gate refuses the notice.
    world.sink.once(On::Rcpt("owner@".to_owned()), Act::Late(1500));
    world.cli(&["account", "block", "acme", "--reason", "one"]).await.expect_code(0);
    within(10, "the recipient at the sink", async {
        while world.sink.faults_left() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let block = ["account", "block", "desk", "--domain", "esp.example", "--reason", "a test"];
    world.cli(&block).await.expect_code(0);
    within(30, "the first attempt", async {
        while !world.log().contains("a notice waits") {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    assert!(world.log().contains("domain-blocked"));
    until_notices(&world, 1, 0).await;
    assert_eq!(world.sink.taken(), 0);
}

#[tokio::test]
async fn a_stranger_network_is_told_once_a_day() {
    let accounts = plan().accounts.replace(
        "owner_email = \"owner@acme.example\"\n",
        "owner_email = \"owner@acme.example\"\nnetworks = [\"192.0.2.0/24\"]\n",
    );
    let timed = Timed::posting(Plan { accounts, ..plan() }).await;
    for _ in 0..3 {
        let reply = timed.client("acme").await.send("news@acme.example", &letter("news@acme.example")).await;
        assert_eq!(reply.code, 550, "{reply:?}");
    }
    timed.pass(1).await;
    let told = text(&timed.world.arrival(1).await.envelope);
    assert!(told.contains("from the address 127.0.0.1, which is in none"), "{told}");
    assert!(told.contains("signed in as `acme`"), "{told}");
    let send = || async {
        timed.client("acme").await.send("news@acme.example", &letter("news@acme.example")).await;
        timed.pass(1).await;
    };
    send().await;
    assert_eq!(timed.world.sink.taken(), 1, "still today");
    timed.pass(86_400).await;
    send().await;
    assert_eq!(timed.world.sink.taken(), 2);
    timed.close().await;
}

#[tokio::test]
async fn mail_that_expires_is_reported_and_mail_without_a_reverse_path_is_not() {
    let timed = Timed::posting(plan()).await;
    let reference = timed.held().await;
    let reply = timed.client("acme").await.send("", &letter(&format!("a@{KEPT}"))).await;
    assert_eq!(reply.code, 250, "{reply:?}");
    timed.pass(5 * 86_400 + 1).await;
    assert_eq!(timed.state(reference).await, State::Expired);
    timed.pass(1).await;
    let messages = timed.world.sink.wait_for(2, Duration::from_secs(10)).await;
    let statuses: Vec<_> = messages.iter().map(|m| text(m).matches("Status: 4.4.7").count()).collect();
    assert_eq!(statuses, [1, 1], "to the owner and the sender of the one with a reverse path");
    assert!(messages.iter().all(|m| text(m).contains(&format!("X-Countersign-Ref: {reference}"))));
    timed.close().await;
}

#[tokio::test]
async fn an_upstream_that_defers_is_asked_again_and_one_that_refuses_is_not() {
    let timed = Timed::posting(plan()).await;
    timed.world.sink.once(On::End, Act::Reply("451 4.3.0 later".to_owned()));
    timed.world.cli(&["account", "block", "acme", "--reason", "one"]).await.expect_code(0);
    within(30, "the first attempt", async {
        while timed.world.sink.faults_left() > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    timed.settled().await;
    assert_eq!(timed.world.sink.taken(), 0);
    until_notices_at(timed.metrics(), 1, 0).await;
    timed.pass(30).await;
    assert_eq!(timed.world.sink.taken(), 0, "it waits a minute");
    timed.pass(60).await;
    assert_eq!(timed.world.sink.taken(), 1);
    until_notices_at(timed.metrics(), 0, 0).await;

    timed.world.sink.once(On::Rcpt("owner@".to_owned()), Act::Reply("550 5.1.1 nobody".to_owned()));
    timed.world.cli(&["account", "unblock", "acme"]).await.expect_code(0);
    until_notices_at(timed.metrics(), 0, 1).await;
    timed.pass(3600).await;
    assert_eq!(timed.world.sink.taken(), 1);
    timed.close().await.cli(&["ledger", "verify"]).await.expect_code(0);
}

#[tokio::test]
async fn a_notice_that_cannot_go_for_five_days_is_given_up() {
    let timed = Timed::of(plan()).await;
    timed.world.cli(&["account", "block", "acme", "--reason", "one"]).await.expect_code(0);
    until_notices_at(timed.metrics(), 1, 0).await;
    timed.pass(5 * 86_400).await;
    until_notices_at(timed.metrics(), 0, 1).await;
    timed.close().await;
}

#[tokio::test]
async fn a_kill_while_notices_leave_loses_none() {
    let mut world = World::without_server(plan()).await;
    with_post(&world);
    world.start().await;
    world.sink.always(On::End, Act::Late(150));
    const BLOCKS: usize = 12;
    for number in 0..BLOCKS {
        let reason = format!("number {number}.");
        world.cli(&["account", "block", "acme", "--reason", &reason]).await.expect_code(0);
    }
    let taken = world.sink.taken();
    world.kill().await;
    world.start().await;
    until_notices(&world, 0, 0).await;
    let texts: Vec<String> = world.sink.messages().iter().map(text).collect();
    println!("{taken} had left before the kill, {} arrived of {BLOCKS}", texts.len());
    for number in 0..BLOCKS {
        let reason = format!("Reason: number {number}.\r\n");
        let of: Vec<&String> = texts.iter().filter(|text| text.contains(&reason)).collect();
        assert!(!of.is_empty(), "{reason} is lost");
        let flagged =
            of.iter().filter(|text| text.lines().next().is_some_and(|trace| trace.contains("retry-of=")));
        // One that the kill cut off before it left is in doubt too, and says so.
        assert!(
            flagged.count() + 1 >= of.len(),
            "{reason} came twice, and its trace does not say so: {of:?}"
        );
    }
    world.cli(&["ledger", "verify"]).await.expect_code(0);
}

/// acme has an owner; desk may write as esp.example.
fn plan() -> Plan {
    let acme = account("acme", &["acme.example", KEPT])
        .replace("id = \"acme\"\n", "id = \"acme\"\nowner_email = \"owner@acme.example\"\n");
    let accounts =
        format!("{acme}{}{}", account("globex", &["globex.example"]), account("desk", &["esp.example"]));
    let zones = zones()
        .mx("esp.example", 10, "mx.esp.example")
        .txt("esp.example", "v=spf1 include:spf.esp.example -all");
    Plan { accounts, zones, ..Plan::default() }
}

/// Names the notice account in the configuration.
pub(crate) fn with_post(world: &World) {
    let file = std::fs::read_to_string(world.path("countersign.toml")).unwrap();
    let lines = "[server]\nnotice_account = \"desk\"\nnotice_from = \"notices@esp.example\"\n";
    world.write("countersign.toml", &file.replace("[server]\n", lines));
}

async fn until_notices(world: &World, waiting: u64, failed: u64) -> Value {
    until_notices_at(world.door("metrics"), waiting, failed).await
}

/// What /readyz says of notices, once so many wait and so many have failed.
async fn until_notices_at(door: std::net::SocketAddr, waiting: u64, failed: u64) -> Value {
    within(60, "what /readyz must say of notices", async {
        loop {
            let (status, body) = get(door, "/readyz").await;
            let body: Value = serde_json::from_str(&body).unwrap();
            assert_eq!(status, 200, "{body}");
            let notices = &body["notices"];
            if notices["waiting"] == waiting && notices["failed"] == failed {
                return notices.clone();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
}

fn text(received: &std::sync::Arc<Received>) -> String {
    String::from_utf8(received.message.clone()).unwrap()
}

fn one_way(received: &Received) -> Message {
    Message::read(received.message.clone().into(), &Limits::default())
}

fn message_id(received: &Received) -> Option<String> {
    one_way(received).message_id()
}
