//! Capacity: what all SMTP listeners share and may run out of: sessions, octets in flight, disk, patience
//! with guesses. Boot makes one; doors ask it.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use metrics::Gauge;
use tokio::sync::watch;
use tokio::time::Instant;

use super::admission::{Admission, Connections};
use super::guesses::{Guesses, MostGuesses};
use crate::store::Shared;

/// How much there is of everything.
#[derive(Debug, Clone)]
pub struct CapacitySettings {
    pub connections: Connections,
    /// Octets of all messages that are being received or judged.
    pub bytes_in_flight: u64,
    pub guesses: MostGuesses,
    /// The directory on whose volume held mail is kept.
    pub data_dir: PathBuf,
}

/// What the doors share. Cheap to clone.
#[derive(Clone)]
pub struct Capacity {
    pub(in crate::doors) admission: Admission,
    pub(in crate::doors) budget: Budget,
    pub(in crate::doors) guesses: Guesses,
    pub(super) volume: Volume,
    pub(super) stress: Stress,
}

impl Capacity {
    /// Everything is free. Guesses are counted together with other nodes.
    #[must_use]
    pub fn new(settings: CapacitySettings, shared: Shared) -> Self {
        let stress = Stress::new();
        Self {
            admission: Admission::new(settings.connections, stress.clone()),
            budget: Budget::new(settings.bytes_in_flight, stress.clone()),
            guesses: Guesses::new(settings.guesses, shared),
            volume: Volume { data_dir: settings.data_dir, seen: Arc::default() },
            stress,
        }
    }
}

impl Capacity {
    /// Other limits from now on. Nobody who stands is sent away, and nothing that is counted is forgotten.
    pub fn adopt(&self, connections: Connections, bytes_in_flight: u64, guesses: MostGuesses) {
        self.admission.adopt(connections);
        self.budget.most.store(bytes_in_flight, Ordering::Relaxed);
        self.budget.weigh();
        self.guesses.adopt(guesses);
    }
}

/// Whether so much is in use that newcomers have to wait: from eight tenths on, until it is less than seven.
#[derive(Clone)]
pub(super) struct Stress {
    sessions: Arc<watch::Sender<bool>>,
    octets: Arc<watch::Sender<bool>>,
    on: Arc<watch::Sender<bool>>,
    gauge: Gauge,
}

impl Stress {
    pub(super) fn new() -> Self {
        let off = || Arc::new(watch::Sender::new(false));
        let gauge = metrics::gauge!("countersign_stress");
        gauge.set(0.0);
        Self { sessions: off(), octets: off(), on: off(), gauge }
    }

    pub(super) fn is_on(&self) -> bool {
        *self.on.borrow()
    }

    /// Tells when it begins and ends.
    pub(super) fn watch(&self) -> watch::Receiver<bool> {
        self.on.subscribe()
    }

    pub(super) fn sessions(&self, standing: usize, most: usize) {
        self.weigh(&self.sessions, || standing as u64, most as u64);
    }

    fn octets(&self, taken: &AtomicU64, most: u64) {
        self.weigh(&self.octets, || taken.load(Ordering::Relaxed), most);
    }

    /// INVARIANT: what is in use is read under the lock of what is set by it, here and below: whoever is the
    /// last to set it has seen the latest.
    fn weigh(&self, cause: &watch::Sender<bool>, used: impl Fn() -> u64, most: u64) {
        let changed = cause.send_if_modified(|on| {
            let tenths = used().saturating_mul(10) / most.max(1);
            let before = std::mem::replace(on, if *on { tenths >= 7 } else { tenths >= 8 });
            before != *on
        });
        if !changed {
            return;
        }
        self.on.send_if_modified(|on| {
            let now = *self.sessions.borrow() || *self.octets.borrow();
            if *on != now {
                tracing::warn!(
                    stress = now,
                    "newcomers {}",
                    if now { "have to wait" } else { "are welcome" }
                );
                self.gauge.set(if now { 1.0 } else { 0.0 });
            }
            std::mem::replace(on, now) != now
        });
    }
}

/// Octets that messages may take up together while they are received and judged.
#[derive(Clone)]
pub(in crate::doors) struct Budget {
    most: Arc<AtomicU64>,
    taken: Arc<AtomicU64>,
    stress: Stress,
    gauge: Gauge,
}

/// What one message has taken; given back when it is dropped.
pub(in crate::doors) struct Share {
    budget: Budget,
    taken: u64,
}

impl Budget {
    fn new(most: u64, stress: Stress) -> Self {
        let gauge = metrics::gauge!("countersign_bytes_in_flight");
        gauge.set(0.0);
        Self { most: Arc::new(AtomicU64::new(most)), taken: Arc::default(), stress, gauge }
    }

    /// Whether so many octets are free now.
    pub(super) fn has(&self, octets: u64) -> bool {
        self.taken.load(Ordering::Relaxed).saturating_add(octets) <= self.most.load(Ordering::Relaxed)
    }

