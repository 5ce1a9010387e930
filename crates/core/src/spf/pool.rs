//! SPF for every address of a pool at once: the worst result counts, and the first address with it is named.
//! The SPF probe of the send gate calls it.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::answers::{Answers, Query};
use super::check::{Detail, Identity, Outcome, Progress, SpfResult, Step, check_host, replay};

/// Addresses of a pool whose answers differ by address (`%{i}`, `exists`, ...) are asked for at most this
/// many.
pub const MAX_ASKED_ADDRESSES: usize = 32;

/// What a call of [`pool`] leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PoolStep {
    /// These answers are missing, as in [`Step::Ask`].
    Ask(Vec<Query>),
    /// Every address is evaluated.
    Done(PoolOutcome),
    /// The record depends on the address, and the pool has more than [`MAX_ASKED_ADDRESSES`]: nothing is
    /// known.
    Budget,
    /// The pool has no address: nothing is known.
    NoAddress,
}

/// The result of a pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolOutcome {
    /// The first address, in the order given, with the worst result.
    pub address: IpAddr,
    /// The outcome of that address. Its `good_for` is the shortest of all addresses; its `per_address`,
    /// `per_sender` and `authorises_everyone` are set when they are for any address.
    pub outcome: Outcome,
}

/// Evaluates all addresses of a pool for one identity. The worst result wins: temperror, permerror, fail,
/// softfail, neutral, none, pass.
#[must_use]
pub fn pool(addresses: &[IpAddr], identity: &Identity<'_>, answers: &Answers) -> PoolStep {
    let mut missing = BTreeSet::new();
    let mut sum = Sum::default();
    for &ip in addresses {
        match replay(ip, identity, answers, Detail::Result) {
            Progress::Missing { queries, per_address } => {
                missing.extend(queries);
                sum.per_address |= per_address;
            }
            Progress::Done(outcome) => sum.add(ip, &outcome),
        }
        if sum.per_address && addresses.len() > MAX_ASKED_ADDRESSES {
            return PoolStep::Budget;
        }
    }
    if !missing.is_empty() {
        return PoolStep::Ask(missing.into_iter().collect());
    }
    let Some((address, _)) = sum.worst else { return PoolStep::NoAddress };
    // Only the address that is named needs its explanation and trace.
    match check_host(address, identity, answers) {
        Step::Ask(queries) => PoolStep::Ask(queries),
        Step::Done(outcome) => PoolStep::Done(PoolOutcome { address, outcome: sum.spread(outcome) }),
    }
}

/// What is known of all addresses together.
#[derive(Default)]
struct Sum {
    worst: Option<(IpAddr, SpfResult)>,
    good_for: Option<u32>,
    per_address: bool,
    per_sender: bool,
    everyone: bool,
}

impl Sum {
    fn add(&mut self, ip: IpAddr, outcome: &Outcome) {
        if self.worst.is_none_or(|(_, worst)| outcome.result > worst) {
            self.worst = Some((ip, outcome.result));
        }
        self.good_for =
            Some(self.good_for.map_or(outcome.good_for, |good_for| good_for.min(outcome.good_for)));
        self.per_address |= outcome.per_address;
        self.per_sender |= outcome.per_sender;
        self.everyone |= outcome.authorises_everyone;
    }

    fn spread(&self, outcome: Outcome) -> Outcome {
        Outcome {
            good_for: self.good_for.unwrap_or(outcome.good_for),
            per_address: self.per_address,
            per_sender: self.per_sender,
            authorises_everyone: self.everyone,
            ..outcome
        }
    }
}
