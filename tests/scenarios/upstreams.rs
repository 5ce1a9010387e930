//! What is behind us: several upstreams, over LMTP, inside TLS, with a password, and told who the client is.
//! What is wrong with one of them stands in the log, and is 451 for its accounts alone.

use std::net::SocketAddr;
use std::sync::Arc;

use countersign::net::tls;
use countersign::sandbox::sink::{self, Act, On, Received, Sink, SinkSettings, SinkTls};
use serde_json::{Value, json};

use crate::client::{PATIENCE, Reply, stuffed};
use crate::letters::reasons;
use crate::proxy;
use crate::relay::{relay, relay_listener};
use crate::world::{KEPT, Plan, World, account, letter, within};

async fn another(settings: SinkSettings) -> Sink {
    sink::start(SocketAddr::from(([127, 0, 0, 1], 0)), settings).await.unwrap()
}

/// A table of the configuration.
fn upstream(name: &str, url: &str, lines: &str) -> String {
    format!("[[send.upstream]]\nname = \"{name}\"\nurl = \"{url}\"\negress = [\"192.0.2.0/28\"]\n{lines}\n")
}

/// An account of the world whose mail goes to the upstream of that name.
fn through(id: &str, name: &str) -> String {
    let domains = [format!("{id}.example"), if id == "acme" { KEPT } else { "other.example" }.to_owned()];
    let domains: Vec<&str> =
        domains.iter().map(String::as_str).take(if id == "acme" { 2 } else { 1 }).collect();
    account(id, &domains).replacen(
        &format!("id = \"{id}\""),
        &format!("id = \"{id}\"\nupstream = \"{name}\""),
        1,
    )
}

/// acme goes to this upstream, globex to the usual one.
async fn world_of(upstream: String, more: &str) -> World {
    let accounts = format!("{}{}", through("acme", "other"), account("globex", &["globex.example"]));
    World::of(Plan { accounts, more: format!("{upstream}{more}"), ..Plan::default() }).await
}

async fn send(world: &World, login: &str) -> Reply {
    let from = format!("news@{login}.example");
    world.send(login, &from, &letter(&from)).await
}

async fn entry(world: &World, reply: &Reply) -> Value {
    world.json(&["explain", reply.reference().unwrap(), "--json"]).await[0]["payload"].clone()
}

async fn taken(sink: &Sink, count: usize) -> Vec<Arc<Received>> {
    let messages = sink.wait_for(count, PATIENCE).await;
    assert_eq!(messages.len(), count);
    messages
}

#[tokio::test]
async fn one_upstream_that_is_down_stops_only_its_own_accounts() {
    let gone = another(SinkSettings::default()).await.address();
    let world = world_of(upstream("other", &format!("smtp://{gone}"), ""), "").await;
    let mut client = world.client("acme").await;
    assert_eq!(client.ask("MAIL FROM:<news@acme.example>").await.code, 250);
    let reply = client.ask("RCPT TO:<bo@reader.example>").await;
    assert_eq!((reply.code, reply.enhanced()), (451, "4.4.1"), "{reply:?}");
    assert!(reply.reference().is_some(), "{reply:?}");
    assert_eq!(client.ask("QUIT").await.code, 221);
    assert_eq!(reasons(&world, &reply).await, ["upstream-unavailable"]);
    assert_eq!(entry(&world, &reply).await["recipients"][0]["reason"], "upstream-unavailable");
    assert_eq!(send(&world, "globex").await.code, 250);
    let log = world.log();
    let line = log.lines().find(|line| line.contains("the upstream is not there")).unwrap();
    assert!(line.contains("other") && line.contains(&gone.to_string()), "{line}");
}

#[tokio::test]
async fn spf_is_checked_for_the_addresses_of_the_accounts_own_upstream() {
    let sink = another(SinkSettings::default()).await;
    let far = upstream("other", &format!("smtp://{}", sink.address()), "")
        .replace("192.0.2.0/28", "198.51.100.0/28");
    let world = world_of(far, "").await;
    let reply = send(&world, "acme").await;
    assert_eq!(reasons(&world, &reply).await, ["spf-fail"], "{reply:?}");
    assert_eq!(send(&world, "globex").await.code, 250);
    assert_eq!((sink.taken(), world.sink.taken()), (0, 1));
}

