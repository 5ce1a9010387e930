//! The texts of our own mail: files with a subject, an empty line and a body, filled with words.
//! `notify` fills them; nothing that a word holds can end a line.

use std::collections::BTreeMap;

/// What is filled in.
pub(super) type Words = BTreeMap<&'static str, String>;

/// A text that is filled.
pub(super) struct Text {
    pub(super) subject: String,
    /// Lines end with LF.
    pub(super) body: String,
}

/// Fills a template. A word that is a list keeps its lines; in every other one controls become spaces.
pub(super) fn fill(template: &str, words: &Words) -> Text {
    let (head, body) = template.split_once("\n\n").unwrap_or(("", template));
    let subject = head.strip_prefix("Subject: ").unwrap_or(head);
    let subject = filled(subject, words);
    Text { subject: subject.replace('\n', " "), body: filled(body, words) }
}

fn filled(text: &str, words: &Words) -> String {
    let mut out = String::with_capacity(text.len() + 200);
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        let (name, tail) = after.split_once('}').unwrap_or((after, ""));
        out.push_str(words.get(name).map_or("-", String::as_str));
        rest = tail;
    }
    out + rest
}

/// A word from outside: on one line, and not long.
pub(super) fn word(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LONGEST).collect()
}

const LONGEST: usize = 500;
