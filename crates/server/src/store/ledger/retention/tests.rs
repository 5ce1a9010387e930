use std::sync::atomic::Ordering;

use countersign_core::request::Mode::Enforce;
use serde_json::Value as Json;

use super::*;
use crate::store::ledger::tests::stage::{NOW, Stage, ruling};

const DAY: i64 = 86_400_000_000;

fn time(us: i64) -> Timestamp {
    Timestamp::from_microsecond(us).unwrap()
}

#[tokio::test]
async fn what_is_older_is_found_and_nothing_else() {
    let stage = Stage::new().await;
    let ledger = stage.ledger().await.unwrap();
    // One commit a day.
    for day in 0..20 {
        stage.now.store(NOW + i64::try_from(day).unwrap() * DAY, Ordering::SeqCst);
        ledger.record(ruling(day, "acme", "refuse", Enforce), Json::Null, vec![]).await.unwrap();
    }
    let retention = Retention::of(stage.store.clone(), &stage.log().await.unwrap());
    for days in 0..=20 {
        let size = size_before(&stage.store, 0, time(NOW + days * DAY)).await.unwrap();
        assert_eq!(size, u64::try_from(days).unwrap(), "before day {days}");
    }
    assert_eq!(retention.next(time(NOW)).await.unwrap(), None);
    let expired = retention.next(time(NOW + 7 * DAY)).await.unwrap().unwrap();
    assert_eq!((expired.from, expired.to, expired.payloads), (0, 7, 7));
    stage.store.change(&expired.writes).await.unwrap();
    assert_eq!(retention.next(time(NOW + 7 * DAY)).await.unwrap(), None);
    let expired = retention.next(time(NOW + 9 * DAY)).await.unwrap().unwrap();
    assert_eq!((expired.from, expired.to, expired.payloads), (7, 9, 2));
    assert_eq!(stage.number("SELECT COUNT(*) AS n FROM payloads").await, 13);
    // Whoever starts anew finds the same.
    let anew = Retention::of(stage.store.clone(), &stage.log().await.unwrap());
    let again = anew.next(time(NOW + 9 * DAY)).await.unwrap().unwrap();
    assert_eq!((again.to, again.payloads), (9, 2));
}
