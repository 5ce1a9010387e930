//! The judge: asks the policies about a dossier and takes the worst that they say.
//! `Rules::rule` is called by the gate, once on quick evidence and once on all of it.

use std::sync::Arc;

use cedar_policy::{Authorizer, Decision as CedarDecision, Entities, Policy};

use super::context;
use super::facts::{Facts, Sight};
use super::replay::Replay;
use super::rules::{Rules, Slice};
use super::ruling::{Cause, Decision, How, Missing, Ruling, Verdict};
use crate::dossier::Dossier;
use crate::evidence::{Finding, Kind};
use crate::reason::{self, Reason, Words, fill};
use crate::request::{Action, Request};

/// What a hold without a word of its own is: `[send] hold`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HoldAs(pub How);

impl Rules {
    /// Rules on a dossier.
    ///
    /// Fails closed: a policy that errors is skipped by Cedar, also a `forbid`, so any error is a hold;
    /// so is the absence of a permit.
    #[must_use]
    pub fn rule(&self, dossier: &Dossier, hold: HoldAs) -> Ruling {
        let said = self.said(dossier);
        let verdict = match (said.voices.as_slice(), &said.error) {
            // The usual case needs no words.
            ([], None) => Verdict::allow(),
            (voices, error) => {
                let mut words = words(dossier);
                let mut voices = voices.to_vec();
                if let Some(error) = error {
                    words.insert("policy_error", error.clone());
                    voices.push(Voice::error());
                }
                weigh(voices, hold, dossier, &words)
            }
        };
        Ruling::new(dossier.request(), verdict, dossier.all().cloned().collect(), self.digest())
    }

    /// Whether the decision on a dossier is a refusal.
    #[must_use]
    pub fn refuses(&self, dossier: &Dossier) -> bool {
        self.said(dossier).voices.iter().any(|voice| voice.effect == Effect::Refuse)
    }

    /// Rules on facts without making a ruling: nothing can be done with what it gives. On the facts that were
    /// recorded with a ruling, the policies of that ruling say what they said then.
    #[must_use]
    pub fn replay(&self, facts: &Facts, hold: HoldAs) -> Replay {
        let said = self.said(facts);
        let error = said.error.as_ref().map(|_| Voice::error());
        let (decision, how, sorted) = settle(said.voices.iter().cloned().chain(error).collect(), hold);
        let reasons = sorted.into_iter().map(|voice| (reason::known(&voice.code).code, voice.policy));
        Replay { decision, how, reasons: reasons.collect() }
    }

    /// What the policies say, asked once for all dossiers that are the same to them.
    fn said(&self, sight: &impl Sight) -> Arc<Said> {
        match self.slice(sight.action()) {
            // An error may be of this moment (Cedar stops where the stack ends): it is not remembered.
            Some(slice) => slice.memory.of(
                slice.looks.seen(sight),
                || self.ask(slice, sight),
                |said| said.error.is_none(),
            ),
            None => Arc::new(Said::nothing("no policies for this action".to_owned())),
        }
    }

    fn ask(&self, slice: &Slice, sight: &impl Sight) -> Said {
        let request = match context::request(sight, &self.schema) {
            Ok(request) => request,
            Err(error) => return Said::nothing(error),
        };
        let authorizer = Authorizer::new();
        let entities = Entities::empty();
        let permits = authorizer.is_authorized(&request, &slice.permits, &entities);
        let forbids = authorizer.is_authorized(&request, &slice.forbids, &entities);
        let mut errors = permits.diagnostics().errors().chain(forbids.diagnostics().errors());
        let error = errors.next().map(ToString::to_string);
        let mut voices: Vec<Voice> =
            forbids.diagnostics().reason().filter_map(|id| slice.forbids.policy(id)).map(Voice::of).collect();
        if permits.decision() != CedarDecision::Allow {
            let effect = match sight.action() {
                Action::Send => Effect::HoldAsSet,
                Action::Command(_) => Effect::Refuse,
            };
            let code = if effect == Effect::Refuse { "not-permitted" } else { "no-permit" };
            voices.push(Voice::new(code, "judge", effect));
        }
        Said { voices, error }
    }
}

/// What the policies of an action say, and the first error of those that could not be evaluated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said {
    voices: Vec<Voice>,
    error: Option<String>,
}

impl Said {
    fn nothing(error: String) -> Self {
        Self { voices: vec![], error: Some(error) }
    }
}

/// A refusal of what was read on the wire: a budget or a forbidden octet. The catalogue is the rule;
/// Cedar is not asked, and it binds in observe too.
#[must_use]
pub fn refuse_bytes(request: &Request, reason: &'static Reason, detail: &str, digest: &str) -> Ruling {
    let mut words = base_words(request);
    words.insert("detail", detail.to_owned());
    let cause = cause(reason, "wire", Decision::Refuse, &words);
    let verdict = Verdict {
        decision: Decision::Refuse,
        how: None,
        reasons: vec![cause],
        missing: vec![],
        marks: vec![],
    };
    Ruling::new(request, verdict, vec![], digest)
}

/// What one policy says.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Voice {
    code: String,
    policy: String,
    effect: Effect,
}

/// In the order in which the worse wins: refuse > hold defer > hold custody > ask > mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    Mark,
    Ask,
    HoldAsSet,
    Hold(How),
    Refuse,
}

impl Voice {
    fn new(code: &str, policy: &str, effect: Effect) -> Self {
        Self { code: code.to_owned(), policy: policy.to_owned(), effect }
    }

    /// A policy could not be evaluated.
    fn error() -> Self {
        Self::new("policy-error", "judge", Effect::HoldAsSet)
    }

