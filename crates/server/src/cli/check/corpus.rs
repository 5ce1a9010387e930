//! `check corpus`: judges every message file below a directory, one JSON line a file.
//! The lines come in the order of the paths; two files at a time are judged.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use comfy_table::Table;
use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use futures_util::StreamExt;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

use super::super::exit::{Code, Failure, data, talk};
use super::{Asked, Bench, LINE_ENDS, graver, gravity, told};

/// Judge every *.eml file below a directory, in the order of their paths; one JSON line a file
#[derive(Debug, clap::Args)]
#[command(after_help = LINE_ENDS)]
pub(in crate::cli) struct CheckCorpus {
    /// The directory; beside X.eml an optional X.toml says account, envelope and more
    directory: PathBuf,
    #[command(flatten)]
    asked: Asked,
    /// Exit 10 or 11 when a file is held (or worse), or only when one is refused; else 0 when all were judged
    #[arg(long, value_name = "hold|refuse", value_parser = threshold)]
    fail_on: Option<Code>,
    /// One JSON line a file, which it prints anyway
    #[arg(long)]
    json: bool,
}

impl CheckCorpus {
    pub(in crate::cli) async fn run(self, config: Option<&Path>) -> Result<Code, Failure> {
        let bench = Arc::new(Bench::set(&self.asked, config)?);
        let paths = message_files(&self.directory)?;
        if paths.is_empty() {
            let why = format!("`{}` has no *.eml file", self.directory.display());
            return Err(Failure::usage(why));
        }
        let (asked, total) = (Arc::new(self.asked), paths.len());
        let bar = progress(total);
        let judged = futures_util::stream::iter(paths)
            .map(|path| {
                let task = tokio::spawn(judge(path.clone(), Arc::clone(&asked), Arc::clone(&bench)));
                async move { task.await.unwrap_or_else(|error| unjudged(&path, &Failure::internal(error))) }
            })
            .buffered(AT_A_TIME);
        futures_util::pin_mut!(judged);
        let mut tally = Tally::default();
        while let Some((line, code)) = judged.next().await {
            bar.suspend(|| data(&line.to_string()));
            tally.add(&line, code);
            bar.inc(1);
        }
        bar.finish_and_clear();
        if std::io::stderr().is_terminal() {
            talk(&tally.table(total).to_string());
        }
        Ok(tally.code(self.fail_on))
    }
}

async fn judge(path: PathBuf, asked: Arc<Asked>, bench: Arc<Bench>) -> (Value, Code) {
    match asked.judge(&path, &bench).await {
        Ok((ruling, normalised, code)) => (told(&path, Some(&ruling), normalised, None), code),
        Err(failure) => unjudged(&path, &failure),
    }
}

fn unjudged(path: &Path, failure: &Failure) -> (Value, Code) {
    (told(path, None, false, Some(&failure.to_string())), failure.code())
}

