//! Guesses: failed sign-ins of the last while, by login, by network and altogether.
//! AUTH asks before a secret is looked at, and again before its answer is told.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How many sign-ins may fail within the window before no more are listened to.
#[derive(Debug, Clone, Copy)]
pub struct MostGuesses {
    /// With one login.
    pub login: u32,
    /// From one /24 or /48.
    pub net: u32,
    /// Altogether.
    pub all: u32,
    pub window: Duration,
}

/// The counters. A login that does not exist is counted like one that does.
#[derive(Clone)]
pub(super) struct Guesses {
    most: Arc<Mutex<MostGuesses>>,
    failed: Arc<Mutex<HashMap<Key, Slots>>>,
    /// Logins are kept as keyed hashes: they cost the same, however long, and tell nothing.
    hasher: Arc<RandomState>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Key {
    Login(u64),
    Net(IpAddr),
    All,
}

/// Failures in each tenth of the window.
#[derive(Debug)]
struct Slots {
    counts: [u32; SLOTS],
    /// When the newest slot began.
    newest: Instant,
}

impl Guesses {
    pub(super) fn new(most: MostGuesses) -> Self {
        Self { most: Arc::new(Mutex::new(most)), failed: Arc::default(), hasher: Arc::default() }
    }

    /// Other limits from now on. Another window makes what was counted older or younger than it is.
    pub(super) fn adopt(&self, most: MostGuesses) {
        *self.most.lock().unwrap_or_else(PoisonError::into_inner) = most;
    }

    fn most(&self) -> MostGuesses {
        *self.most.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a sign-in may be looked at now.
    pub(super) fn may_try(&self, login: &str, ip: IpAddr, now: Instant) -> bool {
        let (keys, slot) = (self.keys(login, ip), self.slot());
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        keys.iter().all(|(key, most)| failed.get_mut(key).is_none_or(|slots| slots.sum(now, slot) < *most))
    }

    /// Counts a failure.
    pub(super) fn count(&self, login: &str, ip: IpAddr, now: Instant) {
        let (keys, slot) = (self.keys(login, ip), self.slot());
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        if failed.len() >= MOST_KEYS {
            failed.retain(|_, slots| slots.sum(now, slot) > 0);
        }
        for (key, _) in keys {
            // A table that is full of fresh failures counts no new names; what it has, it goes on counting.
            if failed.len() < MOST_KEYS || failed.contains_key(&key) {
                failed.entry(key).or_insert_with(|| Slots::new(now)).add(now, slot);
            }
        }
    }

    fn keys(&self, login: &str, ip: IpAddr) -> [(Key, u32); 3] {
        let most = self.most();
        let login = Key::Login(self.hasher.hash_one(login));
        [(Key::All, most.all), (Key::Net(network(ip)), most.net), (login, most.login)]
    }

    fn slot(&self) -> Duration {
        (self.most().window / SLOTS_IN_WINDOW).max(Duration::from_millis(1))
    }
}

impl Slots {
    const fn new(now: Instant) -> Self {
        Self { counts: [0; SLOTS], newest: now }
    }

    fn add(&mut self, now: Instant, slot: Duration) {
        self.turn(now, slot);
        if let Some(newest) = self.counts.first_mut() {
            *newest = newest.saturating_add(1);
        }
    }

    fn sum(&mut self, now: Instant, slot: Duration) -> u32 {
        self.turn(now, slot);
        self.counts.iter().fold(0, |sum, count| sum.saturating_add(*count))
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

/// Its /24 or /48.
fn network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(v4) => Ipv4Addr::from_bits(v4.to_bits() & !0xff).into(),
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 80 << 80).into(),
    }
}

/// The newest, which is under way, and so many whole ones.
const SLOTS: usize = 11;
const SLOTS_IN_WINDOW: u32 = 10;
const MOST_KEYS: usize = 200_000;

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: MostGuesses = MostGuesses { login: 2, net: 4, all: 7, window: Duration::from_secs(600) };

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_login_a_network_and_everybody_have_so_many_guesses() {
        let (guesses, now) = (Guesses::new(MOST), Instant::now());
        let count = |login: &str, from: &str| guesses.count(login, ip(from), now);
        let may_try = |login: &str, from: &str| guesses.may_try(login, ip(from), now);
        count("acme", "192.0.2.1");
        assert!(may_try("acme", "192.0.2.1"));
        count("acme", "192.0.2.1");
        assert!(!may_try("acme", "198.51.100.1"), "the login is shut from everywhere");
        assert!(may_try("globex", "192.0.2.99"), "another is not");
        count("a", "192.0.2.99");
        count("b", "192.0.2.99");
        assert!(!may_try("globex", "192.0.2.1"), "the network is shut");
        assert!(may_try("globex", "198.51.100.1"));
        (0..3).for_each(|n| count(&format!("c{n}"), &format!("203.0.{n}.1")));
        assert!(!may_try("globex", "198.51.100.1"), "everybody is shut out");
    }

    #[test]
    fn failures_are_forgotten_when_the_window_has_passed_them() {
        let (guesses, began) = (Guesses::new(MOST), Instant::now());
        let at = |seconds| began + Duration::from_secs(seconds);
        let here = ip("2001:db8::1");
        guesses.count("acme", here, at(0));
        guesses.count("acme", ip("2001:db8:0:ffff::2"), at(300));
        assert!(!guesses.may_try("acme", here, at(300)));
        assert!(guesses.may_try("acme", here, at(661)), "the first is over, the second is not");
        guesses.count("acme", here, at(661));
        assert!(!guesses.may_try("acme", here, at(661)));
        assert!(guesses.may_try("acme", here, at(6000)));
    }

    #[test]
    fn no_flood_of_names_makes_the_table_grow_without_end() {
        let (guesses, now) = (Guesses::new(MOST), Instant::now());
        (0..MOST_KEYS + 100).for_each(|n| guesses.count(&n.to_string(), ip("192.0.2.1"), now));
        assert!(guesses.failed.lock().unwrap().len() <= MOST_KEYS);
    }
}
