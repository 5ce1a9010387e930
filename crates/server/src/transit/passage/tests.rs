//! Passages: what is forgotten, what a late word does, and what is asked of the store.

use super::*;
use crate::seal::RootKey;
use crate::store::fresh::Fresh;
use crate::store::{Clock, Log, Node, Value};

fn passage(number: u8) -> Passage {
    let reference = Ref::from_random(u64::from(number) << 20);
    Passage { account: AccountId::parse("acme").unwrap(), print: [number; 16], reference }
}

fn standing(passage: &Passage, at: Timestamp) -> Standing {
    Standing { reference: passage.reference, state: State::Sending, at, accepted: [0; 16] }
}

#[test]
fn what_is_older_than_a_day_is_forgotten_and_what_was_heard_is_no_row() {
    let now = Timestamp::from_second(1_000_000).unwrap();
    let then = now.checked_sub(SignedDuration::from_hours(25)).unwrap();
    let mut memory = Memory::default();
    for (number, at) in [(1, then), (2, then), (3, now)] {
        memory.insert(passage(number), standing(&passage(number), at));
    }
    assert!(memory.forget(&passage(2)) && !memory.forget(&passage(2)));
    assert_eq!(memory.forget_old(now).collect::<Vec<_>>(), [passage(1)]);
    assert_eq!(memory.standing.len(), 1);
}

#[test]
fn a_late_word_about_an_earlier_attempt_changes_nothing() {
    let now = Timestamp::from_second(1_000_000).unwrap();
    let mut memory = Memory::default();
    memory.insert(passage(1), standing(&passage(1), now));
    let again = Passage { reference: passage(2).reference, ..passage(1) };
    memory.insert(again.clone(), standing(&again, now));
    assert!(!memory.forget(&passage(1)));
    assert!(memory.forget(&again));
}

/// A commit that nobody answered was taken for none; the same letter was then held twice, and neither said so.
#[tokio::test]
async fn what_may_have_been_recorded_is_looked_up_before_it_is_taken_again() {
    let fresh = Fresh::new().await;
    let clock: Clock = Arc::new(|| Timestamp::UNIX_EPOCH);
    let keys = Keys::open(&RootKey::of(&[7; 32]), fresh.store.clone(), Arc::clone(&clock)).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let node = Node { hostname: "gate.example", dir: directory.path(), sink: None };
    let log = Log::of_node(&fresh.store, &keys, node, clock()).await.unwrap();
    let ledger = Ledger::start(fresh.store.clone(), keys.clone(), clock, &log).await.unwrap();
    let left = Left::to(&fresh.store, log.number(), Timestamp::UNIX_EPOCH);
    let transit = Transit::load(&fresh.store, keys, &ledger, left, Timestamp::UNIX_EPOCH).await.unwrap();
    let offer = |letter: u8, attempt: u64| {
        let passage = Passage { reference: Ref::from_random(attempt << 20), ..passage(letter) };
        let Passage { account, print, reference } = passage;
        Offer { account, print, accepted: [0; 16], reference, at: Timestamp::UNIX_EPOCH, elsewhere: None }
    };
    let nowhere = transit.begin(offer(1, 1));
    transit.unsure(&nowhere);
    let second = transit.begin(transit.look(offer(1, 2)).await);
    assert_eq!(second.earlier(), nowhere.passage().map(|passage| passage.reference), "nobody can tell");
    let kept = transit.begin(offer(2, 3));
    // The row of a letter that was heard stays for a while; it says nothing about a later one.
    let (heard, later) = (Attempt::First(offer(4, 6)), transit.begin(offer(4, 7)));
    let mut rows = vec![kept.kept().unwrap(), heard.kept().unwrap()];
    rows.iter_mut().for_each(|row| {
        row.values.iter_mut().for_each(|value| {
            if matches!(value, Value::Log) {
                *value = Value::Int(log.number());
            }
        })
    });
    fresh.store.change(&rows).await.unwrap();
    transit.unsure(&kept);
    transit.unsure(&later);
    let again = transit.begin(transit.look(offer(4, 8)).await);
    assert!(matches!(&again, Attempt::Doubtful(..)), "it is not swallowed: {again:?}");
    assert_eq!(again.earlier(), later.passage().map(|passage| passage.reference));
    let second = transit.look(offer(2, 4)).await;
    assert!(
        matches!(transit.begin(second), Attempt::Repeated(earlier) if Some(&earlier) == kept.passage().as_ref())
    );
    let third = transit.begin(transit.look(offer(3, 5)).await);
    assert!(matches!(third, Attempt::First(_)));
}
