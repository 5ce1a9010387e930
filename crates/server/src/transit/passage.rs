//! Passages in memory: which messages are being sent, in doubt, or sent and perhaps not heard.
//! What is here is what counts; the rows are for the next start.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use countersign_core::ids::{AccountId, Ref};
use countersign_core::policy::Ruling;
use countersign_core::request::Request;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::rows;
use crate::store::{Keys, Ledger, Store, StoreError, Write};

/// Every message whose sender may not know yet what became of it. Cloning shares it.
#[derive(Clone)]
pub struct Transit {
    keys: Keys,
    standing: Arc<Mutex<HashMap<Key, Standing>>>,
}

/// An account, and the keyed digest of octets, reverse path and recipients.
type Key = (AccountId, [u8; 16]);

#[derive(Debug, Clone, Copy)]
struct Standing {
    reference: Ref,
    state: State,
    at: Timestamp,
}

/// How far a message has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// The upstream may have it or not.
    Sending,
    /// It has been accepted for good, by the upstream or into custody.
    Sent,
}

/// A message on its way: what a later word about it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passage {
    account: AccountId,
    print: [u8; 16],
    reference: Ref,
}

/// What an attempt to send a message is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attempt {
    /// Nothing tells this message from a new one: it has no Message-ID, or it will not be accepted now.
    Untracked,
    /// Seen for the first time.
    First(Passage),
    /// It was tried before under this ref, and nobody knows whether the upstream has it.
    Doubtful(Passage, Ref),
    /// It was accepted before; the client lost our answer.
    Repeated(Passage),
}

impl Transit {
    /// Reads what the last run left. Messages whose sending was interrupted are in doubt, and the ledger
    /// says so; what is older than a day is forgotten.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn load(
        store: &Store,
        keys: Keys,
        ledger: &Ledger,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let oldest = now.checked_sub(REMEMBERED).unwrap_or(Timestamp::UNIX_EPOCH);
        let mut standing = HashMap::new();
        for row in rows::all(store).await? {
            let rows::Row { account, print, reference, state, at, told } = row;
            let passage = Passage { account: account.clone(), print, reference };
            if at < oldest {
                ledger.later(rows::delete(&passage));
                continue;
            }
            standing.insert((account, print), Standing { reference, state, at });
            if state == State::Sending && !told {
                let value = json!({ "ref": reference, "result": "in-doubt", "upstream": INTERRUPTED });
                let write = rows::doubt(&passage);
                if let Err(error) = ledger.outcome(reference, &passage.account, value, vec![write]).await {
                    tracing::error!(%error, "ledger.ref" = %reference, "an interrupted message is not reconciled");
                }
            }
        }
        Ok(Self { keys, standing: Arc::new(Mutex::new(standing)) })
    }

    /// What this attempt is. From now on a second one of the same message is known.
    #[must_use]
    pub fn begin(&self, request: &Request, ruling: &Ruling) -> Attempt {
        let known = request.submission().and_then(|submission| submission.message.message_id());
        if known.is_none() {
            return Attempt::Untracked;
        }
        let about: String = ruling.about().as_bytes().iter().map(|octet| format!("{octet:02x}")).collect();
        let print = self.keys.pseudonym("transit", &about);
        let passage = Passage { account: request.account.clone(), print, reference: request.reference };
        let fresh = Standing { reference: request.reference, state: State::Sending, at: request.at };
        let mut standing = self.standing();
        let earlier = standing.get(&passage.key()).copied().filter(|earlier| earlier.is_fresh(request.at));
        match earlier {
            Some(earlier) if earlier.state == State::Sent => {
                Attempt::Repeated(Passage { reference: earlier.reference, ..passage })
            }
            Some(earlier) => {
                standing.insert(passage.key(), fresh);
                Attempt::Doubtful(passage, earlier.reference)
            }
            None => {
                standing.insert(passage.key(), fresh);
                Attempt::First(passage)
            }
        }
    }

    /// Nothing was recorded: the attempt did not happen.
    pub fn undo(&self, attempt: &Attempt, at: Timestamp) {
        match attempt {
            Attempt::First(passage) => self.forget(passage),
            Attempt::Doubtful(passage, earlier) => {
                let before = Standing { reference: *earlier, state: State::Sending, at };
                self.change(passage, |standing| *standing = before);
            }
            Attempt::Untracked | Attempt::Repeated(_) => {}
        }
    }

    /// Custody has it, with its row.
    pub fn accepted(&self, passage: &Passage) {
        self.change(passage, |standing| standing.state = State::Sent);
    }

    /// The upstream has it: the row to go with the outcome.
    #[must_use]
    pub fn sent(&self, passage: &Passage) -> Write {
        self.accepted(passage);
        rows::sent(passage)
    }

    /// The upstream does not have it: a later attempt is a new message.
    #[must_use]
    pub fn ended(&self, passage: &Passage) -> Write {
        self.forget(passage);
        rows::delete(passage)
    }

    /// The client's next command came: it has heard what became of the message. The row to go some time.
    #[must_use]
    pub fn heard(&self, passage: &Passage) -> Write {
        self.ended(passage)
    }

    fn forget(&self, passage: &Passage) {
        let mut standing = self.standing();
        if standing.get(&passage.key()).is_some_and(|it| it.reference == passage.reference) {
            standing.remove(&passage.key());
        }
    }

    fn change(&self, passage: &Passage, how: impl FnOnce(&mut Standing)) {
        let mut standing = self.standing();
        if let Some(it) = standing.get_mut(&passage.key()).filter(|it| it.reference == passage.reference) {
            how(it);
        }
    }

    fn standing(&self) -> MutexGuard<'_, HashMap<Key, Standing>> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Attempt {
    /// The message on its way, unless there is nothing to say about it later.
    #[must_use]
    pub fn passage(&self) -> Option<&Passage> {
        match self {
            Self::First(passage) | Self::Doubtful(passage, _) => Some(passage),
            Self::Untracked | Self::Repeated(_) => None,
        }
    }

    /// The ref under which it was tried before.
    #[must_use]
    pub fn earlier(&self) -> Option<Ref> {
        match self {
            Self::Doubtful(_, earlier) => Some(*earlier),
            Self::Repeated(passage) => Some(passage.reference),
            Self::Untracked | Self::First(_) => None,
        }
    }

    /// The row that is durable with the leaf of a message that goes to the upstream.
    #[must_use]
    pub fn sending(&self, at: Timestamp) -> Option<Write> {
        self.passage().map(|passage| rows::upsert(passage, State::Sending, at))
    }

    /// The row that is durable with the leaf of a message that goes into custody.
    #[must_use]
    pub fn kept(&self, at: Timestamp) -> Option<Write> {
        self.passage().map(|passage| rows::upsert(passage, State::Sent, at))
    }
}

impl Passage {
    fn key(&self) -> Key {
        (self.account.clone(), self.print)
    }

    /// The ref under which it was accepted.
    #[must_use]
    pub fn reference(&self) -> Ref {
        self.reference
    }

    pub(super) fn parts(&self) -> (&AccountId, &[u8; 16], Ref) {
        (&self.account, &self.print, self.reference)
    }
}

impl Standing {
    fn is_fresh(&self, now: Timestamp) -> bool {
        now.duration_since(self.at) < REMEMBERED
    }
}

/// For so long a second attempt is recognised.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(24);
const INTERRUPTED: &str = "the server ended before the answer was recorded: the message may have been sent";
