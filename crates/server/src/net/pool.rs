//! Connections that wait for their next transaction, and the places of those that are at work.
//! Called by `upstream` (takes) and `transaction` (gives back).

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::connection::Connection;

/// A pool is a shelf of idle connections and a number of places, of which no account has more than its share.
///
/// INVARIANT: a connection at work holds a place, and an idle one does not, but is on the shelf only
/// if there is a place for it: so there are never more connections than places.
#[derive(Clone)]
pub(super) struct Pool {
    places: Arc<Semaphore>,
    /// Those whose account is at work; nobody else holds one.
    shares: Arc<Mutex<HashMap<String, Weak<Semaphore>>>>,
    /// Places of one account.
    share: usize,
    shelf: Arc<Shelf>,
}

/// A place at work, given back when it is dropped.
pub(super) struct Place {
    _place: OwnedSemaphorePermit,
    _share: Option<OwnedSemaphorePermit>,
}

struct Shelf {
    /// The one that was given back last is at the end and is taken first.
    waiting: Mutex<Vec<Waiting>>,
    idle: Duration,
    swept: AtomicBool,
}

struct Waiting {
    connection: Connection,
    since: Instant,
}

impl Pool {
    pub(super) fn new(places: usize, idle: Duration) -> Self {
        let shelf = Shelf { waiting: Mutex::new(Vec::new()), idle, swept: AtomicBool::new(false) };
        Self {
            places: Arc::new(Semaphore::new(places.max(1))),
            shares: Arc::default(),
            share: (places / SHARES).max(1),
            shelf: Arc::new(shelf),
        }
    }

    /// Waits for a place in the order of asking: first among those of the same account, so that who has many
    /// sessions waits for himself, then among all.
    pub(super) async fn place(&self, account: Option<&str>) -> Option<Place> {
        let share = match account {
            Some(account) => Some(self.share_of(account).acquire_owned().await.ok()?),
            None => None,
        };
        let place = Arc::clone(&self.places).acquire_owned().await.ok()?;
        Some(Place { _place: place, _share: share })
    }

    fn share_of(&self, account: &str) -> Arc<Semaphore> {
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(share) = shares.get(account).and_then(Weak::upgrade) {
            return share;
        }
        shares.retain(|_, share| share.strong_count() > 0);
        let share = Arc::new(Semaphore::new(self.share));
        shares.insert(account.to_owned(), Arc::downgrade(&share));
        share
    }

    /// The connection that was used last and still seems alive. Dead ones go on the way.
    pub(super) async fn take(&self) -> Option<Connection> {
        loop {
            let mut waiting = self.shelf.waiting().pop()?;
            if waiting.since.elapsed() < self.shelf.idle && waiting.connection.is_quiet().await {
                return Some(waiting.connection);
            }
        }
    }

    /// Puts a connection back, unless it has served long enough. Do so before its place is free.
    pub(super) fn give(&self, connection: Connection) {
        if connection.transactions >= MOST_TRANSACTIONS {
            connection.part();
            return;
        }
        self.shelf.waiting().push(Waiting { connection, since: Instant::now() });
        if !self.shelf.swept.swap(true, Ordering::Relaxed) {
            tokio::spawn(sweep(Arc::downgrade(&self.shelf), self.shelf.idle));
        }
    }

    pub(super) fn idle(&self) -> usize {
        self.shelf.waiting().len()
    }
}

impl Shelf {
    fn waiting(&self) -> MutexGuard<'_, Vec<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn expired(&self) -> Vec<Waiting> {
        self.waiting().extract_if(.., |waiting| waiting.since.elapsed() >= self.idle).collect()
    }
}

/// Parts with connections that nobody needs, as long as the pool lives.
async fn sweep(shelf: Weak<Shelf>, idle: Duration) {
    loop {
        tokio::time::sleep(idle / 4).await;
        let Some(shelf) = shelf.upgrade() else { return };
        for waiting in shelf.expired() {
            waiting.connection.part();
        }
    }
}

/// An account has one of so many shares of the places.
const SHARES: usize = 4;
const MOST_TRANSACTIONS: u32 = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_account_has_a_quarter_of_the_places_and_at_least_one() {
        let idle = Duration::from_secs(60);
        for (places, share) in [(1, 1), (3, 1), (8, 2)] {
            let pool = Pool::new(places, idle);
            let mut held = Vec::new();
            for _ in 0..share {
                held.push(pool.place(Some("acme")).await.unwrap());
            }
            assert_eq!(pool.share_of("acme").available_permits(), 0, "{places}");
            assert_eq!(pool.places.available_permits(), places - share);
            drop(held);
            assert_eq!(pool.share_of("acme").available_permits(), share);
            assert_eq!(pool.places.available_permits(), places);
        }
    }

    #[tokio::test]
    async fn who_waits_for_a_share_takes_no_place_of_others() {
        let pool = Pool::new(4, Duration::from_secs(60));
        let first = pool.place(Some("acme")).await.unwrap();
        let waiting: Vec<_> = (0..10)
            .map(|_| {
                let pool = pool.clone();
                tokio::spawn(async move { pool.place(Some("acme")).await.is_some() })
            })
            .collect();
        tokio::task::yield_now().await;
        let others = [pool.place(Some("globex")).await, pool.place(None).await, pool.place(None).await];
        assert!(others.iter().all(Option::is_some));
        drop((first, others));
        for waiting in waiting {
            assert!(waiting.await.unwrap());
        }
        let _new = pool.place(Some("initech")).await;
        assert_eq!(pool.shares.lock().unwrap().len(), 1, "who is not at work is forgotten");
    }
}
