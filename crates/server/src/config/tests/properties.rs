//! What holds for every key of the schema, and for every file made of the sample by leaving lines out.

use super::sample::everything_set;
use super::*;
use crate::config::schema::{join, label};

/// A key and the header of its table, `[a]` or `[[a.b]]`; `NAME` for names of the operator's choice.
struct Place {
    header: String,
    key: Key,
    /// The names beside it.
    names: Vec<&'static str>,
}

fn places() -> Vec<Place> {
    let mut found = Vec::new();
    let mut open: Vec<(String, String, &[Key])> = vec![(String::new(), String::new(), SECTIONS)];
    while let Some((path, header, keys)) = open.pop() {
        let names: Vec<&str> = keys.iter().map(|key| key.name).collect();
        for key in keys {
            let below = join(&path, key.name);
            match key.kind {
                Kind::Table(keys) | Kind::Tables(keys) => {
                    open.push((below.clone(), label(&below, key.kind), keys));
                }
                Kind::Named(keys) => {
                    let below = join(&below, "NAME");
                    open.push((below.clone(), label(&below, Kind::Table(&[])), keys));
                }
                _ => found.push(Place { header: header.clone(), key: *key, names: names.clone() }),
            }
        }
    }
    assert!(found.len() > 80, "only {} keys", found.len());
    found
}

#[test]
fn a_number_out_of_range_is_refused_with_its_key_wherever_it_stands() {
    let mut tried = 0;
    for place in places() {
        let Kind::Count(least, most) = place.key.kind else { continue };
        let below = least.checked_sub(1).map_or_else(|| "-1".to_owned(), |number| number.to_string());
        for number in [below, (most + 1).to_string(), "9223372036854775807".to_owned(), "-9".to_owned()] {
            let message = wrong(&format!("{}\n{} = {number}\n", place.header, place.key.name));
            let expected = format!(
                "/etc/x.toml:2: `{}` in {} is `{number}`: a whole number from {least} to {most} is allowed",
                place.key.name, place.header
            );
            assert!(message.lines().any(|line| line == expected), "{expected}\n{message}");
            tried += 1;
        }
        for number in [least, most] {
            let text = format!("{}\n{} = {number}\n", place.header, place.key.name);
            let refused = loaded(&text).err().unwrap_or_default();
            assert!(!refused.contains("whole number"), "{text}{refused}");
        }
    }
    assert!(tried > 60, "only {tried} numbers");
}

proptest! {
    #[test]
    fn a_misspelt_key_is_refused_with_the_nearest_wherever_it_stands(
        at in any::<prop::sample::Index>(),
        cut in any::<prop::sample::Index>(),
        letter in "[a-z]",
    ) {
        let places = places();
        let place = at.get(&places);
        let name = place.key.name;
        let cut = cut.index(name.len());
        let misspelt = format!("{}{letter}{}", &name[..cut], &name[cut + 1..]);
        prop_assume!(!place.names.contains(&misspelt.as_str()));
        let message = wrong(&format!("{}\n{misspelt} = 1\n", place.header));
        let start = format!("/etc/x.toml:2: unknown key `{misspelt}` in {}: ", place.header);
        let line = message.lines().find_map(|line| line.strip_prefix(&start));
        prop_assert!(line.is_some(), "{}\n{}", start, message);
        // Of two that are equally near either is right; a short name may be too far from all.
        let line = line.unwrap();
        let near = place.names.iter().filter(|name| strsim::damerau_levenshtein(name, &misspelt) <= 1);
        let mut near = near.map(|name| format!("did you mean `{name}`?"));
        prop_assert!(near.any(|meant| line == meant), "{}", line);
    }

    #[test]
    fn the_sample_without_some_lines_is_shown_and_loaded_again_or_refused_by_line(
        left_out in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let text = everything_set();
        let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).collect();
        let left_out: Vec<usize> = left_out.iter().map(|index| index.index(lines.len())).collect();
        let kept = lines.iter().enumerate().filter(|(at, _)| !left_out.contains(at)).map(|(_, line)| *line);
        match loaded(&kept.collect::<Vec<_>>().join("\n")) {
            Ok(first) => {
                let again = shown_again(&first);
                prop_assert_eq!(&again.config, &first.config);
                prop_assert_eq!(show(&again, false), show(&first, false));
            }
            Err(message) => {
                prop_assert!(message.lines().all(|line| line.starts_with("/etc/x.toml:")), "{}", message);
            }
        }
    }
}