    fn of(policy: &Policy) -> Self {
        let effect = match (policy.annotation("effect"), policy.annotation("how")) {
            (Some("refuse"), _) => Effect::Refuse,
            (Some("ask"), _) => Effect::Ask,
            (Some("mark"), _) => Effect::Mark,
            (_, Some("defer")) => Effect::Hold(How::Defer),
            (_, Some("custody")) => Effect::Hold(How::Custody),
            (_, _) => Effect::HoldAsSet,
        };
        Self::new(policy.annotation("reason").unwrap_or("policy"), policy.id().as_ref(), effect)
    }

    fn decision(&self, hold: HoldAs) -> (Decision, Option<How>) {
        match self.effect {
            Effect::Mark => (Decision::Allow, None),
            Effect::Ask => (Decision::Ask, None),
            Effect::HoldAsSet => (Decision::Hold, Some(hold.0)),
            Effect::Hold(how) => (Decision::Hold, Some(how)),
            Effect::Refuse => (Decision::Refuse, None),
        }
    }
}

/// The worst that was said, and who said what, worst first.
fn settle(voices: Vec<Voice>, hold: HoldAs) -> (Decision, Option<How>, Vec<Voice>) {
    let rank = |voice: &Voice| match voice.decision(hold) {
        (decision, Some(How::Defer)) => (decision, 1),
        (decision, _) => (decision, 0),
    };
    let mut sorted = voices;
    sorted.sort_by(|a, b| rank(b).cmp(&rank(a)).then_with(|| a.policy.cmp(&b.policy)));
    let (decision, how) = sorted.first().map_or((Decision::Allow, None), |worst| worst.decision(hold));
    // A missing permit says nothing new beside a reason that already stops the message.
    if sorted.iter().any(|v| v.code != "no-permit" && v.effect != Effect::Mark) {
        sorted.retain(|v| v.code != "no-permit");
    }
    (decision, how, sorted)
}

fn weigh(voices: Vec<Voice>, hold: HoldAs, dossier: &Dossier, words: &Words) -> Verdict {
    let (decision, how, sorted) = settle(voices, hold);
    let marks =
        sorted.iter().filter(|v| v.effect == Effect::Mark).map(|v| reason::known(&v.code).code).collect();
    let reasons: Vec<Cause> = sorted
        .iter()
        .map(|voice| {
            let reason = reason::known(&voice.code);
            let words = with_evidence(reason, voice, dossier, words.clone());
            cause(reason, &voice.policy, voice.decision(hold).0, &words)
        })
        .collect();
    let missing = missing(&reasons, words);
    Verdict { decision, how, reasons, missing, marks }
}

/// The words of the evidence that a reason speaks of.
fn with_evidence(reason: &Reason, voice: &Voice, dossier: &Dossier, mut words: Words) -> Words {
    words.insert("policy", voice.policy.clone());
    let Some(kind) = reason.evidence else { return words };
    if let Some(evidence) = dossier.evidence(kind) {
        let text = if evidence.text("says").is_empty() { "detail" } else { "says" };
        words.insert("detail", evidence.text(text).to_owned());
    }
    if let Finding::Unknown(why) = dossier.finding(kind) {
        words.insert("why", why.word().to_owned());
    }
    words
}

fn cause(reason: &'static Reason, policy: &str, decision: Decision, words: &Words) -> Cause {
    let (code, enhanced) = match (decision, reason.reply) {
        (Decision::Hold | Decision::Ask, (500.., _)) => (451, "4.7.1"),
        (Decision::Refuse, (..500, _)) if !reason.always => (550, "5.7.1"),
        (_, reply) => reply,
    };
    Cause {
        code: reason.code,
        policy: policy.to_owned(),
        smtp: format!("{code} {enhanced} {}", fill(reason.smtp, words)),
        sentence: fill(reason.sentence, words),
        remedy: fill(reason.remedy, words),
        link: None,
    }
}

fn missing(reasons: &[Cause], words: &Words) -> Vec<Missing> {
    let subject = |kind: &str| match kind {
        "network" => words.get("ip").cloned().unwrap_or_default(),
        "spf" => words.get("spf_domain").or_else(|| words.get("domain")).cloned().unwrap_or_default(),
        _ => words.get("domain").cloned().unwrap_or_default(),
    };
    let mut out: Vec<Missing> = Vec::new();
    for reason in reasons {
        let Some(kind) = reason::known(reason.code).missing else { continue };
        if out.iter().all(|known| known.kind != kind) {
            out.push(Missing { kind, subject: subject(kind), how: reason.remedy.clone() });
        }
    }
    out
}

fn base_words(request: &Request) -> Words {
    let mut words = Words::from([("account", request.account.to_string()), ("actor", request.actor())]);
    if let Some(submission) = request.submission() {
        if let Some(ip) = submission.client.ip {
            words.insert("ip", ip.to_string());
        }
        let mail_from = submission.envelope.mail_from.as_ref();
        words.insert("mail_from", mail_from.map_or_else(|| "<>".to_owned(), ToString::to_string));
        if let Ok(mailbox) = submission.message.from() {
            words.insert("from", mailbox.address.to_string());
            words.insert("domain", mailbox.address.domain().to_string());
        }
    }
    words
}

fn words(dossier: &Dossier) -> Words {
    let mut words = base_words(dossier.request());
    let mut take = |kind: Kind, value: &str, word: &'static str| {
        if let Some(text) = dossier.evidence(kind).map(|e| e.text(value)).filter(|text| !text.is_empty()) {
            words.insert(word, text.to_owned());
        }
    };
    take(Kind::Sender, "address", "sender");
    take(Kind::ReplyTo, "address", "reply_to");
    take(Kind::Spf, "result", "spf");
    take(Kind::Spf, "address", "address");
    take(Kind::Spf, "domain", "spf_domain");
    words
}

#[cfg(test)]
mod tests;
