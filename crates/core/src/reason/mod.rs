//! Reasons: every why of a ruling, once: code, SMTP reply, console sentence, remedy.
//! Policy names them by code; doors and pages read the texts.

mod catalogue;

use std::collections::BTreeMap;

use serde::Serialize;

use crate::evidence::Kind;

pub use catalogue::CATALOGUE;

/// One why of a ruling. The list is closed and generated into `docs/reference/reasons.json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// The closed kebab-case word.
    pub code: &'static str,
    /// The reply code of RFC 5321 and the enhanced code of RFC 3463 when it refuses or defers.
    pub reply: (u16, &'static str),
    /// What a peer may read; `{name}` is filled from the evidence.
    pub smtp: &'static str,
    /// What the console says.
    pub sentence: &'static str,
    /// What would satisfy it.
    pub remedy: &'static str,
    /// The evidence whose `detail` and `why` fill the texts.
    pub evidence: Option<Kind>,
    /// The evidence that is missing, if some would change the ruling.
    pub missing: Option<&'static str>,
    /// Whether it binds in observe too (`01`: bytes, budgets, blocked accounts).
    pub always: bool,
}

/// The reason of a code.
#[must_use]
pub fn find(code: &str) -> Option<&'static Reason> {
    CATALOGUE.iter().find(|reason| reason.code == code)
}

/// The reason of a code that this crate itself names; an unknown one is the catalogue's `policy`.
#[must_use]
pub fn known(code: &str) -> &'static Reason {
    find(code).unwrap_or(&catalogue::POLICY)
}

/// The values with which a text is filled.
pub type Words = BTreeMap<&'static str, String>;

/// Fills `{name}` with a word; an unknown name becomes `it`. What a peer sent is cut to 100 characters, at
/// the end of a word and with `...`, and printed without control characters.
#[must_use]
pub fn fill(template: &str, words: &Words) -> String {
    let mut out = String::with_capacity(template.len() + 40);
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        let (name, tail) = after.split_once('}').unwrap_or((after, ""));
        match words.get(name).filter(|word| !word.is_empty()) {
            Some(word) => out.push_str(&cut(word)),
            None => out.push_str("it"),
        }
        rest = tail;
    }
    out + rest
}

fn cut(text: &str) -> String {
    let mut characters = text.chars().filter(|c| !c.is_control());
    let kept: String = characters.by_ref().take(LONGEST_WORD).collect();
    if characters.next().is_none() {
        return kept;
    }
    let room: String = kept.chars().take(LONGEST_WORD - 3).collect();
    // A word that is itself longer is cut within.
    let whole = room.rsplit_once(' ').map_or(room.as_str(), |(whole, _)| whole);
    format!("{}...", whole.trim_end())
}

/// In characters.
const LONGEST_WORD: usize = 100;

/// The catalogue as the document `docs/reference/reasons.json`.
#[must_use]
pub fn document() -> String {
    let mut text = serde_json::to_string_pretty(CATALOGUE).unwrap_or_default();
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_closed_kebab_case_and_unique() {
        let codes: std::collections::BTreeSet<_> = CATALOGUE.iter().map(|r| r.code).collect();
        assert_eq!(codes.len(), CATALOGUE.len());
        assert!(
            codes
                .iter()
                .all(|c| c.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'))
        );
    }

    #[test]
    fn every_reply_has_a_matching_enhanced_code() {
        for reason in CATALOGUE {
            let (reply, enhanced) = reason.reply;
            let class = reply.to_string().chars().next();
            assert_eq!(enhanced.chars().next(), class, "{}", reason.code);
            assert_eq!(enhanced.split('.').count(), 3, "{}", reason.code);
        }
    }

    #[test]
    fn texts_are_sentences_that_fit_a_reply() {
        for reason in CATALOGUE {
            for text in [reason.smtp, reason.sentence, reason.remedy] {
                assert!(!text.is_empty() && text.is_ascii() && text.len() <= 300, "{}: {text}", reason.code);
            }
        }
    }

    #[test]
    fn filling_keeps_control_characters_out() {
        let words = Words::from([("from", "a\r\n250 ok".to_owned())]);
        assert_eq!(fill("From {from} and {nothing}", &words), "From a250 ok and it");
    }

    #[test]
    fn a_long_text_is_cut_behind_a_word() {
        let filled = |text: String| fill("{why}", &Words::from([("why", text)]));
        assert_eq!(filled("word ".repeat(20) + "more"), "word ".repeat(18) + "word...");
        assert_eq!(filled("a".repeat(101)), "a".repeat(97) + "...");
        assert_eq!(filled("a".repeat(100)), "a".repeat(100));
    }

    #[test]
    fn the_committed_document_is_the_generated_one() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/reasons.json");
        if std::env::var_os("COUNTERSIGN_BLESS").is_some() {
            std::fs::write(path, document()).unwrap();
        }
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        assert_eq!(committed, document(), "run COUNTERSIGN_BLESS=1 cargo test -p countersign-core reasons");
    }
}
