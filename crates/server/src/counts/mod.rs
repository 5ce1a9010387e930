//! Counts: how many messages a login sent today, and to how many people an account wrote for the first time.
//! The probe `limits` reads them; acts plan the writes that count an allowed message together with its leaf.

mod rows;

pub use rows::{
    count_message, count_recipients, forget_before, give_back, has_before, new_today, sent_today, strangers,
};

use countersign_core::address::EmailAddress;
use countersign_core::ids::AccountId;
use jiff::Timestamp;

use crate::store::Keys;

/// A day in UTC, counted from 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day(i64);

impl Day {
    /// The day of a time.
    #[must_use]
    pub fn of(at: Timestamp) -> Self {
        Self(at.as_second().div_euclid(86_400))
    }
}

/// A recipient without the address: a keyed pseudonym that is another one in every account.
pub type Pseudonym = [u8; 16];

/// The pseudonym of a recipient.
#[must_use]
pub fn pseudonym(keys: &Keys, account: &AccountId, recipient: &EmailAddress) -> Pseudonym {
    // RFC 5321 2.4 lets the local part differ by capitals; a person does not become another by them.
    keys.pseudonym("recipient", &format!("{account} {}", recipient.to_string().to_lowercase()))
}

/// What the finding of `limits` says to whoever counts: the caps that were compared with, and the places of
/// recipients to whom the account never wrote.
pub const LOGIN_CAP: &str = "credential_cap";
/// See [`LOGIN_CAP`].
pub const NEW_CAP: &str = "new_recipients_cap";
/// See [`LOGIN_CAP`].
pub const STRANGERS: &str = "new_recipients";
