//! The valid word nearest to one that is not.
//! Called for wrong keys, values and environment variables.

/// The candidate nearest to `word`, when it is near enough to have been meant.
pub(crate) fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let word: String = word.chars().take(LONGEST).collect::<String>().to_ascii_lowercase();
    candidates
        .into_iter()
        .map(|candidate| (distance(&word, candidate), candidate))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, candidate)| *distance <= (candidate.len().max(word.len()) / 3).max(1))
        .map(|(_, candidate)| candidate)
}

fn distance(word: &str, candidate: &str) -> usize {
    strsim::damerau_levenshtein(word, &candidate.to_ascii_lowercase())
}

/// The end of a sentence about a wrong word: the nearest one, else all of them.
pub(crate) fn suggestion(word: &str, candidates: &[String]) -> String {
    match nearest(word, candidates.iter().map(String::as_str)) {
        Some(meant) => format!("did you mean {meant}?"),
        None if candidates.is_empty() => "none is allowed here".to_owned(),
        None => format!("allowed are {}", candidates.join(", ")),
    }
}

/// The most characters of a word that are compared.
const LONGEST: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_finds_its_word() {
        let words = ["listen", "trusted", "tls"];
        assert_eq!(nearest("lisen", words), Some("listen"));
        assert_eq!(nearest("LISTEN", words), Some("listen"));
        assert_eq!(nearest("tsl", words), Some("tls"));
        assert_eq!(nearest("zzzzzzzz", words), None);
    }

    #[test]
    fn a_far_word_lists_what_is_allowed() {
        let words = ["`custody`".to_owned(), "`defer`".to_owned()];
        assert_eq!(suggestion("`custdy`", &words), "did you mean `custody`?");
        assert_eq!(suggestion("`quarantine`", &words), "allowed are `custody`, `defer`");
    }
}
