//! The cosigner: shows each new checkpoint of our log to its witnesses, and keeps what they sign. No message waits
//! for it. Boot asks them first of all, before anything is recorded, whether the log is the one they know.

mod standing;

use std::sync::Arc;
use std::time::Duration;

use countersign_core::ledger::VerifierKey;
use countersign_core::ledger::witness::{Answer, AnswerError};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::net::post::{Destination, PostError};
use crate::store::{Checkpoints, StoreError};

use standing::Standings;
pub use standing::{Standing, State};

/// A witness of our log.
#[derive(Debug, Clone)]
pub struct Watcher {
    /// Its address, for the log.
    pub url: String,
    pub key: VerifierKey,
    pub destination: Destination,
}

/// Shows checkpoints. Cloning shares it.
#[derive(Clone)]
pub struct Cosigner(Arc<Inner>);

struct Inner {
    watchers: Vec<Watcher>,
    checkpoints: Checkpoints,
    standings: Standings,
}

impl Cosigner {
    /// For the log whose checkpoints these are.
    #[must_use]
    pub fn of(watchers: Vec<Watcher>, checkpoints: Checkpoints) -> Self {
        let standings = Standings::of(watchers.iter().map(|watcher| (watcher.key.name(), &watcher.url)));
        Self(Arc::new(Inner { watchers, checkpoints, standings }))
    }

    /// Shows the last checkpoint to every witness: what one says against the log, if one does within two seconds.
    /// Who is silent is asked again later.
    pub async fn first_word(&self) -> Option<String> {
        let asked = self.0.watchers.iter().map(|watcher| async {
            let shown = tokio::time::timeout(FIRST_WORD, self.0.show(watcher, None)).await;
            match shown {
                Ok(Err(Trouble::Disputed(says))) => Some(says),
                _ => None,
            }
        });
        futures_util::future::join_all(asked).await.into_iter().flatten().next()
    }

    /// Shows checkpoints as they are signed, until told to stop.
    pub async fn serve(self, stop: watch::Receiver<bool>) {
        let mut all = JoinSet::new();
        for (place, watcher) in self.0.watchers.iter().enumerate() {
            let (inner, watcher, stop) = (Arc::clone(&self.0), watcher.clone(), stop.clone());
            all.spawn(async move { inner.attend(place, &watcher, stop).await });
        }
        all.join_all().await;
    }

    /// How each witness stands to the log.
    #[must_use]
    pub fn standings(&self) -> Vec<Standing> {
        self.0.standings.read(*self.0.checkpoints.signed().borrow())
    }

    /// Whether one of them knows the log otherwise than we have it.
    #[must_use]
    pub fn is_disputed(&self) -> bool {
        self.0.checkpoints.is_disputed()
    }
}

impl Inner {
    /// One witness, as long as the log goes on.
    async fn attend(&self, place: usize, watcher: &Watcher, mut stop: watch::Receiver<bool>) {
        let mut signed = self.checkpoints.signed();
        // As if it knew all: if it does not, it says from where to go on.
        let (mut old, mut pause) = (None, BEAT);
        loop {
            let known = old.unwrap_or(0);
            tokio::select! {
                _ = stop.changed() => return,
                more = signed.wait_for(|size| *size > known) => if more.is_err() { return },
            }
            if self.checkpoints.is_disputed() {
                return;
            }
            let shown = tokio::select! {
                _ = stop.changed() => return,
                shown = self.show(watcher, old) => shown,
            };
            match shown {
                Ok(size) => {
                    (old, pause) = (Some(size), BEAT);
                    self.standings.cosigned(place, size);
                }
                Err(Trouble::Disputed(says)) => {
                    self.dispute(&says);
                    return self.standings.fell(place, State::Disputes(says));
                }
                Err(trouble) => {
                    pause = LONGEST.min(pause * 2);
                    self.standings.fell(place, trouble.state());
                }
            }
            tokio::select! {
                _ = stop.changed() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Shows the last checkpoint, and keeps the cosignature: of which size it is.
    async fn show(&self, watcher: &Watcher, mut old: Option<u64>) -> Result<u64, Trouble> {
        for _ in 0..TRIES {
            let request = self.checkpoints.question(old).await?;
            let size = request.checkpoint.size;
            let posted = watcher.destination.post(request.to_string()).await?;
            let name = watcher.key.name();
            match Answer::read(&request, posted.status, &posted.body, &watcher.key)? {
                Answer::Cosigned(signature) => {
                    self.checkpoints.cosigned(&request, signature).await?;
                    return Ok(size);
                }
                Answer::From(size) => old = Some(size),
                Answer::Ahead(known) => {
                    return Err(Trouble::Disputed(format!(
                        "witness `{name}` has cosigned {known} leaves of it, and here are {size}"
                    )));
                }
                Answer::Forked => {
                    return Err(Trouble::Disputed(format!(
                        "witness `{name}` knows another history of it, and refuses the {size} leaves that are here"
                    )));
                }
                Answer::UnknownLog | Answer::Unsigned => {
                    return Err(Trouble::Refused(format!(
                        "it does not know the log: its owner gives it the key with --log {}",
                        self.checkpoints.key()
                    )));
                }
            }
        }
        Err(Trouble::Refused("somebody else shows it this log at the same time".to_owned()))
    }

    /// The log must not go on under its name. Mail goes on: what is recorded meanwhile is whole, and nothing of it
    /// is signed.
    fn dispute(&self, says: &str) {
        tracing::error!(
            says,
            "a witness knows our log otherwise than we have it: no checkpoint is signed any more, and the next start \
             begins a new log (was the machine set back, or is it there twice?)"
        );
        if let Err(error) = self.checkpoints.dispute(says) {
            tracing::error!(%error, "the next start will not know of it, unless the witness is there to say so");
        }
    }
}

/// Why there is no cosignature.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("{0}")]
    Disputed(String),
    #[error("{0}")]
    Refused(String),
    #[error(transparent)]
    Post(#[from] PostError),
    #[error(transparent)]
    Answer(#[from] AnswerError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Trouble {
    fn state(self) -> State {
        match self {
            Self::Disputed(says) => State::Disputes(says),
            Self::Post(error) => State::Silent(error.to_string()),
            other => State::Refuses(other.to_string()),
        }
    }
}

/// Between two checkpoints that one witness is shown, at least.
const BEAT: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30);
const FIRST_WORD: Duration = Duration::from_secs(2);
/// It says from where to go on, and is asked from there. Once more, should it move meanwhile.
const TRIES: usize = 3;
