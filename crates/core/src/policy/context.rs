//! What policies see in Cedar's words: principal, action, resource and context.
//! The judge builds one for every evaluation.

use std::str::FromStr;

use cedar_policy::{Context, EntityId, EntityTypeName, EntityUid, Request, RestrictedExpression, Schema};

use super::facts::{Plain, Sight};
use crate::evidence::{Finding, Kind};
use crate::request::{Action, Verb};

/// The Cedar request for what is seen, checked against the schema.
pub(super) fn request(sight: &impl Sight, schema: &Schema) -> Result<Request, String> {
    let (principal, resource) = match sight.action() {
        Action::Send => ("Account", "Message"),
        Action::Command(verb) => ("Actor", resource_type(verb)),
    };
    let (principal, resource) = (uid(principal, &sight.principal())?, uid(resource, &sight.resource())?);
    let action = uid("Action", sight.action().name())?;
    let pairs =
        Kind::ALL.into_iter().map(|kind| (kind.attribute(), finding(sight, kind))).chain(about(sight));
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
fn finding(sight: &impl Sight, kind: Kind) -> RestrictedExpression {
    record(words(sight, kind))
}

/// All that policies see of a finding.
pub(super) fn words(sight: &impl Sight, kind: Kind) -> [(&'static str, &str); 4] {
    let finding = sight.finding(kind);
    let why = match finding {
        Finding::Unknown(why) => why.word(),
        Finding::Pass | Finding::Fail | Finding::Warn => "",
    };
    let (detail, strength) = (sight.detail(kind), sight.strength(kind).word());
    [("finding", finding.word()), ("why", why), ("detail", detail), ("strength", strength)]
}

fn record<const N: usize>(pairs: [(&str, &str); N]) -> RestrictedExpression {
    let fields = pairs.map(|(name, value)| (name.to_owned(), text(value)));
    // Names are distinct literals, so the record is always made; an empty one would fail the schema.
    RestrictedExpression::new_record(fields)
        .unwrap_or_else(|_| RestrictedExpression::new_string("duplicate key".to_owned()))
}

fn about(sight: &impl Sight) -> impl Iterator<Item = (String, RestrictedExpression)> {
    sight.plain().into_iter().map(|(name, value)| {
        let value = match value {
            Plain::Text(value) => text(value),
            Plain::Number(number) => RestrictedExpression::new_long(number),
        };
        (name.to_owned(), value)
    })
}

fn text(value: &str) -> RestrictedExpression {
    RestrictedExpression::new_string(value.to_owned())
}

fn uid(kind: &str, id: &str) -> Result<EntityUid, String> {
    let name = EntityTypeName::from_str(kind).map_err(|e| e.to_string())?;
    Ok(EntityUid::from_type_name_and_id(name, EntityId::new(id)))
}
