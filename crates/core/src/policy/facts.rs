//! Facts: everything that policies can see of a dossier. They are recorded with its ruling, so that it can be replayed.
//! The judge takes them from a dossier; `policy test` and `policy whatif` from case files and the ledger.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::dossier::Dossier;
use crate::evidence::{Evidence, Finding, Kind, Strength, Why};
use crate::request::{Action, Ask, Request};

/// What is asked, and what is known about it, in policy's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The action that is judged.
    pub action: Action,
    /// Who asks for what.
    pub asked: Asked,
    /// What was found, by kind. What is absent is unknown: nobody asked.
    pub evidence: BTreeMap<Kind, Fact>,
}

/// Who asks for what: the part of the facts that is no evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// The id of the Cedar principal: an account, or an actor.
    pub principal: String,
    /// The id of the Cedar resource: a ref, an account, a gate.
    pub resource: String,
    /// The account it is about.
    pub account: String,
    /// `credential`, or the class of the actor who commands.
    pub actor: String,
    /// The domain of From as an A-label; empty when there is no single author.
    pub author_domain: String,
    /// How many recipients the message has; 0 for a command that is about no message.
    pub recipients: u64,
    /// How many octets the message has.
    pub bytes: u64,
}

/// One finding, as far as policies can tell it from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// What was found.
    pub finding: Finding,
    /// The closed word that says which pass or fail it is.
    pub detail: String,
    /// How far it can be trusted.
    pub strength: Strength,
}

impl Asked {
    /// What a request asks.
    #[must_use]
    pub fn of(request: &Request) -> Self {
        let (principal, resource, actor) = match &request.ask {
            Ask::Send(_) => (request.account.to_string(), request.reference.to_string(), "credential"),
            Ask::Command(command) => {
                (command.actor.to_string(), command.object.clone(), command.actor.class())
            }
        };
        let message = request.submission();
        let author = message.and_then(|s| s.message.from().ok()).map(|m| m.address.domain().to_string());
        Self {
            principal,
            resource,
            account: request.account.to_string(),
            actor: actor.to_owned(),
            author_domain: author.unwrap_or_default(),
            recipients: message.map_or(0, |s| s.envelope.recipients.len() as u64),
            bytes: message.map_or(0, |s| s.message.bytes().len() as u64),
        }
    }
}

impl Fact {
    /// A finding without more words, observed by us.
    #[must_use]
    pub fn new(finding: Finding, detail: &str) -> Self {
        Self { finding, detail: detail.to_owned(), strength: Strength::Observed }
    }

    fn of(evidence: &Evidence) -> Self {
        let detail = evidence.text("detail").to_owned();
        Self { finding: evidence.finding, detail, strength: evidence.strength }
    }

    /// Reads the JSON of one piece of evidence.
    fn recorded(evidence: &Value) -> Option<(Kind, Self)> {
        let word = |name: &str| evidence.get(name).and_then(Value::as_str);
        let finding = match (Finding::parse(word("finding")?)?, word("why")) {
            (Finding::Unknown(_), Some(why)) => Finding::Unknown(Why::parse(why)?),
            (finding, _) => finding,
        };
        let detail = evidence.pointer("/value/detail").and_then(Value::as_str).unwrap_or_default();
        let strength = Strength::parse(word("strength")?)?;
        Some((Kind::parse(word("kind")?)?, Self { finding, detail: detail.to_owned(), strength }))
    }
}

impl Facts {
    /// What policies see of a dossier.
    #[must_use]
    pub fn of(dossier: &Dossier) -> Self {
        let request = dossier.request();
        let evidence = dossier.all().map(|evidence| (evidence.kind, Fact::of(evidence))).collect();
        Self { action: request.action(), asked: Asked::of(request), evidence }
    }

    /// The facts of a ruling as the ledger keeps it: `action`, `asked`, and the evidence of `ruling`. `None`
    /// when they are not all there, or have words that this version does not know.
    #[must_use]
    pub fn recorded(payload: &Value) -> Option<Self> {
        let action = payload.get("action").and_then(Value::as_str)?;
        let action = Action::all().find(|known| known.name() == action)?;
        let asked = Asked::deserialize(payload.get("asked")?).ok()?;
        let evidence = payload.pointer("/ruling/evidence").and_then(Value::as_array)?;
        let evidence = evidence.iter().map(Fact::recorded).collect::<Option<_>>()?;
        Some(Self { action, asked, evidence })
    }

    /// The finding of a kind. What nobody looked at is unknown, never a pass.
    #[must_use]
    pub fn finding(&self, kind: Kind) -> Finding {
        self.evidence.get(&kind).map_or(Finding::Unknown(Why::NotAsked), |fact| fact.finding)
    }
}

/// What policies see of something: a dossier as it stands, or facts as they were recorded. What a policy says is a
/// function of this alone.
pub(super) trait Sight {
    fn action(&self) -> Action;
    fn principal(&self) -> Cow<'_, str>;
    fn resource(&self) -> Cow<'_, str>;
    fn finding(&self, kind: Kind) -> Finding;
    fn detail(&self, kind: Kind) -> &str;
    fn strength(&self, kind: Kind) -> Strength;
    /// Everything beside the findings, by its name in the context.
    fn plain(&self) -> [(&'static str, Plain<'_>); 5];
}

