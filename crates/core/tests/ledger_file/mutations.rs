//! One change to an export: of octets, of lines, of what a line says, or of the log behind it.
//! Whoever has no key can make those of the first kind; the log's own owner, and a thief, the others.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use countersign_core::ledger::{Leaf, leaf_hash};
use serde_json::{Map, Value, json};

use super::{History, ORIGIN, Shown, sha256, signer};

/// A file that must not verify.
pub(crate) struct Mutant {
    /// What was done.
    pub(crate) name: &'static str,
    pub(crate) file: Vec<u8>,
    /// Whether it can only be seen with the checkpoint that was kept.
    pub(crate) needs_head: bool,
}

/// A generator that gives the same numbers everywhere (xorshift64*).
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        number as usize % limit.max(1)
    }
}

/// The change with this number; `kept` is the size of the checkpoint that was kept elsewhere.
pub(crate) fn mutant(number: u64, history: &History, file: &[u8], kept: u64) -> Mutant {
    let mut dice = Dice::new(number);
    loop {
        let (name, change) = CHANGES[number as usize % CHANGES.len()];
        let needs_head = name.starts_with("the log ");
        let changed = change(&mut dice, history, file, kept);
        if changed != file {
            return Mutant { name, file: changed, needs_head };
        }
    }
}

type Change = fn(&mut Dice, &History, &[u8], u64) -> Vec<u8>;

