//! The door of time and chance: the one place that asks the system's clock and draws random ids.
//! Boot hands it to whoever needs a time; what decides gets times and ids as arguments.

mod pace;

use std::sync::Arc;

use aws_lc_rs::rand;
use countersign_core::ids::Ref;
use jiff::Timestamp;

pub use pace::Pace;

/// Where times come from; tests give a fixed one.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// The machine's clock.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the door of time")]
    pub fn system() -> Self {
        Self(Arc::new(Timestamp::now))
    }

    /// Times from elsewhere.
    #[must_use]
    pub fn of(times: Arc<dyn Fn() -> Timestamp + Send + Sync>) -> Self {
        Self(times)
    }

    /// Always the same time.
    #[must_use]
    pub fn fixed(at: Timestamp) -> Self {
        Self(Arc::new(move || at))
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        (self.0)()
    }
}

impl Clock {
    /// The clock as a function.
    #[must_use]
    pub fn function(&self) -> Arc<dyn Fn() -> Timestamp + Send + Sync> {
        Arc::clone(&self.0)
    }
}

/// How far the machine's clock that is never set has run, as supervisors count.
#[must_use]
pub fn monotonic_microseconds() -> i64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec.saturating_mul(1_000_000).saturating_add(now.tv_nsec / 1000)
}

/// A new ref: 50 random bits.
///
/// # Errors
/// When the system has no randomness to give.
pub fn draw_ref() -> Result<Ref, NoRandomness> {
    let mut bytes = [0_u8; 8];
    rand::fill(&mut bytes).map_err(|_| NoRandomness)?;
    Ok(Ref::from_random(u64::from_be_bytes(bytes)))
}

/// Chance, so that what failed together is not tried again together; without randomness there is none.
#[must_use]
pub fn draw_jitter() -> u16 {
    let mut bytes = [0_u8; 2];
    match rand::fill(&mut bytes) {
        Ok(()) => u16::from_be_bytes(bytes),
        Err(_) => 0,
    }
}

/// The system gave no randomness; nothing that needs an id can go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the system gave no randomness")]
pub struct NoRandomness;