#[tokio::test]
async fn an_upstream_that_nobody_has_is_refused_by_apply_and_warned_of_at_the_start() {
    let mut world = World::usual().await;
    world.write("lost.toml", &through("acme", "nowhere"));
    let said = world.cli(&["apply", "lost.toml", "--trust-proof"]).await;
    assert_ne!(said.code, 0, "{said:?}");
    assert!(said.stderr.contains("account `acme` names the upstream `nowhere`"), "{said:?}");
    assert!(said.stderr.contains("there is `sink`"), "{said:?}");
    assert_eq!(world.terminate().await.0, Some(0));
    let said = world.cli(&["apply", "lost.toml", "--trust-proof"]).await.expect_code(3);
    assert!(said.stderr.contains("names the upstream `nowhere`"), "{said:?}");

    let configuration = std::fs::read_to_string(world.path("countersign.toml")).unwrap();
    world.write("countersign.toml", &configuration.replace("name = \"sink\"", "name = \"nowhere\""));
    world.cli(&["apply", "lost.toml", "--trust-proof"]).await.expect_code(0);
    world.write("countersign.toml", &configuration);
    world.start().await;
    let log = world.log();
    let line = log.lines().find(|line| line.contains("accounts name an upstream")).unwrap();
    assert!(line.contains("nowhere") && line.contains("acme"), "{line}");
    let mut client = world.client("acme").await;
    assert_eq!(client.ask("MAIL FROM:<news@acme.example>").await.code, 250);
    let reply = client.ask("RCPT TO:<bo@reader.example>").await;
    assert_eq!((reply.code, reply.enhanced()), (451, "4.3.5"), "{reply:?}");
}

#[tokio::test]
async fn a_transaction_over_lmtp_takes_one_recipient() {
    let sink = another(SinkSettings::default()).await;
    let field = relay_listener("127.0.0.1", "header:X-Account");
    let world = world_of(upstream("other", &format!("lmtp://{}", sink.address()), ""), &field).await;
    let mut client = world.client("acme").await;
    for (count, recipient) in ["bo@reader.example", "cy@reader.example"].into_iter().enumerate() {
        assert_eq!(client.ask("MAIL FROM:<news@acme.example>").await.code, 250);
        assert_eq!(client.ask(&format!("RCPT TO:<{recipient}>")).await.code, 250);
        let more = client.ask("RCPT TO:<di@reader.example>").await;
        assert_eq!((more.code, more.enhanced()), (452, "4.5.3"), "{more:?}");
        assert!(more.reference().is_some(), "{more:?}");
        assert_eq!(client.ask("DATA").await.code, 354);
        client.write(&stuffed(&letter("news@acme.example"))).await;
        assert_eq!(client.hear().await.code, 250);
        let last = taken(&sink, count + 1).await.pop().unwrap();
        assert_eq!((last.recipients.as_slice(), last.lmtp), (&[recipient.to_owned()][..], true));
    }
    assert_eq!(sink.connections(), 1, "the connection is used again");
    sink.once(On::End, Act::Reply("552 5.2.2 mailbox full".to_owned()));
    let reply = client.send("news@acme.example", &letter("news@acme.example")).await;
    assert_eq!((reply.code, reply.enhanced()), (552, "5.2.2"), "the upstream's own reply: {reply:?}");
    assert_eq!(send(&world, "globex").await.code, 250, "others send as ever");

    // Before a message has named its account, nobody knows whether it may have two.
    let mut client = relay(&world, "send.2").await;
    assert_eq!(client.ask("MAIL FROM:<news@globex.example>").await.code, 250);
    assert_eq!(client.ask("RCPT TO:<bo@reader.example>").await.code, 250);
    assert_eq!(client.ask("RCPT TO:<cy@reader.example>").await.code, 452);
}

