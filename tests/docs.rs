//! The documents: links lead somewhere, named files exist, the two commands are where a newcomer looks.
//! Run by `cargo test`.
#![cfg(test)]

use std::path::{Path, PathBuf};
use std::{fs, iter};

use countersign::accounts::file::AccountsFile;
use countersign::config;

/// The two commands of the README.
const TRY: &str = "cargo run --release -- try";
const TEST: &str = "cargo test --workspace";

#[test]
fn links_lead_to_files() {
    let mut looked_at = 0;
    for page in pages() {
        let text = read(&page);
        for link in links(&text) {
            let Some(target) = local(link) else { continue };
            let path = page.parent().unwrap().join(target);
            assert!(path.exists(), "{}: the link `{link}` leads nowhere", shown(&page));
            looked_at += 1;
        }
    }
    assert!(looked_at > 20, "only {looked_at} links were looked at");
}

#[test]
fn every_page_of_the_book_is_in_its_contents() {
    let contents = read(&root().join("docs/README.md"));
    let decisions = read(&root().join("docs/decisions/README.md"));
    for page in pages() {
        let name = shown(&page);
        let Some(name) = name.strip_prefix("docs/").filter(|name| *name != "README.md") else { continue };
        let listed = match name.strip_prefix("decisions/") {
            Some("README.md") | None => contents.contains(&format!("({name})")),
            Some(note) => decisions.contains(&format!("({note})")),
        };
        assert!(listed, "docs/{name} is in no table of contents");
    }
}

#[test]
fn rfc_txt_names_files_that_exist() {
    let text = read(&root().join("docs/rfc.txt"));
    let mut rows = 0;
    for (line, words) in rfc_rows(&text) {
        let (state, files) = (words[1], &words[2..]);
        assert!(["yes", "partial", "no"].contains(&state), "docs/rfc.txt: `{line}`: `{state}` is no state");
        assert_eq!(
            state == "no",
            files.is_empty(),
            "docs/rfc.txt: `{line}`: yes and partial name files, no does not"
        );
        for file in files {
            assert!(
                root().join(file).exists(),
                "docs/rfc.txt: `{line}` names `{file}`, which does not exist"
            );
        }
        rows += 1;
    }
    assert!(rows > 25, "only {rows} rows were read");
}

#[test]
fn an_rfc_that_the_code_quotes_is_in_rfc_txt() {
    let text = read(&root().join("docs/rfc.txt"));
    let known: Vec<&str> = rfc_rows(&text).map(|(_, words)| words[0]).collect();
    for file in files(&root().join("crates"), "rs") {
        for number in quoted_rfcs(&read(&file)) {
            assert!(
                known.contains(&number.as_str()),
                "{} quotes RFC {number}: docs/rfc.txt lacks it",
                shown(&file)
            );
        }
    }
}

#[test]
fn the_two_commands_are_in_the_readme_and_ci_runs_the_same() {
    let readme = read(&root().join("README.md"));
    for command in [TRY, TEST] {
        assert!(readme.lines().any(|line| line.trim().starts_with(command)), "README.md lacks `{command}`");
    }
    let ci = read(&root().join(".ci/run"));
    assert!(ci.contains(TEST), ".ci/run does not run `{TEST}`");
    assert!(read(&root().join("justfile")).contains("bash .ci/run"), "`just check` is not what CI runs");
}

#[test]
fn examples_in_shells_name_real_verbs() {
    for page in pages() {
        let text = read(&page);
        for verb in verbs(&text) {
            assert!(VERBS.contains(&verb), "{}: `countersign {verb}` is no command", shown(&page));
        }
    }
}

#[test]
fn configuration_examples_are_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("example.toml");
    let mut seen = 0;
    for page in pages() {
        for example in toml_examples(&read(&page)) {
            fs::write(&file, example).unwrap();
            // An accounts file has accounts; everything else is a configuration.
            let refused = match example.contains("[[account]]") {
                true => AccountsFile::load(&file, true).err().map(|e| e.to_string()),
                false => config::load(Some(file.as_path()), iter::empty()).err().map(|e| e.to_string()),
            };
            assert_eq!(refused, None, "{}:\n{example}", shown(&page));
            seen += 1;
        }
    }
    assert!(seen >= 4, "only {seen} examples were read");
}

