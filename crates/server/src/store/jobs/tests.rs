//! Jobs are taken once, come back when whoever took them dies, and wait longer each time they fail.

use std::collections::BTreeSet;

use super::super::fresh::Fresh;
use super::super::lease::back_off;
use super::*;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

fn acme() -> AccountId {
    AccountId::parse("acme").unwrap()
}

async fn store(jobs: &[(&str, i64)]) -> (Fresh, Store) {
    let fresh = Fresh::new().await;
    let store = fresh.store.clone();
    let puts: Vec<Write> =
        jobs.iter().map(|(object, due)| put(&acme(), "held-expire", object, at(*due))).collect();
    store.change(&puts).await.unwrap();
    (fresh, store)
}

async fn objects(store: &Store, by: &str, now: i64) -> Vec<String> {
    let mut objects: Vec<String> =
        due(store, by, at(now), 100).await.unwrap().into_iter().map(|job| job.object).collect();
    objects.sort();
    objects
}

#[tokio::test]
async fn a_job_is_taken_when_its_time_has_come_and_only_once() {
    let (_dir, store) = store(&[("A", 100), ("B", 200), ("C", 300)]).await;
    assert_eq!(next(&store).await.unwrap(), Some(at(100)));
    assert!(objects(&store, "one", 99).await.is_empty());
    assert_eq!(objects(&store, "one", 200).await, ["A", "B"]);
    assert!(objects(&store, "two", 200).await.is_empty());
    assert_eq!(objects(&store, "two", 310).await, ["A", "B", "C"], "the lease of one has ended");
    assert_eq!(backlog(&store).await.unwrap(), Backlog { waiting: 3, failing: 0 });
}

#[tokio::test]
async fn no_more_are_taken_than_were_asked_for_oldest_first() {
    let (_dir, store) = store(&[("A", 3), ("B", 2), ("C", 1)]).await;
    let taken = due(&store, "one", at(10), 2).await.unwrap();
    let objects: BTreeSet<&str> = taken.iter().map(|job| job.object.as_str()).collect();
    assert_eq!(objects, BTreeSet::from(["B", "C"]));
}

#[tokio::test]
async fn two_who_ask_at_once_share_and_none_is_taken_twice() {
    let names: Vec<String> = (0..60).map(|number| format!("J{number:02}")).collect();
    let jobs: Vec<(&str, i64)> = names.iter().map(|name| (name.as_str(), 1)).collect();
    let (_dir, store) = store(&jobs).await;
    let mut asking = tokio::task::JoinSet::new();
    for node in 0..12 {
        let store = store.clone();
        asking.spawn(async move {
            let mut taken = Vec::new();
            // Whoever comes second to a row goes away with fewer, and asks again.
            while next(&store).await.unwrap().is_some_and(|next| next <= at(10)) {
                taken.extend(due(&store, &format!("node-{node}"), at(10), 7).await.unwrap());
            }
            taken
        });
    }
    let taken: Vec<String> = asking.join_all().await.into_iter().flatten().map(|job| job.object).collect();
    assert_eq!(taken.len(), 60);
    assert_eq!(taken.iter().collect::<BTreeSet<_>>().len(), 60);
}

#[tokio::test]
async fn a_failed_job_waits_and_keeps_why() {
    let (_dir, store) = store(&[("A", 1)]).await;
    let mut now = at(1);
    for attempts in 1..4 {
        let job = due(&store, "one", now, 1).await.unwrap().remove(0);
        assert_eq!(job.attempts, attempts);
        let again = later(now, back_off(job.attempts, 0));
        failed(&store, &job, "the ledger cannot write", again).await.unwrap();
        assert_eq!(next(&store).await.unwrap(), Some(again));
        now = again;
    }
    assert_eq!(now, at(1 + 60 + 120 + 240));
    assert_eq!(backlog(&store).await.unwrap(), Backlog { waiting: 1, failing: 1 });
    store.change(&[done(&acme(), "held-expire", "A")]).await.unwrap();
    assert_eq!(backlog(&store).await.unwrap(), Backlog { waiting: 0, failing: 0 });
}

#[tokio::test]
async fn whoever_has_lost_the_lease_changes_nothing() {
    let (_dir, store) = store(&[("A", 1)]).await;
    let lost = due(&store, "one", at(1), 1).await.unwrap().remove(0);
    let taken = due(&store, "two", at(61), 1).await.unwrap().remove(0);
    assert_eq!(taken.attempts, 2);
    failed(&store, &lost, "too late", at(5)).await.unwrap();
    put_off(&store, &lost, at(5)).await.unwrap();
    assert_eq!(next(&store).await.unwrap(), Some(at(121)));
    put_off(&store, &taken, at(1000)).await.unwrap();
    let again = due(&store, "two", at(1000), 1).await.unwrap().remove(0);
    assert_eq!(again.attempts, 2, "what was put off was no attempt");
}

#[tokio::test]
async fn what_a_dead_process_had_is_due_at_once_for_the_owner_of_the_store() {
    let (_dir, store) = store(&[("A", 1), ("B", 900)]).await;
    assert_eq!(objects(&store, "dead", 10).await, ["A"]);
    reconcile(&store, "one", at(11)).await.unwrap();
    if store.is_shared() {
        assert!(objects(&store, "alive", 11).await.is_empty(), "another node may well be alive");
        reconcile(&store, "dead", at(11)).await.unwrap();
    }
    assert_eq!(objects(&store, "alive", 11).await, ["A"]);
}

#[tokio::test]
async fn a_second_put_moves_the_first() {
    let (_dir, store) = store(&[("A", 1), ("A", 500)]).await;
    assert!(objects(&store, "one", 499).await.is_empty());
    store.change(&[not_before(&acme(), "held-expire", at(800))]).await.unwrap();
    store.change(&[not_before(&acme(), "held-expire", at(600))]).await.unwrap();
    assert_eq!(next(&store).await.unwrap(), Some(at(800)));
}
