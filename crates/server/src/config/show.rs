//! The effective configuration as TOML, with the origin of each value when asked.
//! `config show` prints it. Secrets stand in files of their own; a password in an address is left out.

use super::load::Loaded;
use super::schema::{Key, Kind};
use super::sections::SECTIONS;
use super::table::{Entry, Setting, Table, Value};
use super::value::without_password;

/// Prints the configuration in the order of the reference; what it prints loads again.
#[must_use]
pub fn show(loaded: &Loaded, with_origin: bool) -> String {
    let mut lines = Vec::new();
    below(&loaded.table, SECTIONS, with_origin, &mut lines);
    let lines: Vec<String> = lines.into_iter().map(|line| line.printed()).collect();
    lines.join("\n").trim_start().to_owned() + "\n"
}

/// A line and what is said beside it.
struct Line {
    text: String,
    origin: Option<String>,
}

impl Line {
    fn plain(text: String) -> Self {
        Self { text, origin: None }
    }

    fn printed(self) -> String {
        match self.origin {
            Some(origin) => format!("{:<44} # {origin}", self.text),
            None => self.text,
        }
    }
}

/// The tables below one: as deep as the schema.
fn below(table: &Table, schema: &[Key], with_origin: bool, lines: &mut Vec<Line>) {
    for key in schema {
        match (table.entries.get(key.name), key.kind) {
            (Some(Entry::Table(below)), Kind::Table(keys)) => one(below, keys, with_origin, lines),
            (Some(Entry::Tables(tables)), Kind::Tables(keys)) => {
                tables.iter().for_each(|below| one(below, keys, with_origin, lines));
            }
            (Some(Entry::Table(named)), Kind::Named(keys)) => {
                let tables = named.entries.values().filter_map(|entry| match entry {
                    Entry::Table(table) => Some(table),
                    _ => None,
                });
                tables.for_each(|below| one(below, keys, with_origin, lines));
            }
            _ => {}
        }
    }
}

fn one(table: &Table, schema: &[Key], with_origin: bool, lines: &mut Vec<Line>) {
    let settings: Vec<_> = schema.iter().filter_map(|key| Some((key, table.setting(key.name)?))).collect();
    // A table in a list counts even when it is empty: it is one more of them.
    if !settings.is_empty() || table.label.starts_with("[[") {
        lines.push(Line::plain(String::new()));
        lines.push(Line::plain(table.label.clone()));
    }
    for (key, setting) in settings {
        if let Some(value) = value(key, setting) {
            let origin = with_origin.then(|| setting.origin.to_string());
            lines.push(Line { text: format!("{} = {value}", key.name), origin });
        }
    }
    below(table, schema, with_origin, lines);
}

fn value(key: &Key, setting: &Setting) -> Option<String> {
    match (&setting.value, key.kind) {
        (Value::Text(text), Kind::File) => Some(text_of(&setting.origin.resolve(text).to_string_lossy())),
        (Value::Text(text), _) => Some(text_of(&without_password(text))),
        (Value::Texts(texts), _) => {
            Some(format!("[{}]", texts.iter().map(|text| text_of(text)).collect::<Vec<_>>().join(", ")))
        }
        (Value::Count(count), _) => Some(count.to_string()),
        (Value::Flag(flag), _) => Some(flag.to_string()),
        (Value::Pairs(_) | Value::Ignored, _) => None,
    }
}

fn text_of(text: &str) -> String {
    toml::Value::from(text).to_string().replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_in_an_address_is_not_printed() {
        for (text, shown) in [
            (
                "postgres://cs:s3:cr@et@db.example/countersign?a=b",
                "postgres://cs:***@db.example/countersign?a=b",
            ),
            ("redis://:s3cret@127.0.0.1:6379", "redis://:***@127.0.0.1:6379"),
            ("postgres://cs@db.example/countersign", "postgres://cs@db.example/countersign"),
            ("smtp://127.0.0.1:10026", "smtp://127.0.0.1:10026"),
            ("header:X-Account", "header:X-Account"),
        ] {
            assert_eq!(without_password(text), shown);
        }
    }
}
