//! Who a message says it is from, and whether the account may be that.
//! Ambiguity is found by `core::message`; here it is compared with the account.

use countersign_core::address::EmailAddress;
use countersign_core::evidence::{Evidence, Finding, Kind, Strength, Why};
use countersign_core::message::{Mailbox, Sender};

use super::Case;
use crate::accounts::OwnedDomain;
use crate::accounts::pattern::Pattern;

/// Exactly one author, in strict grammar.
pub(super) fn from(case: &Case) -> Option<Evidence> {
    let message = &case.submission()?.message;
    Some(match message.from() {
        Ok(mailbox) => found(case, Kind::From, Finding::Pass)
            .with("address", mailbox.address.to_string())
            .with("name", mailbox.display.clone().unwrap_or_default()),
        Err(ambiguity) => found(case, Kind::From, Finding::Fail)
            .detail(ambiguity.code())
            .with("says", ambiguity.to_string()),
    })
}

/// The author's domain is one that the account has proved, and the address has the form it may have.
pub(super) fn from_domain(case: &Case) -> Option<Evidence> {
    let message = &case.submission()?.message;
    let Ok(mailbox) = message.from() else {
        return Some(found(case, Kind::FromDomain, Finding::Unknown(Why::NotAsked)));
    };
    let domain = mailbox.address.domain();
    let evidence = match case.account.covering(domain) {
        None => found(case, Kind::FromDomain, Finding::Fail).detail("foreign"),
        Some(own) if !own.proved => found(case, Kind::FromDomain, Finding::Fail).detail("unproved"),
        Some(own) if !has_form(own, mailbox) => found(case, Kind::FromDomain, Finding::Fail).detail("form"),
        Some(own) => found(case, Kind::FromDomain, Finding::Pass)
            .with("by", own.domain.to_string())
            .strength(Strength::Proved),
    };
    Some(evidence.with("domain", domain.to_string()))
}

fn has_form(own: &OwnedDomain, mailbox: &Mailbox) -> bool {
    let name = mailbox.display.as_deref().unwrap_or_default();
    matches_whole(own.from_local.as_ref(), mailbox.address.local())
        && matches_whole(own.from_name.as_ref(), name)
}

fn matches_whole(pattern: Option<&Pattern>, text: &str) -> bool {
    pattern.is_none_or(|pattern| pattern.matches(text))
}

/// The reverse path is empty, in a proved domain, or in one of the platform's own for bounces.
pub(super) fn mail_from(case: &Case) -> Option<Evidence> {
    let Some(address) = &case.submission()?.envelope.mail_from else {
        return Some(found(case, Kind::MailFrom, Finding::Pass).with("address", "<>"));
    };
    let ours = case.way.return_path_domains.contains(address.domain());
    let finding =
        if ours || case.account.has_proved(address.domain()) { Finding::Pass } else { Finding::Fail };
    Some(of_address(case, Kind::MailFrom, finding, address))
}

/// The Sender field, if there is one, is in a proved domain.
pub(super) fn sender(case: &Case) -> Option<Evidence> {
    let message = &case.submission()?.message;
    if message.header_fault().is_some() {
        return Some(found(case, Kind::Sender, Finding::Unknown(Why::NotAsked)));
    }
    Some(match message.sender() {
        Sender::Absent => found(case, Kind::Sender, Finding::Pass),
        Sender::Ambiguous(ambiguity) => found(case, Kind::Sender, Finding::Fail)
            .detail(ambiguity.code())
            .with("says", ambiguity.to_string()),
        Sender::One(mailbox) => {
            let proved = case.account.has_proved(mailbox.address.domain());
            let finding = if proved { Finding::Pass } else { Finding::Fail };
            of_address(case, Kind::Sender, finding, &mailbox.address)
        }
    })
}

/// Replies go to the account's domains; elsewhere is unusual, no more.
pub(super) fn reply_to(case: &Case) -> Option<Evidence> {
    let message = &case.submission()?.message;
    if message.header_fault().is_some() {
        return Some(found(case, Kind::ReplyTo, Finding::Unknown(Why::NotAsked)));
    }
    let addresses = match message.reply_to() {
        Ok(mailboxes) => mailboxes,
        Err(ambiguity) => {
            let evidence = found(case, Kind::ReplyTo, Finding::Warn).detail(ambiguity.code());
            return Some(evidence.with("says", ambiguity.to_string()));
        }
    };
    let elsewhere = addresses.iter().find(|mailbox| !case.account.has_proved(mailbox.address.domain()));
    Some(match elsewhere {
        None => found(case, Kind::ReplyTo, Finding::Pass),
        Some(mailbox) => of_address(case, Kind::ReplyTo, Finding::Warn, &mailbox.address),
    })
}

fn of_address(case: &Case, kind: Kind, finding: Finding, address: &EmailAddress) -> Evidence {
    let detail = match finding {
        Finding::Fail => "foreign",
        Finding::Warn => "elsewhere",
        Finding::Pass | Finding::Unknown(_) => "",
    };
    found(case, kind, finding).detail(detail).with("address", address.to_string())
}

fn found(case: &Case, kind: Kind, finding: Finding) -> Evidence {
    Evidence::new(kind, finding, "message", case.at())
}
