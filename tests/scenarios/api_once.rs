//! Idempotency-Key: a request is carried out once, and answered the same again, after a restart, too.

use hyper::Method;
use serde_json::json;

use crate::http::{Answer, Http, plan_without_staff, world};
use crate::world::{KEPT, letter, within};

async fn post(http: &Http, target: &str, key: &str, body: &[u8]) -> Answer {
    let kind = if target.starts_with("/v1/evaluate") { "message/rfc822" } else { "application/json" };
    http.ask(Method::POST, target, &[("idempotency-key", key), ("content-type", kind)], body).await
}

#[tokio::test]
async fn the_same_request_is_carried_out_once_and_answered_the_same() {
    let mut world = world().await;
    let (acme, ana) = (Http::of(&world, "acme-key").await, Http::of(&world, "ana").await);
    let message = letter("news@acme.example");
    let first = post(&acme, "/v1/evaluate", "\"one\"", &message).await.expect(200);
    assert_eq!(first.field("idempotency-replayed"), None);
    let again = post(&acme, "/v1/evaluate", "one", &message).await.expect(200);
    assert_eq!((&again.body, again.field("idempotency-replayed")), (&first.body, Some("true")));
    assert_eq!(again.field("content-type"), first.field("content-type"));
    let without = acme.evaluate("", &message).await.expect(200);
    assert_ne!(without.json()["ref"], first.json()["ref"]);

    let reused = post(&acme, "/v1/evaluate", "one", &letter("other@acme.example")).await.expect(422);
    assert_eq!(reused.code(), "key-reused");
    post(&acme, "/v1/evaluate?record=false", "one", &message).await.expect(422);
    post(&acme, "/v1/accounts/acme/block", "one", br#"{"reason": "x"}"#).await.expect(422);
    let others = post(&ana, "/v1/evaluate?account=acme", "one", &message).await.expect(200);
    assert_ne!(others.json()["ref"], first.json()["ref"], "each caller has keys of its own");

    let reply = world.send("acme", "news@acme.example", &letter(&format!("ana@{KEPT}"))).await;
    let release = format!("/v1/held/{}/release", reply.reference().unwrap());
    let done = post(&ana, &release, "two", b"").await.expect(200);
    // A no is an answer, too.
    let denied = post(&acme, &release, "three", b"").await;
    assert!([403, 409].contains(&denied.status), "{denied:?}");

    world.restart().await;
    let (acme, ana) = (Http::of(&world, "acme-key").await, Http::of(&world, "ana").await);
    assert_eq!(post(&ana, &release, "two", b"").await.expect(200).body, done.body);
    assert_eq!(post(&ana, &release, "four", b"").await.expect(409).code(), "conflict", "done is done");
    let denied_again = post(&acme, &release, "three", b"").await;
    assert_eq!((denied_again.status, &denied_again.body), (denied.status, &denied.body));
    assert_eq!(post(&acme, "/v1/evaluate", "one", &message).await.expect(200).body, first.body);
    world.arrival(1).await;
    world.cli(&["ledger", "verify"]).await.expect_code(0);
}

#[tokio::test]
async fn a_second_request_while_the_first_is_at_work_hears_so() {
    let mut plan = plan_without_staff();
    // A domain whose name server never answers keeps the judge waiting.
    plan.zones = plan.zones.silent("acme.example");
    let world = crate::world::World::of(plan).await;
    let acme = Http::of(&world, "acme-key").await;
    let message = letter("news@acme.example");
    let (first, second) = tokio::join!(
        post(&acme, "/v1/evaluate?mail_from=news%40acme.example", "one", &message),
        within(20, "in-flight", async {
            loop {
                let answer = post(&acme, "/v1/evaluate?mail_from=news%40acme.example", "one", &message).await;
                if answer.status != 200 || answer.field("idempotency-replayed").is_none() {
                    return answer;
                }
            }
        })
    );
    let codes = [first.status, second.status];
    assert!(codes.contains(&200) && codes.contains(&409), "{codes:?}");
    let waits = if first.status == 409 { first } else { second };
    assert_eq!((waits.code().as_str(), waits.field("retry-after")), ("in-flight", Some("1")));
}

#[tokio::test]
async fn what_is_no_key_is_refused_and_nothing_is_done() {
    let world = world().await;
    let acme = Http::of(&world, "acme-key").await;
    for wrong in ["\"\"", "\"a", "a b", &"x".repeat(300)] {
        let answer = post(&acme, "/v1/accounts/acme/block", wrong, br#"{"reason": "x"}"#).await.expect(400);
        assert!(answer.detail().contains("`Idempotency-Key`"), "{}", answer.detail());
    }
    assert_eq!(acme.get("/v1/accounts/acme").await.json()["blocked"], json!(null));
    // What fails before it is carried out uses no key up.
    post(&acme, "/v1/accounts/acme/block?x=1", "once", br#"{"reason": "x"}"#).await.expect(400);
    post(&acme, "/v1/accounts/acme/block", "once", br#"{"reason": "x"}"#).await.expect(200);
}
