//! The judge: the three words in the middle, `Dossier -> Ruling`. It changes nothing in the world.
//! The gate asks it, and so does `check`, which has neither ledger nor acts.

use std::sync::Arc;
use std::time::{Duration, Instant};

use countersign_core::dossier::Dossier;
use countersign_core::evidence::Evidence;
use countersign_core::policy::{self, HoldAs, Rules, Ruling, refuse_bytes};
use countersign_core::request::Action;
use metrics::{counter, histogram};

use crate::probes::{self, Case, Slow};

/// What rules: policies, and the probes that need the network.
#[derive(Clone)]
pub struct Judge {
    pub rules: Arc<Rules>,
    pub slow: Vec<Arc<dyn Slow>>,
    pub hold: HoldAs,
    /// One deadline for all slow probes of a message.
    pub budget: Duration,
}

impl Judge {
    /// Opens the dossier, gathers evidence, rules. A refusal on what needs no network is final: DNS is
    /// then not asked. `assumed` is evidence that the caller brings along.
    pub async fn rule(&self, case: &Case, assumed: Vec<Evidence>) -> Ruling {
        let began = Instant::now();
        if let Some((reason, detail)) = policy::exceeded(&case.request) {
            return refuse_bytes(&case.request, reason, &detail, self.rules.digest());
        }
        let mut dossier = Dossier::open(case.request.clone());
        assumed.into_iter().for_each(|evidence| dossier.add(evidence));
        probes::QUICK.iter().filter_map(|probe| probe(case)).for_each(|evidence| dossier.add(evidence));

        if case.request.action() == Action::Send && !self.rules.refuses(&dossier) {
            let open: Vec<_> = self.slow.iter().filter(|probe| !dossier.has(probe.kind())).cloned().collect();
            probes::gather(&open, case, self.budget).await.into_iter().for_each(|e| dossier.add(e));
        }
        let ruling = self.rules.rule(&dossier, self.hold);
        ruling.costing(u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX))
    }
}

/// Counts a ruling and what its evidence cost.
pub(super) fn count(ruling: &Ruling) {
    let reason = ruling.reasons().first().map_or("none", |cause| cause.code);
    let labels = [("gate", ruling.gate().name()), ("decision", ruling.decision().word()), ("reason", reason)];
    counter!("countersign_rulings_total", &labels).increment(1);
    for evidence in ruling.evidence() {
        if let Some(us) = evidence.value.get("cost_us").and_then(serde_json::Value::as_u64) {
            let seconds = Duration::from_micros(us).as_secs_f64();
            histogram!("countersign_probe_seconds", "kind" => evidence.kind.name()).record(seconds);
        }
    }
}
