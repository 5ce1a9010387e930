//! Where a request comes from, and whether the account may act at all.

use countersign_core::address::{Domain, EmailAddress};
use countersign_core::evidence::{Evidence, Finding, Kind, Strength, Why};
use countersign_core::message::Sender;

use super::Case;
use crate::accounts::within;

/// Whether the account may act, with this credential and as these domains.
pub(super) fn standing(case: &Case) -> Option<Evidence> {
    let login = case.submission().map_or("", |submission| submission.credential.as_str());
    let evidence = match case.account.block_on(login, &domains(case)) {
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

/// Every domain that the message is sent as.
fn domains(case: &Case) -> Vec<&Domain> {
    let Some(submission) = case.submission() else { return vec![] };
    let from = submission.message.from().ok().map(|mailbox| mailbox.address.domain());
    let sender = match submission.message.sender() {
        Sender::One(mailbox) => Some(mailbox.address.domain()),
        Sender::Absent | Sender::Ambiguous(_) => None,
    };
    let mail_from = submission.envelope.mail_from.as_ref().map(EmailAddress::domain);
    [from, sender, mail_from].into_iter().flatten().collect()
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