const CHANGES: [(&str, Change); 28] = [
    ("a bit is flipped", |dice, _, file, _| octet(dice, file, |octet, by| *octet ^= 1 << (by % 8))),
    ("an octet is another", |dice, _, file, _| octet(dice, file, |octet, by| *octet = by as u8)),
    ("an octet is missing", |dice, _, file, _| splice(dice, file, 1, b"")),
    ("some octets are missing", |dice, _, file, _| {
        let length = 1 + dice.below(500);
        splice(dice, file, length, b"")
    }),
    ("an octet is inserted", |dice, _, file, _| {
        let octet = *pick(dice, b"\0\n\r \"{}[]:,0Aa\\/\xff");
        splice(dice, file, 0, &[octet])
    }),
    ("a line is missing", |dice, _, file, _| {
        lines(dice, file, |dice, lines| drop(lines.remove(dice.below(lines.len()))))
    }),
    ("a line is there twice", |dice, _, file, _| {
        lines(dice, file, |dice, lines| {
            let line = pick(dice, lines).clone();
            lines.insert(dice.below(lines.len() + 1), line);
        })
    }),
    ("two lines have changed places", |dice, _, file, _| {
        lines(dice, file, |dice, lines| {
            let (one, other) = (dice.below(lines.len()), dice.below(lines.len()));
            lines.swap(one, other);
        })
    }),
    ("the file is cut", |dice, _, file, _| file[..dice.below(file.len())].to_vec()),
    ("the file is cut after a line", |dice, _, file, _| {
        lines(dice, file, |dice, lines| lines.truncate(dice.below(lines.len())))
    }),
    ("a space is inserted between words of JSON", |dice, _, file, _| one_line(dice, file, respaced)),
    ("the keys of a line stand in another order", |dice, _, file, _| {
        one_line(dice, file, |_, line| {
            let value: Map<String, Value> = serde_json::from_str(line).unwrap();
            serde_json::to_string(&value.into_iter().rev().collect::<Map<_, _>>()).unwrap()
        })
    }),
    ("a character of JSON is escaped", |dice, _, file, _| one_line(dice, file, escaped)),
    ("a key of a line is there twice", |dice, _, file, _| {
        one_line(dice, file, |_, line| format!("{{\"idx\":0,{}", &line[1..]))
    }),
    ("a line end is CRLF", |dice, _, file, _| one_line(dice, file, |_, line| format!("{line}\r"))),
    ("a line is empty", |dice, _, file, _| one_line(dice, file, |_, line| format!("\n{line}"))),
    ("the last line has no end", |_, _, file, _| file[..file.len() - 1].to_vec()),
    ("a mark of byte order stands in front", |_, _, file, _| [b"\xef\xbb\xbf", file].concat()),
    ("the index of a leaf is another", |dice, _, file, _| {
        field(dice, file, |dice, line| line["idx"] = json!(dice.below(400)))
    }),
    ("a leaf is another, with its hash", |dice, _, file, _| field(dice, file, another_leaf)),
    ("the salt of a payload is another", |dice, _, file, _| {
        field(dice, file, |dice, line| {
            if let Some(opened) = line["payload"].get_mut("opened") {
                opened["salt"] = json!(STANDARD.encode(sha256(&dice.below(1 << 30).to_be_bytes())));
            }
        })
    }),
    ("the text of a payload is another", |dice, _, file, _| {
        field(dice, file, |dice, line| {
            if let Some(opened) = line["payload"].get_mut("opened") {
                let text = opened["text"].as_str().unwrap().replacen("250", &dice.below(999).to_string(), 1);
                opened["text"] = json!(text);
            }
        })
    }),
    ("a payload is said to be erased or withheld", |dice, _, file, _| {
        field(dice, file, |dice, line| line["payload"] = json!(*pick(dice, &["erased", "withheld"])))
    }),
    ("the header is another", |dice, _, file, _| {
        lines(dice, file, |dice, lines| {
            let mut header: Value = serde_json::from_slice(&lines[0]).unwrap();
            let (key, value) = pick(dice, &headers()).clone();
            header[key] = value;
            lines[0] = [serde_json::to_vec(&header).unwrap(), b"\n".to_vec()].concat();
        })
    }),
    ("a thief has signed it", |dice, history, _, _| {
        history.file(&signer(ORIGIN, 100 + dice.below(100) as u8))
    }),
    ("a thief without the key has changed a leaf and all that follows from it", |dice, history, file, _| {
        let original: Vec<&[u8]> = file.split_inclusive(|octet| *octet == b'\n').collect();
        let forged = forked(dice, history, history.0.len() as u64).file(&signer(ORIGIN, 7));
        let keep = |(theirs, ours): (&[u8], &&[u8])| match ours.starts_with(b"{\"c") {
            true => ours.to_vec(),
            false => theirs.to_vec(),
        };
        forged.split_inclusive(|octet| *octet == b'\n').zip(&original).flat_map(keep).collect()
    }),
    ("the log itself has cut its end", |dice, history, _, kept| {
        History(history.0[..dice.below(kept as usize)].to_vec()).file(&signer(ORIGIN, 7))
    }),
    ("the log itself has a second history", |dice, history, _, kept| {
        forked(dice, history, kept).file(&signer(ORIGIN, 7))
    }),
];

fn pick<'a, T>(dice: &mut Dice, from: &'a [T]) -> &'a T {
    &from[dice.below(from.len())]
}

fn octet(dice: &mut Dice, file: &[u8], change: fn(&mut u8, usize)) -> Vec<u8> {
    let mut file = file.to_vec();
    let place = dice.below(file.len());
    change(&mut file[place], dice.below(256));
    file
}

fn splice(dice: &mut Dice, file: &[u8], length: usize, with: &[u8]) -> Vec<u8> {
    let from = dice.below(file.len());
    let to = (from + length).min(file.len());
    [&file[..from], with, &file[to..]].concat()
}

fn lines(dice: &mut Dice, file: &[u8], change: impl FnOnce(&mut Dice, &mut Vec<Vec<u8>>)) -> Vec<u8> {
    let mut lines: Vec<Vec<u8>> = file.split_inclusive(|octet| *octet == b'\n').map(<[u8]>::to_vec).collect();
    change(dice, &mut lines);
    lines.concat()
}

