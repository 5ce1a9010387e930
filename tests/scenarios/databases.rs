//! Databases that are not as they should be: what is said is exact, the exit code is 3, and nothing is changed.

use std::net::TcpListener;

use countersign_services::{Database, GUARDED, Postgres};

use crate::clock::Timed;
use crate::world::{Plan, Said, World, letter};

/// A world whose store is a database of Postgres. `None` where there is none.
async fn world() -> Option<World> {
    let database = Postgres::shared().await?.database().unwrap();
    Some(World::over(Plan::default(), database).await)
}

/// Everything that somebody could have changed: tables, migrations, rows.
fn state(database: &Database) -> String {
    let tables = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1";
    let tables = database.sql(tables).unwrap();
    let rows =
        tables.lines().map(|table| database.sql(&format!("SELECT '{table}', t FROM {table} t")).unwrap());
    rows.collect::<Vec<_>>().join("\n")
}

/// `serve` says exactly this, is never ready, and has changed nothing.
async fn refuses(world: &World, says: &str) -> Said {
    let before = world.database.as_ref().map(state);
    let said = world.cli(&["serve"]).await.expect_code(3);
    let lines: Vec<&str> = said.stderr.lines().collect();
    assert_eq!(lines.last(), Some(&format!("countersign: {says}").as_str()), "{said:?}");
    assert_eq!(said.stdout, "", "nothing is ready");
    assert_eq!(world.database.as_ref().map(state), before, "{says}");
    said
}

/// The address in errors.
fn named(world: &World) -> String {
    world.url.clone()
}

#[tokio::test]
async fn an_address_that_is_none_is_named() {
    for (url, says) in [
        (
            "postgres://",
            "an address with a database is allowed, as in `postgres://user@db.example/countersign`",
        ),
        (
            "mysql://db.example/x",
            "`sqlite:`, which is `countersign.db` in `data_dir`, or `postgres://...` is allowed",
        ),
    ] {
        let world = World::at(Plan::default(), url.to_owned(), None).await;
        let said = world.cli(&["serve"]).await.expect_code(3);
        assert!(
            said.stderr.trim_end().ends_with(&format!("`url` in [store] is `{url}`: {says}")),
            "{said:?}"
        );
        assert!(!world.path("data").exists());
    }
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_not_waited_for_for_ever() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let url = format!("postgres://cs:s3cret@{address}/countersign");
    let world = World::at(Plan::default(), url, None).await;
    let store = format!("the store `postgres://cs@{address}/countersign` cannot be opened: ");
    refuses(&world, &format!("{store}nobody answered within 5 seconds")).await;
    drop(silent);
    let said = world.cli(&["serve"]).await.expect_code(3);
    assert!(said.stderr.contains(&store) && said.stderr.contains("Connection refused"), "{said:?}");
    assert!(!said.stderr.contains("s3cret"), "{said:?}");
}

#[tokio::test]
async fn a_wrong_password_is_not_printed() {
    let Some(server) = Postgres::shared().await else { return };
    let database = server.database().unwrap();
    server.sql("postgres", &format!("CREATE ROLE {GUARDED} LOGIN PASSWORD 'right'")).unwrap();
    let address = format!("127.0.0.1:{}/{}", server.port(), database.name());
    let url = format!("postgres://{GUARDED}:s3cret@{address}");
    let world = World::at(Plan::default(), url, Some(database)).await;
    let said = refuses(
        &world,
        &format!(
            "the store `postgres://{GUARDED}@{address}` cannot be opened: password \
             authentication failed for user \"{GUARDED}\""
        ),
    )
    .await;
    assert!(!said.stderr.contains("s3cret"), "{said:?}");
}

#[tokio::test]
async fn a_role_that_may_not_make_tables_hears_what_it_needs() {
    let Some(server) = Postgres::shared().await else { return };
    let database = server.database().unwrap();
    server.sql("postgres", "CREATE ROLE narrow LOGIN").unwrap();
    let url = format!("postgres://narrow@127.0.0.1:{}/{}", server.port(), database.name());
    let world = World::at(Plan::default(), url, Some(database)).await;
    let says = "permission denied for schema public: nothing was changed (make the role the owner of the database, or \
                `GRANT CREATE, USAGE ON SCHEMA public` to it)";
    let cannot = format!("the tables of the store `{}` cannot be brought up to date: ", named(&world));
    refuses(&world, &format!("{cannot}{says}")).await;
}

#[tokio::test]
async fn a_database_that_is_not_there_is_not_made() {
    let Some(server) = Postgres::shared().await else { return };
    let world = World::at(Plan::default(), server.url("nowhere"), None).await;
    let says = "database \"nowhere\" does not exist";
    refuses(&world, &format!("the store `{}` cannot be opened: {says}", named(&world))).await;
    let there = server.sql("postgres", "SELECT count(*) FROM pg_database WHERE datname = 'nowhere'").unwrap();
    assert_eq!(there, "0");
}

#[tokio::test]
async fn tables_of_another_program_are_left_alone() {
    let Some(world) = world().await else { return };
    world
        .database
        .as_ref()
        .unwrap()
        .sql("CREATE TABLE accounts (id int); INSERT INTO accounts VALUES (1)")
        .unwrap();
    let says = format!(
        "the store `{}` has tables of another program: nothing was changed (name a database of its own in \
         `[store] url`)",
        named(&world)
    );
    refuses(&world, &says).await;
}

