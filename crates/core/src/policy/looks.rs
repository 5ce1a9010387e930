//! Looks: which attributes of the context the policies of an action name, and what these see.
//! `rules` reads it off the policies; `judge` remembers by it what they said.

use cedar_policy::{Policy, PrincipalConstraint, ResourceConstraint};
use serde_json::Value;

use super::context;
use super::facts::{Plain, Sight};
use crate::evidence::Kind;

/// What some policies look at. What a policy says is a function of that alone: Cedar has no clock, and we give it
/// no entities.
#[derive(Debug, Clone, Default)]
pub(super) struct Looks {
    /// The attributes that are named; `None` when they look at something that is not an attribute of the context.
    attributes: Option<Vec<String>>,
}

impl Looks {
    /// What these policies look at. In doubt it is everything.
    pub(super) fn of<'a>(policies: impl Iterator<Item = &'a Policy>) -> Self {
        let mut attributes = Some(Vec::new());
        for policy in policies {
            attributes = attributes.and_then(|known| with_those_of(policy, known));
        }
        Self { attributes }
    }

    /// What the policies see, and nothing else: dossiers of which they see the same are the same to them. `None`
    /// when they look at everything.
    pub(super) fn seen(&self, sight: &impl Sight) -> Option<Vec<u8>> {
        let attributes = self.attributes.as_ref()?;
        let looked_at = |name: &str| attributes.iter().any(|attribute| attribute == name);
        let mut seen = Vec::with_capacity(512);
        // Each value has its length before it, and what is looked at is always the same: nothing can be shifted.
        let mut put = |octets: &[u8]| {
            seen.extend((octets.len() as u64).to_be_bytes());
            seen.extend(octets);
        };
        for kind in Kind::ALL.into_iter().filter(|kind| looked_at(&kind.attribute())) {
            context::words(sight, kind).into_iter().for_each(|(_, word)| put(word.as_bytes()));
        }
        for (_, value) in sight.plain().into_iter().filter(|(name, _)| looked_at(name)) {
            match value {
                Plain::Text(text) => put(text.as_bytes()),
                Plain::Number(number) => put(&number.to_be_bytes()),
            }
        }
        Some(seen)
    }
}

/// The known attributes and those that a policy names; `None` when it looks at principal or resource, at the
/// context as a whole, or at something that is not understood here.
fn with_those_of(policy: &Policy, mut known: Vec<String>) -> Option<Vec<String>> {
    let anybody =
        matches!(policy.principal_constraint(), PrincipalConstraint::Any | PrincipalConstraint::Is(_));
    let anything =
        matches!(policy.resource_constraint(), ResourceConstraint::Any | ResourceConstraint::Is(_));
    let text = policy.to_json().ok().filter(|_| anybody && anything)?;
    let mut open: Vec<&Value> = vec![text.get("conditions")?];
    while let Some(value) = open.pop() {
        match value {
            Value::Object(map) => {
                for (name, inner) in map {
                    match attribute_of_context(name, inner) {
                        Some(attribute) if known.contains(&attribute) => {}
                        Some(attribute) => known.push(attribute),
                        None if name == "Var" && inner != "action" => return None,
                        None => open.push(inner),
                    }
                }
            }
            Value::Array(list) => open.extend(list),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    Some(known)
}

/// `context.NAME` and `context has NAME` in Cedar's JSON of policies.
fn attribute_of_context(operator: &str, operands: &Value) -> Option<String> {
    let is_context = operands.pointer("/left/Var").is_some_and(|left| left == "context");
    let attribute = operands.get("attr")?.as_str()?;
    (is_context && [".", "has"].contains(&operator)).then(|| attribute.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looks(text: &str) -> Option<Vec<String>> {
        let policy = Policy::parse(None, text).unwrap();
        Looks::of([&policy].into_iter()).attributes
    }

    fn when(condition: &str) -> Option<Vec<String>> {
        looks(&format!("forbid(principal, action == Action::\"send\", resource) when {{ {condition} }};"))
    }

    #[test]
    fn attributes_are_found_wherever_they_stand() {
        let found = when(
            "context.bytes > 10 && (if context.spf.finding == \"pass\" then [\"a\"].contains(context.from.detail) \
             else {x: context.limits}.x.why like \"*a\") || context has headers",
        );
        let mut found = found.unwrap();
        found.sort();
        assert_eq!(found, ["bytes", "from", "headers", "limits", "spf"]);
        assert_eq!(when("true").unwrap(), Vec::<String>::new());
    }

    #[test]
    fn what_is_no_attribute_of_the_context_is_everything() {
        for condition in [
            "principal == Account::\"acme\"",
            "resource is Held",
            "context == {a: 1}",
            "{a: context}.a.bytes > 1",
            "{Var: principal}.Var == Account::\"acme\"",
        ] {
            assert_eq!(when(condition), None, "{condition}");
        }
        assert_eq!(looks("forbid(principal == Account::\"acme\", action, resource);"), None);
        assert_eq!(looks("forbid(principal in Account::\"acme\", action, resource);"), None);
        assert_eq!(looks("forbid(principal, action, resource == Message::\"1\");"), None);
        assert_eq!(looks("forbid(principal is Account, action, resource);"), Some(vec![]));
    }

    #[test]
    fn the_policies_that_ship_look_at_findings_alone() {
        let send = include_str!("../../../../policies/send.cedar");
        let set: cedar_policy::PolicySet = send.parse().unwrap();
        let found = Looks::of(set.policies()).attributes.unwrap();
        assert_eq!(found.len(), Kind::ALL.len(), "{found:?}");
        assert!(Kind::ALL.iter().all(|kind| found.contains(&kind.attribute())));
    }
}