fn one_line(dice: &mut Dice, file: &[u8], change: impl FnOnce(&mut Dice, &str) -> String) -> Vec<u8> {
    lines(dice, file, |dice, lines| {
        let place = dice.below(lines.len());
        let line = std::str::from_utf8(&lines[place]).unwrap().trim_end();
        lines[place] = format!("{}\n", change(dice, line)).into_bytes();
    })
}

/// What a line of a leaf says is changed, and written as it should be written.
fn field(dice: &mut Dice, file: &[u8], change: impl FnOnce(&mut Dice, &mut Value)) -> Vec<u8> {
    lines(dice, file, |dice, lines| {
        let leaves: Vec<usize> =
            (0..lines.len()).filter(|place| lines[*place].starts_with(b"{\"idx\"")).collect();
        let place = *pick(dice, &leaves);
        let mut line: Value = serde_json::from_slice(&lines[place]).unwrap();
        change(dice, &mut line);
        lines[place] = [serde_json::to_vec(&line).unwrap(), b"\n".to_vec()].concat();
    })
}

fn another_leaf(dice: &mut Dice, line: &mut Value) {
    let mut leaf = STANDARD.decode(line["leaf"].as_str().unwrap()).unwrap();
    let place = dice.below(Leaf::LENGTH);
    leaf[place] ^= 1 + dice.below(255) as u8;
    line["hash"] = json!(STANDARD.encode(leaf_hash(&leaf)));
    line["leaf"] = json!(STANDARD.encode(leaf));
}

fn forked(dice: &mut Dice, history: &History, before: u64) -> History {
    let mut forked = history.clone();
    let draft = &mut forked.0[dice.below(before as usize)];
    match dice.below(3) {
        0 => draft.decision = 5 + dice.below(200) as u8,
        1 => draft.account = 100 + dice.below(100) as u8,
        _ => draft.text.push(' '),
    }
    // Else a text that nobody sees would be the same file.
    draft.shown = Shown::Withheld;
    forked
}

/// A space after a colon, comma or brace that is no part of a string.
fn respaced(dice: &mut Dice, line: &str) -> String {
    let mut places = Vec::new();
    let (mut inside, mut escape) = (false, false);
    for (place, octet) in line.bytes().enumerate() {
        match octet {
            b'"' if !escape => inside = !inside,
            b':' | b',' | b'{' if !inside => places.push(place + 1),
            _ => {}
        }
        escape = octet == b'\\' && !escape;
    }
    let place = *pick(dice, &places);
    format!("{}{}{}", &line[..place], pick(dice, &[' ', '\t', '\r']), &line[place..])
}

/// The same JSON with one character as `\uXXXX`.
fn escaped(dice: &mut Dice, line: &str) -> String {
    let places: Vec<usize> = line
        .char_indices()
        .filter(|(_, c)| c.is_ascii_alphabetic() || *c == '/')
        .map(|(place, _)| place)
        .collect();
    let place = *pick(dice, &places);
    let octet = line.as_bytes()[place];
    format!("{}\\u{octet:04x}{}", &line[..place], &line[place + 1..])
}

fn headers() -> Vec<(&'static str, Value)> {
    let other = signer("other.example/1", 9).verifier().to_string();
    let stolen = signer(ORIGIN, 9).verifier().to_string();
    let note = History::new(3).checkpoint(&signer("old.example/1", 3), 3);
    let old = signer("old.example/1", 3).verifier().to_string();
    vec![
        ("v", json!(2)),
        ("v", json!(1.0)),
        ("v", json!("1")),
        ("from", json!(1)),
        ("from", json!(false)),
        ("origin", json!("other.example/1")),
        ("origin", Value::Null),
        ("key", json!(stolen)),
        ("key", json!(other)),
        ("key", json!("")),
        ("continues", json!({ "note": note, "key": old })),
        ("continues", json!({ "note": note, "key": other })),
        ("continues", json!({ "note": note })),
        ("continues", json!([])),
        ("more", json!(1)),
    ]
}
