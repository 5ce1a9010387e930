//! The memory of an action's policies: what they said to what they saw.
//! `judge` asks it before it asks Cedar.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// Answers by what was seen. Cloning shares it.
#[derive(Clone)]
pub(super) struct Memory<A>(Arc<Mutex<HashMap<Vec<u8>, Arc<A>>>>);

impl<A> Memory<A> {
    /// The answer to what is seen: the one that was given before, or what `ask` says.
    pub(super) fn of(&self, seen: Option<Vec<u8>>, ask: impl FnOnce() -> A) -> Arc<A> {
        let Some(seen) = seen else { return Arc::new(ask()) };
        if let Some(known) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&seen) {
            return Arc::clone(known);
        }
        let answer = Arc::new(ask());
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(seen, Arc::clone(&answer));
        answer
    }
}

impl<A> Default for Memory<A> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<A> fmt::Debug for Memory<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Memory(..)")
    }
}

/// Findings are few and come in few combinations; more than that is a policy that looks at sizes or accounts.
const MOST: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_is_asked_once() {
        let memory = Memory::default();
        assert_eq!(*memory.of(Some(vec![1]), || 1), 1);
        assert_eq!(*memory.of(Some(vec![1]), || 2), 1);
        assert_eq!(*memory.of(Some(vec![2]), || 2), 2);
        assert_eq!(*memory.of(None, || 3), 3);
        assert_eq!(*memory.of(None, || 4), 4);
    }

    #[test]
    fn it_does_not_grow_for_ever() {
        let memory = Memory::default();
        for number in 0..3 * MOST as u64 {
            memory.of(Some(number.to_be_bytes().to_vec()), || number);
        }
        assert!(memory.0.lock().unwrap().len() <= MOST);
    }
}
