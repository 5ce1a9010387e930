//! check_host() of RFC 7208 4: one address, one identity, the answers so far.
//! The SPF probe and `check spf` call it in a loop; `pool` runs it for many addresses.

use std::fmt;
use std::net::IpAddr;

use super::answers::{Answers, Query};
use super::evaluation::Evaluation;

/// Who claims to send. The same for all addresses of a pool.
#[derive(Debug, Clone, Copy)]
pub struct Identity<'a> {
    /// The name given at HELO or EHLO.
    pub helo: &'a str,
    /// The reverse path without angle brackets; empty (or `<>`) is the null path, which stands for
    /// `postmaster@HELO` (RFC 7208 2.4). The domain must be given in A-labels (RFC 7208 4.3).
    pub mail_from: &'a str,
    /// The host that performs the check, for `%{r}`; empty becomes `unknown`.
    pub receiver: &'a str,
    /// Seconds since 1970, for `%{t}` in explanations.
    pub now: i64,
}

/// What a call of [`check_host`] leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// These answers are missing; never empty, never one that [`Answers`] holds. Some are asked ahead of
    /// need, so that one round of questions serves many terms.
    Ask(Vec<Query>),
    /// The evaluation is complete.
    Done(Outcome),
}

/// The results of RFC 7208 2.6, from best to worst: the result of a pool is the greatest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SpfResult {
    /// The address is authorised.
    Pass,
    /// There is no record, or no domain to look for one.
    None,
    /// The domain says nothing about the address.
    Neutral,
    /// The address is probably not authorised.
    SoftFail,
    /// The address is not authorised.
    Fail,
    /// The published records cannot be evaluated.
    PermError,
    /// The DNS failed for now.
    TempError,
}

/// A complete evaluation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The result.
    pub result: SpfResult,
    /// The directive that decided, as text: `include:spf.esp.example`, `-all`; `default` when none matched;
    /// nothing for `none`, `permerror` and `temperror`. After a redirect it is a directive of the other
    /// record.
    pub mechanism: Option<String>,
    /// Terms that needed the DNS, of the ten allowed (RFC 7208 4.6.4); 11 when that was too many.
    pub lookups: u8,
    /// Lookups of names in terms that found nothing, of the two allowed (RFC 7208 4.6.4); 3 when that was too
    /// many.
    pub voids: u8,
    /// The expanded text of `exp=`, words of a third party; only for [`SpfResult::Fail`].
    pub explanation: Option<String>,
    /// The cause of a `permerror` or `temperror`, in our words.
    pub why: Option<String>,
    /// How long the result holds: the shortest time to live of the answers it rests on, in seconds; 0 after a
    /// failed lookup, at most 86,400.
    pub good_for: u32,
    /// Whether terms depended on `%{i}`, `%{p}`, `%{v}` or `%{h}`, on `exists` or on `ptr`: other addresses
    /// need answers of their own.
    pub per_address: bool,
    /// Whether terms depended on `%{s}`, `%{l}` or `%{o}`: the result holds for this sender, not for the
    /// domain.
    pub per_sender: bool,
    /// Whether it passed only because the record lets everyone pass: by `all`, or by a network of prefix
    /// length 0.
    pub authorises_everyone: bool,
    /// One line for each step taken, for people; at most 256.
    pub trace: Vec<String>,
}

/// How far an evaluation goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Detail {
    /// The result only: no explanation is fetched, no trace kept.
    Result,
    /// Everything in [`Outcome`].
    Full,
}

/// What one replay came to.
pub(super) enum Progress {
    Missing { queries: Vec<Query>, per_address: bool },
    Done(Outcome),
}

/// Evaluates one address against the answers so far (RFC 7208 4). An IPv4-mapped IPv6 address counts as IPv4.
///
/// An evaluation asks for at most 240 different names and kinds, whatever is published.
#[must_use]
pub fn check_host(ip: IpAddr, identity: &Identity<'_>, answers: &Answers) -> Step {
    match replay(ip, identity, answers, Detail::Full) {
        Progress::Missing { queries, .. } => Step::Ask(queries),
        Progress::Done(outcome) => Step::Done(outcome),
    }
}

pub(super) fn replay(ip: IpAddr, identity: &Identity<'_>, answers: &Answers, detail: Detail) -> Progress {
    Evaluation::new(ip, identity, answers, detail).run()
}

impl<'a> Identity<'a> {
    /// Local part and domain of the sender.
    pub(super) fn sender(&self) -> (&'a str, &'a str) {
        // RFC 7208 2.4: "When the reverse-path is null, this document defines the "MAIL FROM" identity to be
        // the mailbox composed of the local-part "postmaster" and the "HELO" identity"
        if matches!(self.mail_from, "" | "<>") {
            return (POSTMASTER, self.helo);
        }
        // RFC 7208 4.3: "If the <sender> has no local-part, substitute the string "postmaster" for the
        // local-part."
        match self.mail_from.rsplit_once('@') {
            Some(("", domain)) => (POSTMASTER, domain),
            Some(sender) => sender,
            None => (POSTMASTER, self.mail_from),
        }
    }
}

impl SpfResult {
    /// The lower-case word of RFC 7208 2.6.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::None => "none",
            Self::Neutral => "neutral",
            Self::SoftFail => "softfail",
            Self::Fail => "fail",
            Self::PermError => "permerror",
            Self::TempError => "temperror",
        }
    }
}

impl fmt::Display for SpfResult {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

const POSTMASTER: &str = "postmaster";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc7208_2_4_and_4_3_senders() {
        let cases = [
            ("", ("postmaster", "helo.example")),
            ("<>", ("postmaster", "helo.example")),
            ("ann@acme.example", ("ann", "acme.example")),
            ("@acme.example", ("postmaster", "acme.example")),
            ("acme.example", ("postmaster", "acme.example")),
            ("\"a@b\"@acme.example", ("\"a@b\"", "acme.example")),
        ];
        for (mail_from, sender) in cases {
            let identity = Identity { helo: "helo.example", mail_from, receiver: "", now: 0 };
            assert_eq!(identity.sender(), sender, "{mail_from}");
        }
    }
}
