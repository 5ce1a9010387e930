//! A recorded ruling beside what draft policies say about the same facts, and the count of all of them.
//! `policy whatif` makes one of each entry of the ledger.

use std::collections::BTreeMap;

use comfy_table::Table;
use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use countersign_core::evidence::Kind;
use countersign_core::ledger::Kind as EntryKind;
use countersign_core::policy::{Decision, Facts, HoldAs, Rules};
use countersign_core::request::Action;
use serde_json::{Value, json};

use crate::store::{Entry, Payload};

/// What a replay showed.
#[derive(Debug)]
pub(super) enum Replayed {
    /// The same decision, in the same way.
    Same { decision: String, reasons_differ: bool },
    /// Another decision.
    Changed(Box<Change>),
    /// The wire refused it; no policy was asked, and none would be.
    Wire,
    /// Its payload is erased.
    Erased,
    /// Its facts are not all there: it was recorded before they were, or by a later version.
    Incomplete,
}

/// A ruling that would be another one.
#[derive(Debug)]
pub(super) struct Change {
    reference: String,
    account: String,
    at: String,
    action: &'static str,
    from: Side,
    to: Side,
    /// The policies behind `to`, in the order of its reasons.
    policies: Vec<String>,
    /// Whether the draft would have asked what nobody asked then.
    unsettled: bool,
}

/// One of the two decisions.
#[derive(Debug, PartialEq, Eq)]
struct Side {
    decision: String,
    how: Option<String>,
    reasons: Vec<String>,
}

/// Replays an entry; nothing for one that is no ruling.
pub(super) fn replay(entry: &Entry, rules: &Rules, hold: HoldAs) -> Option<Replayed> {
    if entry.kind == EntryKind::Outcome {
        return None;
    }
    let Payload::Opened(payload) = &entry.payload else { return Some(Replayed::Erased) };
    let from = payload.get("ruling").and_then(Side::recorded);
    let policies = payload.pointer("/ruling/reasons").and_then(Value::as_array).into_iter().flatten();
    if policies.filter_map(|reason| reason.get("policy")).any(|policy| policy == "wire") {
        return Some(Replayed::Wire);
    }
    let (Some(from), Some(facts)) = (from, Facts::recorded(payload)) else {
        return Some(Replayed::Incomplete);
    };
    let got = rules.replay(&facts, hold);
    let to = Side {
        decision: got.decision.word().to_owned(),
        how: got.how.map(|how| how.word().to_owned()),
        reasons: got.codes().into_iter().map(str::to_owned).collect(),
    };
    if from.decision == to.decision && from.how == to.how {
        return Some(Replayed::Same { reasons_differ: from.reasons != to.reasons, decision: to.told() });
    }
    Some(Replayed::Changed(Box::new(Change {
        reference: entry.reference.to_string(),
        account: entry.account.to_string(),
        at: entry.at.to_string(),
        action: facts.action.name(),
        unsettled: got.decision != Decision::Refuse && dns_was_not_asked(&facts),
        policies: got.reasons.into_iter().map(|(_, policy)| policy).collect(),
        from,
        to,
    })))
}

/// A refusal on what needs no network ends the judgement: what DNS says is then not in the dossier.
fn dns_was_not_asked(facts: &Facts) -> bool {
    let asked = |kind| facts.evidence.contains_key(&kind);
    facts.action == Action::Send && !(asked(Kind::DomainExists) && asked(Kind::Spf))
}

impl Side {
    fn recorded(ruling: &Value) -> Option<Self> {
        let text = |name: &str| ruling.get(name).and_then(Value::as_str).map(str::to_owned);
        let reasons = ruling.get("reasons")?.as_array()?.iter();
        Some(Self {
            decision: text("decision")?,
            how: text("how"),
            reasons: reasons.filter_map(|reason| Some(reason.get("code")?.as_str()?.to_owned())).collect(),
        })
    }

    fn told(&self) -> String {
        match &self.how {
            Some(how) => format!("{} ({how})", self.decision),
            None => self.decision.clone(),
        }
    }

