//! Accounts from a file: applied again they stay as they are; only `--prune` takes anything away.

use crate::world::{Plan, World, account};

#[tokio::test]
async fn applying_twice_changes_nothing_and_only_prune_deletes() {
    let mut world = World::usual().await;
    let before = accounts(&world).await;
    world.cli(&["apply", "accounts.toml", "--trust-proof"]).await.expect_code(0);
    assert_eq!(accounts(&world).await, before);

    world.write("fewer.toml", &account("acme", &["acme.example"]));
    world.cli(&["apply", "fewer.toml", "--trust-proof"]).await.expect_code(0);
    assert_eq!(accounts(&world).await, before, "without --prune nothing goes away");

    world.cli(&["apply", "fewer.toml", "--trust-proof", "--prune"]).await.expect_code(0);
    let after = accounts(&world).await;
    assert_eq!(after.lines().count(), 1, "{after}");
    assert!(after.contains("acme.example") && !after.contains("globex"), "{after}");
    let gone = world.cli(&["account", "show", "globex"]).await.expect_code(2);
    assert!(gone.stderr.contains("there is no account `globex`"), "{gone:?}");

    // Without a server the store says the same.
    world.terminate().await;
    assert_eq!(accounts(&world).await, after);
}

#[tokio::test]
async fn a_login_has_one_owner() {
    let world = World::usual().await;
    let before = accounts(&world).await;
    let thief = account("thief", &["thief.example"]).replace("login = \"thief\"", "login = \"acme\"");
    world.write("thief.toml", &thief);
    world.write("secrets/thief", "x");
    let said = world.cli(&["apply", "thief.toml", "--trust-proof"]).await;
    assert_ne!(said.code, 0, "{said:?}");
    assert!(said.stderr.contains("`acme`") && said.stderr.contains("another account"), "{said:?}");
    assert_eq!(accounts(&world).await, before);
}

#[tokio::test]
async fn proof_is_not_believed_without_being_asked_to() {
    let world = World::bare(Plan::default()).await;
    let said = world.cli(&["apply", "accounts.toml"]).await.expect_code(3);
    assert!(said.stderr.contains("--trust-proof"), "{said:?}");
    assert!(!world.path("data").exists(), "nothing was made");
}

async fn accounts(world: &World) -> String {
    world.cli(&["account", "ls"]).await.expect_code(0).stdout
}