    /// A share of nothing yet.
    pub(in crate::doors) fn share(&self) -> Share {
        Share { budget: self.clone(), taken: 0 }
    }

    fn change(&self, by: impl Fn(u64) -> Option<u64>) -> bool {
        let changed = self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, by).is_ok();
        if changed {
            self.weigh();
        }
        changed
    }

    fn weigh(&self) {
        let taken = self.taken.load(Ordering::Relaxed);
        self.stress.octets(&self.taken, self.most.load(Ordering::Relaxed));
        #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
        self.gauge.set(taken as f64);
    }
}

impl Share {
    /// Makes it so many octets, if there is room.
    pub(in crate::doors) fn grow_to(&mut self, octets: u64) -> bool {
        let Some(more) = octets.checked_sub(self.taken).filter(|more| *more > 0) else { return true };
        let most = self.budget.most.load(Ordering::Relaxed);
        let grown = self.budget.change(|taken| taken.checked_add(more).filter(|whole| *whole <= most));
        if grown {
            self.taken = octets;
        }
        grown
    }

    /// Gives everything back.
    pub(super) fn give_back(&mut self) {
        let back = std::mem::take(&mut self.taken);
        if back > 0 {
            self.budget.change(|taken| Some(taken.saturating_sub(back)));
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.give_back();
    }
}

/// The volume on which held mail is kept. It is asked once a second at most.
#[derive(Clone)]
pub(super) struct Volume {
    data_dir: PathBuf,
    seen: Arc<Mutex<Option<(Instant, u64)>>>,
}

impl Volume {
    /// Whether so many octets are free. A volume that cannot be asked has room: writing will tell.
    pub(super) fn has(&self, octets: u64) -> bool {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = seen.filter(|(at, _)| at.elapsed() < SEEN);
        let (_, free) = *seen.insert(fresh.unwrap_or_else(|| (Instant::now(), self.free())));
        free >= octets
    }

    fn free(&self) -> u64 {
        match rustix::fs::statvfs(&self.data_dir) {
            Ok(volume) => volume.f_bavail.saturating_mul(volume.f_frsize),
            Err(error) => {
                tracing::error!(%error, "the volume of `data_dir` cannot be asked how much is free");
                u64::MAX
            }
        }
    }
}

const SEEN: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::super::guesses::{Attempt, Open};
    use super::*;

    #[test]
    fn what_is_taken_is_given_back_and_never_exceeds_the_budget() {
        let budget = Budget::new(100, Stress::new());
        let (mut one, mut two) = (budget.share(), budget.share());
        assert!(one.grow_to(60) && two.grow_to(40) && !one.grow_to(61));
        assert!(one.grow_to(50), "a share never shrinks by growing");
        drop(two);
        assert!(budget.has(40) && !budget.has(41));
        assert!(one.grow_to(100));
        one.give_back();
        assert!(budget.has(100));
    }

    #[test]
    fn stress_begins_at_eight_tenths_of_the_octets_and_ends_below_seven() {
        let stress = Stress::new();
        let budget = Budget::new(100, stress.clone());
        let (mut one, mut two) = (budget.share(), budget.share());
        assert!(one.grow_to(70) && !stress.is_on());
        assert!(two.grow_to(10) && stress.is_on());
        drop(two);
        assert!(stress.is_on(), "seven tenths are still taken");
        drop(one);
        assert!(!stress.is_on());
    }

    #[tokio::test]
    async fn other_limits_hold_for_what_is_under_way_too() {
        let connections = |all| Connections { per_ip: 10, per_net: 10, all };
        let guesses = |login| MostGuesses { login, net: 10, all: 10, window: Duration::from_secs(60) };
        let settings = CapacitySettings {
            connections: connections(100),
            bytes_in_flight: 100,
            guesses: guesses(2),
            data_dir: PathBuf::from("/"),
        };
        let capacity = Capacity::new(settings, Shared::memory());
        let here = std::net::IpAddr::from([192, 0, 2, 1]);
        let _place = capacity.admission.admit(here, false).unwrap();
        let mut share = capacity.budget.share();
        assert!(share.grow_to(60));
        let attempt = Attempt { login: "acme", ip: here, meant: false };
        assert_eq!(capacity.guesses.failed(attempt, Instant::now()).await, Open::Everybody);

        capacity.adopt(connections(1), 50, guesses(1));
        assert!(capacity.admission.admit(here, true).is_err());
        assert!(!share.grow_to(61) && !capacity.budget.has(1) && capacity.stress.is_on());
        assert_eq!(capacity.guesses.open(attempt, Instant::now()).await, Open::Nobody);
    }

    #[test]
    fn a_volume_has_what_is_free_and_no_more() {
        let volume = Volume { data_dir: PathBuf::from("/"), seen: Arc::default() };
        assert!(volume.has(0) && !volume.has(u64::MAX));
        let nowhere = Volume { data_dir: PathBuf::from("/no/such/directory"), seen: Arc::default() };
        assert!(nowhere.has(1 << 40), "who cannot be asked is tried");
    }
}
