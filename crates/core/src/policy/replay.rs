//! A replay: what policies say about recorded facts.
//! `Rules::replay` makes it. It is no ruling: it has no ref, is not recorded, and gives no permit.

use super::ruling::{Decision, How};

/// What policies would decide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replay {
    /// The decision.
    pub decision: Decision,
    /// How it would be held.
    pub how: Option<How>,
    /// The code of each reason and the policy that gave it, worst first.
    pub reasons: Vec<(&'static str, String)>,
}

impl Replay {
    /// The codes of its reasons, worst first.
    #[must_use]
    pub fn codes(&self) -> Vec<&'static str> {
        self.reasons.iter().map(|(code, _)| *code).collect()
    }
}
