//! Connections that wait for their next transaction, and the places of those that are at work.
//! Called by `upstream` (takes) and `transaction` (gives back).

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::connection::Connection;

/// A pool is a shelf of idle connections and a number of places.
///
/// INVARIANT: a connection at work holds a place, and an idle one does not, but is on the shelf only
/// if there is a place for it: so there are never more connections than places.
#[derive(Clone)]
pub(super) struct Pool {
    places: Arc<Semaphore>,
    shelf: Arc<Shelf>,
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
        Self { places: Arc::new(Semaphore::new(places.max(1))), shelf: Arc::new(shelf) }
    }

    /// Waits for a place in the order of asking. The place is given back when it is dropped.
    pub(super) async fn place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.places).acquire_owned().await.ok()
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

const MOST_TRANSACTIONS: u32 = 100;
