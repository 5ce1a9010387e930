//! Guesses: failed sign-ins of the last while, by login, by network and altogether; and who is at home, whom
//! the failures of others do not stop. AUTH asks before a secret is looked at, and before its answer is told.
//! What is counted is shared with other nodes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::store::Shared;
use crate::store::shared::{Cap, Name};

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
/// INVARIANT: what a wrong secret hears depends on the counters of the login, the network and everybody alone, and
/// these are the same whether there is such a login, and where it is at home. Home makes a difference for the right
/// secret only.
#[derive(Clone)]
pub(in crate::doors) struct Guesses {
    most: Arc<Mutex<MostGuesses>>,
    shared: Shared,
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

impl Guesses {
    pub(super) fn new(most: MostGuesses, shared: Shared) -> Self {
        Self { most: Arc::new(Mutex::new(most)), shared }
    }

    /// Other limits from now on. Another window makes what was counted older or younger than it is.
    pub(super) fn adopt(&self, most: MostGuesses) {
        *self.most.lock().unwrap_or_else(PoisonError::into_inner) = most;
    }

    fn most(&self) -> MostGuesses {
        *self.most.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a sign-in may be looked at now.
    pub(in crate::doors) async fn open(&self, attempt: Attempt<'_>, now: Instant) -> Open {
        self.count(attempt, 0, now).await
    }

    /// A sign-in has failed: it counts for everybody, or, while strangers are stopped, only where its login is at
    /// home. One beyond the limit counts nowhere, and nobody may tell its answer.
    pub(in crate::doors) async fn failed(&self, attempt: Attempt<'_>, now: Instant) -> Open {
        self.count(attempt, 1, now).await
    }

    async fn count(&self, attempt: Attempt<'_>, by: u32, now: Instant) -> Open {
        let (most, here) = (self.most(), self.here(attempt, now));
        let cap = |name, most: u32| Cap { name, most: u64::from(most) };
        let caps = [
            cap(self.shared.name("guess-all", ""), most.all),
            cap(self.shared.name("guess-network", &network(attempt.ip).to_string()), most.net),
            cap(self.shared.name("guess-login", attempt.login), most.login),
            Cap { name: here, most: u64::MAX },
        ];
        let tally = self.shared.add(&caps, by, most.window, now).await;
        if tally.fits {
            return Open::Everybody;
        }
        let network_has_room = tally.has_room(NETWORK);
        // What cannot be counted is not let pass.
        if !network_has_room || !tally.counted || !self.is_home(attempt, now).await {
            return Open::Nobody;
        }
        match self.shared.add(&[cap(here, most.login)], by, most.window, now).await.fits {
            true => Open::AtHome,
            false => Open::Nobody,
        }
    }

    /// Somebody has signed in: from that network the login is at home.
    pub(in crate::doors) fn remember(&self, attempt: Attempt<'_>, now: Instant) {
        self.shared.mark(self.home(attempt), KNOWN, now);
    }

    async fn is_home(&self, attempt: Attempt<'_>, now: Instant) -> bool {
        // Both are asked in any case: how long it takes tells nothing of the login.
        self.shared.is_marked(self.home(attempt), now).await | attempt.meant
    }

    /// The counter of what fails at home: of each network from which the login is known, and one for all that it is
    /// meant to come from.
    fn here(&self, attempt: Attempt<'_>, now: Instant) -> Name {
        match attempt.meant && !self.shared.knows_mark(self.home(attempt), now) {
            true => self.shared.name("guess-meant", attempt.login),
            false => self.shared.name("guess-home", &from(attempt)),
        }
    }

    fn home(&self, attempt: Attempt<'_>) -> Name {
        self.shared.name("home", &from(attempt))
    }
}

/// The network first: a login may be any text.
fn from(attempt: Attempt<'_>) -> String {
    format!("{} {}", network(attempt.ip), attempt.login)
}

/// Its /24 or /48.
fn network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(v4) => Ipv4Addr::from_bits(v4.to_bits() & !0xff).into(),
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 80 << 80).into(),
    }
}

/// The place of the network among the counters.
const NETWORK: usize = 1;
const KNOWN: Duration = Duration::from_secs(30 * 24 * 3600);

#[cfg(test)]
mod tests;
