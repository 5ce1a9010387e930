//! Keys of the HTTP API: what a wrong one hears, what a right one sees, and that nobody learns what is another's.

use hyper::Method;

use crate::client::{Client, password};
use crate::http::{Http, plan, plan_without_staff, world};
use crate::world::{KEPT, Plan, World, letter};

#[tokio::test]
async fn a_key_that_opens_nothing_hears_401_whatever_is_wrong_with_it() {
    let world = world().await;
    let mut said = Vec::new();
    for login in ["acme-wrong", "acme-old", "acme-elsewhere", "acme"] {
        let answer = Http::of(&world, login).await.get("/v1/held").await.expect(401);
        let challenge = answer.field("www-authenticate").unwrap();
        assert_eq!(challenge, "Bearer realm=\"countersign\", error=\"invalid_token\"", "{login}");
        said.push((answer.code(), answer.detail()));
    }
    said.dedup();
    assert_eq!(said.len(), 1, "wrong, expired, from elsewhere, of SMTP: nobody is told which: {said:?}");
    let nobody = Http::with(&world, None).await.get("/v1/held").await.expect(401);
    assert_eq!(nobody.field("www-authenticate"), Some("Bearer realm=\"countersign\""));
    for fields in [[("authorization", "Basic YWNtZTp4")], [("authorization", "Bearer")]] {
        Http::with(&world, None).await.ask(Method::GET, "/v1/held", &fields, b"").await.expect(401);
    }
    assert!(world.log().contains("the key has expired") && world.log().contains("may not be used from here"));
    // A key of the API is none of SMTP.
    let (door, secret) = (world.door("send.0"), password("acme-key"));
    let reply = Client::try_password("127.0.0.1", door, "acme-key", &secret).await;
    assert_eq!(reply.code, 535);
}

#[tokio::test]
async fn a_key_does_what_its_scopes_say() {
    let world = world().await;
    let reader = Http::of(&world, "acme-reader").await;
    let acme = Http::of(&world, "acme-key").await;
    let ruling = acme.evaluate("", &letter("news@acme.example")).await.expect(200).json();
    let reference = ruling["ref"].as_str().unwrap();
    reader.get(&format!("/v1/rulings/{reference}")).await.expect(200);
    for (method, target, scope) in [
        (Method::GET, "/v1/held".to_owned(), "held:read"),
        (Method::POST, format!("/v1/held/{reference}/refuse"), "held:write"),
        (Method::POST, "/v1/evaluate".to_owned(), "evaluate"),
        (Method::GET, "/v1/ledger/entries".to_owned(), "ledger:read"),
        (Method::GET, "/v1/accounts".to_owned(), "accounts:read"),
        (Method::POST, "/v1/accounts/acme/block".to_owned(), "accounts:write"),
        (Method::POST, "/v1/modes".to_owned(), "accounts:write"),
    ] {
        let answer = reader.ask(method, &target, &[], b"").await.expect(403);
        assert_eq!(answer.code(), "missing-scope", "{target}");
        assert!(answer.detail().contains(&format!("`{scope}`")), "{target}: {}", answer.detail());
    }
}

#[tokio::test]
async fn what_is_anothers_is_not_there() {
    let world = world().await;
    let (acme, globex) = (Http::of(&world, "acme-key").await, Http::of(&world, "globex-key").await);
    let reply = world.send("acme", "news@acme.example", &letter(&format!("ana@{KEPT}"))).await;
    let (held, none) = (reply.reference().unwrap().to_owned(), "7Q2K3M9TBC");
    acme.get(&format!("/v1/held/{held}")).await.expect(200);
    let targets = |reference: &str| {
        [
            (Method::GET, format!("/v1/rulings/{reference}")),
            (Method::GET, format!("/v1/ledger/entries/{reference}")),
            (Method::GET, format!("/v1/held/{reference}")),
            (Method::POST, format!("/v1/held/{reference}/release")),
            (Method::POST, format!("/v1/held/{reference}/refuse")),
        ]
    };
    for ((method, theirs), (_, nobodys)) in targets(&held).into_iter().zip(targets(none)) {
        let theirs = globex.ask(method.clone(), &theirs, &[], b"").await.expect(404);
        let nobodys = globex.ask(method, &nobodys, &[], b"").await.expect(404);
        assert_eq!(theirs.detail().replace(&held, none), nobodys.detail(), "a ref that is not there");
    }
    let block = r#"{"reason": "x"}"#;
    for (account, other) in [("acme", "nobody"), ("platform", "nobody")] {
        for path in ["", "/block", "/unblock"] {
            let asked = async |account: &str| match path {
                "" => globex.get(&format!("/v1/accounts/{account}")).await,
                _ => globex.post(&format!("/v1/accounts/{account}{path}"), block).await,
            };
            let (one, another) = (asked(account).await.expect(404), asked(other).await.expect(404));
            assert_eq!(one.detail().replace(account, other), another.detail());
        }
    }
    let own = globex.get("/v1/accounts").await.expect(200).json();
    assert_eq!(own["accounts"].as_array().unwrap().len(), 1);
    assert_eq!(globex.get("/v1/held?all=true").await.expect(200).json()["held"], serde_json::json!([]));
    for query in ["account=acme", "account=nobody"] {
        globex.evaluate(query, &letter("news@acme.example")).await.expect(404);
    }
    globex.evaluate("credential=acme", &letter("a@globex.example")).await.expect(400);
    acme.get(&format!("/v1/held/{held}")).await.expect(200);
}

