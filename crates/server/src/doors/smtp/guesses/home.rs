//! Home: the networks from which a login has signed in, or is meant to, each with failures of its own.
//! `Guesses` asks it when strangers are stopped. Only logins that exist have an entry.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use tokio::time::Instant;

use super::Slots;

/// Homes by login.
#[derive(Debug, Default)]
pub(super) struct Homes(HashMap<u64, Home>);

/// Where a sign-in comes from, as its login sees it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Origin {
    /// The login's keyed hash.
    pub(super) login: u64,
    /// The /24 or /48.
    pub(super) network: IpAddr,
    /// Whether the login's networks and its account's name the address.
    pub(super) meant: bool,
}

#[derive(Debug, Default)]
struct Home {
    /// The one that signed in last stands last.
    known: Vec<Known>,
    /// Failures from the networks that are meant, but from which nobody has signed in yet.
    meant: Option<Slots>,
}

#[derive(Debug)]
struct Known {
    network: IpAddr,
    at: Instant,
    failed: Slots,
}

impl Homes {
    /// The login has signed in from there. What failed there stays counted.
    pub(super) fn remember(&mut self, origin: Origin, now: Instant) {
        let Some(home) = self.entry(origin.login, now) else { return };
        let known = home.known.iter().position(|known| known.network == origin.network);
        let failed = known.map_or_else(|| Slots::new(now), |place| home.known.remove(place).failed);
        if home.known.len() >= MOST_NETWORKS {
            home.known.remove(0);
        }
        home.known.push(Known { network: origin.network, at: now, failed });
    }

    /// How many sign-ins have failed; `None` when the login is not at home there.
    pub(super) fn failures(&mut self, origin: Origin, now: Instant, slot: Duration) -> Option<u32> {
        match self.0.get_mut(&origin.login).and_then(|home| home.failed(origin, now)) {
            Some(failed) => Some(failed.sum(now, slot)),
            None if origin.meant => self.entry(origin.login, now).map(|_| 0),
            None => None,
        }
    }

    /// Counts a failure, if the login is at home there.
    pub(super) fn count(&mut self, origin: Origin, now: Instant, slot: Duration) {
        if origin.meant
            && let Some(home) = self.entry(origin.login, now)
        {
            home.meant.get_or_insert_with(|| Slots::new(now));
        }
        if let Some(failed) = self.0.get_mut(&origin.login).and_then(|home| home.failed(origin, now)) {
            failed.add(now, slot);
        }
    }

    /// The home of a login; none when there are too many, and then nobody new is at home.
    fn entry(&mut self, login: u64, now: Instant) -> Option<&mut Home> {
        if self.0.len() >= MOST_LOGINS && !self.0.contains_key(&login) {
            self.0.retain(|_, home| home.known.iter().any(|known| known.is_fresh(now)));
            if self.0.len() >= MOST_LOGINS {
                return None;
            }
        }
        Some(self.0.entry(login).or_default())
    }
}

impl Home {
    fn failed(&mut self, origin: Origin, now: Instant) -> Option<&mut Slots> {
        let known = self.known.iter_mut().find(|known| known.network == origin.network);
        match known.filter(|known| known.is_fresh(now)) {
            Some(known) => Some(&mut known.failed),
            None => self.meant.as_mut().filter(|_| origin.meant),
        }
    }
}

impl Known {
    fn is_fresh(&self, now: Instant) -> bool {
        now.duration_since(self.at) < KNOWN
    }
}

const KNOWN: Duration = Duration::from_secs(30 * 24 * 3600);
const MOST_NETWORKS: usize = 16;
const MOST_LOGINS: usize = 100_000;

#[cfg(test)]
mod tests {
    use super::*;

    const SLOT: Duration = Duration::from_secs(60);

    fn origin(login: u64, network: [u8; 4], meant: bool) -> Origin {
        Origin { login, network: network.into(), meant }
    }

    #[test]
    fn a_login_is_at_home_where_it_signed_in_for_thirty_days() {
        let (mut homes, now) = (Homes::default(), Instant::now());
        let here = origin(1, [192, 0, 2, 0], false);
        assert_eq!(homes.failures(here, now, SLOT), None);
        homes.remember(here, now);
        homes.count(here, now, SLOT);
        homes.count(origin(1, [198, 51, 100, 0], false), now, SLOT);
        assert_eq!(homes.failures(here, now, SLOT), Some(1));
        homes.remember(here, now);
        assert_eq!(homes.failures(here, now, SLOT), Some(1), "a success makes no room for more guesses");
        assert_eq!(homes.failures(origin(2, [192, 0, 2, 0], false), now, SLOT), None, "another login");
        let day = |days: u64| now + Duration::from_secs(days * 24 * 3600);
        assert_eq!(homes.failures(here, day(29), SLOT), Some(0));
        assert_eq!(homes.failures(here, day(30), SLOT), None);
    }

    #[test]
    fn networks_that_are_meant_share_their_failures_until_somebody_signs_in() {
        let (mut homes, now) = (Homes::default(), Instant::now());
        let (here, there) = (origin(1, [192, 0, 2, 0], true), origin(1, [198, 51, 100, 0], true));
        homes.count(here, now, SLOT);
        assert_eq!(homes.failures(there, now, SLOT), Some(1));
        homes.remember(there, now);
        assert_eq!(homes.failures(there, now, SLOT), Some(0));
        assert_eq!(homes.failures(here, now, SLOT), Some(1));
    }

    #[test]
    fn no_customer_and_no_crowd_of_them_makes_the_table_grow_without_end() {
        let (mut homes, now) = (Homes::default(), Instant::now());
        (0..=255).for_each(|n| homes.remember(origin(1, [10, 0, n, 0], false), now));
        assert_eq!(homes.0.get(&1).unwrap().known.len(), MOST_NETWORKS);
        assert!(homes.failures(origin(1, [10, 0, 255, 0], false), now, SLOT).is_some(), "the newest stay");
        (0..MOST_LOGINS as u64 + 10)
            .for_each(|login| homes.remember(origin(login, [10, 0, 0, 0], false), now));
        assert_eq!(homes.0.len(), MOST_LOGINS);
        let new = origin(u64::MAX, [10, 0, 0, 0], true);
        assert_eq!(homes.failures(new, now, SLOT), None, "what cannot be counted is not let pass");
    }
}
