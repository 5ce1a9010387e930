//! Rust source as text: comments, literals and test code blanked out, cut into tokens with line numbers.
//! `layers` and `readings` look at the same text with it; it knows just enough of the grammar for that.

use std::fs;
use std::path::{Path, PathBuf};

/// A file that is compiled into a crate outside of tests, and its place in the module tree.
pub(crate) struct Source {
    pub(crate) path: PathBuf,
    pub(crate) module: Vec<String>,
    pub(crate) text: String,
}

/// A word or a punctuation mark (`::` is one), and the line it stands on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) text: String,
    pub(crate) line: usize,
}

/// Every file of the crate in `src`, found by following `mod x;` from `main.rs` and `lib.rs`.
pub(crate) fn crate_files(src: &Path) -> Vec<Source> {
    let roots = ["lib.rs", "main.rs"].map(|name| (src.join(name), Vec::new()));
    let mut open: Vec<(PathBuf, Vec<String>)> = roots.into_iter().filter(|(path, _)| path.exists()).collect();
    let mut found = Vec::new();
    while let Some((path, module)) = open.pop() {
        let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        for name in declared_modules(&tokens(&without_tests(&blank(&text)))) {
            let child: Vec<String> = module.iter().cloned().chain([name]).collect();
            let base = child.iter().fold(src.to_path_buf(), |path, segment| path.join(segment));
            let places = [base.with_extension("rs"), base.join("mod.rs")];
            open.extend(places.into_iter().find(|place| place.exists()).map(|place| (place, child)));
        }
        found.push(Source { path, module, text });
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn declared_modules(tokens: &[Token]) -> Vec<String> {
    let declares = |w: &&[Token]| w[0].text == "mod" && w[2].text == ";";
    tokens.windows(3).filter(declares).map(|w| w[1].text.clone()).collect()
}

/// The root of the workspace.
pub(crate) fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// The tokens of the code outside of tests.
pub(crate) fn code(text: &str) -> Vec<Token> {
    tokens(&without_tests(&blank(text)))
}

/// Cuts blanked text into tokens.
fn tokens(text: &str) -> Vec<Token> {
    let mut tokens: Vec<Token> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let mut rest = line.trim_start();
        while let Some(first) = rest.chars().next() {
            let word = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            let length = match first {
                '\'' => {
                    1 + rest[1..].find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len() - 1)
                }
                _ if word > 0 => word,
                _ if rest.starts_with("::") => 2,
                _ => first.len_utf8(),
            };
            tokens.push(Token { text: rest[..length].to_owned(), line: number + 1 });
            rest = rest[length..].trim_start();
        }
    }
    tokens
}

/// Replaces comments and the insides of string and character literals by spaces; lines stay lines.
fn blank(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = literal_end(&chars, at);
        if end == at {
            out.push(chars[at]);
            at += 1;
        } else {
            out.extend(chars[at..end].iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
            at = end;
        }
    }
    out
}

/// Where the comment or literal that starts at `at` ends; `at` when none starts there.
fn literal_end(chars: &[char], at: usize) -> usize {
    let next = chars.get(at + 1).copied().unwrap_or(' ');
    let in_word = at > 0 && (chars[at - 1].is_alphanumeric() || chars[at - 1] == '_');
    match chars[at] {
        '/' if next == '/' => (at..chars.len()).find(|i| chars[*i] == '\n').unwrap_or(chars.len()),
        '/' if next == '*' => block_comment_end(chars, at),
        '"' => quoted_end(chars, at + 1, '"'),
        'r' if !in_word => raw_end(chars, at + 1).unwrap_or(at),
        'b' | 'c' if !in_word && next == 'r' => raw_end(chars, at + 2).unwrap_or(at),
        '\'' if next == '\\' => quoted_end(chars, at + 1, '\''),
        '\'' if chars.get(at + 2) == Some(&'\'') => at + 3,
        _ => at,
    }
}

fn quoted_end(chars: &[char], mut at: usize, quote: char) -> usize {
    while at < chars.len() && chars[at] != quote {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(chars.len())
}

fn block_comment_end(chars: &[char], mut at: usize) -> usize {
    let mut depth = 0_usize;
    while at < chars.len() {
        match (chars[at], chars.get(at + 1)) {
            ('/', Some('*')) => (depth, at) = (depth + 1, at + 2),
            ('*', Some('/')) => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    chars.len()
}

/// The end of a raw string whose hashes or quote start at `at`.
fn raw_end(chars: &[char], at: usize) -> Option<usize> {
    let hashes = chars[at..].iter().take_while(|c| **c == '#').count();
    if chars.get(at + hashes) != Some(&'"') {
        return None;
    }
    let mut close = vec!['"'];
    close.resize(hashes + 1, '#');
    let from = at + hashes + 1;
    let found = chars[from..].windows(close.len()).position(|window| window == close);
    Some(found.map_or(chars.len(), |offset| from + offset + close.len()))
}

/// Blanks every item under `#[cfg(test)]`.
fn without_tests(blanked: &str) -> String {
    let mut chars: Vec<char> = blanked.chars().collect();
    let mark: Vec<char> = "#[cfg(test)]".chars().collect();
    let mut at = 0;
    while at + mark.len() <= chars.len() {
        if chars[at..at + mark.len()] != mark[..] {
            at += 1;
            continue;
        }
        let end = item_end(&chars, at + mark.len());
        chars[at..end].iter_mut().filter(|c| **c != '\n').for_each(|c| *c = ' ');
        at = end;
    }
    chars.into_iter().collect()
}

/// The end of the item that starts at `from`: its closing brace, or a semicolon outside of brackets.
fn item_end(chars: &[char], from: usize) -> usize {
    let head: String = chars[from..].iter().take_while(|c| !['{', ';'].contains(c)).collect();
    let imports = head.split_whitespace().any(|word| word == "use");
    let mut depth = 0_usize;
    for (at, c) in chars.iter().enumerate().skip(from) {
        match c {
            '{' | '(' | '[' => depth += 1,
            '}' | ')' | ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 && (*c == ';' || (*c == '}' && !imports)) {
            return at + 1;
        }
    }
    chars.len()
}
