//! Assumptions of `check`: findings that the caller brings along, of strength `claimed`.

use countersign_core::evidence::{Evidence, Finding, Kind, Strength, Why};
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
            let (finding, detail) = match finding {
                Finding::Unknown(_) => (Finding::Unknown(Why::Unavailable), ""),
                Finding::Fail | Finding::Warn => (*finding, "assumed"),
                Finding::Pass => (*finding, ""),
            };
            Evidence::new(*kind, finding, "assumed", at)
                .detail(detail)
                .with("says", "assumed")
                .with("result", finding.word())
                .with("address", "an assumed address")
                .strength(Strength::Claimed)
        };
        self.0.iter().map(claimed).collect()
    }
}
