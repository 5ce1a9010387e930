//! Assumptions of `check`: findings that the caller brings along, of strength `claimed`.

use std::collections::BTreeMap;

use countersign_core::evidence::{Evidence, Finding, Kind, Strength};
use jiff::Timestamp;

/// Reads `spf=pass,dkim=pass`.
pub(super) fn parse(text: &str) -> Result<BTreeMap<String, String>, String> {
    let pair = |item: &str| match item.split_once('=') {
        Some((kind, finding)) => Ok((kind.trim().to_owned(), finding.trim().to_owned())),
        None => Err(format!("`{item}` is no assumption: write KIND=FINDING, as in spf=pass")),
    };
    text.split(',').filter(|item| !item.trim().is_empty()).map(pair).collect()
}

/// The evidence of assumptions. A kind of a gate that is not built yet (`dkim`, `dmarc`) is accepted and
/// has no effect.
pub(super) fn evidence(assumed: &BTreeMap<String, String>, at: Timestamp) -> Result<Vec<Evidence>, String> {
    let mut all = Vec::new();
    for (name, word) in assumed {
        let finding = Finding::parse(word)
            .ok_or_else(|| format!("`{word}` is no finding: use pass, fail, warn or unknown"))?;
        match Kind::parse(name) {
            Some(kind) => {
                all.push(Evidence::new(kind, finding, "assumed", at).detail(detail(finding)).strength(Strength::Claimed));
            }
            None if LATER.contains(&name.as_str()) => {}
            None => {
                let known: Vec<&str> = Kind::ALL.iter().map(|kind| kind.name()).collect();
                return Err(format!("`{name}` is no kind of evidence: use {}", known.join(", ")));
            }
        }
    }
    Ok(all)
}

fn detail(finding: Finding) -> &'static str {
    if finding == Finding::Fail { "assumed" } else { "" }
}

const LATER: [&str; 7] = ["dkim", "dmarc", "links", "names", "content", "domain.proof", "domain.owner"];
