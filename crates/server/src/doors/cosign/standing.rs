//! How each witness stands to our log, for those who ask how we are.
//! The cosigner writes it, and tells the log when it changes.

use std::sync::{Mutex, PoisonError};

use countersign_core::ledger::KeyName;

/// How a witness stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The name of its key.
    pub name: String,
    /// Its address.
    pub url: String,
    /// How many leaves it has cosigned, as far as this process knows.
    pub cosigned: u64,
    /// How many are signed and not cosigned by it.
    pub behind: u64,
    pub state: State,
}

/// What came of asking it last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It was not asked yet.
    Unasked,
    /// It cosigned.
    Cosigns,
    /// It gives no answer.
    Silent(String),
    /// It does not cosign, or what it says is of no use.
    Refuses(String),
    /// It knows the log otherwise.
    Disputes(String),
}

impl State {
    /// As /readyz says it.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Unasked => "unasked",
            Self::Cosigns => "cosigns",
            Self::Silent(_) => "silent",
            Self::Refuses(_) => "refuses",
            Self::Disputes(_) => "disputes",
        }
    }

    /// Why it does not cosign.
    #[must_use]
    pub fn why(&self) -> Option<&str> {
        match self {
            Self::Unasked | Self::Cosigns => None,
            Self::Silent(why) | Self::Refuses(why) | Self::Disputes(why) => Some(why),
        }
    }
}

/// All of them, in the order of the configuration.
pub(super) struct Standings(Mutex<Vec<Standing>>);

impl Standings {
    pub(super) fn of<'a>(witnesses: impl Iterator<Item = (&'a KeyName, &'a String)>) -> Self {
        let standing = |(name, url): (&KeyName, &String)| Standing {
            name: name.to_string(),
            url: url.clone(),
            cosigned: 0,
            behind: 0,
            state: State::Unasked,
        };
        Self(Mutex::new(witnesses.map(standing).collect()))
    }

    pub(super) fn read(&self, signed: u64) -> Vec<Standing> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        all.into_iter().map(|one| Standing { behind: signed.saturating_sub(one.cosigned), ..one }).collect()
    }

    pub(super) fn cosigned(&self, place: usize, size: u64) {
        self.change(place, |standing| {
            standing.cosigned = size;
            if standing.state != State::Cosigns {
                let (witness, url) = (&standing.name, &standing.url);
                tracing::info!(witness, url, size, "a witness cosigns the checkpoints of our log");
            }
            standing.state = State::Cosigns;
        });
    }

    pub(super) fn fell(&self, place: usize, state: State) {
        self.change(place, |standing| {
            // Once for each change: what it says may differ from try to try.
            if standing.state.word() != state.word() {
                let (witness, url, why) = (&standing.name, &standing.url, state.why());
                tracing::warn!(witness, url, why, "a witness does not cosign the checkpoints of our log");
            }
            standing.state = state;
        });
    }

    fn change(&self, place: usize, change: impl FnOnce(&mut Standing)) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(standing) = all.get_mut(place) {
            change(standing);
        }
    }
}
