//! `policy validate DIR`: whether policies parse, fit the schema and name known words.

use std::collections::BTreeSet;
use std::path::PathBuf;

use countersign_core::policy::Rules;
use serde_json::json;

use super::rules_of;
use crate::cli::exit::{Code, Failure, data, talk};

/// Read a directory of policies and say whether they are valid
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Validate {
    /// The directory with *.cedar files, or `built-in`
    dir: PathBuf,
    /// One JSON line
    #[arg(long)]
    json: bool,
}

impl Validate {
    pub(super) fn run(self) -> Result<Code, Failure> {
        let rules = match rules_of(&self.dir) {
            Ok(rules) => rules,
            Err(failure) => {
                if self.json {
                    let why = failure.to_string();
                    data(&json!({ "v": 1, "valid": false, "dir": self.dir, "why": why }).to_string());
                }
                return Err(failure);
            }
        };
        let ours = Rules::built_in().map_err(Failure::internal)?.policies();
        let all = rules.policies();
        let own: Vec<&String> = all.keys().filter(|id| ours.get(*id) != all.get(*id)).collect();
        let gone: Vec<&String> = ours.keys().filter(|id| !all.contains_key(*id)).collect();
        if self.json {
            let line = json!({
                "v": 1, "valid": true, "dir": self.dir, "policies": all.len(), "own": own,
                "without": gone, "policy_digest": rules.digest(),
            });
            data(&line.to_string());
            return Ok(Code::Ok);
        }
        data(&format!("valid: {} policies, {} of them from `{}`", all.len(), own.len(), self.dir.display()));
        own.iter().for_each(|id| data(&format!("  {id}")));
        data(&format!("policy digest {}", rules.digest()));
        let files: BTreeSet<&str> = gone.iter().filter_map(|id| Some(id.split_once('/')?.0)).collect();
        for file in files {
            talk(&format!(
                "countersign: `{file}.cedar` replaces the file of ours of that name: {} of its policies are gone (give \
                 yours another name to keep them)",
                gone.iter().filter(|id| id.starts_with(&format!("{file}/"))).count()
            ));
        }
        Ok(Code::Ok)
    }
}
