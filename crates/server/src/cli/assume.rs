//! Assumptions of `check`: findings that the caller brings along, of strength `claimed`.

use countersign_core::evidence::{Evidence, Finding, Kind, Strength};
use jiff::Timestamp;

use crate::accounts::sidecar::assumption;

/// Reads `spf=pass,dkim=pass`. A kind whose probe is not built yet is accepted and has no effect.
pub(super) fn parse(text: &str) -> Result<Assumptions, String> {
    let pair = |item: &str| match item.split_once('=') {
        Some((kind, finding)) => assumption(kind.trim(), finding.trim()),
        None => Err(format!("`{item}` is no assumption: write KIND=FINDING, as in spf=pass")),
    };
    let pairs = text.split(',').filter(|item| !item.trim().is_empty()).map(pair);
    Ok(Assumptions(pairs.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect()))
}

/// Findings by kind.
#[derive(Debug, Clone, Default)]
pub(super) struct Assumptions(pub(super) Vec<(Kind, Finding)>);

impl Assumptions {
    /// As evidence at a time.
    pub(super) fn evidence(&self, at: Timestamp) -> Vec<Evidence> {
        let claimed = |(kind, finding): &(Kind, Finding)| {
            let detail = if *finding == Finding::Fail { "assumed" } else { "" };
            Evidence::new(*kind, *finding, "assumed", at).detail(detail).strength(Strength::Claimed)
        };
        self.0.iter().map(claimed).collect()
    }
}
