//! THE pipeline: `Request -> Dossier -> Ruling -> Recorded -> Reply`. Read this first.
//! Doors bring requests; the table of gates is probes, policies and acts by action.

mod judge;

use std::sync::Arc;

use countersign_core::policy::{Decision, How, Ruling, refuse_bytes};
use countersign_core::reason::Reason;
use countersign_core::request::{Action, Request};
use countersign_wire::smtp::reply::Reply as SmtpReply;
use serde_json::{Value, json};
use tokio::sync::RwLock;
use tokio::task::JoinError;

use crate::accounts::Directory;
use crate::acts::{self, Around, Means, Notifier, Outcome, RefusedRecipient, Reply, Sealer};
use crate::probes::Case;
use crate::store::{Bell, Ledger, RecordError, Write};
use crate::transit::{Attempt, Offer, Passage, Transit};

pub use judge::Judge;

/// The answer to a message that was accepted before.
pub struct Repeated {
    pub smtp: SmtpReply,
    pub outcome: Outcome,
    pub passage: Passage,
}

/// The gate: rules, records, acts.
#[derive(Clone)]
pub struct Gate {
    pub judge: Judge,
    pub ledger: Ledger,
    pub sealer: Sealer,
    pub notifier: Notifier,
    /// Rings when a row was put up whose time has come.
    pub bell: Bell,
    pub transit: Transit,
    pub directory: Directory,
    /// Held for reading by every outcome that is still to be recorded.
    settling: Arc<RwLock<()>>,
}

impl Gate {
    /// Puts the parts together.
    #[must_use]
    pub fn new(
        judge: Judge,
        ledger: Ledger,
        sealer: Sealer,
        notifier: Notifier,
        transit: Transit,
        directory: Directory,
    ) -> Self {
        let (bell, settling) = (Bell::default(), Arc::default());
        Self { judge, ledger, sealer, notifier, transit, directory, bell, settling }
    }

    /// The same gate with other rules and settings.
    #[must_use]
    pub fn with(&self, judge: Judge, sealer: Sealer, notifier: Notifier) -> Self {
        Self { judge, sealer, notifier, ..self.clone() }
    }

    /// The whole way of a request. Nothing happens unrecorded: no leaf, no permit; no permit, no act.
    pub async fn pass(&self, mut case: Case, means: Means) -> Reply {
        let (conflict, means) = match self.attempted(&mut case, means).await {
            Ok(reply) => return reply,
            Err(conflict) => conflict,
        };
        if case.request.action() != Action::Send {
            return Reply::conflict(&conflict);
        }
        // Another message reached the cap first: this one is judged once more, by what is left of it.
        let again = self.attempted(&mut case, means).await;
        again.unwrap_or_else(|(conflict, _)| Reply::conflict(&conflict))
    }

    async fn attempted(&self, case: &mut Case, means: Means) -> Result<Reply, (Ruling, Means)> {
        let mut ruling = self.judge.rule(case, vec![]).await;
        // Probes take their time: an account that was blocked meanwhile is judged as it is now.
        let mut changes = 0;
        loop {
            match self.directory.newer(&case.account).await {
                Ok(Some(_)) if changes == MOST_CHANGES => return Ok(Reply::conflict(&ruling)),
                Ok(Some(account)) => case.account = account,
                Err(error) if case.request.action() == Action::Send => {
                    return Ok(Reply::unrecorded(&ruling, &error));
                }
                Ok(None) | Err(_) => break,
            }
            changes += 1;
            ruling = self.judge.rule(case, vec![]).await;
        }
        let notices = self.notifier.plan(&case.request, &case.account, &ruling, &means).await;
        self.carry_out(&case.request, ruling, means, notices).await
    }

    /// Works in a task of its own: it goes on when nobody waits for it any more, and `settled` waits for its end.
    ///
    /// # Errors
    /// When the task was ended.
    pub async fn apart<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, JoinError> {
        let turn = Arc::clone(&self.settling).try_read_owned();
        let apart = tokio::spawn(async move {
            let _turn = turn;
            work.await
        });
        apart.await
    }

    /// Whether a message was accepted before and its client does not know: it hears the old answer again, and
    /// nothing is judged anew. The entry is an outcome of the ruling that accepted it.
    #[must_use]
    pub fn repeated(&self, request: &Request, means: &Means) -> Option<Repeated> {
        let offer = self.offer(request, means)?;
        let passage = self.transit.accepted_before(&offer)?;
        let value =
            json!({ "ref": passage.reference(), "result": "repeated", "asked_as": request.reference });
        let (reference, account) = (passage.reference(), request.account.clone());
        let smtp = acts::accepted_before(reference);
        Some(Repeated { smtp, outcome: Outcome { reference, account, value, writes: vec![] }, passage })
    }

