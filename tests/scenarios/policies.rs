//! Policies of an operator: validated, tested by their cases, compared, and replayed over what was ruled.

use serde_json::Value;

use crate::world::{KEPT, Plan, Said, World, letter};

#[tokio::test]
async fn policies_are_validated_tested_and_compared_without_a_store() {
    let world = World::bare(Plan::default()).await;
    let valid = world.json(&["policy", "validate", "policies", "--json"]).await;
    assert_eq!((&valid[0]["valid"], &valid[0]["own"]), (&true.into(), &serde_json::json!(["keep/policy-0"])));

    world.write("draft/big.cedar", BIG);
    world.write("draft/cases/big.toml", CASES);
    let tested = world.cli(&["policy", "test", "draft", "--json"]).await.expect_code(3);
    let lines = tested.json();
    let ok: Vec<&Value> = lines.iter().map(|line| &line["ok"]).collect();
    assert_eq!(ok[..2], [&Value::Bool(true), &Value::Bool(false)], "{tested:?}");
    assert_eq!((&lines[2]["cases"], &lines[2]["failed"]), (&2.into(), &1.into()));
    let told = world.cli(&["policy", "test", "draft"]).await.expect_code(3);
    assert!(told.stdout.contains("a small one is refused\n  expected refuse\n  got      allow"), "{told:?}");
    assert!(told.stderr.contains("1 of 2 cases"), "{told:?}");
    world.cli(&["policy", "test"]).await.expect_code(2);
    world.cli(&["policy", "test", "--built-in"]).await.expect_code(0);

    let differ = world.json(&["policy", "diff", "policies", "draft", "--json"]).await;
    assert_eq!(differ[0], serde_json::json!({ "v": 1, "policy": "big/big", "change": "added" }));
    assert_eq!(differ[1], serde_json::json!({ "v": 1, "policy": "keep/policy-0", "change": "removed" }));
    let case = differ.iter().find(|line| line["case"] == "a big one waits").unwrap();
    assert_eq!((&case["from"]["decision"], &case["to"]["reasons"][0]), (&"allow".into(), &"policy".into()));
    assert!(!world.path("data").exists(), "nothing was made");
}

#[tokio::test]
async fn a_broken_policy_is_named_and_what_is_wrong_with_it() {
    let world = World::bare(Plan::default()).await;
    for (text, says) in [
        ("forbid(principal", "policy file `own.cedar` cannot be read"),
        ("@reason(\"no-such\") forbid(principal, action, resource);", "`no-such`"),
        ("forbid(principal, action == Action::\"send\", resource) when { context.spff == 1 };", "spff"),
    ] {
        world.write("draft/own.cedar", text);
        let said: Said = world.cli(&["policy", "validate", "draft"]).await.expect_code(3);
        assert!(said.stderr.contains(says) && said.stdout.is_empty(), "{said:?}");
    }
    let said = world.cli(&["policy", "validate", "nowhere"]).await.expect_code(3);
    assert!(said.stderr.contains("`nowhere`"), "{said:?}");
}

#[tokio::test]
async fn what_was_ruled_is_replayed_against_a_draft() {
    let mut world = World::usual().await;
    world.send("acme", "news@acme.example", &letter("ana@acme.example")).await;
    let kept = world.send("acme", "news@acme.example", &letter(&format!("ana@{KEPT}"))).await;
    let foreign = world.send("acme", "news@acme.example", &letter("ana@globex.example")).await;
    world.cli(&["account", "block", "globex", "--reason", "a test"]).await.expect_code(0);
    world.cli(&["account", "unblock", "globex"]).await.expect_code(0);

    // The policies of the server say what they said: the dossiers are whole.
    let same = world.json(&["policy", "whatif", "policies", "--json"]).await;
    let [last] = same.as_slice() else { panic!("{same:?}") };
    assert_eq!(
        (&last["v"], &last["changed"], &last["incomplete"]),
        (&1.into(), &0.into(), &0.into()),
        "{last}"
    );
    assert_eq!((&last["reasons_differ"], &last["replayed"]), (&0.into(), &6.into()), "{last}");

    world.write("draft/send.cedar", "permit(principal, action == Action::\"send\", resource);");
    let lines = world.json(&["policy", "whatif", "draft", "--json"]).await;
    let of = |reference: Option<&str>| {
        lines.iter().find(|line| line["ref"] == reference.unwrap()).unwrap_or_else(|| panic!("{lines:?}"))
    };
    let (kept, foreign) = (of(kept.reference()), of(foreign.reference()));
    assert_eq!((&kept["from"]["decision"], &kept["to"]["decision"]), (&"hold".into(), &"allow".into()));
    assert_eq!((&kept["account"], &kept["unsettled"]), (&"acme".into(), &false.into()));
    assert_eq!(
        (&foreign["from"]["reasons"][0], &foreign["unsettled"]),
        (&"from-not-yours".into(), &true.into())
    );
    let last = &lines[lines.len() - 1];
    assert_eq!((&last["changed"], &last["unsettled"]), (&2.into(), &1.into()), "{last}");

    // Without a server the store says the same, in words; what is not asked for is not shown.
    world.terminate().await;
    let told = world.cli(&["policy", "whatif", "draft", "--limit", "1"]).await.expect_code(0);
    assert!(told.stdout.contains("hold (custody) -> allow  no longer policy"), "{told:?}");
    assert!(told.stderr.contains("and 1 more"), "{told:?}");
    let none = world.json(&["policy", "whatif", "draft", "--since", "0s", "--json"]).await;
    assert_eq!((none.len(), &none[0]["replayed"]), (1, &0.into()));
    world.cli(&["policy", "whatif", "draft", "--since", "soon"]).await.expect_code(2);
}

const BIG: &str = "@id(\"big\") @effect(\"hold\") @how(\"custody\")\n\
    forbid(principal, action == Action::\"send\", resource) when { context.bytes > 1000 };\n";

const CASES: &str = r#"
[[case]]
name = "a big one waits"
bytes = 2000
ruling = "hold"
how = "custody"
reasons = ["policy"]

[[case]]
name = "a small one is refused"
ruling = "refuse"
"#;
