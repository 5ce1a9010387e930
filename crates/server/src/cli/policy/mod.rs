//! `policy validate|test|diff|whatif`: draft policies looked at before anything is judged by them.
//! None of them changes anything.

mod cases;
mod diff;
mod replayed;
mod trial;
mod validate;
mod whatif;

use std::path::Path;

use clap::Subcommand;
use countersign_core::policy::{Decision, How, Rules};

use super::exit::{Code, Failure};
use crate::boot;

/// Policies
#[derive(Debug, Subcommand)]
pub(super) enum PolicyVerb {
    /// Read a directory of policies and say whether they are valid
    Validate(validate::Validate),
    /// Run case files against policies
    Test(trial::Test),
    /// Say which policies differ, and which cases are ruled otherwise
    Diff(diff::Diff),
    /// Replay what was ruled against draft policies, and show what would be decided otherwise
    Whatif(whatif::WhatIf),
}

impl PolicyVerb {
    pub(super) async fn run(self, file: Option<&Path>) -> Result<Code, Failure> {
        match self {
            Self::Validate(validate) => validate.run(),
            Self::Test(test) => test.run(file),
            Self::Diff(diff) => diff.run(file),
            Self::Whatif(whatif) => whatif.run(file).await,
        }
    }
}

/// The policies of a directory beside ours; `built-in` is ours alone.
fn rules_of(dir: &Path) -> Result<Rules, Failure> {
    let dir = (dir != Path::new(BUILT_IN)).then_some(dir);
    Ok(boot::rules(dir)?)
}

/// A decision as it is told: `hold (custody)`.
fn told(decision: Decision, how: Option<How>) -> String {
    match how {
        Some(how) => format!("{} ({})", decision.word(), how.word()),
        None => decision.word().to_owned(),
    }
}

/// The name of the policies that come with the program.
const BUILT_IN: &str = "built-in";
