//! Passages in memory: which messages are being sent, in doubt, or sent and perhaps not heard.
//! What is here is what counts; the rows are for the next start.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use countersign_core::ids::{AccountId, Ref};
use countersign_core::request::{Envelope, Request};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::rows;
use crate::store::{Keys, Ledger, Left, Store, StoreError, Write};

#[cfg(test)]
mod tests;

/// Every message whose sender may not know yet what became of it. Cloning shares it.
#[derive(Clone)]
pub struct Transit {
    keys: Keys,
    ledger: Ledger,
    store: Store,
    /// The log of this node.
    own: i64,
    memory: Arc<Mutex<Memory>>,
}

#[derive(Default)]
struct Memory {
    standing: HashMap<Key, Standing>,
    /// In the order in which they began; what ended meanwhile is still here.
    order: VecDeque<Passage>,
}

/// An account, and the keyed digest of octets, reverse path and offered recipients.
type Key = (AccountId, [u8; 16]);

#[derive(Debug, Clone, Copy)]
pub(super) struct Standing {
    pub(super) reference: Ref,
    pub(super) state: State,
    pub(super) at: Timestamp,
    /// Keyed digest of the recipients that were accepted.
    pub(super) accepted: [u8; 16],
}

/// A message as its client offers it: what makes a second attempt of it known.
#[derive(Debug, Clone)]
pub struct Offer {
    account: AccountId,
    print: [u8; 16],
    accepted: [u8; 16],
    reference: Ref,
    at: Timestamp,
    /// What another node knows of it.
    elsewhere: Option<Standing>,
}

/// How far a message has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// The upstream may have it or not.
    Sending,
    /// It has been accepted for good, by the upstream or into custody.
    Sent,
    /// Nobody knows whether it was recorded: only the store can tell, when it answers again.
    Unsure,
}

/// A message on its way: what a later word about it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passage {
    account: AccountId,
    print: [u8; 16],
    reference: Ref,
}