    fn json(&self) -> Value {
        json!({ "decision": self.decision, "how": self.how, "reasons": self.reasons })
    }
}

impl Change {
    pub(super) fn line(&self) -> Value {
        json!({
            "v": 1, "ref": self.reference, "account": self.account, "at": self.at, "action": self.action,
            "from": self.from.json(), "to": self.to.json(), "policies": self.policies, "unsettled": self.unsettled,
        })
    }

    pub(super) fn sentence(&self) -> String {
        let reasons: Vec<String> =
            self.to.reasons.iter().zip(&self.policies).map(|(code, by)| format!("{code} by {by}")).collect();
        let why = match (self.unsettled, reasons.is_empty()) {
            (true, _) => "unsettled: DNS was not asked then".to_owned(),
            (false, true) => format!("no longer {}", self.from.reasons.join(", ")),
            (false, false) => reasons.join(", "),
        };
        let (from, to) = (self.from.told(), self.to.told());
        format!("{}  {}  {from} -> {to}  {why}", self.reference, self.account)
    }
}

/// How many there are of each kind.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// By what was decided and what would be.
    counts: BTreeMap<(String, String), usize>,
    changed: usize,
    unsettled: usize,
    reasons_differ: usize,
    wire: usize,
    erased: usize,
    incomplete: usize,
}

impl Tally {
    pub(super) fn add(&mut self, replayed: &Replayed) {
        let mut count = |from: String, to: String| *self.counts.entry((from, to)).or_default() += 1;
        match replayed {
            Replayed::Same { decision, reasons_differ } => {
                count(decision.clone(), decision.clone());
                self.reasons_differ += usize::from(*reasons_differ);
            }
            Replayed::Changed(change) => {
                let to = if change.unsettled { UNSETTLED.to_owned() } else { change.to.told() };
                count(change.from.told(), to);
                self.changed += 1;
                self.unsettled += usize::from(change.unsettled);
            }
            Replayed::Wire => self.wire += 1,
            Replayed::Erased => self.erased += 1,
            Replayed::Incomplete => self.incomplete += 1,
        }
    }

    pub(super) fn changed(&self) -> usize {
        self.changed
    }

    pub(super) fn is_empty(&self) -> bool {
        self.counts.is_empty() && self.wire + self.erased + self.incomplete == 0
    }

    pub(super) fn line(&self) -> Value {
        let counts: Vec<Value> = self
            .counts
            .iter()
            .map(|((from, to), rulings)| json!({ "from": from, "to": to, "rulings": rulings }))
            .collect();
        json!({
            "v": 1, "done": true, "replayed": self.counts.values().sum::<usize>(), "changed": self.changed,
            "unsettled": self.unsettled, "reasons_differ": self.reasons_differ, "wire": self.wire,
            "erased": self.erased, "incomplete": self.incomplete, "counts": counts,
        })
    }

    pub(super) fn table(&self) -> Table {
        let mut table = Table::new();
        table.load_style(UTF8_HORIZONTAL_ONLY).set_header(["was", "would be", "rulings"]);
        for ((from, to), rulings) in &self.counts {
            let to = if from == to { "the same" } else { to };
            table.add_row([from, to, &rulings.to_string()]);
        }
        table
    }

    /// What the table does not say.
    pub(super) fn remarks(&self) -> Vec<String> {
        [
            (self.reasons_differ, "are decided the same for other reasons"),
            (self.wire, "were refused on the wire; no policy was asked"),
            (self.erased, "cannot be replayed: their payload is erased"),
            (self.incomplete, "cannot be replayed: their facts were not recorded, or by another version"),
        ]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect()
    }
}

const UNSETTLED: &str = "unsettled";

#[cfg(test)]
mod tests {
    use countersign_core::ids::{AccountId, Ref};
    use countersign_core::policy::How;
    use jiff::Timestamp;

    use super::*;

