//! Why an evaluation ended without a match: an answer is missing, or an error of RFC 7208.
//! `evaluation` and `reverse` raise it, `check` turns it into a result and a sentence.

use super::answers::{Failure, Query, RecordKind};
use super::check::SpfResult;
use super::policy::PolicyError;

/// What ends an evaluation early.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Stop {
    #[error("an answer is missing")]
    Missing,
    #[error(
        "the {kind} records of `{name}` could not be looked up: {failure} (try again later)",
        kind = kind_name(query.kind),
        name = query.name
    )]
    Failed { query: Query, failure: Failure },
    #[error("`{domain}` has {count} SPF records (publish exactly one)")]
    Several { domain: String, count: usize },
    #[error("the SPF record of `{domain}` is broken: {cause}")]
    Broken { domain: String, cause: PolicyError },
    #[error("`{target}` has no SPF record, but the record of `{domain}` points to it")]
    NoRecord { domain: String, target: String },
    #[error("`{target}` is no domain name, but the record of `{domain}` points to it")]
    NoDomain { domain: String, target: String },
    #[error("more than 10 DNS lookups are needed (replace some `include`, `a` or `mx` by addresses)")]
    Lookups,
    #[error("more than 2 DNS lookups found nothing (remove the names that do not exist)")]
    Voids,
    #[error("`{name}` has {count} mail exchangers, more than the 10 that `mx` may use")]
    Exchangers { name: String, count: usize },
}

impl Stop {
    /// The result it stands for; `None` while an answer is missing.
    pub(super) fn result(&self) -> Option<SpfResult> {
        match self {
            Self::Missing => None,
            Self::Failed { .. } => Some(SpfResult::TempError),
            Self::Several { .. }
            | Self::Broken { .. }
            | Self::NoRecord { .. }
            | Self::NoDomain { .. }
            | Self::Lookups
            | Self::Voids
            | Self::Exchangers { .. } => Some(SpfResult::PermError),
        }
    }
}

fn kind_name(kind: RecordKind) -> &'static str {
    match kind {
        RecordKind::A => "A",
        RecordKind::Aaaa => "AAAA",
        RecordKind::Mx => "MX",
        RecordKind::Txt => "TXT",
        RecordKind::Ptr => "PTR",
    }
}
