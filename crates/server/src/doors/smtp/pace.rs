//! Pace: how fast a message comes, measured in windows.
//! `lines` asks it while it waits for octets of a message.

use std::time::Duration;

use tokio::time::Instant;

/// Octets of one message since the window began.
#[derive(Debug)]
pub(in crate::doors) struct Pace {
    /// Octets a second; 0 is any.
    least: u64,
    since: Instant,
    octets: u64,
}

impl Pace {
    pub(in crate::doors) const fn new(least: u64, now: Instant) -> Self {
        Self { least, since: now, octets: 0 }
    }

    pub(in crate::doors) const fn came(&mut self, octets: usize) {
        self.octets = self.octets.saturating_add(octets as u64);
    }

    /// When it has to be asked again.
    pub(in crate::doors) fn until(&self) -> Option<Instant> {
        (self.least > 0).then(|| self.since + WINDOW)
    }

    /// Whether a whole window was too slow. Then, and after every whole window, a new one begins.
    pub(in crate::doors) fn is_too_slow(&mut self, now: Instant) -> bool {
        let elapsed = now.duration_since(self.since);
        if self.least == 0 || elapsed < WINDOW {
            return false;
        }
        let needed = u128::from(self.least).saturating_mul(elapsed.as_millis()) / 1000;
        let slow = u128::from(self.octets) < needed;
        *self = Self::new(self.least, now);
        slow
    }
}

const WINDOW: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_window_is_measured_by_itself() {
        let began = Instant::now();
        let at = |seconds| began + Duration::from_secs(seconds);
        let mut pace = Pace::new(100, began);
        pace.came(1_000_000);
        assert!(!pace.is_too_slow(at(10)));
        pace.came(999);
        assert!(!pace.is_too_slow(at(19)), "the window is not over");
        assert!(pace.is_too_slow(at(20)));
        let mut any = Pace::new(0, began);
        assert!(!any.is_too_slow(at(1000)) && any.until().is_none());
    }
}
