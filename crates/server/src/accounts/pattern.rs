//! A regular expression that must match the whole of a text.
//! Domains of an account restrict local parts and display names with it.

use std::fmt;

use regex::{Regex, RegexBuilder};

/// A compiled, anchored, size-limited regular expression. It is compared and printed as it was written.
#[derive(Debug, Clone)]
pub struct Pattern {
    written: String,
    compiled: Regex,
}

impl Pattern {
    /// Compiles a pattern. It need not be anchored: it matches a whole text or not at all.
    ///
    /// # Errors
    /// When it is longer than 512 octets, no regular expression, or too large when compiled.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        if text.len() > LONGEST {
            return Err(PatternError("at most 512 octets are allowed".to_owned()));
        }
        // By itself first: `a)|(b` would be one only between our anchors.
        compile(text)?;
        let compiled = compile(&format!(r"\A(?:{text})\z"))?;
        Ok(Self { written: text.to_owned(), compiled })
    }

    /// Whether the whole of `text` matches.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        self.compiled.is_match(text)
    }

    /// The pattern as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.written
    }
}

fn compile(text: &str) -> Result<Regex, PatternError> {
    let built = RegexBuilder::new(text).size_limit(COMPILED).dfa_size_limit(COMPILED).nest_limit(32).build();
    built.map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => PatternError("it is too large: use a simpler pattern".to_owned()),
        other => {
            let text = other.to_string();
            let last = text.lines().last().unwrap_or_default();
            PatternError(format!("no regular expression: {}", last.trim_start_matches("error: ")))
        }
    })
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.written == other.written
    }
}

impl Eq for Pattern {}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

/// Why a text is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PatternError(String);

const LONGEST: usize = 512;
/// Octets of a compiled pattern.
const COMPILED: usize = 1 << 18;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_pattern_matches_the_whole_or_nothing() {
        let pattern = Pattern::parse("news|offers").unwrap();
        assert!(pattern.matches("news") && pattern.matches("offers"));
        for bad in ["newsletter", "xnews", "news\n", "my offers", ""] {
            assert!(!pattern.matches(bad), "{bad:?}");
        }
    }

    #[test]
    fn anchors_cannot_be_escaped() {
        assert_eq!(
            Pattern::parse("a)|(?:b").unwrap_err().to_string(),
            "no regular expression: unopened group"
        );
        assert!(Pattern::parse("(?x)a # and so on").is_err(), "a comment would swallow our anchor");
        assert!(!Pattern::parse("(?m)^news$").unwrap().matches("news\nevil"));
    }

    #[test]
    fn a_bomb_is_refused() {
        assert_eq!(
            Pattern::parse("(?:a{1000}){1000}").unwrap_err().to_string(),
            "it is too large: use a simpler pattern"
        );
        assert!(Pattern::parse(&"a".repeat(513)).is_err());
        assert!(Pattern::parse(&format!("{}a{}", "(".repeat(100), ")".repeat(100))).is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_compiled_or_refused(text in ".{0,40}", subject in ".{0,20}") {
            if let Ok(pattern) = Pattern::parse(&text) {
                let _ = pattern.matches(&subject);
                prop_assert_eq!(pattern.as_str(), text.as_str());
            }
        }
    }
}
