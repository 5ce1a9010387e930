//! Case files: evidence in, ruling and reasons out. A table that colleagues can read aloud.
//! `policy test` runs them; `policy diff` compares what two sets of policies make of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use countersign_core::evidence::{Finding, Kind, Why};
use countersign_core::policy::{Asked, Decision, Fact, Facts, How};
use countersign_core::request::{Action, Actor, Verb};
use serde::Deserialize;

use crate::cli::exit::{Code, Failure};

/// One case: facts, and what is expected of them.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) file: String,
    pub(super) name: String,
    pub(super) facts: Facts,
    pub(super) decision: Decision,
    pub(super) how: Option<How>,
    /// In any order; not compared when the case says nothing.
    pub(super) reasons: Option<Vec<String>>,
}

/// The cases that come with the program.
pub(super) fn built_in() -> Result<Vec<Case>, Failure> {
    let files = BUILT_IN.iter().map(|(name, text)| read(&format!("built-in:{name}"), text));
    Ok(files.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
}

/// The cases in `DIR/cases/*.toml`, in the order of the files; none when there is no such directory.
pub(super) fn of_dir(dir: &Path) -> Result<Vec<Case>, Failure> {
    let cases = dir.join("cases");
    if !cases.is_dir() {
        return Ok(vec![]);
    }
    let unread = |path: &Path, cause: std::io::Error| {
        Failure::new(Code::Configuration, format!("case file `{}` cannot be read: {cause}", path.display()))
    };
    let entries = std::fs::read_dir(&cases).map_err(|cause| unread(&cases, cause))?;
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.map(|entry| entry.path()).map_err(|cause| unread(&cases, cause)))
        .collect::<Result<_, _>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    paths.sort();
    let mut found = Vec::new();
    for path in paths {
        let text = std::fs::read_to_string(&path).map_err(|cause| unread(&path, cause))?;
        found.extend(read(&path.display().to_string(), &text)?);
    }
    Ok(found)
}

fn read(file: &str, text: &str) -> Result<Vec<Case>, Failure> {
    let wrong = |why: String| Failure::new(Code::Configuration, format!("case file `{file}`: {why}"));
    let written: File = toml::from_str(text).map_err(|e| wrong(e.to_string().trim_end().to_owned()))?;
    let good = match written.good {
        Some(good) => good,
        None => toml::from_str::<Good>(SEND).map_err(Failure::internal)?.good,
    };
    let case = |case: &Written| {
        let name = case.name.clone();
        case.read(file, &good).map_err(|why| wrong(format!("case `{name}`: {why}")))
    };
    written.case.iter().map(case).collect()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// The findings of cases that do not say otherwise; without it those of a letter that passes.
    good: Option<BTreeMap<String, String>>,
    case: Vec<Written>,
}

#[derive(Deserialize)]
struct Good {
    good: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    action: Option<String>,
    actor: Option<String>,
    account: Option<String>,
    author_domain: Option<String>,
    recipients: Option<u64>,
    bytes: Option<u64>,
    #[serde(default)]
    evidence: BTreeMap<String, String>,
    ruling: String,
    how: Option<String>,
    reasons: Option<Vec<String>>,
}

impl Written {
    fn read(&self, file: &str, good: &BTreeMap<String, String>) -> Result<Case, String> {
        let action = match &self.action {
            Some(name) => Action::all().find(|action| action.name() == name).ok_or_else(|| {
                format!("`{name}` is no action: {}", one_of(Action::all().map(Action::name)))
            })?,
            None => Action::Send,
        };
        let evidence = good.iter().chain(&self.evidence).map(|(kind, text)| fact(kind, text));
        Ok(Case {
            file: file.to_owned(),
            name: self.name.clone(),
            facts: Facts {
                action,
                asked: self.asked(action)?,
                evidence: evidence.collect::<Result<_, _>>()?,
            },
            decision: DECISIONS
                .into_iter()
                .find(|decision| decision.word() == self.ruling)
                .ok_or_else(|| format!("`{}` is no ruling: allow, ask, hold or refuse", self.ruling))?,
            how: match self.how.as_deref() {
                None => None,
                Some("custody") => Some(How::Custody),
                Some("defer") => Some(How::Defer),
                Some(other) => return Err(format!("`{other}` is no way to hold: custody or defer")),
            },
            reasons: self.reasons.clone(),
        })
    }