#[tokio::test]
async fn held_mail_goes_over_lmtp_to_one_after_the_other() {
    let lmtp = another(SinkSettings::default()).await;
    let other = upstream("other", &format!("lmtp://{}", lmtp.address()), "");
    let notices = "[server]\nnotice_account = \"globex\"\nnotice_from = \"gate@globex.example\"";
    let plan = Plan { more: other, ..Plan::default() };
    let mut world = World::bare(plan).await;
    let configuration = std::fs::read_to_string(world.path("countersign.toml")).unwrap();
    world.write("countersign.toml", &configuration.replacen("[server]", notices, 1));
    world.cli(&["apply", "accounts.toml", "--trust-proof"]).await.expect_code(0);
    world.start().await;
    let mut client = world.client("acme").await;
    let everybody = ["a@reader.example", "b@reader.example", "c@reader.example"];
    assert_eq!(client.envelope("news@acme.example", &everybody).await.code, 354);
    client.write(&stuffed(&letter(&format!("news@{KEPT}")))).await;
    let held = client.hear().await;
    let reference = held.reference().unwrap().to_owned();
    world.write("lmtp.toml", &through("acme", "other"));
    world.cli(&["apply", "lmtp.toml", "--trust-proof"]).await.expect_code(0);

    lmtp.once(On::Rcpt("a@".to_owned()), Act::Reply("450 4.2.1 later".to_owned()));
    lmtp.once(On::Rcpt("b@".to_owned()), Act::Reply("550 5.1.1 no b here".to_owned()));
    let said = world.cli(&["held", "release", &reference]).await.expect_code(4);
    for words in ["`a@reader.example`: 450", "`b@reader.example` is refused for good: 550 5.1.1 no b here"] {
        assert!(said.stderr.contains(words), "{words}: {said:?}");
    }
    let arrived = taken(&lmtp, 1).await;
    assert_eq!(arrived[0].recipients, ["c@reader.example"]);
    let row = &world.json(&["held", "ls", "--json"]).await[0];
    assert_eq!((&row["state"], &row["rcpts"], &row["in_doubt"]), (&json!("held"), &json!(1), &json!(false)));

    let report = world.sink.wait_for(1, PATIENCE).await;
    let report =
        String::from_utf8_lossy(&report.last().expect("a report to the sender").message).into_owned();
    for words in [
        "Final-Recipient: rfc822; b@reader.example\r\nAction: failed\r\nStatus: 5.1.1\r\n",
        "Diagnostic-Code: smtp; 550 5.1.1 no b here\r\n",
    ] {
        assert!(report.contains(words), "{words}: {report}");
    }
    assert!(!report.contains("rfc822; a@reader.example"), "{report}");

    world.cli(&["held", "release", &reference]).await.expect_code(0);
    assert_eq!(taken(&lmtp, 2).await[1].recipients, ["a@reader.example"]);
    assert!(world.json(&["held", "ls", "--json"]).await.is_empty());
    let results: Vec<Value> = world
        .json(&["explain", &reference, "--json"])
        .await
        .iter()
        .filter_map(|entry| entry["payload"]["outcome"]["result"].as_str().map(|result| json!(result)))
        .collect();
    let expected = ["held-again", "refused-by-upstream", "sent", "held-again", "sent", "released"];
    assert_eq!(results, expected.map(|result| json!(result)));
}

#[tokio::test]
async fn held_mail_whose_last_recipient_is_refused_over_lmtp_ends() {
    let lmtp = another(SinkSettings::default()).await;
    let world = world_of(upstream("other", &format!("lmtp://{}", lmtp.address()), ""), "").await;
    let kept = world.send("acme", "news@acme.example", &letter(&format!("news@{KEPT}"))).await;
    let reference = kept.reference().unwrap();
    lmtp.once(On::End, Act::KeepThenClose);
    world.cli(&["held", "release", reference]).await.expect_code(4);
    let row = &world.json(&["held", "ls", "--json"]).await[0];
    assert_eq!((&row["state"], &row["in_doubt"]), (&json!("held"), &json!(true)));
    lmtp.once(On::End, Act::Reply("550 5.7.1 not here".to_owned()));
    let said = world.cli(&["held", "release", reference]).await.expect_code(4);
    assert!(said.stderr.contains("is refused for good: 550 5.7.1 not here"), "{said:?}");
    let row = &world.json(&["held", "ls", "--all", "--json"]).await[0];
    assert_eq!(row["state"], "refused");
}

