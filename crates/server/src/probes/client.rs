//! Where a request comes from, and whether the account may act at all.

use countersign_core::evidence::{Evidence, Finding, Kind, Strength, Why};
use countersign_core::request::Submission;

use super::Case;
use crate::accounts::within;

/// Whether the account may act, with this credential and as these domains.
pub(super) fn standing(case: &Case) -> Option<Evidence> {
    let submission = case.submission();
    let login = submission.map_or("", |submission| submission.credential.as_str());
    let domains = submission.map(Submission::domains).unwrap_or_default();
    let evidence = match case.account.block_on(login, &domains) {
        None => Evidence::new(Kind::Standing, Finding::Pass, "account", case.at()),
        Some((what, blocked)) => Evidence::new(Kind::Standing, Finding::Fail, "account", case.at())
            .detail(detail(what))
            .with("reason", blocked.reason.as_str())
            .with("since", blocked.at.to_string()),
    };
    Some(evidence.strength(Strength::Observed))
}

fn detail(what: &'static str) -> &'static str {
    match what {
        "domain" => "domain-blocked",
        "credential" => "credential-blocked",
        _ => "blocked",
    }
}

/// Whether the client is in the account's networks.
pub(super) fn network(case: &Case) -> Option<Evidence> {
    let submission = case.submission()?;
    let networks = &case.account.networks;
    let found = |finding| Evidence::new(Kind::Network, finding, "account", case.at());
    let evidence = match submission.client.ip {
        _ if networks.is_empty() => found(Finding::Unknown(Why::NotConfigured)),
        None => found(Finding::Unknown(Why::NotAsked)),
        Some(ip) if within(networks, ip) => found(Finding::Pass).with("ip", ip.to_string()),
        Some(ip) => found(Finding::Fail).detail("elsewhere").with("ip", ip.to_string()),
    };
    Some(evidence)
}
