//! Recorded: the proof that a ruling is in the ledger, or owed to it.
//! `Ledger::record` and `Ledger::owe` make it; it gives a permit for what the ruling allows.

use std::marker::PhantomData;

use countersign_core::about::About;
use countersign_core::ids::Ref;
use countersign_core::policy::Ruling;

use super::permit::{Act, Deny, Permit};

/// A ruling that is recorded. `S` says how well: [`Durable`] or [`Owed`].
#[derive(Debug)]
pub struct Recorded<S> {
    ruling: Box<Ruling>,
    state: PhantomData<S>,
}

/// The leaf was on disk before this was made.
#[derive(Debug)]
pub enum Durable {}

/// The leaf will be written when the store writes again.
#[derive(Debug)]
pub enum Owed {}

impl<S> Recorded<S> {
    pub(super) fn new(ruling: Box<Ruling>) -> Self {
        Self { ruling, state: PhantomData }
    }

    /// The ruling.
    #[must_use]
    pub fn ruling(&self) -> &Ruling {
        &self.ruling
    }

    /// Its id.
    #[must_use]
    pub fn reference(&self) -> Ref {
        self.ruling.reference()
    }

    fn exchange<A: Act>(self, about: &About) -> Result<Permit<A>, (Self, Mismatch)> {
        if self.ruling.about() != about {
            return Err((self, Mismatch::About));
        }
        match A::fits(&self.ruling) {
            true => Ok(Permit::new(self.ruling)),
            false => Err((self, Mismatch::Decision)),
        }
    }
}

impl Recorded<Durable> {
    /// The permit for an act about exactly this message or command. Whoever got it has used the record up;
    /// whoever did not gets it back.
    pub fn permit<A: Act>(self, about: &About) -> Result<Permit<A>, (Self, Mismatch)> {
        self.exchange(about)
    }
}

impl Recorded<Owed> {
    /// As for a durable record, but only for acts that let nothing pass.
    pub fn permit<A: Deny>(self, about: &About) -> Result<Permit<A>, (Self, Mismatch)> {
        self.exchange(about)
    }
}

/// Why a recorded ruling does not permit an act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// It is about another message, other recipients or another command.
    #[error("the ruling is about another message, other recipients or another command")]
    About,
    /// It decided otherwise.
    #[error("the ruling does not allow this act")]
    Decision,
}
