//! A pace for lines of the log that any number of clients can cause: one a second, and how many were not said.
//! The ledger and the gate keep to it while something cannot be recorded.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// When something was said last, and how often it was not said since.
#[derive(Debug, Default)]
pub struct Pace(Mutex<(Option<Instant>, u64)>);

impl Pace {
    /// One for a static.
    #[must_use]
    pub const fn new() -> Self {
        Self(Mutex::new((None, 0)))
    }

    /// Whether it is said now: then how often it was not, since the last time.
    pub fn turn(&self) -> Option<u64> {
        self.turn_at(Instant::now())
    }

    fn turn_at(&self, now: Instant) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (last, unsaid) = *state;
        if last.is_some_and(|last| now.saturating_duration_since(last) < BEAT) {
            state.1 += 1;
            return None;
        }
        *state = (Some(now), 0);
        Some(unsaid)
    }
}

const BEAT: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_in_a_second_one_is_said_and_the_next_says_how_many_were_not() {
        let (pace, start) = (Pace::new(), Instant::now());
        assert_eq!(pace.turn_at(start), Some(0));
        for _ in 0..18_000 {
            assert_eq!(pace.turn_at(start + BEAT / 2), None);
        }
        assert_eq!(pace.turn_at(start + BEAT), Some(18_000));
        assert_eq!(pace.turn_at(start + 3 * BEAT), Some(0));
    }
}