/// A value that is no finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Plain<'a> {
    Text(&'a str),
    Number(i64),
}

impl Plain<'_> {
    fn number(number: impl TryInto<i64>) -> Self {
        Self::Number(number.try_into().unwrap_or(i64::MAX))
    }
}

impl Sight for Dossier {
    fn action(&self) -> Action {
        self.request().action()
    }

    fn principal(&self) -> Cow<'_, str> {
        match &self.request().ask {
            Ask::Send(_) => Cow::Borrowed(self.request().account.as_str()),
            Ask::Command(command) => Cow::Owned(command.actor.to_string()),
        }
    }

    fn resource(&self) -> Cow<'_, str> {
        match &self.request().ask {
            Ask::Send(_) => Cow::Borrowed(self.request().reference.as_str()),
            Ask::Command(command) => Cow::Borrowed(&command.object),
        }
    }

    fn finding(&self, kind: Kind) -> Finding {
        Self::finding(self, kind)
    }

    fn detail(&self, kind: Kind) -> &str {
        self.evidence(kind).map(|evidence| evidence.text("detail")).unwrap_or_default()
    }

    fn strength(&self, kind: Kind) -> Strength {
        self.evidence(kind).map_or(Strength::Claimed, |evidence| evidence.strength)
    }

    fn plain(&self) -> [(&'static str, Plain<'_>); 5] {
        plain(self.request())
    }
}

fn plain(request: &Request) -> [(&'static str, Plain<'_>); 5] {
    let actor = match &request.ask {
        Ask::Send(_) => "credential",
        Ask::Command(command) => command.actor.class(),
    };
    let message = request.submission();
    let author = message.and_then(|s| s.message.from().ok()).map(|m| m.address.domain().as_str());
    [
        ("account", Plain::Text(request.account.as_str())),
        ("actor", Plain::Text(actor)),
        ("author_domain", Plain::Text(author.unwrap_or_default())),
        ("recipients", Plain::number(message.map_or(0, |s| s.envelope.recipients.len()))),
        ("bytes", Plain::number(message.map_or(0, |s| s.message.bytes().len()))),
    ]
}

impl Sight for Facts {
    fn action(&self) -> Action {
        self.action
    }

    fn principal(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.asked.principal)
    }

    fn resource(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.asked.resource)
    }

    fn finding(&self, kind: Kind) -> Finding {
        Self::finding(self, kind)
    }

    fn detail(&self, kind: Kind) -> &str {
        self.evidence.get(&kind).map(|fact| fact.detail.as_str()).unwrap_or_default()
    }

    fn strength(&self, kind: Kind) -> Strength {
        self.evidence.get(&kind).map_or(Strength::Claimed, |fact| fact.strength)
    }

    fn plain(&self) -> [(&'static str, Plain<'_>); 5] {
        let asked = &self.asked;
        [
            ("account", Plain::Text(&asked.account)),
            ("actor", Plain::Text(&asked.actor)),
            ("author_domain", Plain::Text(&asked.author_domain)),
            ("recipients", Plain::number(asked.recipients)),
            ("bytes", Plain::number(asked.bytes)),
        ]
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn payload() -> Value {
        json!({
            "action": "send",
            "asked": {
                "principal": "acme", "resource": "7Q2K3M9TBC", "account": "acme", "actor": "credential",
                "author_domain": "acme.example", "recipients": 2, "bytes": 400,
            },
            "ruling": { "evidence": [
                { "kind": "spf", "finding": "unknown", "why": "timeout", "value": {}, "strength": "observed" },
                { "kind": "from.domain", "finding": "fail", "why": null, "value": { "detail": "foreign" }, "strength": "proved" },
            ] },
        })
    }

    #[test]
    fn recorded_facts_are_read_with_every_word_that_policies_compare() {
        let facts = Facts::recorded(&payload()).unwrap();
        assert_eq!((facts.action, facts.asked.recipients), (Action::Send, 2));
        assert_eq!(facts.finding(Kind::Spf), Finding::Unknown(Why::Timeout));
        assert_eq!(facts.finding(Kind::Limits), Finding::Unknown(Why::NotAsked));
        let fact = &facts.evidence[&Kind::FromDomain];
        assert_eq!((fact.finding, fact.detail.as_str()), (Finding::Fail, "foreign"));
        assert_eq!(fact.strength, Strength::Proved);
    }

    #[test]
    fn facts_that_are_not_all_there_are_none() {
        for path in ["/action", "/asked/bytes", "/ruling/evidence/0/why", "/ruling/evidence/1/kind"] {
            let mut payload = payload();
            *payload.pointer_mut(path).unwrap() = json!("tomorrow's word");
            assert_eq!(Facts::recorded(&payload), None, "{path}");
        }
        assert_eq!(Facts::recorded(&json!({})), None);
    }
}
