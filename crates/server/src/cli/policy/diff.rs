//! `policy diff A B`: which policies differ, and which cases two sets of policies rule otherwise.

use std::path::{Path, PathBuf};

use countersign_core::policy::{HoldAs, Replay, Rules};
use serde_json::{Value, json};

use super::cases::{self, Case};
use super::trial::said_by;
use super::{BUILT_IN, rules_of, told};
use crate::cli::config::load;
use crate::cli::exit::{Code, Failure, data};

/// Say which policies differ, and which cases are ruled otherwise
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The cases are those of both directories (cases/*.toml) and those that come with the program."
)]
pub(in crate::cli) struct Diff {
    /// A directory of policies, or `built-in`
    from: PathBuf,
    /// Another one
    to: PathBuf,
    /// One JSON line a difference
    #[arg(long)]
    json: bool,
}

impl Diff {
    pub(super) fn run(self, file: Option<&Path>) -> Result<Code, Failure> {
        let hold = HoldAs(load(file)?.config.send.hold);
        let (from, to) = (rules_of(&self.from)?, rules_of(&self.to)?);
        let changed = changes(&from, &to);
        for (policy, change) in &changed {
            data(&match self.json {
                true => json!({ "v": 1, "policy": policy, "change": change }).to_string(),
                false => format!("{change:<8} {policy}"),
            });
        }
        let (mut looked_at, mut differ) = (0, 0);
        for case in self.cases()? {
            looked_at += 1;
            let (one, other) = (from.replay(&case.facts, hold), to.replay(&case.facts, hold));
            if same(&one, &other) {
                continue;
            }
            differ += 1;
            data(&if self.json {
                line(&case, &one, &other).to_string()
            } else {
                sentence(&case, &one, &other)
            });
        }
        data(&match self.json {
            true => json!({
                "v": 1, "done": true, "policies": changed.len(), "cases": looked_at, "differ": differ,
            })
            .to_string(),
            false => format!(
                "{} policies differ; {differ} of {looked_at} cases are ruled otherwise",
                changed.len()
            ),
        });
        Ok(Code::Ok)
    }

    fn cases(&self) -> Result<Vec<Case>, Failure> {
        let mut dirs = vec![&self.from, &self.to];
        dirs.dedup();
        let mut all = Vec::new();
        for dir in dirs.into_iter().filter(|dir| dir.as_path() != Path::new(BUILT_IN)) {
            all.extend(cases::of_dir(dir)?);
        }
        all.extend(cases::built_in()?);
        Ok(all)
    }
}

fn changes(from: &Rules, to: &Rules) -> Vec<(String, &'static str)> {
    let (from, to) = (from.policies(), to.policies());
    let gone = from.keys().filter(|id| !to.contains_key(*id)).map(|id| (id.clone(), "removed"));
    let other = to.iter().filter_map(|(id, meaning)| match from.get(id) {
        None => Some((id.clone(), "added")),
        Some(before) if before != meaning => Some((id.clone(), "changed")),
        Some(_) => None,
    });
    let mut all: Vec<_> = gone.chain(other).collect();
    all.sort();
    all
}

fn same(one: &Replay, other: &Replay) -> bool {
    one.decision == other.decision && one.how == other.how && one.codes() == other.codes()
}

fn line(case: &Case, from: &Replay, to: &Replay) -> Value {
    let side = |replay: &Replay| json!({ "decision": replay.decision, "how": replay.how, "reasons": replay.codes() });
    json!({ "v": 1, "file": case.file, "case": case.name, "from": side(from), "to": side(to) })
}

fn sentence(case: &Case, from: &Replay, to: &Replay) -> String {
    let (was, is) = (told(from.decision, from.how), told(to.decision, to.how));
    format!("{}: {}\n  {was} -> {is}\n  {} -> {}", case.file, case.name, codes(from), codes_by(to))
}

fn codes(replay: &Replay) -> String {
    if replay.reasons.is_empty() { "no reason".to_owned() } else { replay.codes().join(", ") }
}

fn codes_by(replay: &Replay) -> String {
    if replay.reasons.is_empty() { "no reason".to_owned() } else { said_by(replay) }
}
