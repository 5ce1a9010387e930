//! The memory of an action's policies: what they said to what they saw.
//! `judge` asks it before it asks Cedar.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// Answers by what was seen. Cloning shares it.
#[derive(Clone)]
pub(super) struct Memory<A>(Arc<Mutex<HashMap<Vec<u8>, Arc<A>>>>);

impl<A> Memory<A> {
    /// The answer to what is seen: the one that was given before, or what `ask` says, which is kept if it `lasts`.
    pub(super) fn of(
        &self,
        seen: Option<Vec<u8>>,
        ask: impl FnOnce() -> A,
        lasts: impl FnOnce(&A) -> bool,
    ) -> Arc<A> {
        let Some(seen) = seen else { return Arc::new(ask()) };
        if let Some(known) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&seen) {
            return Arc::clone(known);
        }
        let answer = Arc::new(ask());
        if !lasts(&answer) {
            return answer;
        }
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
        let of =
            |seen: Option<u8>, answer: u32| *memory.of(seen.map(|octet| vec![octet]), || answer, |_| true);
        assert_eq!((of(Some(1), 1), of(Some(1), 2), of(Some(2), 2)), (1, 1, 2));
        assert_eq!((of(None, 3), of(None, 4)), (3, 4));
    }

    #[test]
    fn what_does_not_last_is_asked_again() {
        let memory = Memory::default();
        let of = |answer: u32, lasts| *memory.of(Some(vec![1]), || answer, |_| lasts);
        assert_eq!((of(1, false), of(2, true), of(3, false)), (1, 2, 2));
    }

    #[test]
    fn it_does_not_grow_for_ever() {
        let memory = Memory::default();
        for number in 0..3 * MOST as u64 {
            memory.of(Some(number.to_be_bytes().to_vec()), || number, |_| true);
        }
        assert!(memory.0.lock().unwrap().len() <= MOST);
    }
}