#[tokio::test]
async fn tables_that_are_later_half_made_or_others_are_left_alone() {
    let Some(world) = world().await else { return };
    world.cli(&["apply", "accounts.toml", "--trust-proof"]).await.expect_code(0);
    let database = world.database.as_ref().unwrap();
    let newest = database.sql("SELECT max(version) FROM _sqlx_migrations").unwrap();
    let cannot = format!("the tables of the store `{}` cannot be brought up to date: ", named(&world));
    for (does, undoes, says) in [
        (
            "INSERT INTO _sqlx_migrations VALUES (9999, 'later', now(), true, '', 0)",
            "DELETE FROM _sqlx_migrations WHERE version = 9999",
            format!(
                "they are of version 9999 and this program knows version {newest}: nothing was changed (start a \
                 program of that version, or restore a backup from before it)"
            ),
        ),
        (
            "UPDATE _sqlx_migrations SET success = false WHERE version = 3",
            "UPDATE _sqlx_migrations SET success = true WHERE version = 3",
            "migration 3 was begun and not finished: nothing was changed (restore the backup from before it, and \
             start again)"
                .to_owned(),
        ),
        (
            "UPDATE _sqlx_migrations SET checksum = checksum || 'x' WHERE version = 2",
            "UPDATE _sqlx_migrations SET checksum = substring(checksum FOR length(checksum) - 1) WHERE version = 2",
            "migration 2 is not the one that this program knows: nothing was changed (another program wrote these \
             tables; name another database)"
                .to_owned(),
        ),
        (
            "CREATE TABLE kept AS SELECT * FROM _sqlx_migrations; DELETE FROM _sqlx_migrations WHERE version = 2",
            "INSERT INTO _sqlx_migrations SELECT * FROM kept WHERE version = 2; DROP TABLE kept",
            "migration 2: relation \"accounts\" already exists, though `_sqlx_migrations` does not count it: nothing \
             was changed (a row of that table is gone: restore the store from a backup)"
                .to_owned(),
        ),
    ] {
        database.sql(does).unwrap();
        refuses(&world, &format!("{cannot}{says}")).await;
        database.sql(undoes).unwrap();
    }
    world.cli(&["ledger", "verify"]).await.expect_code(0);
}

#[tokio::test]
async fn a_shared_database_wants_its_own_root_key() {
    let Some(mut world) = world().await else { return };
    world.cli(&["apply", "accounts.toml", "--trust-proof"]).await.expect_code(0);
    let key = world.path("data/root.key");
    let right = std::fs::read(&key).unwrap();
    std::fs::remove_file(&key).unwrap();
    let missing = format!(
        "the store `{}` is there but its root key `{}` is not: put the key back, or copy that of another node (a new \
         key would open nothing)",
        named(&world),
        key.display()
    );
    refuses(&world, &missing).await;
    assert!(!key.exists());
    let other = World::without_server(Plan::default()).await;
    std::fs::copy(other.path("data/root.key"), &key).unwrap();
    refuses(&world, "the key of account `platform` does not open: the root key is not the one of this store")
        .await;
    std::fs::write(&key, right).unwrap();
    world.start().await;
}

#[tokio::test]
async fn a_data_directory_has_one_server_wherever_the_store_is() {
    let Some(mut world) = world().await else { return };
    world.start().await;
    let said = world.cli(&["serve"]).await.expect_code(3);
    let says = format!(
        "data directory `{}` is in use by another server: stop it, or set another `data_dir`",
        world.path("data").display()
    );
    assert_eq!(said.stderr.lines().last(), Some(format!("countersign: {says}").as_str()), "{said:?}");
    world.cli(&["apply", "accounts.toml", "--trust-proof"]).await.expect_code(0);
    assert_eq!(world.send("acme", "news@acme.example", &letter("news@acme.example")).await.code, 250);
}

#[tokio::test]
async fn a_clock_that_was_set_back_is_told_before_anything_is_written() {
    let timed = Timed::of(Plan::default()).await;
    timed.pass(4000 * 86_400).await;
    timed.held().await;
    let mut world = timed.close().await;
    let count = "SELECT COUNT(*) AS n FROM leaves";
    let before = world.number(count).await;
    let said = world.cli(&["serve"]).await.expect_code(3);
    let line = said.stderr.lines().last().unwrap();
    let (start, end) = (
        "countersign: the clock says ",
        ", and the last entry of the ledger is of 2037-11-06T06:00:00Z: nothing was changed (set the clock, or start \
         with --clock-is-right)",
    );
    assert!(line.starts_with(start) && line.ends_with(end), "{line}");
    // What is written without a server keeps to the same clock.
    let applied = world.cli(&["apply", "accounts.toml", "--trust-proof"]).await.expect_code(3);
    let line = applied.stderr.lines().last().unwrap();
    assert!(line.starts_with(start) && line.ends_with(end), "{line}");
    assert_eq!(world.number(count).await, before);
    world.cli(&["apply", "accounts.toml", "--trust-proof", "--clock-is-right"]).await.expect_code(0);
    world.start_with(&["serve", "--clock-is-right"]).await;
    assert_eq!(world.send("acme", "news@acme.example", &letter("news@acme.example")).await.code, 250);
    world.terminate().await;
    world.cli(&["ledger", "verify"]).await.expect_code(0);
}