/// What an attempt to send a message is.
#[derive(Debug, Clone)]
pub enum Attempt {
    /// Nothing tells this message from a new one: it has no Message-ID, or it will not be accepted now.
    Untracked,
    /// Seen for the first time.
    First(Offer),
    /// It was tried before under this ref, and nobody knows whether the upstream has it for all of these
    /// recipients.
    Doubtful(Offer, Ref),
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
        left: Left,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let oldest = now.checked_sub(REMEMBERED).unwrap_or(Timestamp::UNIX_EPOCH);
        let mut memory = Memory::default();
        for row in rows::left(store, left).await? {
            let standing = row.standing();
            let rows::Row { account, print, reference, state, at, told, .. } = row;
            let passage = Passage { account, print, reference };
            if at < oldest {
                ledger.later(rows::delete(&passage));
                continue;
            }
            memory.insert(passage.clone(), standing);
            if state == State::Sending && !told {
                let value = json!({ "ref": reference, "result": "in-doubt", "upstream": INTERRUPTED });
                let write = rows::doubt(&passage);
                if let Err(error) = ledger.outcome(reference, &passage.account, value, vec![write]).await {
                    tracing::error!(%error, "ledger.ref" = %reference, "an interrupted message is not reconciled");
                }
            }
        }
        let (store, own) = (store.clone(), left.log());
        Ok(Self { keys, ledger: ledger.clone(), store, own, memory: Arc::new(Mutex::new(memory)) })
    }

    /// A message as its client offers it; nothing for one without a Message-ID. `refused` are recipients that
    /// were offered and not accepted: the next attempt may fare otherwise with them.
    #[must_use]
    pub fn offer<'a>(&self, request: &Request, refused: impl Iterator<Item = &'a str>) -> Option<Offer> {
        let submission = request.submission()?;
        submission.message.message_id()?;
        let Envelope { mail_from, recipients } = &submission.envelope;
        let accepted: BTreeSet<String> = recipients.iter().map(ToString::to_string).collect();
        let offered: BTreeSet<String> = accepted.iter().cloned().chain(refused.map(str::to_owned)).collect();
        let alone = Envelope { mail_from: mail_from.clone(), recipients: vec![] };
        let about = submission.message.about(&alone);
        let (offered, accepted) = (joined(&offered), joined(&accepted));
        Some(Offer {
            account: request.account.clone(),
            print: self.keys.pseudonym("transit", &format!("{} {offered}", about.to_hex())),
            accepted: self.keys.pseudonym("transit-accepted", &accepted),
            reference: request.reference,
            at: request.at,
            elsewhere: None,
        })
    }

    /// Asks the store about a message of which this node does not know what became: other nodes may have it, or a
    /// commit of ours that nobody answered went through. While the store is silent nothing is accepted, so that an
    /// answer that is missing does no harm.
    pub async fn look(&self, mut offer: Offer) -> Offer {
        let known = self.memory().standing.get(&offer.key()).copied();
        let found = match known {
            Some(known) if known.state == State::Unsure => {
                rows::of_anybody(&self.store, &offer.account, &offer.print).await
            }
            None if self.store.is_shared() => {
                rows::of_others(&self.store, self.own, &offer.account, &offer.print).await
            }
            Some(_) | None => return offer,
        };
        match (found, known) {
            // A row of another ref is of a letter that was heard, and has not gone yet.
            (Ok(Some(row)), Some(known)) if row.reference == known.reference => {
                let recorded = Passage { reference: row.reference, ..offer.passage() };
                self.change(&recorded, |standing| standing.state = row.state);
            }
            (Ok(_), Some(_)) => {}
            (Ok(row), None) => offer.elsewhere = row.map(|row| row.standing()),
            (Err(error), _) => tracing::error!(%error, "what is on its way cannot be read"),
        }
        offer
    }

    /// The passage of the same message, if it was accepted for the same recipients and the client does not
    /// know yet.
    #[must_use]
    pub fn accepted_before(&self, offer: &Offer) -> Option<Passage> {
        let memory = self.memory();
        let earlier = memory.standing.get(&offer.key()).or(offer.elsewhere.as_ref());
        let earlier = earlier.filter(|earlier| earlier.is_fresh(offer.at))?;
        let same = earlier.state == State::Sent && earlier.accepted == offer.accepted;
        same.then(|| Passage { reference: earlier.reference, ..offer.passage() })
    }

    /// What this attempt is. From now on a second one of the same message is known.
    #[must_use]
    pub fn begin(&self, offer: Offer) -> Attempt {
        if let Some(earlier) = self.accepted_before(&offer) {
            return Attempt::Repeated(earlier);
        }
        let mut memory = self.memory();
        memory.forget_old(offer.at).for_each(|old| self.ledger.later(rows::delete(&old)));
        let earlier = memory.standing.get(&offer.key()).or(offer.elsewhere.as_ref());
        let earlier = earlier.filter(|earlier| earlier.is_fresh(offer.at));
        let earlier = earlier.map(|earlier| earlier.reference);
        let (reference, at, accepted) = (offer.reference, offer.at, offer.accepted);
        memory.insert(offer.passage(), Standing { reference, state: State::Sending, at, accepted });
        match earlier {
            Some(earlier) => Attempt::Doubtful(offer, earlier),
            None => Attempt::First(offer),
        }
    }

    /// The attempt came to nothing: what is known is what was known before. The row to go with that.
    pub fn undo(&self, attempt: &Attempt) -> Option<Write> {
        match attempt {
            Attempt::First(offer) => {
                self.memory().forget(&offer.passage());
                Some(rows::delete(&offer.passage()))
            }
            Attempt::Doubtful(offer, earlier) => {
                let before = Passage { reference: *earlier, ..offer.passage() };
                self.change(&offer.passage(), |standing| standing.reference = *earlier);
                self.memory().order.push_back(before.clone());
                Some(rows::upsert(&before, &offer.accepted, State::Sending, offer.at))
            }
            Attempt::Untracked | Attempt::Repeated(_) => None,
        }
    }

    /// Whether the attempt was recorded is not known: the next one of the same message asks the store.
    pub fn unsure(&self, attempt: &Attempt) {
        if let Some(passage) = attempt.passage() {
            self.change(&passage, |standing| standing.state = State::Unsure);
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

    /// The client's next command came: it has heard what became of the message. The row goes some time.
    pub fn heard(&self, passage: &Passage) {
        self.memory().forget(passage);
        self.ledger.later(rows::delete(passage));
    }

    fn change(&self, passage: &Passage, how: impl FnOnce(&mut Standing)) {
        let mut memory = self.memory();
        let it = memory.standing.get_mut(&passage.key());
        if let Some(it) = it.filter(|it| it.reference == passage.reference) {
            how(it);
        }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Memory {
    fn insert(&mut self, passage: Passage, standing: Standing) {
        self.standing.insert(passage.key(), standing);
        self.order.push_back(passage);
    }

    /// Whether it was there, under this ref.
    fn forget(&mut self, passage: &Passage) -> bool {
        let key = passage.key();
        let known = is_at(&self.standing, passage).is_some();
        known && self.standing.remove(&key).is_some()
    }

    /// Forgets what is older than a day, and the oldest of too many; gives those whose rows are still there.
    fn forget_old(&mut self, now: Timestamp) -> impl Iterator<Item = Passage> {
        if self.order.len() > 2 * MOST {
            let standing = &self.standing;
            self.order.retain(|passage| is_at(standing, passage).is_some());
        }
        let mut old = Vec::new();
        while let Some(first) = self.order.front() {
            let is_fresh = is_at(&self.standing, first).is_some_and(|it| it.is_fresh(now));
            if is_fresh && self.standing.len() <= MOST {
                break;
            }
            let Some(first) = self.order.pop_front() else { break };
            if self.forget(&first) {
                old.push(first);
            }
        }
        old.into_iter()
    }
}

/// The standing of a passage, unless a later attempt has taken its place.
fn is_at<'a>(standing: &'a HashMap<Key, Standing>, passage: &Passage) -> Option<&'a Standing> {
    standing.get(&passage.key()).filter(|it| it.reference == passage.reference)
}

impl Attempt {
    /// The message on its way, unless there is nothing to say about it later.
    #[must_use]
    pub fn passage(&self) -> Option<Passage> {
        match self {
            Self::First(offer) | Self::Doubtful(offer, _) => Some(offer.passage()),
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
    pub fn sending(&self) -> Option<Write> {
        self.row(State::Sending)
    }

    /// The row that is durable with the leaf of a message that goes into custody.
    #[must_use]
    pub fn kept(&self) -> Option<Write> {
        self.row(State::Sent)
    }

    fn row(&self, state: State) -> Option<Write> {
        match self {
            Self::First(offer) | Self::Doubtful(offer, _) => {
                Some(rows::upsert(&offer.passage(), &offer.accepted, state, offer.at))
            }
            Self::Untracked | Self::Repeated(_) => None,
        }
    }
}

impl Offer {
    fn passage(&self) -> Passage {
        Passage { account: self.account.clone(), print: self.print, reference: self.reference }
    }

    fn key(&self) -> Key {
        (self.account.clone(), self.print)
    }
}

fn joined(words: &BTreeSet<String>) -> String {
    words.iter().fold(String::new(), |text, word| text + word + "\n")
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
/// Clients that never send another command after their message would fill the memory.
const MOST: usize = 500_000;
const INTERRUPTED: &str = "the server ended before the answer was recorded: the message may have been sent";
