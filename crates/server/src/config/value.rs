//! One TOML value checked against the kind that the schema allows.
//! `document` and `environment` call it for every leaf.

use toml::de::{DeInteger, DeValue};

use super::schema::Kind;
use super::table::Value;

/// Reads a value of a kind that is no table.
///
/// The error is the end of the sentence that begins with the name of the key.
pub(crate) fn read(kind: Kind, value: &DeValue<'_>) -> Result<Value, String> {
    let read = match (kind, value) {
        (Kind::Flag | Kind::Count(..) | Kind::Texts | Kind::Pairs, DeValue::String(_)) => None,
        (Kind::Anything, _) => Some(Value::Ignored),
        (Kind::MaybeEmpty, DeValue::String(text)) => Some(Value::Text(text.to_string())),
        (_, DeValue::String(text)) if text.trim().is_empty() => {
            return Err("is empty: leave it out instead".to_owned());
        }
        (_, DeValue::String(text)) => Some(Value::Text(text.to_string())),
        (Kind::Time, DeValue::Datetime(time)) => Some(Value::Text(time.to_string())),
        (Kind::Flag, DeValue::Boolean(flag)) => Some(Value::Flag(*flag)),
        (Kind::Count(least, most), DeValue::Integer(number)) => {
            whole(number).filter(|n| (least..=most).contains(n)).map(Value::Count)
        }
        (Kind::Texts | Kind::TextOrTexts, DeValue::Array(list)) => {
            list.iter().map(|item| text(item.get_ref())).collect::<Option<_>>().map(Value::Texts)
        }
        (Kind::Pairs, DeValue::Table(_)) => pairs(value).map(Value::Pairs),
        _ => None,
    };
    read.ok_or_else(|| format!("is {}: {}", shown(value), allowed(kind)))
}

fn text(value: &DeValue<'_>) -> Option<String> {
    value.as_str().filter(|text| !text.trim().is_empty()).map(str::to_owned)
}

fn whole(number: &DeInteger<'_>) -> Option<u64> {
    u64::from_str_radix(number.as_str().trim_start_matches('+'), number.radix()).ok()
}

/// `{spf = "pass", domain.exists = "pass"}` and `{"domain.exists" = "pass"}` mean the same.
fn pairs(value: &DeValue<'_>) -> Option<Vec<(String, String)>> {
    let mut pairs = Vec::new();
    for (name, value) in value.as_table()? {
        match value.get_ref() {
            DeValue::Table(below) => {
                for (end, value) in below {
                    let name = format!("{}.{}", name.get_ref(), end.get_ref());
                    pairs.push((name, text(value.get_ref())?));
                }
            }
            other => pairs.push((name.get_ref().to_string(), text(other)?)),
        }
    }
    Some(pairs)
}

/// A value as a message shows it: in backticks, on one line, not endless.
fn shown(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => quoted(text),
        DeValue::Integer(number) => quoted(&number.to_string()),
        DeValue::Float(number) => quoted(number.as_str()),
        DeValue::Boolean(flag) => quoted(&flag.to_string()),
        DeValue::Datetime(time) => quoted(&time.to_string()),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}

/// A text in backticks, on one line, not endless.
pub(crate) fn quoted(text: &str) -> String {
    let text = &without_password(text);
    let short: String = text.chars().take(SHOWN).collect();
    let rest = if short.len() < text.len() { "..." } else { "" };
    format!("`{}{rest}`", short.escape_debug().to_string().replace("\\\"", "\"").replace("\\'", "'"))
}

/// A text in which no password of an address stands: neither before an `@` nor behind `pass=` or `password=`.
pub(crate) fn without_password(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let (user, place) = match rest.rsplit_once('@') {
        Some((user, place)) => (Some(user), place),
        None => (None, rest),
    };
    let user = user.map(|user| match user.split_once(':') {
        Some((name, _)) => format!("{name}:***@"),
        None => format!("{user}@"),
    });
    let place: String = place.split_inclusive(['?', '&']).map(hidden).collect();
    format!("{scheme}://{}{place}", user.unwrap_or_default())
}

/// One part of a query, with its mark at the end.
fn hidden(part: &str) -> String {
    match part.split_once('=') {
        Some((name @ ("pass" | "password"), value)) => {
            let mark = value.chars().next_back().filter(|last| *last == '&');
            format!("{name}=***{}", mark.map(String::from).unwrap_or_default())
        }
        _ => part.to_owned(),
    }
}

