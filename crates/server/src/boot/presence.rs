//! Presence: this node among others on the same store. It says that it is there, hears what others changed,
//! and puts right what a node left that is gone.
//! `doors` runs both tasks until the house closes.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;

use super::House;
use crate::custody;
use crate::store::{Left, StoreError, nodes};

/// Forgets cached accounts when somebody says that something changed, or the store does.
pub(super) async fn watch_changes(house: Arc<House>, mut stop: watch::Receiver<bool>) {
    let mut known = None;
    let (mut changes, mut words) = (house.data.store.changes(), house.shared.listen());
    loop {
        tokio::select! {
            _ = stop.changed() => return,
            () = changes.next() => {}
            // Who was too slow has missed some: that counts as one.
            Ok(_) | Err(RecvError::Lagged(_)) = words.recv() => house.directory.forget(),
            () = tokio::time::sleep(POLL) => {}
        }
        match house.directory.version().await {
            Ok(version) if known == Some(version) => {}
            Ok(version) => {
                house.directory.forget();
                known = Some(version);
            }
            Err(error) => tracing::error!(%error, "changes of accounts cannot be read"),
        }
    }
}

/// Says every few seconds that this node is there, where others ask.
pub(super) async fn be_present(house: Arc<House>, mut stop: watch::Receiver<bool>) {
    if !house.data.store.is_shared() {
        return;
    }
    let mut round = 0_u32;
    loop {
        if let Err(error) = present(&house, round).await {
            tracing::warn!(%error, "other nodes cannot be told that this one is there");
        }
        round = round.wrapping_add(1);
        tokio::select! {
            _ = stop.changed() => break,
            () = tokio::time::sleep(Duration::try_from(nodes::BEAT).unwrap_or(POLL)) => {}
        }
    }
    if let Err(error) = nodes::leave(&house.data.store, house.log.number()).await {
        tracing::warn!(%error, "other nodes cannot be told that this one is gone");
    }
}

async fn present(house: &House, round: u32) -> Result<(), StoreError> {
    let (store, now) = (&house.data.store, house.clock.now());
    nodes::beat(store, house.log.number(), now).await?;
    house.shared.count_nodes(nodes::alive(store, now).await?);
    if round.is_multiple_of(ROUNDS) {
        let left = Left::to(store, house.log.number(), now).by_others();
        custody::reconcile(store, &house.gate.ledger, left).await?;
    }
    Ok(())
}

const POLL: Duration = Duration::from_millis(500);
/// What others left is looked for every minute.
const ROUNDS: u32 = 12;
