//! A ruling: what was decided about a request, why, and on which evidence.
//! Its fields are private and only policy makes one; everybody else reads it.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

use crate::about::About;
use crate::evidence::Evidence;
use crate::ids::{AccountId, Ref};
use crate::request::{Action, Gate, Mode};

/// What was decided. Serialised as the JSON of the interface contract (`v` 1).
#[derive(Debug, Clone, Serialize)]
pub struct Ruling {
    v: u8,
    #[serde(rename = "ref")]
    reference: Ref,
    gate: Gate,
    account: AccountId,
    decision: Decision,
    how: Option<How>,
    mode: Mode,
    at: Timestamp,
    reasons: Vec<Cause>,
    missing: Vec<Missing>,
    /// Shared: a ruling is cloned on its way, and its evidence is most of it.
    #[serde(serialize_with = "each")]
    evidence: Arc<[Evidence]>,
    marks: Vec<&'static str>,
    policy_digest: String,
    cost_us: u64,
    #[serde(skip)]
    about: About,
    #[serde(skip)]
    action: Action,
    #[serde(skip)]
    actor: String,
}

/// The four decisions, in the order in which the worse wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// It may pass.
    Allow,
    /// It may pass once more evidence is there.
    Ask,
    /// It waits.
    Hold,
    /// It does not pass.
    Refuse,
}

impl Decision {
    /// The word outside.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Ask => "ask",
            Self::Hold => "hold",
            Self::Refuse => "refuse",
        }
    }

    /// The code in a leaf of the ledger: 1 to 4.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Allow => 1,
            Self::Ask => 2,
            Self::Hold => 3,
            Self::Refuse => 4,
        }
    }
}

/// How something is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum How {
    /// We keep it, sealed and durable.
    Custody,
    /// The client keeps it and tries again.
    Defer,
}

impl How {
    /// The word outside.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Custody => "custody",
            Self::Defer => "defer",
        }
    }
}

/// One reason of a ruling with its texts filled in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cause {
    /// The code of the catalogue.
    pub code: &'static str,
    /// The policy that spoke, `file/id`; `wire` when none was asked.
    pub policy: String,
    /// What the peer may read, with reply code and enhanced code.
    pub smtp: String,
    /// What the console says.
    pub sentence: String,
    /// What would satisfy it.
    pub remedy: String,
    /// A page about it, when there is one.
    pub link: Option<String>,
}

/// Evidence that would change a ruling.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Missing {
    /// The kind of evidence.
    pub kind: &'static str,
    /// The thing it is about.
    #[serde(rename = "for")]
    pub subject: String,
    /// How to supply it.
    pub how: String,
}

/// What a ruling says, before it is tied to its request. Only policy makes one.
#[derive(Debug)]
pub(super) struct Verdict {
    pub(super) decision: Decision,
    pub(super) how: Option<How>,
    pub(super) reasons: Vec<Cause>,
    pub(super) missing: Vec<Missing>,
    pub(super) marks: Vec<&'static str>,
}

impl Verdict {
    /// Nobody said anything against it.
    pub(super) fn allow() -> Self {
        Self { decision: Decision::Allow, how: None, reasons: vec![], missing: vec![], marks: vec![] }
    }
}

impl Ruling {
    pub(super) fn new(
        request: &crate::request::Request,
        verdict: Verdict,
        evidence: Vec<Evidence>,
        digest: &str,
    ) -> Self {
        let always = |cause: &Cause| crate::reason::known(cause.code).always;
        let binds = verdict.reasons.iter().any(always);
        Self {
            v: 1,
            reference: request.reference,
            gate: request.gate(),
            account: request.account.clone(),
            decision: verdict.decision,
            how: verdict.how,
            mode: if binds { Mode::Enforce } else { request.mode },
            at: request.at,
            reasons: verdict.reasons,
            missing: verdict.missing,
            evidence: evidence.into(),
            marks: verdict.marks,
            policy_digest: digest.to_owned(),
            cost_us: 0,
            about: request.about(),
            action: request.action(),
            actor: request.actor(),
        }
    }

    /// Says what it cost, in microseconds.
    #[must_use]
    pub fn costing(mut self, cost_us: u64) -> Self {
        self.cost_us = cost_us;
        self
    }

    /// The id of the ruling.
    #[must_use]
    pub fn reference(&self) -> Ref {
        self.reference
    }

    /// The gate that ruled.
    #[must_use]
    pub fn gate(&self) -> Gate {
        self.gate
    }

    /// The account it is about.
    #[must_use]
    pub fn account(&self) -> &AccountId {
        &self.account
    }

    /// What was decided.
    #[must_use]
    pub fn decision(&self) -> Decision {
        self.decision
    }

    /// How it is held, when it is.
    #[must_use]
    pub fn how(&self) -> Option<How> {
        self.how
    }

    /// Whether it binds.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// When it was made.
    #[must_use]
    pub fn at(&self) -> Timestamp {
        self.at
    }

    /// The reasons, worst first.
    #[must_use]
    pub fn reasons(&self) -> &[Cause] {
        &self.reasons
    }

    /// The codes of reasons that only mark; they stop nothing.
    #[must_use]
    pub fn marks(&self) -> &[&'static str] {
        &self.marks
    }

    /// What would change it.
    #[must_use]
    pub fn missing(&self) -> &[Missing] {
        &self.missing
    }

    /// The evidence it rests on.
    #[must_use]
    pub fn evidence(&self) -> &[Evidence] {
        &self.evidence
    }

    /// SHA-256 over the policies, as `sha256:` and 64 hexadecimal digits.
    #[must_use]
    pub fn policy_digest(&self) -> &str {
        &self.policy_digest
    }

    /// The one message or command it is about.
    #[must_use]
    pub fn about(&self) -> &About {
        &self.about
    }

    /// The action that was judged.
    #[must_use]
    pub fn action(&self) -> Action {
        self.action
    }

    /// Who asked.
    #[must_use]
    pub fn actor(&self) -> &str {
        &self.actor
    }

    /// What binds: the decision in enforce, `Allow` in observe.
    #[must_use]
    pub fn binding(&self) -> Decision {
        match self.mode {
            Mode::Enforce => self.decision,
            Mode::Observe => Decision::Allow,
        }
    }

    /// The interface's JSON.
    #[must_use]
    pub fn to_json(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}

fn each<S: Serializer>(evidence: &[Evidence], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(evidence)
}
