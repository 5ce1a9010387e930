//! The HTTP API as programs use it: evaluation, rulings, held mail, accounts, the ledger, over real TCP.
//! Each answer is held against the OpenAPI document on the way.

use std::sync::Arc;

use http_body_util::Full;
use hyper::Request;
use rustls::pki_types::ServerName;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::client::password;
use crate::http::{Http, encoded, over, plan_without_staff, world};
use crate::world::{KEPT, Plan, World, letter, within};

#[tokio::test]
async fn a_message_is_evaluated_recorded_and_nothing_is_done() {
    let world = world().await;
    let acme = Http::of(&world, "acme-key").await;
    let query = "gate=send&mail_from=news%40acme.example&rcpt=bo%40reader.example&rcpt=cy%40reader.example";
    let ruling = acme.evaluate(query, &letter("news@acme.example")).await.expect(200).json();
    assert_eq!(
        (&ruling["decision"], &ruling["account"], &ruling["mode"]),
        (&json!("allow"), &json!("acme"), &json!("enforce"))
    );
    let foreign = acme.evaluate(query, &letter("news@globex.example")).await.expect(200).json();
    assert_eq!(
        (&foreign["decision"], &foreign["reasons"][0]["code"]),
        (&json!("refuse"), &json!("from-not-yours"))
    );
    let kept = acme.evaluate(query, &letter(&format!("ana@{KEPT}"))).await.expect(200).json();
    assert_eq!((&kept["decision"], &kept["how"]), (&json!("hold"), &json!("custody")));

    for ruling in [&ruling, &foreign, &kept] {
        let reference = ruling["ref"].as_str().unwrap();
        let found = acme.get(&format!("/v1/rulings/{reference}")).await.expect(200).json();
        assert_eq!(found["decision"], ruling["decision"]);
        let entries = found["entries"].as_array().unwrap();
        assert_eq!(entries.len(), 1, "no outcome: nothing was done");
        let payload = &entries[0]["payload"];
        assert_eq!(payload["evaluated"]["by"], "account-key:acme-key");
        assert_eq!(payload["envelope"]["recipients"].as_array().unwrap().len(), 2);
    }
    assert_eq!(acme.get("/v1/held").await.expect(200).json()["held"], json!([]), "nothing is kept");
    assert_eq!(world.sink.taken(), 0, "nothing is sent");
    world.cli(&["ledger", "verify"]).await.expect_code(0);
}

#[tokio::test]
async fn an_evaluation_that_is_not_recorded_has_no_ref() {
    let world = world().await;
    let acme = Http::of(&world, "acme-key").await;
    let before = leaves(&world).await;
    let ruling = acme.evaluate("record=false&mail_from=a%40acme.example", &letter("a@acme.example")).await;
    let ruling = ruling.expect(200).json();
    assert_eq!((&ruling["ref"], &ruling["decision"]), (&Value::Null, &json!("allow")));
    assert_eq!(leaves(&world).await, before);
}

#[tokio::test]
async fn octets_are_judged_as_they_came_unless_line_feeds_are_meant() {
    let world = world().await;
    let acme = Http::of(&world, "acme-key").await;
    let bare = letter("news@acme.example").into_iter().filter(|octet| *octet != b'\r').collect::<Vec<u8>>();
    let code = |ruling: Value| ruling["reasons"][0]["code"].as_str().map(str::to_owned);
    let query = "mail_from=news%40acme.example&rcpt=bo%40reader.example";
    let refused = acme.evaluate(query, &bare).await.expect(200).json();
    assert_eq!(code(refused), Some("bare-line-ending".to_owned()));
    let meant = acme.evaluate(&format!("{query}&newline=lf"), &bare).await.expect(200).json();
    assert_eq!(meant["decision"], "allow");
    let malformed = acme.evaluate("mail_from=news%40%5B192.0.2.1%5D", &letter("news@acme.example")).await;
    assert_eq!(code(malformed.expect(200).json()), Some("mail-from-malformed".to_owned()));
}

