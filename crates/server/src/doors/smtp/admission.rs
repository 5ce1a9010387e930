//! Admission: how many sessions stand, for an address, for its network and altogether, and who is let in
//! when they are many. A trusted relay counts altogether only. All listeners share it; each asks before it greets.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::capacity::Stress;

/// How many sessions may stand at once.
#[derive(Debug, Clone, Copy)]
pub struct Connections {
    pub per_ip: usize,
    pub per_net: usize,
    pub all: usize,
}

/// Counts sessions; a place is given back when it is dropped.
#[derive(Clone)]
pub(in crate::doors) struct Admission {
    crowd: Arc<Mutex<Crowd>>,
    stress: Stress,
}

struct Crowd {
    most: Connections,
    all: usize,
    standing: HashMap<IpAddr, usize>,
    /// Addresses from which somebody has signed in or relayed, and when last.
    known: HashMap<IpAddr, Instant>,
}

/// One session's place.
pub(in crate::doors) struct Place {
    admission: Admission,
    ip: IpAddr,
    trusted: bool,
}

/// Why a session is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::doors) enum Full {
    /// Too many from this address.
    Address,
    /// Too many from its network.
    Network,
    /// Too many altogether, or so many that newcomers have to wait.
    House,
}

impl Admission {
    pub(super) fn new(most: Connections, stress: Stress) -> Self {
        let crowd = Crowd { most, all: 0, standing: HashMap::new(), known: HashMap::new() };
        Self { crowd: Arc::new(Mutex::new(crowd)), stress }
    }

    /// A place for one more session. Under stress only those are let in who are trusted or known. One trusted
    /// relay brings the mail of many: it is not held to what an address or network may have.
    pub(in crate::doors) fn admit(&self, ip: IpAddr, trusted: bool) -> Result<Place, Full> {
        let (ip, now) = (ip.to_canonical(), Instant::now());
        let mut crowd = self.crowd();
        let most = crowd.most;
        if !trusted && crowd.count(ip) >= most.per_ip {
            return Err(Full::Address);
        }
        if !trusted && crowd.count(network(ip)) >= most.per_net {
            return Err(Full::Network);
        }
        if crowd.all >= most.all || self.stress.is_on() && !trusted && !crowd.knows(ip, now) {
            return Err(Full::House);
        }
        crowd.change(ip, trusted, |count| count.saturating_add(1));
        if trusted {
            crowd.remember(ip, now);
        }
        self.stress.sessions(crowd.all, most.all);
        Ok(Place { admission: self.clone(), ip, trusted })
    }

    /// Somebody has signed in from this address: it is let in under stress, too.
    pub(in crate::doors) fn remember(&self, ip: IpAddr) {
        self.crowd().remember(ip.to_canonical(), Instant::now());
    }

    /// Other limits from now on.
    pub(super) fn adopt(&self, most: Connections) {
        let mut crowd = self.crowd();
        crowd.most = most;
        self.stress.sessions(crowd.all, most.all);
    }

    fn crowd(&self) -> MutexGuard<'_, Crowd> {
        self.crowd.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Crowd {
    fn count(&self, key: IpAddr) -> usize {
        self.standing.get(&key).copied().unwrap_or(0)
    }

    fn change(&mut self, ip: IpAddr, trusted: bool, by: impl Fn(usize) -> usize) {
        self.all = by(self.all);
        if trusted {
            return;
        }
        for key in [ip, network(ip)] {
            match by(self.count(key)) {
                0 => self.standing.remove(&key),
                count => self.standing.insert(key, count),
            };
        }
    }

    fn knows(&self, ip: IpAddr, now: Instant) -> bool {
        self.known.get(&ip).is_some_and(|at| now.duration_since(*at) < KNOWN)
    }

    fn remember(&mut self, ip: IpAddr, now: Instant) {
        if self.known.len() >= MOST_KNOWN && !self.known.contains_key(&ip) {
            self.known.retain(|_, at| now.duration_since(*at) < KNOWN);
        }
        if self.known.len() < MOST_KNOWN || self.known.contains_key(&ip) {
            self.known.insert(ip, now);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut crowd = self.admission.crowd();
        crowd.change(self.ip, self.trusted, |count| count.saturating_sub(1));
        self.admission.stress.sessions(crowd.all, crowd.most.all);
    }
}

/// The network as its last address, so that it is never a host's key: .255 and ::ffff:ffff:ffff:ffff.
fn network(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(v4) => Ipv4Addr::from_bits(v4.to_bits() | 0xff).into(),
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() | u128::from(u64::MAX)).into(),
    }
}

const KNOWN: Duration = Duration::from_secs(3600);
const MOST_KNOWN: usize = 100_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_and_its_network_have_so_many_places() {
        let most = Connections { per_ip: 1, per_net: 2, all: 100 };
        let admission = Admission::new(most, Stress::new());
        let admit = |text: &str| admission.admit(ip(text), false);
        let first = admit("192.0.2.1");
        assert!(first.is_ok());
        assert_eq!(admit("192.0.2.1").err(), Some(Full::Address));
        let _second = admit("192.0.2.2").unwrap();
        assert_eq!(admit("192.0.2.3").err(), Some(Full::Network));
        drop(first);
        assert!(admit("192.0.2.3").is_ok());
        assert!(admission.crowd().standing.len() <= 2, "what nobody stands for is forgotten");
    }

    #[test]
    fn a_trusted_relay_counts_altogether_only() {
        let admission = Admission::new(Connections { per_ip: 1, per_net: 1, all: 5 }, Stress::new());
        let admit = |trusted| admission.admit(ip("192.0.2.1"), trusted);
        let places: Vec<Place> = (0..4).map(|_| admit(true).unwrap()).collect();
        let customer = admit(false).unwrap();
        assert_eq!(admit(true).err(), Some(Full::House));
        drop(places);
        assert_eq!(admit(false).err(), Some(Full::Address), "the customer still stands there");
        drop(customer);
        assert!(admit(false).is_ok());
    }

    #[test]
    fn an_ipv4_address_inside_ipv6_is_the_same_address() {
        let most = Connections { per_ip: 1, per_net: 9, all: 100 };
        let admission = Admission::new(most, Stress::new());
        let _first = admission.admit(ip("::ffff:192.0.2.1"), false).unwrap();
        assert!(admission.admit(ip("192.0.2.1"), false).is_err());
    }

    #[test]
    fn under_stress_only_who_is_known_or_trusted_is_let_in() {
        let most = Connections { per_ip: 100, per_net: 100, all: 10 };
        let admission = Admission::new(most, Stress::new());
        admission.remember(ip("192.0.2.200"));
        let mut places: Vec<Place> =
            (0..8).map(|_| admission.admit(ip("192.0.2.1"), false).unwrap()).collect();
        assert_eq!(admission.admit(ip("192.0.2.1"), false).err(), Some(Full::House), "8 of 10 stand");
        places.push(admission.admit(ip("192.0.2.200"), false).unwrap());
        places.push(admission.admit(ip("192.0.2.201"), true).unwrap());
        assert_eq!(admission.admit(ip("192.0.2.200"), true).err(), Some(Full::House), "all 10 stand");
        places.truncate(7);
        assert!(admission.admit(ip("192.0.2.1"), false).is_err(), "stress ends at seven tenths, not before");
        places.truncate(6);
        assert!(admission.admit(ip("192.0.2.1"), false).is_ok());
    }
}
