//! Marks: names that something is true of for a while, as this node knows it.
//! `Shared` asks here first.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use super::Name;

/// Until when each name is marked.
#[derive(Debug, Default)]
pub(super) struct Marks {
    until: HashMap<Name, Instant>,
}

impl Marks {
    /// Marks a name; whether that is news that others want to hear.
    pub(super) fn set(&mut self, name: Name, lasts: Duration, now: Instant) -> bool {
        if self.until.len() >= MOST_MARKS && !self.until.contains_key(&name) {
            self.make_room(now);
        }
        let until = now + lasts;
        let before = self.until.insert(name, until);
        before.is_none_or(|before| before + STALE < until)
    }

    pub(super) fn has(&self, name: Name, now: Instant) -> bool {
        self.until.get(&name).is_some_and(|until| *until > now)
    }

    /// What is over goes; if that is nothing, then of a few the one that is over first.
    fn make_room(&mut self, now: Instant) {
        self.until.retain(|_, until| *until > now);
        let first = self.until.iter().take(LOOKED_AT).min_by_key(|(_, until)| **until);
        if let Some(name) = first.map(|(name, _)| *name).filter(|_| self.until.len() >= MOST_MARKS) {
            self.until.remove(&name);
        }
    }
}

const MOST_MARKS: usize = 200_000;
const LOOKED_AT: usize = 16;
/// So much older than what is known is news.
const STALE: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    use super::*;

    fn name(number: u64) -> Name {
        let mut octets = [0; 16];
        octets[..8].copy_from_slice(&number.to_be_bytes());
        Name(octets)
    }

    #[test]
    fn a_mark_lasts_as_long_as_it_is_meant_to() {
        let (mut marks, now, day) = (Marks::default(), Instant::now(), Duration::from_secs(86_400));
        assert!(marks.set(name(1), day, now));
        assert!(!marks.set(name(1), day, now + Duration::from_secs(60)), "that is no news");
        assert!(marks.set(name(1), day, now + Duration::from_secs(7200)));
        assert!(marks.has(name(1), now + day) && !marks.has(name(1), now + day * 2));
        assert!(!marks.has(name(2), now));
    }

    #[test]
    fn no_crowd_makes_the_table_grow_without_end() {
        let (mut marks, now, day) = (Marks::default(), Instant::now(), Duration::from_secs(86_400));
        let news = (0..MOST_MARKS as u64 + 50).filter(|n| marks.set(name(*n), day, now)).count();
        assert_eq!(news, MOST_MARKS + 50);
        assert!(marks.until.len() <= MOST_MARKS);
        assert!(marks.has(name(MOST_MARKS as u64 + 49), now), "who comes last is known");
    }
}