    fn offer(&self, request: &Request, means: &Means) -> Option<Offer> {
        self.transit.offer(request, means.refused().iter().map(RefusedRecipient::address))
    }

    /// The way of a request that the wire refuses: the catalogue rules, the ledger records.
    pub async fn refuse(
        &self,
        request: Request,
        reason: &'static Reason,
        detail: &str,
        means: Means,
    ) -> Reply {
        let ruling = refuse_bytes(&request, reason, detail, self.judge.rules.digest());
        let refused = self.carry_out(&request, ruling, means, vec![]).await;
        refused.unwrap_or_else(|(ruling, _)| Reply::conflict(&ruling))
    }

    /// Records what became of an allowed message, after the peer has heard it.
    pub fn settle(&self, outcome: Outcome) {
        let ledger = self.ledger.clone();
        let turn = Arc::clone(&self.settling).try_read_owned();
        tokio::spawn(async move {
            let _turn = turn;
            let Outcome { reference, account, value, writes } = outcome;
            if let Err(error) = ledger.outcome(reference, &account, value, writes).await {
                tracing::error!(%error, "ledger.ref" = %reference, "an outcome is not recorded");
            }
        });
    }

    /// The peer's next command came: it has heard what became of its message.
    pub fn heard(&self, passage: &Passage) {
        self.transit.heard(passage);
    }

    /// Waits until every outcome is recorded.
    pub async fn settled(&self) {
        let _all = self.settling.write().await;
    }

    /// Gives ruling and means back when another request changed first what this one would change.
    async fn carry_out(
        &self,
        request: &Request,
        ruling: Ruling,
        means: Means,
        notices: Vec<Write>,
    ) -> Result<Reply, (Ruling, Means)> {
        judge::count(&ruling);
        let attempt = self.attempt(request, &ruling, &means);
        let particulars = acts::particulars(request, &means, &attempt);
        let rings = !notices.is_empty();
        let recorded = match acts::plan(request, &ruling, &means, &self.sealer, &attempt).await {
            Ok(mut writes) => {
                writes.extend(notices.iter().cloned());
                self.ledger.record(ruling.clone(), particulars.clone(), writes).await
            }
            Err(error) => Err(error.into()),
        };
        match recorded {
            Ok(recorded) => {
                if rings {
                    self.bell.ring();
                }
                let hostname = &self.notifier.hostname;
                let (ledger, transit, directory) = (&self.ledger, &self.transit, &self.directory);
                let around = Around { ledger, transit, directory, hostname, attempt };
                Ok(acts::perform(recorded, request, means, around).await)
            }
            Err(error) => {
                self.transit.undo(&attempt).into_iter().for_each(|row| self.ledger.later(row));
                match error {
                    RecordError::Conflict => Err((ruling, means)),
                    _ => Ok(self.unrecorded(request, ruling, particulars, means, notices, &error)),
                }
            }
        }
    }

    /// Whether a message was tried before; only one that would be accepted now can be a repetition.
    fn attempt(&self, request: &Request, ruling: &Ruling, means: &Means) -> Attempt {
        let accepted = match ruling.binding() {
            Decision::Allow => true,
            Decision::Hold => ruling.how() == Some(How::Custody),
            Decision::Ask | Decision::Refuse => false,
        };
        let offer = (accepted && request.action() == Action::Send).then(|| self.offer(request, means));
        offer.flatten().map_or(Attempt::Untracked, |offer| self.transit.begin(offer))
    }

    /// Only what denies goes ahead without a leaf: it is owed and appended later.
    fn unrecorded(
        &self,
        request: &Request,
        ruling: Ruling,
        particulars: Value,
        means: Means,
        notices: Vec<Write>,
        error: &RecordError,
    ) -> Reply {
        match error {
            _ if acts::may_be_owed(&ruling) => {
                tracing::error!(%error, "ledger.ref" = %ruling.reference(), "a ruling is owed to the ledger");
                let writes = acts::owed(&means).into_iter().chain(notices).collect();
                acts::deny(self.ledger.owe(ruling, particulars, writes), request, means)
            }
            RecordError::Full(_) => Reply::full(&ruling, error),
            _ => Reply::unrecorded(&ruling, error),
        }
    }
}

/// An account that changes more often while one message is judged is not judged now.
const MOST_CHANGES: usize = 8;
