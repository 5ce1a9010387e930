//! Guesses: failed sign-ins of the last while, by login, by network and altogether; and who is at home, whom
//! the failures of others do not stop. AUTH asks before a secret is looked at, and before its answer is told.

mod home;

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use home::{Homes, Origin};

/// How many sign-ins may fail within the window before no more are listened to.
#[derive(Debug, Clone, Copy)]
pub struct MostGuesses {
    /// With one login; and once more from each network where it is at home.
    pub login: u32,
    /// From one /24 or /48.
    pub net: u32,
    /// Altogether.
    pub all: u32,
    pub window: Duration,
}

/// The counters. A login that does not exist is counted like one that does.
///
/// INVARIANT: what a wrong secret hears depends on the counters of `failed` alone, and these are the same
/// whether there is such a login, and where it is at home. Home makes a difference for the right secret only.
#[derive(Clone)]
pub(in crate::doors) struct Guesses {
    most: Arc<Mutex<MostGuesses>>,
    failed: Arc<Mutex<HashMap<Key, Slots>>>,
    homes: Arc<Mutex<Homes>>,
    /// Logins are kept as keyed hashes: they cost the same, however long, and tell nothing.
    hasher: Arc<RandomState>,
}

/// A sign-in: as whom, and from where.
#[derive(Debug, Clone, Copy)]
pub(in crate::doors) struct Attempt<'a> {
    pub(in crate::doors) login: &'a str,
    pub(in crate::doors) ip: IpAddr,
    /// Whether there is such a login with networks of its own or of its account, and they name the address.
    pub(in crate::doors) meant: bool,
}