#[tokio::test]
async fn staff_have_messages_of_any_account_judged_and_say_what_their_mta_saw() {
    let world = world().await;
    let ana = Http::of(&world, "ana").await;
    let query = "account=globex&credential=globex&ip=192.0.2.7&helo=mx.globex.example&mail_from=a%40globex.example&rcpt=bo%40reader.example";
    let ruling = ana.evaluate(query, &letter("a@globex.example")).await.expect(200).json();
    assert_eq!((&ruling["decision"], &ruling["account"]), (&json!("allow"), &json!("globex")));
    let reference = ruling["ref"].as_str().unwrap();
    let entries = ana.get(&format!("/v1/ledger/entries/{reference}")).await.expect(200).json();
    let payload = &entries["entries"][0]["payload"];
    assert_eq!(
        (&payload["actor"], &payload["client"]["ip"]),
        (&json!("credential:globex"), &json!("192.0.2.7"))
    );
    assert_eq!(payload["evaluated"]["by"], "staff-key:ana@esp.example");
    assert_eq!(ana.evaluate("", &letter("a@globex.example")).await.expect(400).code(), "bad-request");
    world.cli(&["account", "block", "globex", "--reason", "phish"]).await.expect_code(0);
    let blocked = ana.evaluate(query, &letter("a@globex.example")).await.expect(200).json();
    assert_eq!(blocked["reasons"][0]["code"], "account-blocked");
}

#[tokio::test]
async fn held_mail_is_listed_in_pages_and_released_or_refused_once() {
    let world = world().await;
    let (acme, ana) = (Http::of(&world, "acme-key").await, Http::of(&world, "ana").await);
    let mut held = Vec::new();
    for n in 0..5 {
        let message = [format!("X-Number: {n}\r\n").into_bytes(), letter(&format!("ana@{KEPT}"))].concat();
        let reply = world.send("acme", "news@acme.example", &message).await;
        held.push(reply.reference().unwrap().to_owned());
    }
    held.reverse();
    for http in [&acme, &ana] {
        let (mut target, mut seen) = ("/v1/held?limit=2".to_owned(), Vec::new());
        loop {
            let page = http.get(&target).await.expect(200);
            let rows = page.json()["held"].as_array().unwrap().clone();
            seen.extend(rows.iter().map(|row| row["ref"].as_str().unwrap().to_owned()));
            let Some(link) = page.field("link") else { break };
            let (next, relation) = link.split_once(">; ").unwrap();
            assert_eq!((relation, rows.len()), ("rel=\"next\"", 2));
            target = next.trim_start_matches('<').to_owned();
        }
        assert_eq!(seen, held, "newest first, each once");
    }
    let path = format!("/v1/held/{}", held[0]);
    let shown = ana.get(&path).await.expect(200);
    assert_eq!((&shown.json()["state"], &shown.json()["account"]), (&json!("held"), &json!("acme")));
    let tag = shown.field("etag").unwrap().to_owned();
    let stale = [("if-match", "\"0123456789abcdef01234567\"")];
    let changed = ana.ask(hyper::Method::POST, &format!("{path}/release"), &stale, b"").await.expect(412);
    assert_eq!((changed.code().as_str(), changed.field("etag")), ("changed", Some(tag.as_str())));
    let fresh = [("if-match", tag.as_str())];
    let done = ana.ask(hyper::Method::POST, &format!("{path}/release"), &fresh, b"").await.expect(200).json();
    assert_eq!((&done["done"], &done["ruling"]["decision"]), (&json!(true), &json!("allow")));
    world.arrival(1).await;
    assert_eq!(ana.post(&format!("{path}/release"), "").await.expect(409).code(), "conflict");
    let shown = ana.get(&path).await.expect(200);
    assert_eq!(shown.json()["state"], "released");
    assert_ne!(shown.field("etag"), Some(tag.as_str()));

    let other = format!("/v1/held/{}", held[1]);
    acme.post(&format!("{other}/refuse"), "").await.expect(200);
    assert_eq!(acme.get(&other).await.expect(200).json()["state"], "refused");
    assert_eq!(acme.get("/v1/held").await.json()["held"].as_array().unwrap().len(), 3);
    assert_eq!(acme.get("/v1/held?all=true").await.json()["held"].as_array().unwrap().len(), 5);
    assert_eq!(world.json(&["held", "ls", "--json"]).await.len(), 3, "the CLI sees the same");
}

