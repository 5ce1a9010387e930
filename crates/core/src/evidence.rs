//! Evidence: one fact about a request, and how far it can be trusted.
//! Probes make it, the dossier keeps it, policy reads it.

use std::fmt;

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

/// One fact: what was looked at, what was found, where and when.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Evidence {
    /// What was looked at.
    pub kind: Kind,
    /// What was found.
    #[serde(serialize_with = "finding_word")]
    pub finding: Finding,
    /// Why it is not known; absent when it is.
    pub why: Option<Why>,
    /// A closed kebab-case word that says which pass or fail it was (`two-from`), and values for people.
    pub value: Map<String, Value>,
    /// Where it came from: `message`, `account`, `dns`, `assumed`.
    pub source: &'static str,
    /// When it was observed.
    pub observed_at: Timestamp,
    /// Until when it may be used again.
    pub good_until: Option<Timestamp>,
    /// How far it can be trusted.
    pub strength: Strength,
}

impl Evidence {
    /// A fact observed now, good for this request alone.
    #[must_use]
    pub fn new(kind: Kind, finding: Finding, source: &'static str, observed_at: Timestamp) -> Self {
        let why = match finding {
            Finding::Unknown(why) => Some(why),
            Finding::Pass | Finding::Fail | Finding::Warn => None,
        };
        let value = Map::new();
        Self {
            kind,
            finding,
            why,
            value,
            source,
            observed_at,
            good_until: None,
            strength: Strength::Observed,
        }
    }

    /// Adds a value that people will read.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.value.insert(name.to_owned(), value.into());
        self
    }

    /// Adds the closed word that policies compare: `detail`.
    #[must_use]
    pub fn detail(self, word: &str) -> Self {
        self.with("detail", word)
    }

    /// Says how far it can be trusted.
    #[must_use]
    pub fn strength(mut self, strength: Strength) -> Self {
        self.strength = strength;
        self
    }

    /// Says until when it may be used again.
    #[must_use]
    pub fn good_until(mut self, until: Timestamp) -> Self {
        self.good_until = Some(until);
        self
    }

    /// A value as text, empty when there is none.
    #[must_use]
    pub fn text(&self, name: &str) -> &str {
        self.value.get(name).and_then(Value::as_str).unwrap_or_default()
    }
}

/// What was looked at. The list is closed: a policy names kinds by [`Kind::attribute`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Exactly one author, in strict grammar.
    From,
    /// The author's domain belongs to the account.
    FromDomain,
    /// The reverse path belongs to the account.
    MailFrom,
    /// The Sender field, if any, belongs to the account.
    Sender,
    /// Replies go to the account's domains.
    ReplyTo,
    /// The header section can be read in one way only.
    Headers,
    /// The MIME structure can be read in one way only.
    Structure,
    /// The client is in the account's networks.
    Network,
    /// The account and the credential may be used at all.
    Standing,
    /// The author's domain exists and accepts mail.
    DomainExists,
    /// The login and its account have sent no more today than they may.
    Limits,
    /// Every egress address is authorised by the domain's SPF record.
    Spf,
}

impl Kind {
    /// All kinds, in the order in which people read them.
    pub const ALL: [Self; 12] = [
        Self::Standing,
        Self::Network,
        Self::Headers,
        Self::Structure,
        Self::From,
        Self::FromDomain,
        Self::MailFrom,
        Self::Sender,
        Self::ReplyTo,
        Self::Limits,
        Self::DomainExists,
        Self::Spf,
    ];

    /// The name outside: JSON, pages, `--assume`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::From => "from",
            Self::FromDomain => "from.domain",
            Self::MailFrom => "mail-from",
            Self::Sender => "sender",
            Self::ReplyTo => "reply-to",
            Self::Headers => "headers",
            Self::Structure => "structure",
            Self::Network => "network",
            Self::Standing => "standing",
            Self::DomainExists => "domain.exists",
            Self::Limits => "limits",
            Self::Spf => "spf",
        }
    }

    /// The attribute of the Cedar context.
    #[must_use]
    pub fn attribute(self) -> String {
        self.name().replace(['.', '-'], "_")
    }

    /// The kind of a name outside.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.name())
    }
}

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Finding {
    /// It is as it should be.
    Pass,
    /// It is not.
    Fail,
    /// It is unusual; nothing is refused for it alone.
    Warn,
    /// It is not known. Policy says what silence means, never the probe.
    Unknown(Why),
}

impl Finding {
    /// The word outside: `pass`, `fail`, `warn`, `unknown`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Warn => "warn",
            Self::Unknown(_) => "unknown",
        }
    }

    /// The finding of a word outside; `unknown` is read as not asked.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "pass" => Some(Self::Pass),
            "fail" => Some(Self::Fail),
            "warn" => Some(Self::Warn),
            "unknown" => Some(Self::Unknown(Why::NotAsked)),
            _ => None,
        }
    }
}

fn finding_word<S: Serializer>(finding: &Finding, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(finding.word())
}

/// Why a fact is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// The source did not answer in time.
    Timeout,
    /// The source answered that it cannot say (SERVFAIL, a broken answer).
    Unavailable,
    /// A budget of ours ran out.
    Budget,
    /// The operator has not said what to compare with.
    NotConfigured,
    /// Nobody asked: an earlier finding settled it, or the door has no such fact.
    NotAsked,
}

impl Why {
    const ALL: [Self; 5] =
        [Self::Timeout, Self::Unavailable, Self::Budget, Self::NotConfigured, Self::NotAsked];

    /// The why of a word outside.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|why| why.word() == word)
    }

    /// The word outside.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Unavailable => "unavailable",
            Self::Budget => "budget",
            Self::NotConfigured => "not-configured",
            Self::NotAsked => "not-asked",
        }
    }
}

/// How far a fact can be trusted: weak evidence never blocks alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strength {
    /// Shown by the party that controls the thing (a live DNS proof, a signature).
    Proved,
    /// Seen by us.
    Observed,
    /// Told by somebody.
    Claimed,
}

impl Strength {
    /// The strength of a word outside.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Proved, Self::Observed, Self::Claimed].into_iter().find(|strength| strength.word() == word)
    }

    /// The word outside.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Proved => "proved",
            Self::Observed => "observed",
            Self::Claimed => "claimed",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_attributes_are_distinct() {
        let names: std::collections::BTreeSet<_> = Kind::ALL.iter().map(|k| k.attribute()).collect();
        assert_eq!(names.len(), Kind::ALL.len());
        assert!(Kind::ALL.iter().all(|kind| Kind::parse(kind.name()) == Some(*kind)));
    }

    #[test]
    fn an_unknown_says_why() {
        let evidence = Evidence::new(Kind::Spf, Finding::Unknown(Why::Timeout), "dns", Timestamp::UNIX_EPOCH);
        let json = serde_json::to_value(&evidence).unwrap();
        assert_eq!(json["finding"], "unknown");
        assert_eq!(json["why"], "timeout");
    }
}