    /// What a case does not say of the message is that of a plain letter.
    fn asked(&self, action: Action) -> Result<Asked, String> {
        let account = self.account.clone().unwrap_or_else(|| "acme".to_owned());
        let actor = self.actor.as_deref();
        let (principal, class) = match action {
            Action::Send if actor.is_none_or(|actor| actor == "credential") => {
                (account.clone(), "credential")
            }
            Action::Send => {
                return Err(format!("`{}` does not send: credential does", actor.unwrap_or_default()));
            }
            Action::Command(verb) => {
                let usual = if verb == Verb::HeldExpire { "clock" } else { "local" };
                let word = actor.unwrap_or(usual);
                let found = actors().into_iter().find(|actor| actor.class() == word);
                let found = found.ok_or_else(|| {
                    format!("`{word}` is no actor of commands: {}", one_of(actors().iter().map(Actor::class)))
                })?;
                (found.to_string(), found.class())
            }
        };
        Ok(Asked {
            principal,
            resource: "x".to_owned(),
            account,
            actor: class.to_owned(),
            author_domain: self.author_domain.clone().unwrap_or_else(|| "acme.example".to_owned()),
            recipients: self.recipients.unwrap_or(1),
            bytes: self.bytes.unwrap_or(400),
        })
    }
}

/// Reads `pass`, `fail/DETAIL`, `warn/DETAIL` or `unknown/WHY`.
fn fact(kind: &str, text: &str) -> Result<(Kind, Fact), String> {
    let known = Kind::parse(kind).ok_or_else(|| {
        format!("`{kind}` is no evidence: {}", one_of(Kind::ALL.into_iter().map(Kind::name)))
    })?;
    let (word, detail) = text.split_once('/').unwrap_or((text, ""));
    let wrong = || format!("`{text}` is no finding: pass, fail/DETAIL, warn/DETAIL or unknown/WHY");
    let fact = match Finding::parse(word).ok_or_else(wrong)? {
        Finding::Unknown(_) => Fact::new(Finding::Unknown(Why::parse(detail).ok_or_else(wrong)?), detail),
        finding => Fact::new(finding, detail),
    };
    Ok((known, fact))
}

/// One of each class.
fn actors() -> [Actor; 5] {
    let ana = || "ana".to_owned();
    [Actor::Local(0), Actor::Clock, Actor::Staff(ana()), Actor::StaffKey(ana()), Actor::AccountKey(ana())]
}

fn one_of(words: impl Iterator<Item = &'static str>) -> String {
    words.collect::<Vec<_>>().join(", ")
}

const DECISIONS: [Decision; 4] = [Decision::Allow, Decision::Ask, Decision::Hold, Decision::Refuse];
const BUILT_IN: [(&str, &str); 2] =
    [("desk.toml", include_str!("../../../../../policies/cases/desk.toml")), ("send.toml", SEND)];
const SEND: &str = include_str!("../../../../../policies/cases/send.toml");

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(text: &str) -> String {
        read("x.toml", text).unwrap_err().to_string()
    }

    #[test]
    fn a_case_says_what_differs_from_a_good_letter() {
        let text = "[good]\nspf = \"pass\"\nfrom = \"pass\"\n[[case]]\nname = \"n\"\nbytes = 7\n\
                    evidence = { spf = \"unknown/timeout\" }\nruling = \"hold\"\nhow = \"defer\"\n";
        let cases = read("x.toml", text).unwrap();
        let [case] = cases.as_slice() else { panic!("{cases:?}") };
        assert_eq!(case.facts.finding(Kind::Spf), Finding::Unknown(Why::Timeout));
        assert_eq!(case.facts.finding(Kind::From), Finding::Pass);
        assert_eq!((case.facts.asked.bytes, case.facts.asked.actor.as_str()), (7, "credential"));
        assert_eq!((case.decision, case.how, &case.reasons), (Decision::Hold, Some(How::Defer), &None));
    }

    #[test]
    fn a_wrong_word_names_case_and_what_is_allowed() {
        let with = |line: &str| format!("[[case]]\nname = \"n\"\nruling = \"allow\"\n{line}\n");
        for (text, says) in [
            (with("evidence = { spff = \"pass\" }"), "case `n`: `spff` is no evidence: standing, network"),
            (with("evidence = { spf = \"maybe\" }"), "`maybe` is no finding: pass, fail/DETAIL"),
            (with("evidence = { spf = \"unknown/soon\" }"), "`unknown/soon` is no finding"),
            (with("action = \"sing\""), "`sing` is no action: send, held-release"),
            (with("actor = \"local\""), "`local` does not send"),
            (
                with("action = \"apply\"\nactor = \"credential\""),
                "`credential` is no actor of commands: local, clock",
            ),
            (with("how = \"long\""), "`long` is no way to hold"),
            (with("colour = 1"), "unknown field `colour`"),
            ("[[case]]\nname = \"n\"\nruling = \"drop\"\n".to_owned(), "`drop` is no ruling"),
        ] {
            let why = wrong(&text);
            assert!(why.starts_with("case file `x.toml`: ") && why.contains(says), "{why}");
        }
    }

    #[test]
    fn the_built_in_cases_are_read() {
        assert!(built_in().unwrap().len() > 30);
    }
}