/// Every *.eml file below a directory, sorted. Links to directories are not followed: they may lead in circles.
fn message_files(directory: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut found = Vec::new();
    let mut open = vec![directory.to_owned()];
    while let Some(directory) = open.pop() {
        let unreadable = |e: std::io::Error| {
            Failure::new(Code::Unreachable, format!("`{}` cannot be read: {e}", directory.display()))
        };
        for entry in std::fs::read_dir(&directory).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let path = entry.path();
            if entry.file_type().map_err(unreadable)?.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("eml")) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// How many files had which decision, and which reasons.
#[derive(Default)]
struct Tally {
    decisions: BTreeMap<String, usize>,
    reasons: BTreeMap<String, usize>,
    /// The worst decision.
    worst: Option<Code>,
    /// The code of the first file that could not be judged.
    unjudged: Option<Code>,
}

impl Tally {
    fn add(&mut self, line: &Value, code: Code) {
        let decision = line.get("decision").and_then(Value::as_str).unwrap_or("not judged");
        *self.decisions.entry(decision.to_owned()).or_default() += 1;
        for reason in line.get("reasons").and_then(Value::as_array).into_iter().flatten() {
            *self.reasons.entry(reason.as_str().unwrap_or_default().to_owned()).or_default() += 1;
        }
        if line.get("error").is_some_and(|error| !error.is_null()) {
            self.unjudged.get_or_insert(code);
        } else {
            self.worst = Some(graver(self.worst.unwrap_or(Code::Ok), code));
        }
    }

    /// 0 when every file was judged and none as badly as `fail_on`. When some were not judged there is no
    /// ruling about them: 4; when none was, the first says why.
    fn code(&self, fail_on: Option<Code>) -> Code {
        match (self.unjudged, self.worst) {
            (Some(code), None) => code,
            (Some(_), Some(_)) => Code::Unreachable,
            (None, worst) => {
                let worst = worst.unwrap_or(Code::Ok);
                let fails = fail_on.is_some_and(|limit| gravity(worst) >= gravity(limit));
                if fails { worst } else { Code::Ok }
            }
        }
    }

    fn table(&self, total: usize) -> Table {
        let mut table = Table::new();
        table.load_style(UTF8_HORIZONTAL_ONLY).set_header([format!("{total} files"), String::new()]);
        for (name, count) in self.decisions.iter().chain(&self.reasons) {
            table.add_row([name.clone(), count.to_string()]);
        }
        table
    }
}

fn threshold(text: &str) -> Result<Code, String> {
    match text {
        "hold" => Ok(Code::Hold),
        "refuse" => Ok(Code::Refuse),
        other => Err(format!("`{other}` is neither `hold` nor `refuse`")),
    }
}

/// A bar on stderr, if that is a terminal.
fn progress(total: usize) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(total as u64);
    match ProgressStyle::with_template("{bar:40} {pos} of {len} files, {eta} left") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// Files that are judged at the same time.
const AT_A_TIME: usize = 2;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn tally(files: &[(&str, Code)]) -> Tally {
        let mut tally = Tally::default();
        for (decision, code) in files {
            let line = match *decision {
                "" => json!({ "decision": null, "reasons": [], "error": "cannot be read" }),
                decision => json!({ "decision": decision, "reasons": ["a"], "error": null }),
            };
            tally.add(&line, *code);
        }
        tally
    }

    #[test]
    fn the_exit_code_tells_whether_all_were_judged() {
        let (ok, hold, refuse) = (("allow", Code::Ok), ("hold", Code::Hold), ("refuse", Code::Refuse));
        let unread = ("", Code::Unreachable);
        assert_eq!(tally(&[ok, hold, refuse]).code(None), Code::Ok);
        assert_eq!(tally(&[ok, hold]).code(Some(Code::Hold)), Code::Hold);
        assert_eq!(tally(&[ok, hold, refuse]).code(Some(Code::Hold)), Code::Refuse);
        assert_eq!(tally(&[ok, hold]).code(Some(Code::Refuse)), Code::Ok);
        assert_eq!(tally(&[ok, refuse]).code(Some(Code::Refuse)), Code::Refuse);
        assert_eq!(tally(&[ok, unread]).code(None), Code::Unreachable);
        assert_eq!(tally(&[unread, refuse]).code(Some(Code::Refuse)), Code::Unreachable);
        assert_eq!(tally(&[("", Code::Usage), ("", Code::Usage)]).code(None), Code::Usage);
    }

    #[test]
    fn message_files_are_found_below_and_sorted() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("b/c")).unwrap();
        for name in ["z.eml", "b/c/a.EML", "b/x.toml", "b/y.eml", "eml"] {
            std::fs::write(root.path().join(name), "").unwrap();
        }
        let found = message_files(root.path()).unwrap();
        let names: Vec<_> = found.iter().map(|path| path.strip_prefix(root.path()).unwrap()).collect();
        assert_eq!(names, ["b/c/a.EML", "b/y.eml", "z.eml"].map(Path::new));
        assert!(message_files(&root.path().join("nowhere")).is_err());
    }
}
