//! Admission: how many connections stand for an address and for its network.
//! The listener asks before it greets.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use super::Connections;

/// Counts connections; a place is given back when it is dropped.
#[derive(Clone)]
pub(super) struct Admission {
    most: Connections,
    standing: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// One connection's place.
pub(super) struct Place {
    admission: Admission,
    ip: IpAddr,
}

impl Admission {
    pub(super) fn new(most: Connections) -> Self {
        Self { most, standing: Arc::default() }
    }

    /// A place for one more connection, if the address and its network (/24, /64) have one left.
    pub(super) fn admit(&self, ip: IpAddr) -> Option<Place> {
        let mut standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        let count = |key: &IpAddr| standing.get(key).copied().unwrap_or(0);
        if count(&ip) >= self.most.per_ip || count(&network(ip)) >= self.most.per_net {
            return None;
        }
        *standing.entry(ip).or_default() += 1;
        *standing.entry(network(ip)).or_default() += 1;
        Some(Place { admission: self.clone(), ip })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut standing = self.admission.standing.lock().unwrap_or_else(PoisonError::into_inner);
        for key in [self.ip, network(self.ip)] {
            if let Some(count) = standing.get_mut(&key) {
                *count = count.saturating_sub(1);
                if *count == 0 {
                    standing.remove(&key);
                }
            }
        }
    }
}

/// The network as its last address, so that it is never a host's key: .255 and ::ffff:ffff:ffff:ffff.
fn network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(v4) => Ipv4Addr::from_bits(v4.to_bits() | 0xff).into(),
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() | u128::from(u64::MAX)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_and_its_network_have_so_many_places() {
        let admission = Admission::new(Connections { per_ip: 1, per_net: 2 });
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let first = admission.admit(ip("192.0.2.1"));
        assert!(first.is_some() && admission.admit(ip("192.0.2.1")).is_none());
        let _second = admission.admit(ip("192.0.2.2")).unwrap();
        assert!(admission.admit(ip("192.0.2.3")).is_none(), "the network is full");
        drop(first);
        assert!(admission.admit(ip("192.0.2.3")).is_some());
    }
}
