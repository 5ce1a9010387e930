//! THE pipeline: `Request -> Dossier -> Ruling -> Recorded -> Reply`. Read this first.
//! Doors bring requests; the table of gates is probes, policies and acts by action.

mod evaluate;
mod judge;
mod retry;
mod settling;

use std::sync::Arc;

use countersign_core::policy::{Ruling, refuse_bytes};
use countersign_core::reason::Reason;
use countersign_core::request::{Action, Request};
use serde_json::Value;
use tokio::sync::RwLock;

use crate::accounts::Directory;
use crate::acts::{self, Around, Means, Notifier, Reply, Sealer};
use crate::probes::Case;
use crate::store::{Bell, Ledger, RecordError, Write};
use crate::transit::Transit;

pub use evaluate::Evaluation;
pub use judge::Judge;
pub use retry::Repeated;

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
        // In a box: the way is long, and the policy engine refuses to judge when little of the stack is left.
        let (conflict, means) = match Box::pin(self.attempted(&mut case, means)).await {
            Ok(reply) => return reply,
            Err(conflict) => conflict,
        };
        if case.request.action() != Action::Send {
            return Reply::conflict(&conflict);
        }
        // Another message reached the cap first: this one is judged once more, by what is left of it.
        let again = Box::pin(self.attempted(&mut case, means)).await;
        again.unwrap_or_else(|(conflict, _)| Reply::conflict(&conflict))
    }

    async fn attempted(&self, case: &mut Case, means: Means) -> Result<Reply, (Ruling, Means)> {
        let ruling = match self.ruled(case).await {
            Ok(ruling) => ruling,
            Err(reply) => return Ok(reply),
        };
        let notices = self.notifier.plan(&case.request, &case.account, &ruling, &means).await;
        self.carry_out(&case.request, ruling, means, notices).await
    }

    /// The ruling on a request, or why there is none that could be carried out.
    async fn ruled(&self, case: &mut Case) -> Result<Ruling, Reply> {
        let mut ruling = self.judge.rule(case, vec![]).await;
        // Probes take their time: an account that was blocked meanwhile is judged as it is now.
        let mut changes = 0;
        loop {
            match self.directory.newer(&case.account).await {
                Ok(Some(_)) if changes == MOST_CHANGES => return Err(Reply::conflict(&ruling)),
                Ok(Some(account)) => case.account = account,
                Err(error) if case.request.action() == Action::Send => {
                    return Err(Reply::unrecorded(&ruling, &error));
                }
                Ok(None) | Err(_) => break,
            }
            changes += 1;
            ruling = self.judge.rule(case, vec![]).await;
        }
        Ok(ruling)
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

    /// Gives ruling and means back when another request changed first what this one would change.
    async fn carry_out(
        &self,
        request: &Request,
        ruling: Ruling,
        means: Means,
        notices: Vec<Write>,
    ) -> Result<Reply, (Ruling, Means)> {
        judge::count(&ruling);
        let attempt = self.attempt(request, &ruling, &means).await;
        let particulars = || acts::particulars(request, &means, &attempt);
        let rings = !notices.is_empty();
        let recorded = match acts::plan(request, &ruling, &means, &self.sealer, &attempt).await {
            Ok(mut writes) => {
                writes.extend(notices.iter().cloned());
                self.ledger.record(ruling.clone(), particulars(), writes).await
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
                let notifier = &self.notifier;
                let around = Around { ledger, transit, directory, notifier, hostname, attempt };
                Ok(acts::perform(recorded, request, means, around).await)
            }
            Err(error) => {
                match error.is_final() {
                    true => self.transit.undo(&attempt).into_iter().for_each(|row| self.ledger.later(row)),
                    false => self.transit.unsure(&attempt),
                }
                match error {
                    RecordError::Conflict => Err((ruling, means)),
                    _ => {
                        let particulars = particulars();
                        Ok(self.unrecorded(request, ruling, particulars, means, notices, &error))
                    }
                }
            }
        }
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
