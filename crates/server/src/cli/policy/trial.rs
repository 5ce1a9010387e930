//! `policy test [DIR]`: runs case files against policies and names every case that is ruled otherwise.

use std::path::{Path, PathBuf};

use countersign_core::policy::{HoldAs, How, Replay, Rules};
use serde_json::{Value, json};

use super::cases::{self, Case};
use super::{BUILT_IN, rules_of, told};
use crate::cli::config::load;
use crate::cli::exit::{Code, Failure, data};

/// Run case files against policies
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Test {
    /// The directory with *.cedar files and cases/*.toml [default: `[policy] dir`, else `built-in`]
    dir: Option<PathBuf>,
    /// Also the cases that come with the program
    #[arg(long)]
    built_in: bool,
    /// One JSON line a case
    #[arg(long)]
    json: bool,
}

impl Test {
    pub(super) fn run(self, file: Option<&Path>) -> Result<Code, Failure> {
        let config = load(file)?.config;
        let dir = self.dir.or(config.policy_dir).unwrap_or_else(|| PathBuf::from(BUILT_IN));
        let ours = dir == Path::new(BUILT_IN);
        let rules = rules_of(&dir)?;
        let mut all = if ours { vec![] } else { cases::of_dir(&dir)? };
        if ours || self.built_in {
            all.extend(cases::built_in()?);
        }
        if all.is_empty() {
            let why = format!(
                "`{}` has no cases: write some into `{}`, or add --built-in",
                dir.display(),
                dir.join("cases/NAME.toml").display()
            );
            return Err(Failure::usage(why));
        }
        // A case that says how it is held has its policy say so; what `[send] hold` is makes no difference to the rest.
        let hold = HoldAs(How::Custody);
        let failed = all.iter().filter(|case| !run_one(case, &rules, hold, self.json)).count();
        let total = all.len();
        match self.json {
            true => data(&json!({ "v": 1, "done": true, "cases": total, "failed": failed }).to_string()),
            false if failed == 0 => data(&format!("{total} cases, all ruled as they say")),
            false => {}
        }
        match failed {
            0 => Ok(Code::Ok),
            _ => Err(Failure::new(
                Code::Configuration,
                format!(
                    "{failed} of {total} cases are not ruled as they say: change the policies, or the cases"
                ),
            )),
        }
    }
}

/// Whether a case is ruled as it says; what differs is told.
fn run_one(case: &Case, rules: &Rules, hold: HoldAs, json: bool) -> bool {
    let got = rules.replay(&case.facts, hold);
    let ok = fits(case, &got);
    if json {
        let expected = outcome(case.decision.word(), case.how, &json!(case.reasons));
        let line = json!({
            "v": 1, "file": case.file, "case": case.name, "ok": ok, "expected": expected,
            "got": outcome(got.decision.word(), got.how, &json!(got.codes())),
        });
        data(&line.to_string());
    } else if !ok {
        let expected = case.reasons.as_ref().map(|reasons| reasons.join(", "));
        data(&format!(
            "{}: {}\n  expected {}{}\n  got      {} {}",
            case.file,
            case.name,
            told(case.decision, case.how),
            expected.map(|codes| format!(" {codes}")).unwrap_or_default(),
            told(got.decision, got.how),
            said_by(&got)
        ));
    }
    ok
}

fn fits(case: &Case, got: &Replay) -> bool {
    let reasons = case.reasons.as_ref().is_none_or(|expected| {
        let (mut expected, mut codes) = (expected.clone(), got.codes());
        expected.sort_unstable();
        codes.sort_unstable();
        expected == codes
    });
    got.decision == case.decision && (case.how.is_none() || got.how == case.how) && reasons
}

fn outcome(decision: &str, how: Option<How>, reasons: &Value) -> Value {
    json!({ "decision": decision, "how": how, "reasons": reasons })
}

/// The reasons of a replay, each with the policy that gave it.
pub(super) fn said_by(replay: &Replay) -> String {
    let reasons = replay.reasons.iter().map(|(code, policy)| format!("{code} by {policy}"));
    reasons.collect::<Vec<_>>().join(", ")
}
