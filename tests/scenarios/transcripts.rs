//! The examples of the documents: every `console` block is typed into a shell, and must say what the page says.
//! A block is `$ countersign ...` lines, each followed by what it prints; `...` stands for any lines, or for the rest
//! of one. Refs, times, digests, free ports, and how many policies and cases ship are compared as words.

use std::collections::BTreeMap;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use countersign::sandbox::dns::{self, ZoneMap};
use regex::Regex;
use tempfile::TempDir;
use tokio::process::Command;

use crate::world::{PROGRAM, repository, within};

#[tokio::test]
async fn the_examples_of_the_documents_say_what_the_program_says() {
    let mut pages = Vec::new();
    for folder in ["docs/tutorial", "docs/how-to"] {
        let entries = std::fs::read_dir(repository().join(folder)).unwrap();
        pages.extend(entries.map(|entry| entry.unwrap().path()));
    }
    pages.sort();
    let (mut commands, mut wrong) = (0, Vec::new());
    for page in pages {
        let text = std::fs::read_to_string(&page).unwrap();
        if text.contains("```console\n") {
            let shell = Shell::open(&text).await;
            for example in examples(&text) {
                commands += 1;
                let got = shell.type_in(&example.command).await;
                if !fits(&normalised(&example.output), &normalised(&got)) {
                    wrong.push(format!("{}:\n$ {}\n{got}", page.display(), example.command));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "not what the pages say:\n\n{}", wrong.join("\n"));
    assert!(commands >= 15, "only {commands} commands were typed");
}

/// A command of a page, and what the page says it prints.
struct Example {
    command: String,
    output: String,
}

fn examples(page: &str) -> Vec<Example> {
    let mut found: Vec<Example> = Vec::new();
    for block in page.split("```console\n").skip(1).map(|rest| rest.split("```").next().unwrap()) {
        for line in block.lines() {
            match (line.strip_prefix("$ "), found.last_mut()) {
                (Some(command), _) => {
                    found.push(Example { command: command.to_owned(), output: String::new() });
                }
                (None, Some(example)) if example.command.ends_with('\\') => {
                    example.command = format!("{}{}", example.command.trim_end_matches('\\'), line.trim());
                }
                (None, Some(example)) => example.output += &format!("{line}\n"),
                (None, None) => panic!("output without a command: {line}"),
            }
        }
    }
    found
}

/// A directory with the files of a page, and a shell that finds the program.
struct Shell {
    dir: TempDir,
    dns: dns::DnsServer,
}

impl Shell {
    async fn open(page: &str) -> Self {
        let dir = TempDir::new().unwrap();
        for (name, text) in files(page) {
            write(dir.path(), &name, &text);
            for secret in text.lines().filter_map(|line| line.strip_prefix("secret_file = \"")) {
                write(dir.path(), secret.trim_end_matches('"'), "not very secret\n");
            }
        }
        std::fs::create_dir(dir.path().join(".bin")).unwrap();
        symlink(PROGRAM, dir.path().join(".bin/countersign")).unwrap();
        let zones = ZoneMap::new()
            .mx("shop.example", 10, "mx.shop.example")
            .txt("shop.example", "v=spf1 ip4:192.0.2.25 -all");
        let dns = dns::start("127.0.0.1:0".parse().unwrap(), zones).await.unwrap();
        Self { dir, dns }
    }

    /// What a terminal would show.
    async fn type_in(&self, line: &str) -> String {
        assert!(line.starts_with("countersign "), "only our own commands are typed: {line}");
        let mut command = Command::new("sh");
        let path = format!("{}:/usr/bin:/bin", self.dir.path().join(".bin").display());
        command.args(["-c", &format!("{line} 2>&1")]).env_clear().env("PATH", path);
        command.env("COUNTERSIGN_DNS__RESOLVERS", self.dns.address().to_string());
        command.current_dir(self.dir.path()).stdin(Stdio::null()).kill_on_drop(true);
        let output = within(60, line, command.output()).await.unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let here = self.dir.path().canonicalize().unwrap();
        text.replace(&here.display().to_string(), "/srv/mail")
    }
}

/// The files that a page gives: a block below a line that ends with the name in backticks and a colon.
fn files(page: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut lines = page.lines();
    let mut named = None;
    while let Some(line) = lines.next() {
        if let Some(name) =
            line.strip_suffix("`:").and_then(|line| line.rsplit_once('`')).map(|(_, name)| name)
        {
            named = Some(name.to_owned());
        } else if line.starts_with("```") {
            let text: String =
                lines.by_ref().take_while(|line| *line != "```").map(|line| format!("{line}\n")).collect();
            if let Some(name) = named.take().filter(|name| !name.starts_with('/')) {
                found.insert(name, text);
            }
        } else if !line.is_empty() {
            named = None;
        }
    }
    found
}

fn write(dir: &Path, name: &str, text: &str) {
    let path: PathBuf = dir.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
}

/// What differs from run to run, as words.
fn normalised(text: &str) -> Vec<String> {
    let words = [
        (r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "TIME"),
        (r"sha256:[0-9a-f]{64}", "sha256:DIGEST"),
        (r"\b[0-9a-f]{64}\b", "HASH"),
        (r"\b[0-9A-HJKMNP-TV-Z]{10}\b", "REF"),
        (r"\b\d\d+ (policies|cases)\b", "MANY $1"),
        (r"127\.0\.0\.1:(3|4|5|6)\d{4}\b", "127.0.0.1:PORT"),
    ];
    let words = words.map(|(pattern, word)| (Regex::new(pattern).unwrap(), word));
    let plain = |line: &str| {
        let line = line.trim_end().to_owned();
        words.iter().fold(line, |line, (pattern, word)| pattern.replace_all(&line, *word).into_owned())
    };
    text.lines().map(plain).filter(|line| !line.is_empty()).collect()
}

/// Whether lines are as expected; `...` is any number of them.
fn fits(expected: &[String], got: &[String]) -> bool {
    let Some((first, rest)) = expected.split_first() else { return got.is_empty() };
    if first.trim() == "..." {
        return (0..=got.len()).any(|skipped| fits(rest, &got[skipped..]));
    }
    let same = |line: &str| match first.strip_suffix(" ...") {
        Some(start) => line.starts_with(start),
        None => line == first,
    };
    got.split_first().is_some_and(|(line, after)| same(line) && fits(rest, after))
}

#[test]
fn an_example_that_says_something_else_does_not_fit() {
    let lines = |text: &str| normalised(text);
    assert!(fits(&lines("a\n...\nd"), &lines("a\nb\nc\nd")));
    assert!(fits(&lines("held 7Q2K3M9TBC"), &lines("held 3M9TBC7Q2K")));
    assert!(!fits(&lines("a\nb"), &lines("a")));
    assert!(!fits(&lines("a"), &lines("a\nb")));
    assert!(!fits(&lines("a\n..."), &lines("b\na")));
    assert!(fits(&lines("25 leaves, ..."), &lines("25 leaves, 3 heads")));
}
