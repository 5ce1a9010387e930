//! `COUNTERSIGN_SECTION__KEY`: settings from the environment, over those of the file.
//! `load` calls it with the variables as an argument; nothing here reads the environment.

use toml::de::DeValue;

use super::document::{about, warn_later};
use super::nearest::nearest;
use super::notes::Notes;
use super::origin::Origin;
use super::schema::{Key, Kind, Ready, join, label};
use super::table::{Entry, Table, Value};
use super::value;

/// Lays every variable of ours over the settings. One without `__` is not a setting and is left alone.
pub(crate) fn overlay(
    root: &mut Table,
    schema: &[Key],
    variables: impl IntoIterator<Item = (String, String)>,
    notes: &Notes,
) {
    let mut ours: Vec<_> = variables.into_iter().filter(|(name, _)| is_setting(name)).collect();
    ours.sort();
    for (name, text) in ours {
        if let Err(why) = lay(root, schema, &name, &text, notes) {
            notes.wrong(&Origin::Environment(name), why);
        }
    }
}

fn is_setting(name: &str) -> bool {
    name.strip_prefix(PREFIX).is_some_and(|rest| rest.contains("__"))
}

fn lay(root: &mut Table, schema: &[Key], name: &str, text: &str, notes: &Notes) -> Result<(), String> {
    let found = find(root, schema, name.strip_prefix(PREFIX).unwrap_or_default())
        .ok_or_else(|| unknown(name, schema))?;
    let origin = Origin::Environment(name.to_owned());
    let path = joined(&found.steps);
    match found.key.kind {
        Kind::Table(keys) | Kind::Named(keys) => {
            let below = keys.first().map_or("KEY", |key| key.name).to_uppercase();
            return Err(format!(
                "{} is a table: set its keys one by one, as in `{name}__{below}`",
                label(&join(&path, found.key.name), found.key.kind)
            ));
        }
        Kind::Tables(_) => {
            let label = label(&join(&path, found.key.name), found.key.kind);
            return Err(format!("{label} cannot come from the environment: write it in the file"));
        }
        _ => {}
    }
    let value = read(found.key.kind, text)
        .map_err(|why| about(&label(&path, Kind::Table(&[])), found.key.name, &why))?;
    if let Some((key, parent)) = &found.later {
        warn_later(key, parent, &origin, notes);
    }
    let mut table = root;
    for (step, kind) in &found.steps {
        // Something wrong stands there; it is noted already.
        let Some(below) = table.table_mut(step, *kind) else { return Ok(()) };
        table = below;
    }
    table.set(found.key.name, value, origin);
    Ok(())
}

/// The key that a variable names, and the tables on the way to it.
struct Found<'s> {
    steps: Vec<(String, Kind)>,
    key: &'s Key,
    /// The first key or table on the way whose effect comes later, and the table it stands in.
    later: Option<(&'s Key, String)>,
}

fn find<'s>(root: &Table, schema: &'s [Key], name: &str) -> Option<Found<'s>> {
    let mut keys = schema;
    let mut steps: Vec<(String, Kind)> = Vec::new();
    let mut later = None;
    let mut segments = name.split("__").peekable();
    while let Some(segment) = segments.next() {
        let key = keys.iter().find(|key| key.name.eq_ignore_ascii_case(segment))?;
        if later.is_none() && key.ready != Ready::Now {
            later = Some((key, joined(&steps)));
        }
        match key.kind {
            Kind::Table(below) if segments.peek().is_some() => {
                steps.push((key.name.to_owned(), key.kind));
                keys = below;
            }
            Kind::Named(below) if segments.peek().is_some() => {
                let chosen = segments.next()?;
                segments.peek()?;
                steps.push((key.name.to_owned(), key.kind));
                steps.push((written(root, key.name, chosen), Kind::Table(&[])));
                keys = below;
            }
            // Whatever stands behind a list of tables, the list is the answer.
            Kind::Tables(_) => return Some(Found { steps, key, later }),
            _ if segments.peek().is_none() => return Some(Found { steps, key, later }),
            _ => return None,
        }
    }
    None
}

fn joined(steps: &[(String, Kind)]) -> String {
    steps.iter().fold(String::new(), |path, (step, _)| join(&path, step))
}

/// The operator's own name for a table, as the file writes it: variables have no small letters.
fn written(root: &Table, table: &str, name: &str) -> String {
    let there = match root.entries.get(table) {
        Some(Entry::Table(table)) => table.entries.keys().find(|there| there.eq_ignore_ascii_case(name)),
        _ => None,
    };
    there.map_or_else(|| name.to_owned(), Clone::clone)
}

/// A value is TOML when it can be, else a text.
fn read(kind: Kind, text: &str) -> Result<Value, String> {
    let plain = value::read(kind, &DeValue::String(text.into()));
    match DeValue::parse(text.trim()) {
        Ok(toml) => value::read(kind, toml.get_ref()).or_else(|why| plain.map_err(|_| why)),
        Err(_) => plain,
    }
}

fn unknown(name: &str, schema: &[Key]) -> String {
    let names = names(schema);
    let rest = name.strip_prefix(PREFIX).unwrap_or_default();
    match nearest(rest, names.iter().map(String::as_str)) {
        Some(meant) => format!("names no setting: did you mean `{PREFIX}{meant}`?"),
        None => {
            "names no setting: it is `COUNTERSIGN_` and section and key with `__` between them".to_owned()
        }
    }
}

/// Every variable that sets something, without our prefix, but for tables whose names the operator chooses.
fn names(schema: &[Key]) -> Vec<String> {
    let mut names = Vec::new();
    let mut open = vec![(String::new(), schema)];
    while let Some((prefix, keys)) = open.pop() {
        for key in keys {
            let name = format!("{prefix}{}", key.name.to_uppercase());
            match key.kind {
                Kind::Table(below) => open.push((format!("{name}__"), below)),
                Kind::Named(_) | Kind::Tables(_) => {}
                _ => names.push(name),
            }
        }
    }
    names
}

const PREFIX: &str = "COUNTERSIGN_";
