//! The sample configuration is the manual: it loads, it is complete, and its defaults are ours.

use super::*;

const SAMPLE: &str = include_str!("../../../../../docs/reference/countersign.toml");

/// The sample with every `#key` and `#[table]` set; prose has a space after its `#`.
pub(super) fn everything_set() -> String {
    let lines = SAMPLE.lines().map(|line| match line.strip_prefix('#') {
        Some(rest) if !rest.is_empty() && !rest.starts_with(' ') => rest,
        _ => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_sample_loads_and_serves() {
    let loaded = loaded(SAMPLE).unwrap();
    assert_eq!(loaded.warnings, Vec::<String>::new());
    assert!(loaded.config.fit_to_serve().is_ok());
    assert_eq!(loaded.config.send.upstreams[0].egress_addresses().len(), 17);
}

#[test]
fn every_key_stands_in_the_sample_in_its_table() {
    let all = loaded(&everything_set()).unwrap();
    let mut missing = Vec::new();
    let mut open = vec![(&all.table, SECTIONS)];
    while let Some((table, keys)) = open.pop() {
        for key in keys {
            match (table.entries.get(key.name), key.kind) {
                (Some(Entry::Table(below)), Kind::Table(keys)) => open.push((below, keys)),
                (Some(Entry::Tables(below)), Kind::Tables(keys)) => open.push((&below[0], keys)),
                (Some(Entry::Table(below)), Kind::Named(keys)) => {
                    let Some(Entry::Table(one)) = below.entries.values().next() else {
                        panic!("{}", key.name)
                    };
                    open.push((one, keys));
                }
                (Some(Entry::Setting(setting)), _) if setting.origin != Origin::Default => {}
                _ => missing.push(format!("{} in {}", key.name, table.label)),
            }
        }
    }
    assert_eq!(missing, Vec::<String>::new());
}

#[test]
fn the_defaults_of_the_sample_are_those_of_the_program() {
    let all = loaded(&everything_set()).unwrap();
    let mut wrong = Vec::new();
    let mut open: Vec<(&Table, &[Key])> = vec![(&all.table, SECTIONS)];
    while let Some((table, keys)) = open.pop() {
        for key in keys {
            let expected = match key.fallback {
                Fallback::Text(text) => Value::Text(text.to_owned()),
                Fallback::Count(count) => Value::Count(count),
                Fallback::Flag(flag) => Value::Flag(flag),
                Fallback::Table | Fallback::None => {
                    match (table.entries.get(key.name), key.kind) {
                        (Some(Entry::Table(below)), Kind::Table(keys)) => open.push((below, keys)),
                        (Some(Entry::Tables(below)), Kind::Tables(keys)) => open.push((&below[0], keys)),
                        _ => {}
                    }
                    continue;
                }
            };
            let given = table.setting(key.name).map(|setting| &setting.value);
            // The machine's name has no default that could be printed; a receive listener is an example.
            if given != Some(&expected) && key.name != "hostname" && table.label != "[[receive.listener]]" {
                wrong.push(format!("{} in {}", key.name, table.label));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}
