//! `man`: the manual pages, one for each command.

use std::path::{Path, PathBuf};

use clap::{Command, CommandFactory};
use clap_mangen::Man as Roff;

use super::Cli;
use super::exit::{Code, Failure, data};

/// Print the manual page, or write one for each command
#[derive(Debug, clap::Args)]
pub(super) struct Man {
    /// The command whose page is printed, as in `man held release` [default: the program's own page]
    #[arg(conflicts_with = "dir")]
    command: Vec<String>,
    /// Write all pages into this directory, which is made
    #[arg(long)]
    dir: Option<PathBuf>,
}

impl Man {
    pub(super) fn run(self) -> Result<Code, Failure> {
        let pages = pages()?;
        let Some(dir) = &self.dir else {
            let name = std::iter::once("countersign").chain(self.command.iter().map(String::as_str));
            let name = name.collect::<Vec<_>>().join("-");
            let page = pages.iter().find(|page| page.name == name);
            let page = page.ok_or_else(|| {
                Failure::usage(format!(
                    "there is no command `{}`: see `countersign help`",
                    self.command.join(" ")
                ))
            })?;
            data(page.text.trim_end());
            return Ok(Code::Ok);
        };
        std::fs::create_dir_all(dir).map_err(|cause| unwritten(dir, &cause))?;
        for page in &pages {
            let path = dir.join(format!("{}.1", page.name));
            std::fs::write(&path, &page.text).map_err(|cause| unwritten(&path, &cause))?;
            data(&path.display().to_string());
        }
        Ok(Code::Ok)
    }
}

fn unwritten(path: &Path, cause: &std::io::Error) -> Failure {
    Failure::new(Code::Configuration, format!("`{}` cannot be written: {cause}", path.display()))
}

/// A manual page, as troff reads it.
struct Page {
    /// `countersign-held-release`
    name: String,
    text: String,
}

fn pages() -> Result<Vec<Page>, Failure> {
    commands()
        .into_iter()
        .map(|(name, command)| {
            let name = name.replace(' ', "-");
            let mut text = Vec::new();
            let page = Roff::new(command).source(concat!("countersign ", env!("CARGO_PKG_VERSION")));
            page.manual("Countersign").render(&mut text).map_err(Failure::internal)?;
            Ok(Page { name, text: String::from_utf8_lossy(&text).into_owned() })
        })
        .collect()
}

/// Every command of the program with its whole name, in the order of the help. What is common to all of them
/// stands in each.
pub(super) fn commands() -> Vec<(String, Command)> {
    let mut root = Cli::command().term_width(100);
    root.build();
    let mut open = vec![(root.get_name().to_owned(), root)];
    let mut found = Vec::new();
    while let Some((name, command)) = open.pop() {
        let below =
            command.get_subcommands().filter(|below| below.get_name() != "help" && !below.is_hide_set());
        let below: Vec<_> =
            below.map(|below| (format!("{name} {}", below.get_name()), below.clone())).collect();
        open.extend(below.into_iter().rev());
        found.push((name, command));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page_that_names_it() {
        let pages = pages().unwrap();
        for name in
            ["countersign", "countersign-held-release", "countersign-policy-whatif", "countersign-check-spf"]
        {
            let page = pages.iter().find(|page| page.name == name).unwrap_or_else(|| panic!("no {name}"));
            let plain = page.text.replace("\\-", "-");
            assert!(plain.contains(".TH") && plain.contains(name), "{}", page.text);
        }
        let mut names: Vec<_> = pages.iter().map(|page| &page.name).collect();
        names.dedup();
        assert_eq!(names.len(), pages.len());
    }
}
