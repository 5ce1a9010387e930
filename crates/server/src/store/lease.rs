//! A lease: who works on a due row, and until when nobody else does. And how long to wait after a failure.
//! `jobs` and `outbox` take rows with one.

use jiff::{SignedDuration, Timestamp};

/// The lease of one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The process that works.
    pub by: String,
    /// Until when. Afterwards another one may take the row: this one has died.
    pub until: Timestamp,
}

impl Lease {
    /// A lease of a process.
    #[must_use]
    pub fn of(by: &str, until: Timestamp) -> Self {
        Self { by: by.to_owned(), until }
    }
}

/// How long to wait after so many failed attempts: 1 minute, doubled up to 1 hour, and up to a quarter more
/// as `jitter` (0 to 65,535) says, so that what failed together is not tried again together.
#[must_use]
pub fn back_off(attempts: u32, jitter: u16) -> SignedDuration {
    let doublings = attempts.saturating_sub(1).min(6);
    let seconds = (60_i64 << doublings).min(3600);
    SignedDuration::from_millis(seconds * 1000 + seconds * 250 * i64::from(jitter) / i64::from(u16::MAX))
}

/// A time after another, as far as times go.
#[must_use]
pub fn later(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.checked_add(by).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_doubles_from_a_minute_to_an_hour() {
        let minutes: Vec<i64> = (0..9).map(|attempts| back_off(attempts, 0).as_secs() / 60).collect();
        assert_eq!(minutes, [1, 1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(back_off(u32::MAX, 0).as_secs(), 3600);
    }

    #[test]
    fn chance_adds_at_most_a_quarter() {
        assert_eq!(back_off(1, u16::MAX).as_secs(), 75);
        assert_eq!(back_off(9, u16::MAX).as_secs(), 4500);
        assert!(back_off(3, 100) > back_off(3, 0));
    }
}
