//! Where a request comes from, and whether the account may act at all.

use countersign_core::evidence::{Evidence, Finding, Kind, Strength, Why};

use super::Case;
use crate::accounts::within;

/// Whether the account may act.
pub(super) fn standing(case: &Case) -> Option<Evidence> {
    let at = case.at();
    let evidence = match &case.account.blocked {
        None => Evidence::new(Kind::Standing, Finding::Pass, "account", at),
        Some(blocked) => Evidence::new(Kind::Standing, Finding::Fail, "account", at)
            .detail("blocked")
            .with("reason", blocked.reason.as_str())
            .with("since", blocked.at.to_string()),
    };
    Some(evidence.strength(Strength::Observed))
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
