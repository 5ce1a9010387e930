//! Where a request comes from, and whether the account may act at all.

use countersign_core::evidence::{Evidence, Finding, Kind, Strength, Why};
use countersign_core::request::Submission;

use super::Case;
use crate::accounts::{Account, Blocked, within};

/// Whether the account may act, with this credential and as these domains.
pub(super) fn standing(case: &Case) -> Option<Evidence> {
    let block = match case.submission() {
        Some(submission) => block_on(&case.account, submission),
        None => case.account.block_on("", &[]),
    };
    let evidence = match block {
        None => Evidence::new(Kind::Standing, Finding::Pass, "account", case.at()),
        Some((what, blocked)) => Evidence::new(Kind::Standing, Finding::Fail, "account", case.at())
            .detail(detail(what))
            .with("reason", blocked.reason.as_str())
            .with("since", blocked.at.to_string()),
    };
    Some(evidence.strength(Strength::Observed))
}

/// What of this message is blocked: its account, its login, or a domain that it is sent as.
#[must_use]
pub fn block_on<'a>(account: &'a Account, submission: &Submission) -> Option<(&'static str, &'a Blocked)> {
    account.block_on(&submission.credential, &submission.domains())
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