/// A sink with a certificate of its own and a password, and the folder in which the certificate is.
async fn guarded(from_the_start: bool) -> (Sink, tempfile::TempDir) {
    let data = tempfile::tempdir().unwrap();
    let server = Arc::new(tls::own_server_config(data.path(), "localhost").unwrap());
    let tls = if from_the_start { SinkTls::FromTheStart(server) } else { SinkTls::StartTls(server) };
    let auth = Some(("gate".to_owned(), "s3cret".to_owned()));
    (another(SinkSettings { tls, auth, ..SinkSettings::default() }).await, data)
}

/// A world whose acme goes there with this password.
async fn guarded_world(scheme: &str, sink: &Sink, password: &str, lines: &str) -> World {
    let url = format!("{scheme}://localhost:{}", sink.address().port());
    let lines = format!("auth_file = \"upstream.auth\"\n{lines}");
    let accounts = format!("{}{}", through("acme", "other"), account("globex", &["globex.example"]));
    let plan = Plan { accounts, more: upstream("other", &url, &lines), ..Plan::default() };
    let mut world = World::bare(plan).await;
    secret(&world, &format!("gate\n{password}\n"), 0o600);
    world.cli(&["apply", "accounts.toml", "--trust-proof"]).await.expect_code(0);
    world.start().await;
    world
}

fn secret(world: &World, text: &str, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    world.write("upstream.auth", text);
    std::fs::set_permissions(world.path("upstream.auth"), PermissionsExt::from_mode(mode)).unwrap();
}

