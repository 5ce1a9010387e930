//! Counts stop at their cap, whoever counts.

use super::*;
use crate::store::fresh::Fresh;

fn acme() -> AccountId {
    AccountId::parse("acme").unwrap()
}

fn who(number: u8) -> Pseudonym {
    [number; 16]
}

async fn store() -> (Fresh, Store) {
    let fresh = Fresh::new().await;
    let store = fresh.store.clone();
    (fresh, store)
}

/// As the committer does it: all or nothing, and a guard that fails undoes the others.
async fn try_all(store: &Store, writes: &[Write]) -> bool {
    let mut transaction = store.begin().await.unwrap();
    for write in writes {
        let done = transaction.execute(write).await.unwrap();
        if write.rows.is_some_and(|rows| rows != done) {
            return false;
        }
    }
    transaction.commit().await.unwrap();
    true
}

#[tokio::test]
async fn messages_of_a_login_are_counted_up_to_the_cap_and_not_beyond() {
    let (_dir, store) = store().await;
    let day = Day(7);
    let mut allowed = 0;
    for _ in 0..9 {
        allowed += u32::from(try_all(&store, &[count_message(&acme(), "acme", day, Some(5))]).await);
    }
    assert_eq!((allowed, sent_today(&store, &acme(), "acme", day).await.unwrap()), (5, 5));
    assert!(try_all(&store, &[count_message(&acme(), "acme", day, None)]).await, "observe passes it");
    assert_eq!(sent_today(&store, &acme(), "acme", day).await.unwrap(), 6);
    assert!(try_all(&store, &[count_message(&acme(), "acme", Day(8), Some(5))]).await, "a new day");
    assert_eq!(sent_today(&store, &acme(), "other", day).await.unwrap(), 0);
}

#[tokio::test]
async fn what_was_not_taken_is_taken_off_and_never_more_than_was_counted() {
    let (_dir, store) = store().await;
    let day = Day(7);
    for counted in [true, true] {
        assert_eq!(try_all(&store, &[count_message(&acme(), "acme", day, Some(2))]).await, counted);
    }
    assert!(try_all(&store, &[give_back(&acme(), "acme", day), give_back(&acme(), "other", day)]).await);
    assert_eq!(sent_today(&store, &acme(), "acme", day).await.unwrap(), 1);
    for _ in 0..3 {
        assert!(try_all(&store, &[give_back(&acme(), "acme", day)]).await);
    }
    assert_eq!(sent_today(&store, &acme(), "acme", day).await.unwrap(), 0);
    assert!(
        try_all(&store, &[count_message(&acme(), "acme", day, Some(1))]).await,
        "and counts on from there"
    );
}

#[tokio::test]
async fn a_person_is_new_once() {
    let (_dir, store) = store().await;
    let people = [who(1), who(2), who(1)];
    assert_eq!(strangers(&store, &acme(), &people).await.unwrap(), [0, 1]);
    assert!(try_all(&store, &count_recipients(&acme(), &people, Day(7), Some(2))).await);
    assert_eq!(new_today(&store, &acme(), Day(7)).await.unwrap(), 2);
    assert_eq!(strangers(&store, &acme(), &[who(2), who(3)]).await.unwrap(), [1]);
    let globex = AccountId::parse("globex").unwrap();
    assert_eq!(strangers(&store, &globex, &[who(2)]).await.unwrap(), [0], "of another account");
}

#[tokio::test]
async fn too_many_new_ones_at_once_change_nothing() {
    let (_dir, store) = store().await;
    let people: Vec<Pseudonym> = (0..4).map(who).collect();
    assert!(!try_all(&store, &count_recipients(&acme(), &people, Day(7), Some(3))).await);
    assert_eq!(new_today(&store, &acme(), Day(7)).await.unwrap(), 0);
    assert_eq!(strangers(&store, &acme(), &people).await.unwrap().len(), 4);
    // Somebody else wrote to them meanwhile: then they are no longer new.
    assert!(try_all(&store, &count_recipients(&acme(), &people[..3], Day(7), Some(3))).await);
    assert!(try_all(&store, &count_recipients(&acme(), &people[..3], Day(7), Some(3))).await);
    assert!(!try_all(&store, &count_recipients(&acme(), &people, Day(7), Some(3))).await);
}

#[tokio::test]
async fn old_days_are_forgotten_and_people_are_not() {
    let (_dir, store) = store().await;
    try_all(&store, &[count_message(&acme(), "acme", Day(7), None)]).await;
    try_all(&store, &count_recipients(&acme(), &[who(1)], Day(7), None)).await;
    assert!(!has_before(&store, Day(9)).await.unwrap());
    assert!(has_before(&store, Day(10)).await.unwrap());
    try_all(&store, &[forget_before(Day(10))]).await;
    assert_eq!(sent_today(&store, &acme(), "acme", Day(7)).await.unwrap(), 0);
    assert!(strangers(&store, &acme(), &[who(1)]).await.unwrap().is_empty());
}