fn allowed(kind: Kind) -> String {
    match kind {
        Kind::Text | Kind::MaybeEmpty => "a text in quotes is allowed".to_owned(),
        Kind::File => "the name of a file in quotes is allowed".to_owned(),
        Kind::Flag => "`true` or `false` is allowed".to_owned(),
        Kind::Count(least, most) => format!("a whole number from {least} to {most} is allowed"),
        Kind::Texts => "a list of texts is allowed, as in `[\"one\", \"two\"]`".to_owned(),
        Kind::TextOrTexts => "a text or a list of texts is allowed".to_owned(),
        Kind::Time => "a time with its zone is allowed, as in `2026-11-24T06:00:00Z`".to_owned(),
        Kind::Pairs => "pairs of a name and a text are allowed, as in `{spf = \"pass\"}`".to_owned(),
        Kind::TextOrTables(_) => "a text or tables are allowed".to_owned(),
        Kind::Anything | Kind::Table(_) | Kind::Tables(_) | Kind::Named(_) => "a table is allowed".to_owned(),
    }
}

/// The most characters of a value that a message repeats.
const SHOWN: usize = 80;

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(kind: Kind, text: &str) -> String {
        read(kind, DeValue::parse(text).unwrap().get_ref()).unwrap_err()
    }

    #[test]
    fn a_wrong_value_names_itself_and_what_is_allowed() {
        assert_eq!(wrong(Kind::Count(1, 9), "\"two\""), "is `two`: a whole number from 1 to 9 is allowed");
        assert_eq!(wrong(Kind::Count(1, 9), "10"), "is `10`: a whole number from 1 to 9 is allowed");
        assert_eq!(wrong(Kind::Count(0, 9), "-1"), "is `-1`: a whole number from 0 to 9 is allowed");
        assert_eq!(wrong(Kind::Flag, "\"yes\""), "is `yes`: `true` or `false` is allowed");
        assert_eq!(wrong(Kind::Text, "[1]"), "is a list: a text in quotes is allowed");
        assert_eq!(wrong(Kind::Text, "\" \""), "is empty: leave it out instead");
        assert_eq!(
            wrong(Kind::Texts, "[1, 2]"),
            "is a list: a list of texts is allowed, as in `[\"one\", \"two\"]`"
        );
        assert_eq!(
            wrong(Kind::Time, "7"),
            "is `7`: a time with its zone is allowed, as in `2026-11-24T06:00:00Z`"
        );
    }

    #[test]
    fn a_password_in_an_address_is_not_repeated() {
        for (text, shown) in [
            (
                "postgres://cs:s3c/r@et@db.example/cs?sslmode=require",
                "postgres://cs:***@db.example/cs?sslmode=require",
            ),
            (
                "postgres://db.example/cs?user=cs&password=s3cret&x=y",
                "postgres://db.example/cs?user=cs&password=***&x=y",
            ),
            ("redis://u@host", "redis://u@host"),
            ("smtp://127.0.0.1:25", "smtp://127.0.0.1:25"),
            ("a:b@c", "a:b@c"),
        ] {
            assert_eq!(without_password(text), shown);
            assert_eq!(quoted(text), format!("`{shown}`"));
        }
    }

    #[test]
    fn a_hostile_value_stays_on_one_short_line() {
        let message = wrong(Kind::Flag, &format!("\"a\\n\\u001b[31m{}\"", "x".repeat(500)));
        assert!(!message.contains('\n') && !message.contains('\u{1b}') && message.len() < 200, "{message}");
    }

    #[test]
    fn dotted_and_quoted_names_of_pairs_are_the_same() {
        let one = DeValue::parse("{spf = \"pass\", domain.exists = \"fail\"}").unwrap();
        let two = DeValue::parse("{spf = \"pass\", \"domain.exists\" = \"fail\"}").unwrap();
        let read = |value: &DeValue<'_>| match super::read(Kind::Pairs, value) {
            Ok(Value::Pairs(mut pairs)) => {
                pairs.sort();
                pairs
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(read(one.get_ref()), read(two.get_ref()));
        assert_eq!(read(one.get_ref()).first().unwrap().0, "domain.exists");
    }
}
