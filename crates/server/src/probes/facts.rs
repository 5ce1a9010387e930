//! Facts kept for a while: what DNS said about a domain, good until its TTL.
//! One question is under way for each fact, however many messages wait for it.

use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::OwnedMutexGuard;
use tokio::time::Instant;

/// A cache of facts by key.
pub struct Facts<K, V> {
    known: Mutex<HashMap<K, Cell<V>>>,
}

type Cell<V> = Arc<tokio::sync::Mutex<Option<Kept<V>>>>;

struct Kept<V> {
    value: V,
    until: Instant,
}

impl<K: Eq + Hash, V: Clone + Send + 'static> Facts<K, V> {
    /// The fact of a key, and for how long it is still good: the kept one, or what `ask` finds.
    /// The question goes on when the asker is gone, so that the next one finds its answer.
    pub async fn of<F>(&self, key: K, ask: F) -> (V, Duration)
    where
        F: Future<Output = (V, Duration)> + Send + 'static,
    {
        let cell = self.cell(key);
        let guard = cell.lock_owned().await;
        match guard.as_ref().filter(|kept| kept.until > Instant::now()) {
            Some(kept) => (kept.value.clone(), kept.until.saturating_duration_since(Instant::now())),
            None => finish(guard, ask).await,
        }
    }

    /// Forgets everything.
    pub fn clear(&self) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn cell(&self, key: K) -> Cell<V> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST {
            known.retain(|_, cell| is_fresh(cell));
        }
        if known.len() >= MOST {
            known.clear();
        }
        Arc::clone(known.entry(key).or_default())
    }
}

async fn finish<V, F>(mut guard: OwnedMutexGuard<Option<Kept<V>>>, ask: F) -> (V, Duration)
where
    V: Clone + Send + 'static,
    F: Future<Output = (V, Duration)> + Send + 'static,
{
    let question = tokio::spawn(async move {
        let (value, good_for) = ask.await;
        *guard = Some(Kept { value: value.clone(), until: Instant::now() + good_for });
        (value, good_for)
    });
    match question.await {
        Ok(value) => value,
        // The question panicked or the runtime ends: whoever asks is cancelled with it.
        Err(_) => std::future::pending().await,
    }
}

/// A cell that nobody fills and whose fact is good.
fn is_fresh<V>(cell: &Cell<V>) -> bool {
    let Ok(kept) = cell.try_lock() else { return true };
    kept.as_ref().is_some_and(|kept| kept.until > Instant::now())
}

impl<K, V> Default for Facts<K, V> {
    fn default() -> Self {
        Self { known: Mutex::new(HashMap::new()) }
    }
}

const MOST: usize = 100_000;

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::sync::Notify;

    use super::*;

    #[tokio::test]
    async fn a_fact_is_asked_once_while_it_is_good() {
        let facts = Facts::<&str, u32>::default();
        let asked = Arc::new(AtomicU32::new(0));
        let ask = |good_for: Duration| {
            let asked = Arc::clone(&asked);
            async move { (asked.fetch_add(1, Ordering::SeqCst), good_for) }
        };
        assert_eq!(facts.of("a", ask(Duration::from_secs(60))).await, (0, Duration::from_secs(60)));
        let (kept, good_for) = facts.of("a", ask(Duration::ZERO)).await;
        assert!(kept == 0 && good_for > Duration::ZERO && good_for <= Duration::from_secs(60));
        assert_eq!(facts.of("b", ask(Duration::ZERO)).await.0, 1);
        assert_eq!(facts.of("b", ask(Duration::ZERO)).await.0, 2, "good for no time");
    }

    #[tokio::test]
    async fn the_question_goes_on_when_the_asker_is_gone() {
        let facts = Arc::new(Facts::<&str, u32>::default());
        let answer = Arc::new(Notify::new());
        let waits = Arc::clone(&answer);
        let slow = async move {
            waits.notified().await;
            (7, Duration::from_secs(60))
        };
        assert!(tokio::time::timeout(Duration::from_millis(5), facts.of("a", slow)).await.is_err());
        answer.notify_one();
        let never = async { (0, Duration::ZERO) };
        assert_eq!(facts.of("a", never).await.0, 7);
    }
}
