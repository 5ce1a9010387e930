//! Whether the message can be read in one way only: its header section and its MIME structure.

use countersign_core::evidence::{Evidence, Finding, Kind};

use super::Case;

/// The header section has one reading.
pub(super) fn headers(case: &Case) -> Option<Evidence> {
    let message = &case.submission()?.message;
    let fail = |detail: &str, says: String| {
        Evidence::new(Kind::Headers, Finding::Fail, "message", case.at()).detail(detail).with("says", says)
    };
    if let Some(fault) = message.header_fault() {
        return Some(fail("malformed", fault.to_string()));
    }
    if let Some(name) = message.duplicates().first() {
        return Some(fail("duplicate", (*name).to_owned()));
    }
    if message.resent().next().is_some() {
        return Some(fail("resent", "Resent-* fields".to_owned()));
    }
    Some(Evidence::new(Kind::Headers, Finding::Pass, "message", case.at()))
}

/// The MIME structure has one reading.
pub(super) fn structure(case: &Case) -> Option<Evidence> {
    let message = &case.submission()?.message;
    let found = |finding| Evidence::new(Kind::Structure, finding, "message", case.at());
    Some(match message.structure() {
        Ok(structure) => match structure.ambiguities.first() {
            None => found(Finding::Pass).with("parts", structure.parts as u64),
            Some(ambiguity) => {
                found(Finding::Fail).detail(ambiguity.code()).with("says", ambiguity.to_string())
            }
        },
        // A budget that ran out was refused on the wire; `check` and other doors meet it here.
        Err(fault) => found(Finding::Fail).detail("budget").with("says", fault.to_string()),
    })
}