#[tokio::test]
async fn an_accounts_own_key_releases_nothing_and_blocks_but_does_not_unblock() {
    let world = world().await;
    let (acme, ana) = (Http::of(&world, "acme-key").await, Http::of(&world, "ana").await);
    let reply = world.send("acme", "news@acme.example", &letter(&format!("ana@{KEPT}"))).await;
    let held = reply.reference().unwrap();
    // A body that says what is not done was taken in silence.
    for end in ["release", "refuse"] {
        let target = format!("/v1/held/{held}/{end}");
        let unknown = acme.post(&target, r#"{"reason": "spam"}"#).await.expect(400);
        assert!(unknown.detail().contains("unknown field `reason`"), "{}", unknown.detail());
        acme.post(&target, "garbage").await.expect(400);
    }
    acme.post(&format!("/v1/held/{held}/release"), "{}").await.expect(403);
    let refused = acme.post(&format!("/v1/held/{held}/release"), "").await.expect(403);
    assert_eq!(refused.code(), "not-permitted");
    let reference = refused.json()["ref"].as_str().unwrap().to_owned();
    let ruling = acme.get(&format!("/v1/rulings/{reference}")).await.expect(200).json();
    assert_eq!((&ruling["gate"], &ruling["decision"]), (&json!("desk"), &json!("refuse")), "it is recorded");

    let block = json!({ "reason": "a login has leaked", "credential": "acme" }).to_string();
    acme.post("/v1/accounts/acme/block", &block).await.expect(200);
    let denied = acme.post("/v1/accounts/acme/unblock", &json!({ "credential": "acme" }).to_string()).await;
    assert_eq!(denied.expect(403).code(), "not-permitted");
    let parts = acme.get("/v1/accounts/acme").await.expect(200).json()["blocked_parts"].clone();
    assert_eq!(
        (parts[0]["scope"].as_str(), parts[0]["subject"].as_str()),
        (Some("credential"), Some("acme"))
    );
    ana.post("/v1/accounts/acme/unblock", &json!({ "credential": "acme" }).to_string()).await.expect(200);
    assert_eq!(acme.get("/v1/accounts/acme").await.json()["blocked_parts"], json!([]));

    assert_eq!(
        acme.post("/v1/modes", r#"{"gate": "send", "mode": "observe"}"#).await.expect(403).code(),
        "not-permitted"
    );
    ana.post("/v1/modes", r#"{"gate": "send", "mode": "observe", "account": "acme"}"#).await.expect(200);
    assert_eq!(acme.get("/v1/accounts/acme").await.json()["mode"], "observe");
    assert_eq!(ana.post("/v1/apply", "{}").await.expect(403).code(), "missing-scope");
}

#[tokio::test]
async fn the_ledger_is_read_in_pages_each_account_its_own() {
    let world = world().await;
    let (acme, globex, ana) = (
        Http::of(&world, "acme-key").await,
        Http::of(&world, "globex-key").await,
        Http::of(&world, "ana").await,
    );
    for _ in 0..3 {
        for (http, account) in [(&acme, "acme"), (&globex, "globex")] {
            let query = format!("mail_from={}", encoded(&format!("a@{account}.example")));
            http.evaluate(&query, &letter(&format!("a@{account}.example"))).await.expect(200);
        }
    }
    let all = pages(&ana, 2).await;
    assert_eq!(all.len(), leaves(&world).await, "every leaf, the one of `apply` too");
    let places: Vec<u64> = all.iter().map(|entry| entry["idx"].as_u64().unwrap()).collect();
    assert_eq!(places, (0..all.len() as u64).rev().collect::<Vec<_>>(), "newest first, each once");
    for (http, account) in [(&acme, "acme"), (&globex, "globex")] {
        let own = pages(http, 2).await;
        assert!(own.iter().all(|entry| entry["account"] == account), "{own:?}");
        assert_eq!(own.len(), 3);
    }
}

#[tokio::test]
async fn a_ruling_is_proved_under_a_checkpoint_that_was_signed() {
    let world = world().await;
    let (acme, globex) = (Http::of(&world, "acme-key").await, Http::of(&world, "globex-key").await);
    let ruling = acme.evaluate("", &letter("a@acme.example")).await.expect(200).json();
    let reference = ruling["ref"].as_str().unwrap();
    let target = format!("/v1/ledger/proof/{reference}");
    let proofs = within(20, "a checkpoint over it", async {
        loop {
            let answer = acme.get(&target).await;
            if answer.status == 200 {
                return answer.json()["proofs"].as_array().unwrap().clone();
            }
            assert_eq!((answer.status, answer.code().as_str()), (503, "not-signed-yet"));
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    });
    let proofs = proofs.await;
    assert_eq!((proofs.len(), &proofs[0]["kind"]), (1, &json!("ruling")));
    globex.get(&target).await.expect(404);
    let heads = acme.get("/v1/ledger/head").await.expect(200).json()["logs"].as_array().unwrap().clone();
    assert_eq!(
        (heads.len(), &heads[0]["origin"], &heads[0]["key"]),
        (1, &proofs[0]["origin"], &proofs[0]["key"])
    );
    assert!(heads[0]["size"].as_u64().unwrap() >= proofs[0]["size"].as_u64().unwrap());
    let note = acme.get("/v1/ledger/checkpoint").await.expect(200);
    assert!(note.field("content-type").unwrap().starts_with("text/plain"));
    let origin = heads[0]["origin"].as_str().unwrap();
    assert!(String::from_utf8(note.body).unwrap().starts_with(&format!("{origin}\n")));
    acme.get(&format!("/v1/ledger/checkpoint?log={}", encoded(origin))).await.expect(200);
    acme.get("/v1/ledger/checkpoint?log=nobody").await.expect(404);

    world.write("proof", proofs[0]["proof"].as_str().unwrap());
    let key = proofs[0]["key"].as_str().unwrap();
    world.cli(&["ledger", "verify", "--file", "proof", "--key", key]).await.expect_code(0);
}

#[tokio::test]
async fn what_is_public_needs_no_key() {
    let world = world().await;
    let nobody = Http::with(&world, None).await;
    assert_eq!(nobody.get("/healthz").await.expect(200).body, b"ok\n");
    let page = String::from_utf8(nobody.get("/problems").await.expect(200).body).unwrap();
    let problem = nobody.get("/v1/held").await.expect(401);
    let kind = problem.json()["type"].as_str().unwrap().to_owned();
    let (path, heading) = kind.split_once('#').unwrap();
    assert_eq!(path, "/problems");
    assert!(page.contains(&format!("\n## {heading}\n")), "{kind}");
    assert_eq!(problem.field("content-type"), Some("application/problem+json"));
    assert!(problem.field("x-request-id").is_some_and(|id| !id.is_empty()));
}

#[tokio::test]
async fn inside_tls_it_is_the_same() {
    let more = "[api]\ntls = \"implicit\"\n".to_owned();
    let world = World::of(Plan { more, ..plan_without_staff() }).await;
    let config = Arc::new(countersign::net::tls::unverified_client_config().unwrap());
    let name = ServerName::try_from("gate.esp.example").unwrap();
    let stream = TcpStream::connect(world.door("api")).await.unwrap();
    let stream = TlsConnector::from(config).connect(name, stream).await.unwrap();
    let key = format!("Bearer {}", password("acme-key"));
    let request = Request::get("/v1/held").header("host", "api.example").header("authorization", key);
    let request = request.body(Full::default()).unwrap();
    over(stream, request).await.expect(200);
    let mut plain = TcpStream::connect(world.door("api")).await.unwrap();
    plain.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut said = Vec::new();
    let _end = within(20, "the end", plain.read_to_end(&mut said)).await;
    assert!(!said.starts_with(b"HTTP"), "{said:?}");
}

async fn pages(http: &Http, limit: usize) -> Vec<Value> {
    let (mut target, mut seen) = (format!("/v1/ledger/entries?limit={limit}"), Vec::new());
    loop {
        let page = http.get(&target).await.expect(200).json();
        seen.extend(page["entries"].as_array().unwrap().iter().cloned());
        match page["next"].as_str() {
            Some(next) => target = format!("/v1/ledger/entries?limit={limit}&after={next}"),
            None => return seen,
        }
    }
}

/// How many leaves the ledger has.
async fn leaves(world: &World) -> usize {
    let report = world.cli(&["ledger", "verify", "--json"]).await.expect_code(0).json();
    report[0]["leaves"].as_u64().unwrap() as usize
}
