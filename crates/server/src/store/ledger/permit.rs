//! A permit: the right to do one act about one message or command, once.
//! Only a recorded ruling gives one; acts take it and nothing else.

use std::marker::PhantomData;

use countersign_core::ids::Ref;
use countersign_core::policy::{Decision, Ruling};
use countersign_core::request::{Action, Verb};

/// The right to do `A`. It cannot be copied, made by hand, or used for another act.
#[derive(Debug)]
pub struct Permit<A> {
    ruling: Box<Ruling>,
    act: PhantomData<A>,
}

impl<A> Permit<A> {
    pub(super) fn new(ruling: Box<Ruling>) -> Self {
        Self { ruling, act: PhantomData }
    }

    /// The id of the ruling that gave it.
    #[must_use]
    pub fn reference(&self) -> Ref {
        self.ruling.reference()
    }

    /// The ruling that gave it.
    #[must_use]
    pub fn ruling(&self) -> &Ruling {
        &self.ruling
    }
}

/// Something that a recorded ruling can permit. The acts are those of this file.
pub trait Act: ours::Ours {
    /// Whether a ruling permits it.
    fn fits(ruling: &Ruling) -> bool;
}

/// An act that lets nothing pass: it may go ahead when the ledger cannot write.
pub trait Deny: Act {}

/// Let a message pass.
#[derive(Debug)]
pub enum Release {}

/// Keep a message, or have its sender try again.
#[derive(Debug)]
pub enum Hold {}

/// Refuse a message.
#[derive(Debug)]
pub enum Refuse {}

/// Stop an account.
#[derive(Debug)]
pub enum Block {}

/// Carry out any other command.
#[derive(Debug)]
pub enum Command {}

impl Act for Release {
    fn fits(ruling: &Ruling) -> bool {
        let passes = matches!(ruling.action(), Action::Send | Action::Command(Verb::HeldRelease));
        passes && ruling.binding() == Decision::Allow
    }
}

impl Act for Hold {
    fn fits(ruling: &Ruling) -> bool {
        matches!(ruling.binding(), Decision::Hold | Decision::Ask)
    }
}

impl Act for Refuse {
    fn fits(ruling: &Ruling) -> bool {
        ruling.binding() == Decision::Refuse
    }
}

// Observe lets mail pass, never a command: what counts for those is the decision.
impl Act for Block {
    fn fits(ruling: &Ruling) -> bool {
        ruling.action() == Action::Command(Verb::AccountBlock) && ruling.decision() == Decision::Allow
    }
}

impl Act for Command {
    fn fits(ruling: &Ruling) -> bool {
        match ruling.action() {
            Action::Command(verb) => verb != Verb::AccountBlock && ruling.decision() == Decision::Allow,
            Action::Send => false,
        }
    }
}

impl Deny for Refuse {}
impl Deny for Block {}

/// Seals `Act`: an act from elsewhere could say that everything fits it.
mod ours {
    pub trait Ours {}

    impl Ours for super::Release {}
    impl Ours for super::Hold {}
    impl Ours for super::Refuse {}
    impl Ours for super::Block {}
    impl Ours for super::Command {}
}
