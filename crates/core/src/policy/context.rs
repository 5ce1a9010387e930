//! A dossier in Cedar's words: principal, action, resource and context.
//! The judge builds one for every evaluation.

use std::str::FromStr;

use cedar_policy::{Context, EntityId, EntityTypeName, EntityUid, Request, RestrictedExpression, Schema};

use crate::dossier::Dossier;
use crate::evidence::{Finding, Kind, Strength};
use crate::request::{Ask, Verb};

/// The Cedar request for a dossier, checked against the schema.
pub(super) fn request(dossier: &Dossier, schema: &Schema) -> Result<Request, String> {
    let asked = dossier.request();
    let (principal, resource) = match &asked.ask {
        Ask::Send(_) => (uid("Account", asked.account.as_str())?, uid("Message", asked.reference.as_str())?),
        Ask::Command(command) => {
            (uid("Actor", &command.actor.to_string())?, uid(resource_type(command.verb), &command.object)?)
        }
    };
    let action = uid("Action", asked.action().name())?;
    let pairs =
        Kind::ALL.into_iter().map(|kind| (kind.attribute(), finding(dossier, kind))).chain(about(dossier));
    let context = Context::from_pairs(pairs).map_err(|e| e.to_string())?;
    Request::new(principal, action, resource, context, Some(schema)).map_err(|e| e.to_string())
}

fn resource_type(verb: Verb) -> &'static str {
    match verb {
        Verb::HeldRelease | Verb::HeldRefuse | Verb::HeldExpire => "Held",
        Verb::AccountBlock | Verb::AccountUnblock => "Account",
        Verb::Apply | Verb::SetMode | Verb::LedgerErase | Verb::LedgerExpire => "Platform",
    }
}

/// Every kind is there: what nobody looked at is `unknown`, so that no policy meets a missing attribute.
fn finding(dossier: &Dossier, kind: Kind) -> RestrictedExpression {
    record(words(dossier, kind))
}

/// All that policies see of a finding.
pub(super) fn words(dossier: &Dossier, kind: Kind) -> [(&'static str, &str); 4] {
    let finding = dossier.finding(kind);
    let evidence = dossier.evidence(kind);
    let why = match finding {
        Finding::Unknown(why) => why.word(),
        Finding::Pass | Finding::Fail | Finding::Warn => "",
    };
    let strength = evidence.map_or(Strength::Claimed, |e| e.strength);
    let detail = evidence.map(|e| e.text("detail")).unwrap_or_default();
    [("finding", finding.word()), ("why", why), ("detail", detail), ("strength", strength.word())]
}

fn record<const N: usize>(pairs: [(&str, &str); N]) -> RestrictedExpression {
    let fields = pairs.map(|(name, value)| (name.to_owned(), text(value)));
    // Names are distinct literals, so the record is always made; an empty one would fail the schema.
    RestrictedExpression::new_record(fields)
        .unwrap_or_else(|_| RestrictedExpression::new_string("duplicate key".to_owned()))
}

fn about(dossier: &Dossier) -> impl Iterator<Item = (String, RestrictedExpression)> {
    facts(dossier).into_iter().map(|(name, fact)| {
        let value = match fact {
            Fact::Text(value) => text(value),
            Fact::Number(number) => RestrictedExpression::new_long(number),
        };
        (name.to_owned(), value)
    })
}

/// A plain value that policies see.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fact<'a> {
    Text(&'a str),
    Number(i64),
}

/// All that policies see beside the findings.
pub(super) fn facts(dossier: &Dossier) -> [(&'static str, Fact<'_>); 5] {
    let request = dossier.request();
    let actor = match &request.ask {
        Ask::Send(_) => "credential",
        Ask::Command(command) => command.actor.class(),
    };
    let message = request.submission();
    let author = message.and_then(|s| s.message.from().ok()).map(|m| m.address.domain().as_str());
    let recipients = message.map_or(0, |s| s.envelope.recipients.len());
    let bytes = message.map_or(0, |s| s.message.bytes().len());
    let number = |n: usize| Fact::Number(i64::try_from(n).unwrap_or(i64::MAX));
    [
        ("account", Fact::Text(request.account.as_str())),
        ("actor", Fact::Text(actor)),
        ("author_domain", Fact::Text(author.unwrap_or_default())),
        ("recipients", number(recipients)),
        ("bytes", number(bytes)),
    ]
}

fn text(value: &str) -> RestrictedExpression {
    RestrictedExpression::new_string(value.to_owned())
}

fn uid(kind: &str, id: &str) -> Result<EntityUid, String> {
    let name = EntityTypeName::from_str(kind).map_err(|e| e.to_string())?;
    Ok(EntityUid::from_type_name_and_id(name, EntityId::new(id)))
}
