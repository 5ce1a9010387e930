//! The rules: Cedar policies read, validated and sliced, one set for each action.
//! Boot and `check` load them; `judge` asks them.

use std::collections::{BTreeMap, HashMap};
use std::str::FromStr;

use aws_lc_rs::digest::{Context, SHA256};
use cedar_policy::{
    ActionConstraint, Effect, Policy, PolicyId, PolicySet, Schema, ValidationMode, Validator,
};

use super::judge::Said;
use super::looks::Looks;
use super::memory::Memory;
use crate::reason;
use crate::request::Action;

/// Validated policies, one slice for each action: evaluation costs about 1 us a policy.
#[derive(Debug, Clone)]
pub struct Rules {
    slices: HashMap<Action, Slice>,
    pub(super) schema: Schema,
    digest: String,
}

/// The policies of one action. Permits and forbids are asked apart: a `forbid` that only marks must not
/// hide whether something permits.
#[derive(Debug, Clone, Default)]
pub(super) struct Slice {
    pub(super) permits: PolicySet,
    pub(super) forbids: PolicySet,
    pub(super) looks: Looks,
    pub(super) memory: Memory<Said>,
}

impl Rules {
    /// Reads and validates policies; `files` are (name without extension, text).
    ///
    /// # Errors
    /// When a text does not parse, does not fit the schema, or has an annotation with an unknown word.
    pub fn parse(schema: &str, files: &[(String, String)]) -> Result<Self, PolicyError> {
        let (parsed, _warnings) =
            Schema::from_cedarschema_str(schema).map_err(|e| PolicyError::Schema(e.to_string()))?;
        let mut policies = Vec::new();
        for (name, text) in files {
            policies.extend(read(name, text)?);
        }
        validate(&parsed, &policies)?;
        let slices = Action::all()
            .map(|action| Ok((action, slice(action, &policies)?)))
            .collect::<Result<_, PolicyError>>()?;
        Ok(Self { slices, schema: parsed, digest: digest(schema, files) })
    }

    /// The policies that ship with the program.
    ///
    /// # Errors
    /// Never, as a test of this file shows; the signature is that of [`Rules::parse`].
    pub fn built_in() -> Result<Self, PolicyError> {
        let files = BUILT_IN.map(|(name, text)| (name.to_owned(), text.to_owned()));
        Self::parse(SCHEMA, &files)
    }

    /// The policies that ship with the program, with an operator's own beside them. A file of the same
    /// name replaces ours.
    ///
    /// # Errors
    /// As [`Rules::parse`].
    pub fn with_own(own: Vec<(String, String)>) -> Result<Self, PolicyError> {
        let ours = BUILT_IN.map(|(name, text)| (name.to_owned(), text.to_owned()));
        let files: BTreeMap<String, String> = ours.into_iter().chain(own).collect();
        Self::parse(SCHEMA, &files.into_iter().collect::<Vec<_>>())
    }

    /// SHA-256 over schema and policies, as `sha256:` and 64 hexadecimal digits.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Every policy by its name, `file/id`, with its meaning as JSON: comments and blanks make no difference.
    #[must_use]
    pub fn policies(&self) -> BTreeMap<String, String> {
        let sets = self.slices.values().flat_map(|slice| [&slice.permits, &slice.forbids]);
        let meaning = |policy: &Policy| policy.to_json().map(|json| json.to_string()).unwrap_or_default();
        sets.flat_map(PolicySet::policies).map(|policy| (policy.id().to_string(), meaning(policy))).collect()
    }

    pub(super) fn slice(&self, action: Action) -> Option<&Slice> {
        self.slices.get(&action)
    }
}

fn read(file: &str, text: &str) -> Result<Vec<Policy>, PolicyError> {
    let set = PolicySet::from_str(text)
        .map_err(|e| PolicyError::Parse { file: file.to_owned(), cause: describe(&e) })?;
    set.policies()
        .enumerate()
        .map(|(number, policy)| {
            let id = policy.annotation("id").map_or_else(|| format!("policy-{number}"), str::to_owned);
            check_annotations(file, &id, policy)?;
            Ok(policy.new_id(PolicyId::new(format!("{file}/{id}"))))
        })
        .collect()
}

/// A parse error of Cedar with the reason behind it, in one line.
fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text.replace('\n', " ")
}

fn check_annotations(file: &str, id: &str, policy: &Policy) -> Result<(), PolicyError> {
    let wrong = |name: &'static str, value: &str| PolicyError::Annotation {
        policy: format!("{file}/{id}"),
        name,
        value: value.to_owned(),
    };
    if let Some(value) = policy.annotation("effect").filter(|v| !EFFECTS.contains(v)) {
        return Err(wrong("effect", value));
    }
    if let Some(value) = policy.annotation("how").filter(|v| !["custody", "defer"].contains(v)) {
        return Err(wrong("how", value));
    }
    match policy.annotation("reason").filter(|code| reason::find(code).is_none()) {
        Some(value) => Err(wrong("reason", value)),
        None => Ok(()),
    }
}

