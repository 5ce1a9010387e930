//! Our reading of the author against mail-parser's, over mutations of the files of `tests/mail`.
//! Whom we pass everybody must see; `tools/differential` does the same longer and with Python's readers.

#![expect(clippy::expect_used, reason = "a test that panics has found something")]

mod authors;

use std::path::{Path, PathBuf};

/// Enough to meet every mutation of every file a few times, in a few seconds.
const MUTATIONS: u64 = 6_000;

#[test]
fn whom_we_pass_mail_parser_sees_too() {
    let files = files();
    assert!(files.len() >= 250, "only {} files", files.len());
    let (mut passed, mut wrong) = (0, Vec::new());
    for number in 0..MUTATIONS {
        let mut dice = Dice(number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let (name, message) = dice.one_of(&files);
        let message = mutate(message, &mut dice);
        let readings = authors::read(&message);
        let Ok(author) = readings.ours else { continue };
        passed += 1;
        if readings.mail_parser.as_deref().is_some_and(|reading| !authors::agrees(reading, &author)) {
            let head = String::from_utf8_lossy(&message).into_owned();
            wrong.push(format!("{number} ({name}): {author} / {:?}\n{head:?}", readings.mail_parser));
        }
    }
    assert!(passed > MUTATIONS / 20, "only {passed} passed: the mutations are too rough to say anything");
    assert!(wrong.is_empty(), "{} of {passed}:\n{}", wrong.len(), wrong.join("\n"));
}

/// A generator that gives the same numbers everywhere (xorshift64*).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32;
        usize::try_from(high).unwrap_or_default() % limit.max(1)
    }

    fn one_of<'a, T>(&mut self, things: &'a [T]) -> &'a T {
        things.get(self.below(things.len())).expect("not empty")
    }
}

/// One to three changes, most of them in the header.
fn mutate(message: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut lines: Vec<Vec<u8>> = message.split_inclusive(|b| *b == b'\n').map(<[u8]>::to_vec).collect();
    for _ in 0..=dice.below(3) {
        let header = lines.iter().position(|line| line == b"\r\n").unwrap_or(lines.len());
        let at = dice.below(header);
        let from = lines.iter().position(|line| line.starts_with(b"From:")).unwrap_or(at);
        match dice.below(6) {
            0 => change_octet(lines.get_mut(from), dice),
            1 => change_octet(lines.get_mut(at), dice),
            2 => lines.insert(at, dice.one_of(LINES).as_bytes().to_vec()),
            3 => insert(lines.get_mut(from), dice),
            4 => lines.insert(at, lines.get(from).cloned().unwrap_or_default()),
            _ => {
                let last = lines.len().saturating_sub(1);
                lines.swap(at.min(last), from.min(last));
            }
        }
    }
    lines.concat()
}

fn change_octet(line: Option<&mut Vec<u8>>, dice: &mut Dice) {
    if let Some(line) = line {
        let at = dice.below(line.len());
        if let Some(octet) = line.get_mut(at) {
            *octet = *dice.one_of(OCTETS);
        }
    }
}

fn insert(line: Option<&mut Vec<u8>>, dice: &mut Dice) {
    if let Some(line) = line {
        let at = dice.below(line.len().saturating_sub(1));
        line.splice(at..at, dice.one_of(SNIPPETS).bytes());
    }
}

const OCTETS: &[u8] = b"<>@,;:\"\\()[]. \t=?_%!\x00\x01\x7f\x80\xa0\xc2\xffaZ0-";

const LINES: &[&str] = &[
    "From: ceo@bank.example\r\n",
    "from : ceo@bank.example\r\n",
    "FROM:\r\n",
    "From\r\n : ceo@bank.example\r\n",
    "Sender: ceo@bank.example\r\n",
    "Resent-From: ceo@bank.example\r\n",
    " <ceo@bank.example>\r\n",
    "\tceo@bank.example,\r\n",
    " \r\n",
    "X-Long:\r\n\tfolded\r\n",
    "From ceo@bank.example\r\n",
    ">From: ceo@bank.example\r\n",
];

const SNIPPETS: &[&str] = &[
    "ceo@bank.example",
    "<ceo@bank.example>",
    ", ceo@bank.example",
    "\"ceo@bank.example\"",
    "(ceo)",
    "(ceo@bank.example)",
    "=?utf-8?q?ceo=40bank.example?=",
    "=?utf-8?b?Y2VvQGJhbmsuZXhhbXBsZSw=?=",
    "\r\n ",
    "\r\n\t",
    "bank:",
    ";",
    "@bank.example:",
    "\\",
    "\"",
    "\u{a0}",
    "\u{200b}",
    "\u{202e}",
];

fn files() -> Vec<(String, Vec<u8>)> {
    let mail = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/mail");
    let mut paths: Vec<PathBuf> = ["hostile", "legal"]
        .iter()
        .flat_map(|folder| std::fs::read_dir(mail.join(folder)).expect("tests/mail can be read"))
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "eml"))
        .collect();
    paths.sort();
    let read = |path: &PathBuf| std::fs::read(path).expect("the file can be read");
    let name = |path: &PathBuf| path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    paths.iter().map(|path| (name(path), read(path))).filter(|(_, octets)| octets.len() < 16_384).collect()
}
