//! Readings of the code: how long functions and files are, and what must not stand outside of tests.
//! Run by `cargo test`; prints its figures (`cargo test --test readings -- --nocapture`).
#![cfg(test)]

mod source;

use std::fs;
use std::path::{Path, PathBuf};

use source::{Token, code, crate_files, workspace};

/// The 90th percentile of the lines of a function.
const P90: usize = 30;
/// No function is longer, unless a comment on it says that it is a flat table.
const LONGEST: usize = 80;
const TABLE: &str = "// flat table";
/// No file is longer, with its tests.
const FILE: usize = 500;

/// Crates that are part of no program: their functions are tests, and panic when they fail.
const TESTS: [&str; 2] = ["crates/oracles", "crates/services"];

/// Words before `[` after which it is a type or a pattern, not an index.
const NO_VALUE: &[&str] = &[
    "as", "box", "break", "const", "dyn", "else", "for", "if", "impl", "in", "let", "match", "move", "mut",
    "ref", "return", "static", "where", "while", "yield",
];

#[test]
fn functions_are_short() {
    let mut functions: Vec<Function> = sources().iter().flat_map(functions).collect();
    functions.sort_by_key(|function| function.lines);
    let at = |percent: usize| functions.get(functions.len() * percent / 100).map_or(0, |f| f.lines);
    println!("{} functions: p50 {}, p90 {}, p99 {} lines", functions.len(), at(50), at(90), at(99));
    functions.iter().rev().take(5).for_each(|function| println!("  {function}"));
    let long: Vec<_> =
        functions.iter().filter(|f| f.lines > LONGEST && !f.table).map(ToString::to_string).collect();
    assert!(long.is_empty(), "longer than {LONGEST} lines:\n{}", long.join("\n"));
    assert!(at(90) <= P90, "the 90th percentile is {} lines, {P90} are allowed", at(90));
}

#[test]
fn files_are_short() {
    let mut files: Vec<(usize, PathBuf)> =
        rust_files().into_iter().map(|path| (lines(&path), path)).collect();
    files.sort();
    let all: usize = files.iter().map(|(lines, _)| lines).sum();
    println!("{} files, {all} lines", files.len());
    files.iter().rev().take(5).for_each(|(lines, path)| println!("  {lines} lines: {}", shown(path)));
    let long: Vec<_> =
        files.iter().filter(|(lines, _)| *lines > FILE).map(|(n, p)| format!("{n} {}", shown(p))).collect();
    assert!(long.is_empty(), "longer than {FILE} lines:\n{}", long.join("\n"));
}

#[test]
fn nothing_outside_of_tests_can_panic_by_a_short_word() {
    let found: Vec<String> = sources()
        .iter()
        .filter(|file| !TESTS.iter().any(|tests| file.path.starts_with(workspace().join(tests))))
        .flat_map(|file| panics(&file.code).into_iter().map(|what| format!("{}:{what}", shown(&file.path))))
        .collect();
    assert!(found.is_empty(), "outside of tests:\n{}", found.join("\n"));
}

struct File {
    path: PathBuf,
    module: String,
    text: String,
    code: Vec<Token>,
}

fn sources() -> Vec<File> {
    let crates =
        fs::read_dir(workspace().join("crates")).unwrap().map(|entry| entry.unwrap().path().join("src"));
    let files = crates.flat_map(|src| crate_files(&src));
    files
        .map(|file| File {
            code: code(&file.text),
            module: file.module.join("::"),
            path: file.path,
            text: file.text,
        })
        .collect()
}

struct Function {
    name: String,
    place: String,
    lines: usize,
    table: bool,
}

impl std::fmt::Display for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let note = if self.table { " (flat table)" } else { "" };
        write!(f, "{} lines{note}: {} at {}", self.lines, self.name, self.place)
    }
}

fn functions(file: &File) -> Vec<Function> {
    let text: Vec<&str> = file.text.lines().collect();
    let named = file.code.windows(2).enumerate().filter(|(_, w)| w[0].text == "fn" && w[1].text != "(");
    named
        .filter_map(|(at, name)| {
            let (first, last) = (name[0].line, body_end(&file.code, at)?);
            let above = text[..first - 1].iter().rev().take_while(|line| is_note(line)).count();
            let table = text[first - 1 - above..last].iter().any(|line| line.contains(TABLE));
            let place = format!("{}:{first}", shown(&file.path));
            Some(Function {
                name: format!("{}::{}", file.module, name[1].text),
                place,
                lines: last - first + 1,
                table,
            })
        })
        .collect()
}

