//! Facts in Cedar's words: principal, action, resource and context.
//! The judge builds one for every evaluation.

use std::str::FromStr;

use cedar_policy::{Context, EntityId, EntityTypeName, EntityUid, Request, RestrictedExpression, Schema};

use super::facts::{Asked, Facts};
use crate::evidence::{Finding, Kind, Strength};
use crate::request::{Action, Verb};

/// The Cedar request for facts, checked against the schema.
pub(super) fn request(facts: &Facts, schema: &Schema) -> Result<Request, String> {
    let asked = &facts.asked;
    let (principal, resource) = match facts.action {
        Action::Send => (uid("Account", &asked.principal)?, uid("Message", &asked.resource)?),
        Action::Command(verb) => {
            (uid("Actor", &asked.principal)?, uid(resource_type(verb), &asked.resource)?)
        }
    };
    let action = uid("Action", facts.action.name())?;
    let pairs = Kind::ALL.into_iter().map(|kind| (kind.attribute(), finding(facts, kind)));
    let context = Context::from_pairs(pairs.chain(about(asked))).map_err(|e| e.to_string())?;
    Request::new(principal, action, resource, context, Some(schema)).map_err(|e| e.to_string())
}

fn resource_type(verb: Verb) -> &'static str {
    match verb {
        Verb::HeldRelease | Verb::HeldRefuse | Verb::HeldExpire => "Held",
        Verb::AccountBlock | Verb::AccountUnblock => "Account",
        Verb::Apply | Verb::SetMode => "Platform",
    }
}

/// Every kind is there: what nobody looked at is `unknown`, so that no policy meets a missing attribute.
fn finding(facts: &Facts, kind: Kind) -> RestrictedExpression {
    let finding = facts.finding(kind);
    let fact = facts.evidence.get(&kind);
    let why = match finding {
        Finding::Unknown(why) => why.word(),
        Finding::Pass | Finding::Fail | Finding::Warn => "",
    };
    let strength = fact.map_or(Strength::Claimed, |fact| fact.strength);
    let detail = fact.map(|fact| fact.detail.as_str()).unwrap_or_default();
    record([("finding", finding.word()), ("why", why), ("detail", detail), ("strength", strength.word())])
}

fn record<const N: usize>(pairs: [(&str, &str); N]) -> RestrictedExpression {
    let fields = pairs.map(|(name, value)| (name.to_owned(), text(value)));
    // Names are distinct literals, so the record is always made; an empty one would fail the schema.
    RestrictedExpression::new_record(fields)
        .unwrap_or_else(|_| RestrictedExpression::new_string("duplicate key".to_owned()))
}

fn about(asked: &Asked) -> Vec<(String, RestrictedExpression)> {
    let number = |n: u64| RestrictedExpression::new_long(i64::try_from(n).unwrap_or(i64::MAX));
    vec![
        ("account".to_owned(), text(&asked.account)),
        ("actor".to_owned(), text(&asked.actor)),
        ("author_domain".to_owned(), text(&asked.author_domain)),
        ("recipients".to_owned(), number(asked.recipients)),
        ("bytes".to_owned(), number(asked.bytes)),
    ]
}

fn text(value: &str) -> RestrictedExpression {
    RestrictedExpression::new_string(value.to_owned())
}

fn uid(kind: &str, id: &str) -> Result<EntityUid, String> {
    let name = EntityTypeName::from_str(kind).map_err(|e| e.to_string())?;
    Ok(EntityUid::from_type_name_and_id(name, EntityId::new(id)))
}