/// To whom sign-in is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::doors) enum Open {
    Everybody,
    /// Too many have failed: only the right secret is let in, from where its login is at home.
    AtHome,
    Nobody,
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
        Self {
            most: Arc::new(Mutex::new(most)),
            failed: Arc::default(),
            homes: Arc::default(),
            hasher: Arc::default(),
        }
    }

    /// Other limits from now on. Another window makes what was counted older or younger than it is.
    pub(super) fn adopt(&self, most: MostGuesses) {
        *self.most.lock().unwrap_or_else(PoisonError::into_inner) = most;
    }

    fn most(&self) -> MostGuesses {
        *self.most.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a sign-in may be looked at now.
    pub(in crate::doors) fn open(&self, attempt: Attempt<'_>, now: Instant) -> Open {
        let (keys, slot) = (self.keys(attempt), self.slot());
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        let mut has_room =
            |(key, most): &(Key, u32)| failed.get_mut(key).is_none_or(|slots| slots.sum(now, slot) < *most);
        if keys.iter().all(&mut has_room) {
            return Open::Everybody;
        }
        let network_has_room = keys.iter().filter(|(key, _)| matches!(key, Key::Net(_))).all(has_room);
        drop(failed);
        let at_home = self.homes().failures(self.origin(attempt), now, slot);
        match network_has_room && at_home.is_some_and(|failed| failed < self.most().login) {
            true => Open::AtHome,
            false => Open::Nobody,
        }
    }

    /// Counts a failure. While everybody else is stopped, it counts only where the login is at home.
    pub(in crate::doors) fn count(&self, attempt: Attempt<'_>, open: Open, now: Instant) {
        let (keys, slot) = (self.keys(attempt), self.slot());
        self.homes().count(self.origin(attempt), now, slot);
        if open != Open::Everybody {
            return;
        }
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

    /// Somebody has signed in: from that network the login is at home.
    pub(in crate::doors) fn remember(&self, attempt: Attempt<'_>, now: Instant) {
        self.homes().remember(self.origin(attempt), now);
    }

    fn homes(&self) -> MutexGuard<'_, Homes> {
        self.homes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn origin(&self, attempt: Attempt<'_>) -> Origin {
        let login = self.hasher.hash_one(attempt.login);
        Origin { login, network: network(attempt.ip), meant: attempt.meant }
    }

    fn keys(&self, attempt: Attempt<'_>) -> [(Key, u32); 3] {
        let (most, origin) = (self.most(), self.origin(attempt));
        [(Key::All, most.all), (Key::Net(origin.network), most.net), (Key::Login(origin.login), most.login)]
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

    fn stranger<'a>(login: &'a str, from: &str) -> Attempt<'a> {
        Attempt { login, ip: from.parse().unwrap(), meant: false }
    }

    fn fail(guesses: &Guesses, attempt: Attempt<'_>, now: Instant) {
        guesses.count(attempt, guesses.open(attempt, now), now);
    }

    #[test]
    fn a_login_a_network_and_everybody_have_so_many_guesses() {
        let (guesses, now) = (Guesses::new(MOST), Instant::now());
        let count = |login: &str, from: &str| fail(&guesses, stranger(login, from), now);
        let may_try = |login: &str, from: &str| guesses.open(stranger(login, from), now) == Open::Everybody;
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
    fn who_is_at_home_is_stopped_by_no_others_and_has_as_many_guesses_of_its_own() {
        let (guesses, now) = (Guesses::new(MOST), Instant::now());
        let home = stranger("acme", "192.0.2.1");
        guesses.remember(home, now);
        (0..2).for_each(|n| fail(&guesses, stranger("acme", &format!("203.0.{n}.1")), now));
        assert_eq!(guesses.open(home, now), Open::AtHome, "the login is shut to strangers");
        assert_eq!(guesses.open(stranger("acme", "198.51.100.1"), now), Open::Nobody);
        (0..5).for_each(|n| fail(&guesses, stranger(&format!("no{n}"), &format!("203.0.{n}.1")), now));
        assert_eq!(guesses.open(home, now), Open::AtHome, "everybody else is shut out");
        assert_eq!(guesses.open(stranger("globex", "192.0.2.1"), now), Open::Nobody);
        let neighbour = stranger("acme", "192.0.2.200");
        (0..2).for_each(|_| guesses.count(neighbour, Open::AtHome, now));
        assert_eq!(guesses.open(home, now), Open::Nobody, "there too are only so many guesses");
    }

    #[test]
    fn who_is_named_by_the_networks_of_the_login_is_at_home_from_the_first() {
        let (guesses, now) = (Guesses::new(MOST), Instant::now());
        let meant = Attempt { meant: true, ..stranger("acme", "192.0.2.1") };
        (0..2).for_each(|n| fail(&guesses, stranger("acme", &format!("203.0.{n}.1")), now));
        assert_eq!(guesses.open(meant, now), Open::AtHome);
        (0..2).for_each(|_| fail(&guesses, meant, now));
        assert_eq!(guesses.open(meant, now), Open::Nobody);
    }

    #[test]
    fn a_network_that_is_shut_is_shut_to_who_is_at_home_there() {
        let (guesses, now) = (Guesses::new(MOST), Instant::now());
        let home = stranger("acme", "192.0.2.1");
        guesses.remember(home, now);
        (0..4).for_each(|n| fail(&guesses, stranger(&format!("no{n}"), "192.0.2.9"), now));
        assert_eq!(guesses.open(home, now), Open::Nobody);
    }

    /// What strangers see of `acme`, which is at home in two ways, they see of a login that does not exist.
    #[test]
    fn home_changes_nothing_that_a_wrong_secret_can_see() {
        let (real, none, now) = (Guesses::new(MOST), Guesses::new(MOST), Instant::now());
        real.remember(stranger("acme", "192.0.2.1"), now);
        let from = ["203.0.1.1", "192.0.2.7", "192.0.2.8", "198.51.100.1", "192.0.2.9"];
        for (n, from) in from.iter().cycle().take(15).enumerate() {
            let login = if n % 3 == 0 { format!("other{n}") } else { "acme".to_owned() };
            let attempt = stranger(&login, from);
            let meant = Attempt { meant: login == "acme" && from.starts_with("198"), ..attempt };
            let shut = |open: Open| open != Open::Everybody;
            assert_eq!(shut(real.open(meant, now)), shut(none.open(attempt, now)), "guess {n}");
            for (guesses, attempt) in [(&real, meant), (&none, attempt)] {
                let open = guesses.open(attempt, now);
                if open != Open::Nobody {
                    guesses.count(attempt, open, now);
                }
            }
        }
    }

    #[test]
    fn failures_are_forgotten_when_the_window_has_passed_them() {
        let (guesses, began) = (Guesses::new(MOST), Instant::now());
        let at = |seconds| began + Duration::from_secs(seconds);
        let here = stranger("acme", "2001:db8::1");
        let may_try = |seconds| guesses.open(here, at(seconds)) == Open::Everybody;
        fail(&guesses, here, at(0));
        fail(&guesses, stranger("acme", "2001:db8:0:ffff::2"), at(300));
        assert!(!may_try(300));
        assert!(may_try(661), "the first is over, the second is not");
        fail(&guesses, here, at(661));
        assert!(!may_try(661));
        assert!(may_try(6000));
    }

    #[test]
    fn no_flood_of_names_makes_the_table_grow_without_end() {
        let (guesses, now) = (Guesses::new(MOST), Instant::now());
        (0..MOST_KEYS + 100).for_each(|n| {
            guesses.count(stranger(&n.to_string(), "192.0.2.1"), Open::Everybody, now);
        });
        assert!(guesses.failed.lock().unwrap().len() <= MOST_KEYS);
    }
}