fn validate(schema: &Schema, policies: &[Policy]) -> Result<(), PolicyError> {
    let set =
        PolicySet::from_policies(policies.iter().cloned()).map_err(|e| PolicyError::Twice(e.to_string()))?;
    let result = Validator::new(schema.clone()).validate(&set, ValidationMode::Strict);
    let errors: Vec<String> = result.validation_errors().map(ToString::to_string).collect();
    match errors.is_empty() {
        true => Ok(()),
        false => Err(PolicyError::Invalid(errors.join("; "))),
    }
}

fn slice(action: Action, policies: &[Policy]) -> Result<Slice, PolicyError> {
    let of = |effect: Effect| {
        let fitting = policies.iter().filter(|p| p.effect() == effect && speaks_of(p, action)).cloned();
        PolicySet::from_policies(fitting).map_err(|e| PolicyError::Twice(e.to_string()))
    };
    let (permits, forbids) = (of(Effect::Permit)?, of(Effect::Forbid)?);
    let looks = Looks::of(permits.policies().chain(forbids.policies()));
    Ok(Slice { permits, forbids, looks, memory: Memory::default() })
}

fn speaks_of(policy: &Policy, action: Action) -> bool {
    match policy.action_constraint() {
        ActionConstraint::Any => true,
        ActionConstraint::Eq(uid) => uid.id().unescaped() == action.name(),
        ActionConstraint::In(uids) => uids.iter().any(|uid| uid.id().unescaped() == action.name()),
    }
}

fn digest(schema: &str, files: &[(String, String)]) -> String {
    let mut context = Context::new(&SHA256);
    let texts = files.iter().flat_map(|(name, text)| [name.as_str(), text.as_str()]);
    for text in std::iter::once(schema).chain(texts) {
        context.update(&(text.len() as u64).to_be_bytes());
        context.update(text.as_bytes());
    }
    let hex: String = context.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// Why policies cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// The schema does not parse.
    #[error("the policy schema cannot be read: {0}")]
    Schema(String),
    /// A file does not parse.
    #[error("policy file `{file}.cedar` cannot be read: {cause}")]
    Parse {
        /// The file.
        file: String,
        /// What Cedar says.
        cause: String,
    },
    /// Two policies of one name.
    #[error("two policies have the same name: {0} (give each an @id of its own)")]
    Twice(String),
    /// A policy names something that the schema does not have.
    #[error("a policy does not fit the schema: {0}")]
    Invalid(String),
    /// An annotation has an unknown word.
    #[error("policy `{policy}` has @{name}(`{value}`), which is not known: {}", known_words(name))]
    Annotation {
        /// The policy.
        policy: String,
        /// The annotation.
        name: &'static str,
        /// Its value.
        value: String,
    },
}

fn known_words(annotation: &str) -> &'static str {
    match annotation {
        "effect" => "use refuse, hold, ask or mark",
        "how" => "use custody or defer",
        _ => "use a code of docs/reference/reasons.json",
    }
}

const EFFECTS: [&str; 4] = ["refuse", "hold", "ask", "mark"];
const SCHEMA: &str = include_str!("../../../../policies/countersign.cedarschema");
const BUILT_IN: [(&str, &str); 2] = [
    ("desk", include_str!("../../../../policies/desk.cedar")),
    ("send", include_str!("../../../../policies/send.cedar")),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn own(text: &str) -> Result<Rules, PolicyError> {
        Rules::with_own(vec![("own".to_owned(), text.to_owned())])
    }

    #[test]
    fn the_built_in_policies_are_valid() {
        assert!(Rules::built_in().is_ok());
    }

    #[test]
    fn an_unknown_attribute_is_refused_before_activation() {
        let error = own(
            "forbid(principal, action == Action::\"send\", resource) when { context.spff.finding == \"fail\" };",
        );
        assert!(matches!(error, Err(PolicyError::Invalid(_))), "{error:?}");
    }

    #[test]
    fn unknown_annotation_words_name_the_known_ones() {
        let error = own("@id(\"x\") @effect(\"drop\") forbid(principal, action, resource);").unwrap_err();
        assert_eq!(
            error.to_string(),
            "policy `own/x` has @effect(`drop`), which is not known: use refuse, hold, ask or mark"
        );
    }

    #[test]
    fn the_digest_changes_with_the_policies() {
        let one = own("@id(\"x\") forbid(principal, action, resource);").unwrap();
        assert_ne!(one.digest(), Rules::built_in().unwrap().digest());
    }
}