    fn entry(decision: &str, policy: &str, evidence: &[(&str, &str, &str)]) -> Entry {
        let evidence: Vec<Value> = evidence
            .iter()
            .map(|(kind, finding, detail)| {
                json!({ "kind": kind, "finding": finding, "value": { "detail": detail }, "strength": "observed" })
            })
            .collect();
        let payload = json!({
            "action": "send",
            "asked": {
                "principal": "acme", "resource": "7Q2K3M9TBC", "account": "acme", "actor": "credential",
                "author_domain": "acme.example", "recipients": 1, "bytes": 4_000,
            },
            "ruling": {
                "decision": decision, "how": null, "evidence": evidence,
                "reasons": [{ "code": "from-not-yours", "policy": policy }],
            },
        });
        Entry {
            account: AccountId::parse("acme").unwrap(),
            reference: Ref::from_random(7),
            kind: EntryKind::Ruling,
            log: 0,
            index: 0,
            at: Timestamp::UNIX_EPOCH,
            payload: Payload::Opened(payload),
        }
    }

    fn draft(text: &str) -> Rules {
        Rules::parse(
            include_str!("../../../../../policies/countersign.cedarschema"),
            &[("draft".to_owned(), text.to_owned())],
        )
        .unwrap()
    }

    fn replayed(entry: &Entry, rules: &Rules) -> Replayed {
        replay(entry, rules, HoldAs(How::Custody)).unwrap()
    }

    #[test]
    fn a_draft_that_permits_what_was_refused_before_dns_is_unsettled() {
        let foreign = [("from.domain", "fail", "foreign")];
        let permits = draft("permit(principal, action, resource);");
        let Replayed::Changed(change) = replayed(&entry("refuse", "send/x", &foreign), &permits) else {
            panic!("the same")
        };
        assert!(change.unsettled && change.sentence().ends_with("unsettled: DNS was not asked then"));
        let whole = [foreign[0], ("domain.exists", "pass", ""), ("spf", "pass", "")];
        let Replayed::Changed(change) = replayed(&entry("refuse", "send/x", &whole), &permits) else {
            panic!("the same")
        };
        assert!(!change.unsettled);
        assert!(change.sentence().ends_with("refuse -> allow  no longer from-not-yours"), "{change:?}");
    }

    #[test]
    fn what_no_policy_was_asked_about_is_no_change() {
        let nothing = draft("permit(principal, action, resource);");
        assert!(matches!(replayed(&entry("refuse", "wire", &[]), &nothing), Replayed::Wire));
        let mut erased = entry("refuse", "send/x", &[]);
        erased.payload = Payload::Erased;
        assert!(matches!(replayed(&erased, &nothing), Replayed::Erased));
        let mut old = entry("refuse", "send/x", &[]);
        old.payload = Payload::Opened(json!({ "action": "send", "ruling": { "decision": "allow" } }));
        assert!(matches!(replayed(&old, &nothing), Replayed::Incomplete));
        let outcome = Entry { kind: EntryKind::Outcome, ..old };
        assert!(replay(&outcome, &nothing, HoldAs(How::Custody)).is_none());
    }

    #[test]
    fn the_counts_add_up() {
        let refuses = draft(
            "@id(\"r\") @effect(\"refuse\") @reason(\"from-not-yours\") forbid(principal, action, resource);\
             permit(principal, action, resource);",
        );
        let mut tally = Tally::default();
        for entry in [
            entry("refuse", "send/x", &[]),
            entry("allow", "send/x", &[]),
            entry("allow", "send/x", &[]),
            entry("refuse", "wire", &[]),
        ] {
            tally.add(&replayed(&entry, &refuses));
        }
        let line = tally.line();
        assert_eq!((&line["replayed"], &line["changed"], &line["wire"]), (&3.into(), &2.into(), &1.into()));
        assert_eq!(line["counts"][0], json!({ "from": "allow", "to": "refuse", "rulings": 2 }));
        assert_eq!(tally.remarks(), ["1 were refused on the wire; no policy was asked"]);
        assert!(tally.table().to_string().contains("the same"));
    }
}