#[test]
fn nothing_names_a_machine_or_a_registry() {
    // Written in two halves, so that this file does not contain them.
    let words = [("/ho", "me/"), ("/wo", "rk/"), ("crates", ".io"), ("lorem ip", "sum")];
    let words = words.map(|(a, b)| format!("{a}{b}"));
    for path in texts() {
        let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).to_lowercase();
        for word in &words {
            assert!(!text.contains(word.as_str()), "{} contains `{word}`", shown(&path));
        }
    }
}

/// The verbs that the documents may use.
const VERBS: &[&str] = &[
    "account",
    "apply",
    "check",
    "completions",
    "config",
    "doctor",
    "enforce",
    "explain",
    "held",
    "help",
    "init",
    "ledger",
    "man",
    "observe",
    "policy",
    "serve",
    "store",
    "try",
];

/// The first words of lines `countersign VERB` in indented or fenced examples.
fn verbs(text: &str) -> impl Iterator<Item = &str> {
    let commands =
        text.lines().filter_map(|line| line.trim().trim_start_matches("$ ").strip_prefix("countersign "));
    commands.filter_map(|rest| rest.split_whitespace().next()).filter(|verb| is_verb(verb))
}

fn is_verb(word: &str) -> bool {
    word.bytes().all(|b| b.is_ascii_lowercase())
}

fn toml_examples(text: &str) -> impl Iterator<Item = &str> {
    text.split("```toml\n").skip(1).filter_map(|rest| rest.split_once("```").map(|(example, _)| example))
}

/// `1234 yes FILE FILE  # note` without comments and empty lines.
fn rfc_rows(text: &str) -> impl Iterator<Item = (&str, Vec<&str>)> {
    text.lines().filter_map(|line| {
        let words: Vec<&str> = line.split('#').next()?.split_whitespace().collect();
        (words.len() > 1).then_some((line, words))
    })
}

fn quoted_rfcs(text: &str) -> Vec<String> {
    let numbers =
        text.split("RFC ").skip(1).map(|rest| rest.chars().take_while(char::is_ascii_digit).collect());
    numbers.filter(|number: &String| number.len() >= 3).collect()
}

fn links(text: &str) -> Vec<&str> {
    text.split("](").skip(1).filter_map(|rest| rest.split_once(')').map(|(link, _)| link)).collect()
}

/// The path of a link to a file of ours; `None` for the web and for a place on the same page.
fn local(link: &str) -> Option<&str> {
    let path = link.split('#').next()?;
    (!path.is_empty() && !path.contains(':')).then_some(path)
}

fn pages() -> Vec<PathBuf> {
    let top = fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().path());
    let top = top.filter(|path| path.extension().is_some_and(|e| e == "md"));
    top.chain(files(&root().join("docs"), "md")).collect()
}

/// Every text that is part of the project.
fn texts() -> Vec<PathBuf> {
    let folders = ["crates", "docs", "migrations", "policies", "tests", "tools", ".ci"];
    let mut found: Vec<PathBuf> = folders.iter().flat_map(|folder| files(&root().join(folder), "")).collect();
    found.extend(fs::read_dir(root()).unwrap().map(|e| e.unwrap().path()).filter(|path| path.is_file()));
    found.retain(|path| path.file_name().is_some_and(|name| name != "Cargo.lock" && name != ".git"));
    found
}

/// The files under a folder with this extension; all of them when it is empty.
fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut open = vec![folder.to_path_buf()];
    let mut found = Vec::new();
    while let Some(folder) = open.pop() {
        for path in fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                open.push(path);
            } else if extension.is_empty() || path.extension().is_some_and(|e| e == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", shown(path)))
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}
