//! A small validator: whether an answer is what the OpenAPI document says. It knows the words of JSON Schema that the
//! document uses, and panics at others, so that none is passed over.

use serde_json::{Map, Value};

use crate::http::Answer;

/// The document of a server.
#[derive(Default)]
pub(crate) struct Document(Value);

impl Document {
    pub(crate) fn read(octets: &[u8]) -> Self {
        Self(serde_json::from_slice(octets).unwrap())
    }

    /// Panics unless the answer to a request is one of those that the document names.
    pub(crate) fn fits(&self, method: &str, target: &str, answer: &Answer) {
        let path = target.split('?').next().unwrap();
        let operation = self.operation(&method.to_lowercase(), path);
        let well = answer.status == 200;
        let responses = match operation {
            Some(operation) => &operation["responses"][if well { "200" } else { "default" }],
            None => {
                assert!([404, 405].contains(&answer.status), "{method} {path} is in no document: {answer:?}");
                return;
            }
        };
        let kind = answer.field("content-type").unwrap_or_default();
        let kind = kind.split(';').next().unwrap();
        let content = &responses["content"][kind];
        assert!(content.is_object(), "{method} {path}: {} `{kind}` is not in the document", answer.status);
        if kind.ends_with("json") && content["schema"]["$ref"].is_string() {
            let faults = self.faults(&content["schema"], &answer.json(), &format!("{method} {path}"), false);
            assert!(faults.is_empty(), "{faults:#?}");
        }
        if !well {
            assert_eq!(answer.json()["status"], answer.status, "{method} {path}");
        }
    }

    fn operation(&self, method: &str, path: &str) -> Option<&Value> {
        let paths = self.0["paths"].as_object()?;
        let fits = |template: &str| {
            let (one, other): (Vec<_>, Vec<_>) = (template.split('/').collect(), path.split('/').collect());
            one.len() == other.len()
                && one.iter().zip(&other).all(|(one, other)| one.starts_with('{') || one == other)
        };
        let item = paths.iter().find(|(template, _)| fits(template)).map(|(_, item)| item)?;
        item.get(method)
    }

    /// What of a value is not as a schema says. Of one of several schemas only what it names is looked at.
    fn faults(&self, schema: &Value, value: &Value, at: &str, part: bool) -> Vec<String> {
        let words = schema.as_object().unwrap_or_else(|| panic!("{at}: {schema} is no schema"));
        let mut faults = Vec::new();
        let mut say = |right: bool, why: &str| {
            if !right {
                faults.push(format!("{at}: {value} {why}"));
            }
        };
        let mut below = Vec::new();
        for (word, wanted) in words {
            match word.as_str() {
                "$ref" => below.extend(self.faults(self.named(wanted), value, at, part)),
                "type" => say(has_type(wanted, value), &format!("is no {wanted}")),
                "enum" => say(listed(wanted).contains(value), &format!("is none of {wanted}")),
                "required" => listed(wanted).iter().for_each(|name| {
                    say(value.get(name.as_str().unwrap()).is_some(), &format!("has no {name}"));
                }),
                "properties" => below.extend(self.properties(words, value, at, part)),
                "items" => {
                    for item in value.as_array().into_iter().flatten() {
                        below.extend(self.faults(wanted, item, at, false));
                    }
                }
                "oneOf" => {
                    let fits = |one: &&Value| self.faults(one, value, at, false).is_empty();
                    say(listed(wanted).iter().filter(fits).count() == 1, &format!("is not one of {wanted}"));
                }
                "allOf" => {
                    below.extend(listed(wanted).iter().flat_map(|one| self.faults(one, value, at, true)));
                }
                "minimum" => say(value.as_f64() >= wanted.as_f64(), "is too small"),
                "format" if wanted == "date-time" => {
                    let time = value.as_str().is_some_and(|time| time.parse::<jiff::Timestamp>().is_ok());
                    say(value.is_null() || time, "is no time");
                }
                "description" | "format" | "additionalProperties" | "propertyNames" => {}
                other => panic!("{at}: the word `{other}` is not known here"),
            }
        }
        faults.extend(below);
        faults
    }

    /// What is there and not described is found, too.
    fn properties(&self, words: &Map<String, Value>, value: &Value, at: &str, part: bool) -> Vec<String> {
        let mut faults = Vec::new();
        for (name, value) in value.as_object().into_iter().flatten() {
            match words["properties"].get(name) {
                Some(schema) => faults.extend(self.faults(schema, value, &format!("{at}.{name}"), false)),
                None if part || words.contains_key("additionalProperties") => {}
                None => faults.push(format!("{at}: `{name}` is not described")),
            }
        }
        faults
    }

    fn named(&self, reference: &Value) -> &Value {
        let name = reference.as_str().unwrap().strip_prefix("#/components/schemas/").unwrap();
        &self.0["components"]["schemas"][name]
    }
}

fn listed(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

fn has_type(wanted: &Value, value: &Value) -> bool {
    let is = |name: &str| match name {
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "null" => value.is_null(),
        other => panic!("the type `{other}` is not known here"),
    };
    match wanted {
        Value::Array(names) => names.iter().any(|name| is(name.as_str().unwrap())),
        name => is(name.as_str().unwrap()),
    }
}

#[test]
fn what_is_not_as_the_document_says_is_found() {
    let document = Document::read(
        br##"{"components": {"schemas": {"A": {"type": "object", "required": ["x"], "properties":
            {"x": {"type": ["string", "null"]}, "how": {"oneOf": [{"$ref": "#/components/schemas/B"}, {"type": "null"}]}}},
            "B": {"type": "string", "enum": ["one"]}}}}"##,
    );
    let schema: Value = serde_json::from_str(r##"{"$ref": "#/components/schemas/A"}"##).unwrap();
    let fits =
        |text: &str| document.faults(&schema, &serde_json::from_str(text).unwrap(), "", false).is_empty();
    assert!(fits(r#"{"x": "y", "how": "one"}"#) && fits(r#"{"x": null, "how": null}"#));
    for wrong in ["{}", "[]", r#"{"x": 1}"#, r#"{"x": "y", "how": "two"}"#, r#"{"x": "y", "z": 1}"#] {
        assert!(!fits(wrong), "{wrong}");
    }
}
