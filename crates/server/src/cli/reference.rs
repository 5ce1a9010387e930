//! docs/reference/cli.md, written from the commands themselves. A test holds the page against them.
//! `COUNTERSIGN_BLESS=1 cargo test -p countersign --lib reference` writes it anew.

use super::man::commands;

/// The page.
fn page() -> String {
    let mut page = INTRODUCTION.to_owned();
    for (name, mut command) in commands() {
        let help = command.render_help().to_string();
        let lines: Vec<&str> = help.trim_end().lines().map(str::trim_end).collect();
        page += &format!("\n## {name}\n\n```text\n{}\n```\n", lines.join("\n"));
    }
    page
}

const INTRODUCTION: &str = "\
# The commands

This page is generated from the program: `countersign help VERB` says the same. `countersign man --dir DIR` writes
manual pages, `countersign completions SHELL` a script for your shell.

What a command finds goes to stdout, what it has to say about that to stderr. With `--json` each line of stdout is one
JSON object with `\"v\": 1`. Secrets are never options: they stand in files. `NO_COLOR` is obeyed, and a bar is drawn on a
terminal only.

A command whose output cannot be written (a full disk) says so and ends with 1; when its reader has gone away, as `head`
does, it is quiet and ends with the code that it would have ended with.

| exit code | it means |
|---|---|
| 0 | done; for a ruling, allow |
| 1 | something of ours failed |
| 2 | the command line is wrong, or names what is not there |
| 3 | the configuration is wrong, also a policy, a case, a data directory, an address that cannot be bound |
| 4 | a server cannot be reached, or no ruling could be made |
| 5 | not permitted |
| 10, 11, 12 | hold, refuse, ask |
| 20 | the ledger is broken |
";

#[test]
fn the_page_of_commands_says_what_the_commands_say() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/cli.md");
    if std::env::var_os("COUNTERSIGN_BLESS").is_some() {
        std::fs::write(file, page()).unwrap();
    }
    let written = std::fs::read_to_string(file).unwrap_or_default();
    assert!(
        written == page(),
        "docs/reference/cli.md is not what the commands say: run `just bless`, and look at the difference"
    );
}