#[tokio::test]
async fn wrong_keys_are_counted_as_failed_sign_ins_and_who_is_at_home_goes_on() {
    let more = "[limits.auth_failures]\nnet = 5\nall = 8\nwindow_s = 3600\n".to_owned();
    let world = World::of(Plan { more, ..plan_without_staff() }).await;
    let acme = Http::of(&world, "acme-key").await;
    acme.get("/v1/held").await.expect(200);
    // From another network, where nobody is at home.
    for n in 0..5 {
        let guess = Http::with(&world, Some(&format!("guess-{n}"))).await.from("127.1.1.1");
        guess.get("/v1/held").await.expect(401);
    }
    let shut = Http::with(&world, Some("guess-6")).await.from("127.1.1.1").get("/v1/held").await.expect(429);
    assert_eq!((shut.code().as_str(), shut.field("retry-after")), ("too-many-failures", Some("60")));
    Http::of(&world, "acme-key").await.from("127.1.1.1").get("/v1/held").await.expect(429);
    // Three more from a third network, and everybody is shut out but those at home.
    for n in 0..3 {
        let guess = Http::with(&world, Some(&format!("other-{n}"))).await.from("127.2.2.2");
        guess.get("/v1/held").await.expect(401);
    }
    Http::of(&world, "globex-key").await.from("127.3.3.3").get("/v1/held").await.expect(429);
    acme.get("/v1/held").await.expect(200);
    // SMTP counts with the same counters.
    let door = world.door("send.0");
    let secret = password("globex");
    let reply = Client::try_password("127.3.3.3", door, "globex", &secret).await;
    assert_eq!(reply.code, 454, "{reply:?}");
}

#[tokio::test]
async fn a_key_that_is_blocked_or_replaced_opens_nothing_from_then_on() {
    let world = world().await;
    let (acme, reader) = (Http::of(&world, "acme-key").await, Http::of(&world, "acme-reader").await);
    let ruling = acme.evaluate("", &letter("news@acme.example")).await.expect(200).json();
    let target = format!("/v1/rulings/{}", ruling["ref"].as_str().unwrap());
    reader.get(&target).await.expect(200);
    let block = r#"{"reason": "it has leaked", "credential": "acme-reader"}"#;
    acme.post("/v1/accounts/acme/block", block).await.expect(200);
    reader.get(&target).await.expect(401);

    world.write("secrets/acme-key", "a new secret of the key");
    world.cli(&["apply", "accounts.toml", "--trust-proof"]).await.expect_code(0);
    acme.get(&target).await.expect(401);
    Http::with(&world, Some("a new secret of the key")).await.get(&target).await.expect(200);
}

/// Both keys would have answered 401 from then on, and nobody was told.
#[tokio::test]
async fn two_api_keys_of_one_secret_are_not_applied_and_both_are_named() {
    let mut world = World::bare(plan()).await;
    world.write("secrets/ana", &password("ana"));
    world.write("secrets/globex-key", &password("acme-key"));
    for served in [false, true] {
        refused_for_one_secret(&world, ["acme-key", "globex-key"]).await;
        world.write("secrets/globex-key", &password("globex-key"));
        world.write("secrets/ana", &password("globex-key"));
        refused_for_one_secret(&world, ["globex-key", "ana@esp.example"]).await;
        if !served {
            world.write("secrets/ana", &password("ana"));
            world.cli(&["apply", "accounts.toml", "--trust-proof"]).await.expect_code(0);
            world.start().await;
            world.write("secrets/ana", &password("globex-key"));
        }
        world.write("secrets/globex-key", &password("acme-key"));
    }
    // What the store has counts, too, unless it goes away.
    world.write("secrets/ana", &password("acme-key"));
    let accounts = std::fs::read_to_string(world.path("accounts.toml")).unwrap();
    world.write("accounts.toml", &accounts[accounts.find("[[staff]]").unwrap()..]);
    refused_for_one_secret(&world, ["acme-key", "ana@esp.example"]).await;
    Http::of(&world, "acme-key").await.get("/v1/held").await.expect(200);
    world.cli(&["apply", "accounts.toml", "--trust-proof", "--prune"]).await.expect_code(0);
    Http::of(&world, "acme-key").await.get("/v1/held").await.expect(200);
}

async fn refused_for_one_secret(world: &World, names: [&str; 2]) {
    let said = world.cli(&["apply", "accounts.toml", "--trust-proof"]).await;
    assert_ne!(said.code, 0, "{said:?}");
    assert!(names.iter().all(|name| said.stderr.contains(&format!("`{name}`"))), "{names:?}: {said:?}");
    assert!(!said.stderr.contains("-has-this-secret"), "{said:?}");
}

#[tokio::test]
async fn an_api_secret_that_can_be_guessed_is_not_applied() {
    let world = World::bare(plan_without_staff()).await;
    world.write("secrets/globex-key", "fifteen-letters");
    let said = world.cli(&["apply", "accounts.toml", "--trust-proof"]).await;
    assert_ne!(said.code, 0, "{said:?}");
    assert!(said.stderr.contains("`globex-key` has fewer than 16 characters"), "{said:?}");
    assert!(!said.stderr.contains("fifteen-letters"), "{said:?}");
    world.write("secrets/globex-key", "sixteen-letters!");
    world.cli(&["apply", "accounts.toml", "--trust-proof"]).await.expect_code(0);
}
