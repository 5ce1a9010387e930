//! A window: how often something happened within the last while, counted in tenths of it; and a bounded table of
//! them, which is all that one node has seen itself. `Shared` decides by it, alone or together with other nodes.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use super::{Cap, Name};

/// Windows by name.
#[derive(Debug, Default)]
pub(super) struct Windows(HashMap<Name, Window>);

/// What happened in each tenth of the last while.
#[derive(Debug, Clone)]
struct Window {
    counts: [u32; SLOTS],
    /// When the newest slot began.
    newest: Instant,
}

impl Windows {
    /// How often it happened.
    pub(super) fn sum(&mut self, name: &Name, now: Instant, window: Duration) -> u64 {
        self.0.get_mut(name).map_or(0, |found| found.sum(now, slot(window)))
    }

    /// Counts all of these. A table that is full of what is fresh takes no new names; what it has, it goes on
    /// counting.
    pub(super) fn add(&mut self, caps: &[Cap], by: u32, now: Instant, window: Duration) {
        let slot = slot(window);
        if self.0.len() + caps.len() > MOST_NAMES {
            self.0.retain(|_, found| found.sum(now, slot) > 0);
        }
        for Cap { name, .. } in caps {
            if self.0.len() < MOST_NAMES || self.0.contains_key(name) {
                self.0.entry(*name).or_insert_with(|| Window::new(now)).add(by, now, slot);
            }
        }
    }

    /// Whether something of this name can be counted.
    pub(super) fn can_count(&self, name: &Name) -> bool {
        self.0.len() < MOST_NAMES || self.0.contains_key(name)
    }

    /// Everything that counts at all.
    pub(super) fn names(&mut self, now: Instant, window: Duration) -> Vec<Name> {
        let slot = slot(window);
        self.0.iter_mut().filter_map(|(name, found)| (found.sum(now, slot) > 0).then_some(*name)).collect()
    }

    /// What of it happened when, as other nodes are told: the age of each slot in milliseconds, and its count.
    pub(super) fn told(&mut self, name: &Name, now: Instant, window: Duration) -> String {
        let slot = slot(window);
        let Some(found) = self.0.get_mut(name) else { return String::new() };
        found.turn(now, slot);
        let began = (0..).map(|at| now.duration_since(found.newest) + slot * at);
        let told = began.zip(found.counts).filter(|(_, count)| *count > 0);
        told.map(|(age, count)| format!("{}:{count} ", age.as_millis())).collect()
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

impl Window {
    const fn new(now: Instant) -> Self {
        Self { counts: [0; SLOTS], newest: now }
    }

    fn add(&mut self, by: u32, now: Instant, slot: Duration) {
        self.turn(now, slot);
        if let Some(newest) = self.counts.first_mut() {
            *newest = newest.saturating_add(by);
        }
    }

    fn sum(&mut self, now: Instant, slot: Duration) -> u64 {
        self.turn(now, slot);
        self.counts.iter().fold(0, |sum, count| sum + u64::from(*count))
    }

    /// Forgets what is older than the window.
    fn turn(&mut self, now: Instant, slot: Duration) {
        let passed = now.duration_since(self.newest).as_nanos() / slot.as_nanos().max(1);
        let steps = usize::try_from(passed).unwrap_or(SLOTS).min(SLOTS);
        if steps > 0 {
            self.counts.rotate_right(steps);
            self.counts.iter_mut().take(steps).for_each(|count| *count = 0);
            self.newest = if steps == SLOTS { now } else { self.newest + slot * (steps as u32) };
        }
    }
}

fn slot(window: Duration) -> Duration {
    (window / SLOTS_IN_WINDOW).max(Duration::from_millis(1))
}

/// How old a slot may be whose count counts.
pub(super) fn horizon(window: Duration) -> Duration {
    slot(window) * (SLOTS as u32)
}

/// The newest, which is under way, and so many whole ones.
const SLOTS: usize = 11;
const SLOTS_IN_WINDOW: u32 = 10;
const MOST_NAMES: usize = 200_000;

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTES: Duration = Duration::from_secs(600);

    fn cap(name: u64) -> Cap {
        let mut octets = [0; 16];
        octets[..8].copy_from_slice(&name.to_be_bytes());
        Cap { name: Name(octets), most: 1 }
    }

    #[test]
    fn what_happened_is_forgotten_when_the_window_has_passed_it() {
        let (mut windows, began) = (Windows::default(), Instant::now());
        let at = |seconds| began + Duration::from_secs(seconds);
        windows.add(&[cap(1)], 1, at(0), MINUTES);
        windows.add(&[cap(1)], 2, at(300), MINUTES);
        let sums = [300, 659, 660, 959, 960].map(|s| windows.sum(&cap(1).name, at(s), MINUTES));
        assert_eq!(sums, [3, 3, 2, 2, 0]);
        assert_eq!(windows.sum(&cap(2).name, at(0), MINUTES), 0);
    }

    #[test]
    fn what_is_told_has_the_age_of_its_slot() {
        let (mut windows, began) = (Windows::default(), Instant::now());
        let at = |seconds| began + Duration::from_secs(seconds);
        windows.add(&[cap(1)], 1, at(0), MINUTES);
        windows.add(&[cap(1)], 1, at(61), MINUTES);
        assert_eq!(windows.told(&cap(1).name, at(90), MINUTES), "30000:1 90000:1 ");
        assert_eq!(windows.told(&cap(1).name, at(700), MINUTES), "640000:1 ");
        assert_eq!(windows.told(&cap(2).name, at(0), MINUTES), "");
        assert!(windows.names(at(700), MINUTES).len() == 1 && windows.names(at(720), MINUTES).is_empty());
    }

    #[test]
    fn no_flood_of_names_makes_the_table_grow_without_end() {
        let (mut windows, now) = (Windows::default(), Instant::now());
        (0..MOST_NAMES as u64 + 100).for_each(|n| windows.add(&[cap(n)], 1, now, MINUTES));
        assert_eq!(windows.len(), MOST_NAMES);
        assert!(windows.can_count(&cap(0).name) && !windows.can_count(&cap(u64::MAX).name));
        windows.add(&[cap(u64::MAX)], 1, now + MINUTES * 2, MINUTES);
        assert_eq!(windows.len(), 1, "what is over makes room");
    }
}
