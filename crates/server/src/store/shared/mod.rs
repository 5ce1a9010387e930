//! What nodes share beside the database: counters over a window, marks that last for a while, and words that they
//! call to each other. In memory for one node; over Redis for several, and then each for itself while Redis is gone.
//! The doors count failed sign-ins here; whoever changes an account tells it here.

mod far;
mod link;
mod marks;
mod window;
mod word;

use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::broadcast;
use tokio::time::Instant;

use super::Keys;
use crate::clock::{NoRandomness, draw_ref};
use crate::config::RedisUrl;

pub use link::LinkError;
pub use word::Word;

use far::Far;
use link::Link;
use marks::Marks;
use window::Windows;

/// What nodes share. Cloning shares it.
#[derive(Clone)]
pub struct Shared(Arc<Inner>);

struct Inner {
    near: Arc<Near>,
    far: Option<Far>,
    words: broadcast::Sender<Word>,
}

/// What this node knows itself.
#[derive(Debug, Default)]
struct Near {
    windows: Mutex<Windows>,
    marks: Mutex<Marks>,
    hasher: RandomState,
}

/// A name that says nothing to whoever reads it in Redis, and costs the same however long the text was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Name([u8; 16]);

/// A counter, and how much it may reach within the window.
#[derive(Debug, Clone, Copy)]
pub struct Cap {
    /// Whose.
    pub name: Name,
    /// From how much on nothing more fits.
    pub most: u64,
}

/// What came of asking counters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    /// Whether there was room in every one. Then it was counted, in all of them; else in none.
    pub fits: bool,
    /// Whether all of them can be counted: a table that is full of others knows nothing of them.
    pub counted: bool,
    rooms: Vec<bool>,
}

impl Shared {
    /// This node alone.
    #[must_use]
    pub fn memory() -> Self {
        Self::of(Arc::default(), None, broadcast::Sender::new(WORDS))
    }

    /// Over Redis. It need not be there: while it is not, this node counts alone, by its share of each cap.
    ///
    /// # Errors
    /// When the password cannot be read, or there is no randomness for the node's name.
    pub fn redis(url: &RedisUrl, keys: Keys) -> Result<Self, SharedError> {
        let (near, words) = (Arc::<Near>::default(), broadcast::Sender::new(WORDS));
        let node = draw_ref()?.to_string();
        let far = Far::open(url, keys, node, Arc::clone(&near), words.clone())?;
        Ok(Self::of(near, Some(far), words))
    }

    /// Reads what [`Shared::redis`] would need, and connects to nothing.
    ///
    /// # Errors
    /// As there.
    pub fn rehearse(url: &RedisUrl) -> Result<(), SharedError> {
        Ok(Link::new(url).map(drop)?)
    }

    fn of(near: Arc<Near>, far: Option<Far>, words: broadcast::Sender<Word>) -> Self {
        Self(Arc::new(Inner { near, far, words }))
    }

    /// The name of something of a kind, the same on every node.
    #[must_use]
    pub fn name(&self, kind: &str, text: &str) -> Name {
        match &self.0.far {
            Some(far) => far.name(kind, text),
            None => self.0.near.name(kind, text),
        }
    }

    /// How many nodes share what is allowed while Redis is gone; 1 until somebody says otherwise.
    pub fn count_nodes(&self, nodes: u32) {
        if let Some(far) = &self.0.far {
            far.count_nodes(nodes);
        }
    }

    /// Adds to every counter if it fits in all of them; adding nothing asks whether one more would.
    pub async fn add(&self, caps: &[Cap], by: u32, window: Duration, now: Instant) -> Tally {
        match &self.0.far {
            Some(far) => far.add(caps, by, window, now).await,
            None => self.0.near.add(caps, by, window, now, 1),
        }
    }

    /// Marks a name for so long.
    pub fn mark(&self, name: Name, lasts: Duration, now: Instant) {
        let is_news = self.0.near.marks().set(name, lasts, now);
        if let Some(far) = self.0.far.as_ref().filter(|_| is_news) {
            far.mark(name, lasts);
        }
    }

    /// Whether this node has marked a name, or has heard that another one did.
    #[must_use]
    pub fn knows_mark(&self, name: Name, now: Instant) -> bool {
        self.0.near.marks().has(name, now)
    }

    /// Whether any node has marked a name. While Redis is gone only what this one knows is marked.
    pub async fn is_marked(&self, name: Name, now: Instant) -> bool {
        if self.knows_mark(name, now) {
            return true;
        }
        let Some(far) = &self.0.far else { return false };
        let Some(left) = far.is_marked(name).await else { return false };
        self.0.near.marks().set(name, left, now);
        true
    }

    /// Calls a word to the other nodes. Nobody waits for it to arrive.
    pub fn tell(&self, word: &Word) {
        if let Some(far) = &self.0.far {
            far.tell(word);
        }
    }

    /// Hears what other nodes call from now on.
    #[must_use]
    pub fn listen(&self) -> broadcast::Receiver<Word> {
        self.0.words.subscribe()
    }

    /// Whether this node counts together with others; `None` when it is meant to be alone.
    #[must_use]
    pub fn is_together(&self) -> Option<bool> {
        self.0.far.as_ref().map(Far::is_up)
    }
}

impl Near {
    /// Decides by what this node has counted, which may be so many parts of what all may count.
    fn add(&self, caps: &[Cap], by: u32, window: Duration, now: Instant, parts: u64) -> Tally {
        let mut windows = self.windows();
        let most = |cap: &Cap| (cap.most / parts.max(1)).max(1);
        let rooms: Vec<bool> =
            caps.iter().map(|cap| windows.sum(&cap.name, now, window) < most(cap)).collect();
        let fits = caps
            .iter()
            .all(|cap| windows.sum(&cap.name, now, window).saturating_add(u64::from(by.max(1))) <= most(cap));
        if fits && by > 0 {
            windows.add(caps, by, now, window);
        }
        let counted = caps.iter().all(|cap| windows.can_count(&cap.name));
        Tally { fits, counted, rooms }
    }

    fn name(&self, kind: &str, text: &str) -> Name {
        let mut octets = [0; 16];
        let whole = self.hasher.hash_one((kind, text)).to_be_bytes();
        octets.iter_mut().zip(whole).for_each(|(octet, part)| *octet = part);
        Name(octets)
    }

    fn windows(&self) -> MutexGuard<'_, Windows> {
        self.windows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn marks(&self) -> MutexGuard<'_, Marks> {
        self.marks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tally {
    /// Whether there was room for one more in the counter at a place.
    #[must_use]
    pub fn has_room(&self, place: usize) -> bool {
        self.rooms.get(place).copied().unwrap_or(false)
    }
}

/// Why what nodes share cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum SharedError {
    /// The address or the password is no use.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// Without it a node has no name.
    #[error(transparent)]
    Randomness(#[from] NoRandomness),
}

/// Words that somebody may be behind. Who has missed some reads everything again.
const WORDS: usize = 64;

#[cfg(test)]
mod tests;