fn is_note(line: &str) -> bool {
    line.trim_start().starts_with("//") || line.trim_start().starts_with("#[")
}

/// The line on which the body of the function at `at` ends; `None` for one without a body.
fn body_end(code: &[Token], at: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for token in &code[at..] {
        match token.text.as_str() {
            "{" | "(" | "[" => depth += 1,
            "}" | ")" | "]" => depth = depth.saturating_sub(1),
            _ => {}
        }
        match token.text.as_str() {
            ";" if depth == 0 => return None,
            "}" if depth == 0 => return Some(token.line),
            _ => {}
        }
    }
    None
}

/// Where and how this code could panic: `line: what`.
fn panics(code: &[Token]) -> Vec<String> {
    let text = |at: usize| code.get(at).map_or("", |token| token.text.as_str());
    let found = (1..code.len()).filter_map(|at| {
        let (before, word) = (text(at - 1), text(at));
        let bad = match (before, word) {
            // All of it: cannot be out of bounds.
            (_, "[") if [text(at + 1), text(at + 2), text(at + 3)] == [".", ".", "]"] => false,
            (".", "unwrap" | "expect" | "unwrap_unchecked" | "expect_err" | "unwrap_err") => true,
            (
                "panic" | "todo" | "unimplemented" | "unreachable" | "assert" | "assert_eq" | "assert_ne",
                "!",
            ) => true,
            (value, "[") => is_value(value),
            _ => false,
        };
        bad.then(|| format!("{}: `{before}{word}`", code[at].line))
    });
    found.collect()
}

fn is_value(before: &str) -> bool {
    let word = before.starts_with(|c: char| c.is_alphanumeric() || c == '_') && !NO_VALUE.contains(&before);
    word || [")", "]", "?"].contains(&before)
}

/// Every Rust file of the project, tests too.
fn rust_files() -> Vec<PathBuf> {
    let mut open = vec![workspace().join("crates"), workspace().join("tests")];
    let mut found = Vec::new();
    while let Some(folder) = open.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            match path.extension().and_then(|e| e.to_str()) {
                Some("rs") => found.push(path),
                _ if path.is_dir() => open.push(path),
                _ => {}
            }
        }
    }
    found
}

fn lines(path: &Path) -> usize {
    fs::read_to_string(path).unwrap().lines().count()
}

fn shown(path: &Path) -> String {
    path.strip_prefix(workspace()).unwrap_or(path).display().to_string()
}

mod can_fail {
    use super::*;

    fn file(text: &str) -> File {
        File { path: PathBuf::from("x.rs"), module: "m".to_owned(), text: text.to_owned(), code: code(text) }
    }

    #[test]
    fn the_length_of_a_function_is_from_its_name_to_its_last_brace() {
        let text = "trait T { fn none(&self) -> [u8; 2]; }\n/// Note.\n// flat table\nfn a(x: u8) {\n    if x > 0 {\n    }\n}\n\
                    #[cfg(test)]\nmod tests {\n    fn b() {\n    }\n}\n";
        let found: Vec<_> = functions(&file(text)).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["4 lines (flat table): m::a at x.rs:4"]);
    }

    #[test]
    fn what_could_panic_is_found() {
        for text in
            ["a.unwrap()", "a .expect(\"x\")", "panic!()", "todo!()", "a[0]", "f(x)[1..]", "a?[0]", "a[0][1]"]
        {
            assert!(!panics(&code(text)).is_empty(), "{text}");
        }
    }

    #[test]
    fn what_could_not_is_left_alone() {
        let text = "#[derive(Debug)] fn f(a: &mut [u8], b: &'a [u8]) -> [u8; 2] { let [x, y] = g(&[1, 2]); vec![x] } \
                    // a.unwrap()\n const S: &str = \"a[0].unwrap()\"; fn h() { a.unwrap_or_default(); for i in [1] {} x()[..]; }";
        assert_eq!(panics(&code(text)), Vec::<String>::new());
    }
}
