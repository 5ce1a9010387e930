//! Moving an installation: `store copy` from SQLite to Postgres and back, with held mail and old refs.

use countersign_services::Postgres;

use crate::world::{KEPT, Plan, World, letter};

/// A world with one released and one held letter, its server stopped; their refs.
async fn lived_in(mut world: World) -> (World, String, String) {
    world.start().await;
    let sent = world.send("acme", "news@acme.example", &letter("news@acme.example")).await;
    let held = world.send("acme", "news@acme.example", &letter(&format!("ana@{KEPT}"))).await;
    assert_eq!((sent.code, held.code), (250, 250), "{sent:?} {held:?}");
    let held = held.reference().unwrap().to_owned();
    let sent = world.arrival(1).await.trace;
    let sent = sent.split("ref=").nth(1).unwrap().split(';').next().unwrap().trim().to_owned();
    world.outcome(&sent).await;
    world.cli(&["account", "block", "globex", "--reason", "a stolen password"]).await.expect_code(0);
    assert_eq!(world.terminate().await.0, Some(0));
    (world, sent, held)
}

/// From now on the store is this one.
fn turn_to(world: &mut World, url: &str) {
    let file = std::fs::read_to_string(world.path("countersign.toml")).unwrap();
    world.write("countersign.toml", &file.replace(&world.url, url));
    url.clone_into(&mut world.url);
}

/// What was before the move is there after it.
async fn goes_on(world: &mut World, sent: &str, held: &str, before: &str) {
    assert_eq!(world.cli(&["ledger", "verify"]).await.expect_code(0).stdout, before);
    world.start().await;
    let entries = world.json(&["explain", sent, "--json"]).await;
    assert_eq!(entries[0]["payload"]["ruling"]["decision"], "allow", "{entries:?}");
    let mut globex = world.client("globex").await;
    assert_eq!(globex.ask("MAIL FROM:<a@globex.example>").await.code, 550, "still blocked");
    let taken = world.sink.taken();
    world.cli(&["held", "release", held]).await.expect_code(0);
    assert_eq!(world.arrival(taken + 1).await.envelope.recipients.len(), 1);
    assert_eq!(world.send("acme", "news@acme.example", &letter("news@acme.example")).await.code, 250);
    assert_eq!(world.terminate().await.0, Some(0));
    world.cli(&["ledger", "verify"]).await.expect_code(0);
}

#[tokio::test]
async fn an_installation_moves_to_postgres_with_its_held_mail_and_its_refs() {
    let Some(server) = Postgres::shared().await else { return };
    let world = World::in_file(Plan::default()).await;
    world.cli(&["apply", "accounts.toml", "--trust-proof"]).await.expect_code(0);
    let (mut world, sent, held) = lived_in(world).await;
    let before = world.cli(&["ledger", "verify"]).await.expect_code(0).stdout;
    let database = server.database().unwrap();
    let from = format!("sqlite:{}", world.path("data/countersign.db").display());
    let url = database.url();
    let said = world.cli(&["store", "copy", "--from", &from, "--to", &url]).await.expect_code(0);
    assert!(said.stdout.starts_with("copied ") && said.stdout.contains("verified"), "{said:?}");
    turn_to(&mut world, &url);
    world.database = Some(database);
    goes_on(&mut world, &sent, &held, &before).await;
}

#[tokio::test]
async fn an_installation_moves_back_to_a_file() {
    let Some(server) = Postgres::shared().await else { return };
    let world = World::over(Plan::default(), server.database().unwrap()).await;
    world.cli(&["apply", "accounts.toml", "--trust-proof"]).await.expect_code(0);
    let (mut world, sent, held) = lived_in(world).await;
    let before = world.cli(&["ledger", "verify"]).await.expect_code(0).stdout;
    let said = world.cli(&["store", "copy", "--from", &world.url, "--to", "sqlite:", "--json"]).await;
    assert!(said.expect_code(0).json()[0]["rows"].as_u64().unwrap() > 10);
    turn_to(&mut world, "sqlite:");
    world.database = None;
    goes_on(&mut world, &sent, &held, &before).await;
}

#[tokio::test]
async fn a_store_that_is_in_use_or_full_is_not_copied() {
    let Some(server) = Postgres::shared().await else { return };
    let mut file = World::in_file(Plan::default()).await;
    file.cli(&["apply", "accounts.toml", "--trust-proof"]).await.expect_code(0);
    let mut shared = World::over(Plan::default(), server.database().unwrap()).await;
    shared.cli(&["apply", "accounts.toml", "--trust-proof"]).await.expect_code(0);
    let empty = server.database().unwrap();
    let from = format!("sqlite:{}", file.path("data/countersign.db").display());
    let to = empty.url();

    let said = file.cli(&["store", "copy", "--from", &from, "--to", &shared.url]).await.expect_code(3);
    let full = format!("the store `{}` is not empty: table `account_credentials` has rows", shared.url);
    assert!(said.stderr.contains(&full), "{said:?}");

    file.start().await;
    let said = file.cli(&["store", "copy", "--from", &from, "--to", &to]).await.expect_code(3);
    assert!(said.stderr.contains("is in use by another server"), "{said:?}");
    shared.start().await;
    for (one, two) in [(shared.url.as_str(), to.as_str()), (&to, &shared.url)] {
        let said = file.cli(&["store", "copy", "--from", one, "--to", two]).await.expect_code(3);
        assert_ne!(said.stderr, "", "{one} {two}");
    }
    let busy = file.cli(&["store", "copy", "--from", &shared.url, "--to", &to]).await.expect_code(3);
    assert!(busy.stderr.contains("stop every server that uses it"), "{busy:?}");
    assert_eq!(empty.sql("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").unwrap(), "0");
    let said = file.cli(&["store", "copy", "--from", &to, "--to", &to]).await.expect_code(2);
    assert!(said.stderr.contains("to itself"), "{said:?}");
    let said = file.cli(&["store", "copy", "--from", "here", "--to", &to]).await.expect_code(2);
    assert!(said.stderr.contains("`--from` is `here`"), "{said:?}");
}