/// The line of the log that says why the upstream was not used, as soon as it is there.
async fn why(world: &World) -> String {
    within(10, "a line of the log", async {
        loop {
            let log = world.log();
            if let Some(line) = log.lines().find(|line| line.contains("the upstream is not there")) {
                return line.to_owned();
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    })
    .await
}

#[tokio::test]
async fn a_password_goes_inside_tls_to_whom_the_named_issuer_knows() {
    for (scheme, from_the_start) in [("smtp", false), ("smtps", true), ("lmtp", false)] {
        let (sink, data) = guarded(from_the_start).await;
        let ca = format!("ca_file = \"{}\"", data.path().join("tls-cert.pem").display());
        let world = guarded_world(scheme, &sink, "s3cret", &ca).await;
        assert_eq!(send(&world, "acme").await.code, 250, "{scheme}");
        let messages = taken(&sink, 1).await;
        assert_eq!((messages[0].tls, messages[0].lmtp), (true, scheme == "lmtp"), "{scheme}");
    }
}

#[tokio::test]
async fn what_is_wrong_with_an_upstream_is_451_and_the_remedy_is_in_the_log() {
    let (starttls, data) = guarded(false).await;
    let (tls, _other_data) = guarded(true).await;
    let open = another(SinkSettings {
        auth: Some(("gate".to_owned(), "s3cret".to_owned())),
        ..SinkSettings::default()
    });
    let open = open.await;
    let ca = format!("ca_file = \"{}\"", data.path().join("tls-cert.pem").display());
    for (scheme, sink, password, lines, says) in [
        ("smtp", &starttls, "0ther", ca.as_str(), "check user and password in `auth_file`"),
        (
            "smtps",
            &tls,
            "s3cret",
            ca.as_str(),
            "trust its issuer with `ca_file`, or set `tls_verify = false`",
        ),
        ("smtps", &tls, "s3cret", "", "trust its issuer with `ca_file`"),
        ("smtp", &open, "s3cret", ca.as_str(), "it offers no STARTTLS"),
    ] {
        let world = guarded_world(scheme, sink, password, lines).await;
        let reply = send(&world, "acme").await;
        assert_eq!((reply.code, reply.enhanced()), (451, "4.4.1"), "{says}: {reply:?}");
        for word in ["ertificate", "TLS", "AUTH", "password", "535", "localhost"] {
            assert!(!reply.text().contains(word), "{reply:?}");
        }
        let line = why(&world).await;
        assert!(line.contains(says) && line.contains("other"), "{says}: {line}");
        assert!(!line.contains("s3cret") && !line.contains(password), "{line}");
        assert_eq!(send(&world, "globex").await.code, 250);
    }
    let world = guarded_world("smtps", &tls, "s3cret", "tls_verify = false").await;
    assert_eq!(send(&world, "acme").await.code, 250);
}

#[tokio::test]
async fn an_auth_file_that_is_none_is_said_before_anything_is_opened() {
    let lines = upstream("other", "smtp://127.0.0.1:10026", "auth_file = \"upstream.auth\"");
    let world = World::bare(Plan { more: lines, ..Plan::default() }).await;
    for (text, mode, says) in [
        ("gate\n", 0o600, "has not two lines, user then password"),
        ("gate\ns3cret\nmore\n", 0o600, "has not two lines, user then password"),
        ("gate\ns3cret\n", 0o644, "can be read by everybody (`chmod 0640`, or 0600)"),
    ] {
        secret(&world, text, mode);
        let said = world.cli(&["serve"]).await.expect_code(3);
        assert!(said.stderr.contains("the credentials of upstream `other` cannot be read"), "{said:?}");
        assert!(said.stderr.contains(says) && !said.stderr.contains("s3cret"), "{said:?}");
    }
}

#[tokio::test]
async fn an_upstream_that_wants_to_know_is_told_whose_mail_it_is() {
    let extensions =
        ["PIPELINING", "8BITMIME", "XCLIENT NAME ADDR PROTO HELO LOGIN"].map(str::to_owned).to_vec();
    let sink = another(SinkSettings { extensions, ..SinkSettings::default() }).await;
    let other = upstream("other", &format!("smtp://{}", sink.address()), "xclient = true\npool = 4");
    let balanced = "[[send.listener]]\nlisten = \"127.0.0.1:0\"\nproxy_protocol = [\"127.0.0.2\"]\n";
    let fixed = relay_listener("127.0.0.1", "account:globex");
    let accounts = through("acme", "other") + &through("globex", "other");
    let more = format!("{other}{balanced}{fixed}");
    let world = World::of(Plan { accounts, more, ..Plan::default() }).await;
    let mut client = proxy::greeted(&world, "send.2", "192.0.2.9").await.start_tls().await;
    client.ask("EHLO pc.acme.example").await;
    let plain = crate::client::plain("acme", &crate::client::password("acme"));
    assert_eq!(client.ask(&format!("AUTH PLAIN {plain}")).await.code, 235);
    for number in 0..2 {
        let message = [letter("news@acme.example"), vec![b'x'; number]].concat();
        assert_eq!(client.send("news@acme.example", &message).await.code, 250);
    }
    let mut relay = relay(&world, "send.3").await;
    assert_eq!(relay.send("news@globex.example", &letter("news@globex.example")).await.code, 250);
    let told: Vec<String> = taken(&sink, 3).await.iter().map(|message| message.client.clone()).collect();
    let acme = "NAME=[UNAVAILABLE] ADDR=192.0.2.9 HELO=pc.acme.example LOGIN=acme";
    let globex = "NAME=[UNAVAILABLE] ADDR=127.0.0.1 HELO=relay.esp.example LOGIN=globex";
    assert_eq!(told, [acme, acme, globex]);
    let connections = sink.connections();
    assert!(connections <= 2, "connections are used again, whoever the client is");

    let kept = client.send("news@acme.example", &letter(&format!("news@{KEPT}"))).await;
    world.cli(&["held", "release", kept.reference().unwrap()]).await.expect_code(0);
    assert_eq!(taken(&sink, 4).await[3].client, "", "held mail has no client, and takes nobody else's");
    sink.close_connections();
    assert_eq!(client.send("news@acme.example", &letter("a@acme.example")).await.code, 250);
    assert_eq!(
        taken(&sink, 5).await[4].client,
        acme,
        "a connection that was closed is replaced by one that knows"
    );
}

#[tokio::test]
async fn an_upstream_that_offers_no_xclient_is_told_nothing_and_the_log_says_so() {
    let sink = another(SinkSettings::default()).await;
    let world =
        world_of(upstream("other", &format!("smtp://{}", sink.address()), "xclient = true"), "").await;
    assert_eq!(send(&world, "acme").await.code, 250);
    assert_eq!(taken(&sink, 1).await[0].client, "");
    assert!(world.log().contains("smtpd_authorized_xclient_hosts"), "{}", world.log());
}
