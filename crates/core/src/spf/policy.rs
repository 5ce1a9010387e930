//! A published SPF record, read strictly by the grammar of RFC 7208 12; its `Display` prints it again.
//! `answers` reads records as they arrive, `evaluation` walks them, a hand-over page prints merged ones.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::macro_string::{DomainSpec, MacroError, MacroString};

/// An SPF record. Printing and reading it again gives an equal one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// The mechanisms with their qualifiers, in order.
    pub directives: Vec<Directive>,
    /// `redirect=` (RFC 7208 6.1).
    pub redirect: Option<DomainSpec>,
    /// `exp=` (RFC 7208 6.2).
    pub explanation: Option<DomainSpec>,
    /// Modifiers of other specifications: name and value, in order. They have no effect.
    pub others: Vec<(String, MacroString)>,
}

/// A mechanism and what a match means (RFC 7208 4.6.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directive {
    /// What a match means.
    pub qualifier: Qualifier,
    /// What is tested.
    pub mechanism: Mechanism,
}

/// What the match of a mechanism means (RFC 7208 4.6.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Qualifier {
    /// `+`, or nothing.
    Pass,
    /// `-`
    Fail,
    /// `~`
    SoftFail,
    /// `?`
    Neutral,
}

/// A test of the sending address (RFC 7208 5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mechanism {
    /// `all`: matches always.
    All,
    /// `include:`: the other record passes.
    Include(DomainSpec),
    /// `a`: an address of the name; without a name, of the domain itself.
    A(Option<DomainSpec>, Lengths),
    /// `mx`: an address of a mail exchanger.
    Mx(Option<DomainSpec>, Lengths),
    /// `ptr`: the validated name of the address lies within the domain.
    Ptr(Option<DomainSpec>),
    /// `ip4:`: the network and its prefix length, 0 to 32.
    Ip4(Ipv4Addr, u8),
    /// `ip6:`: the network and its prefix length, 0 to 128.
    Ip6(Ipv6Addr, u8),
    /// `exists:`: the name has an A record.
    Exists(DomainSpec),
}

/// The prefix lengths of `a` and `mx` (RFC 7208 5.6, `dual-cidr-length`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lengths {
    /// 0 to 32.
    pub v4: u8,
    /// 0 to 128.
    pub v6: u8,
}

/// Why a record is not valid SPF.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// The record does not begin with `v=spf1`.
    #[error("the record does not begin with `v=spf1`")]
    Version,
    /// An octet that no term can hold.
    #[error("octet 0x{0:02x} is not allowed in a record (use US-ASCII, with spaces between terms)")]
    Octet(u8),
    /// A term that breaks the grammar.
    #[error("term `{term}` is not valid: {cause}")]
    Term {
        /// The term, shortened to 80 characters.
        term: String,
        /// What is wrong with it.
        cause: TermError,
    },
}

/// What is wrong with one term of a record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TermError {
    /// Neither a mechanism of RFC 7208 nor a modifier.
    #[error("there is no such mechanism")]
    UnknownMechanism,
    /// `include`, `ip4`, ... without its value.
    #[error("it needs a value after `:`")]
    MissingValue,
    /// `all:x`, `ptr/24`.
    #[error("nothing may stand behind the name of the mechanism here")]
    Surplus,
    /// Not a complete address.
    #[error("`{0}` is no complete address")]
    Address(String),
    /// Not a number, a leading zero, or too large.
    #[error("`/{0}` is no prefix length")]
    PrefixLength(String),
    /// A second `redirect=` or `exp=`.
    #[error("the modifier may stand only once")]
    Repeated,
    /// The domain or value is not a valid macro string.
    #[error(transparent)]
    Macro(#[from] MacroError),
}

impl Policy {
    /// Whether a TXT record counts as SPF at all (RFC 7208 4.5).
    #[must_use]
    pub fn is_policy(record: &[u8]) -> bool {
        terms_of(record).is_some()
    }

    /// Reads a record: the joined strings of a TXT record.
    ///
    /// # Errors
    /// [`PolicyError`] for the first thing that breaks the grammar.
    pub fn parse(record: &[u8]) -> Result<Self, PolicyError> {
        let terms = terms_of(record).ok_or(PolicyError::Version)?;
        if let Some(octet) = terms.iter().find(|octet| !(b' '..=b'~').contains(octet)) {
            return Err(PolicyError::Octet(*octet));
        }
        let mut policy = Self::default();
        for term in terms.split(|octet| *octet == b' ').filter_map(|term| std::str::from_utf8(term).ok()) {
            if !term.is_empty() {
                policy
                    .add(term)
                    .map_err(|cause| PolicyError::Term { term: term.chars().take(80).collect(), cause })?;
            }
        }
        Ok(policy)
    }

    fn add(&mut self, term: &str) -> Result<(), TermError> {
        let Some((name, value)) = split_modifier(term) else {
            self.directives.push(parse_directive(term)?);
            return Ok(());
        };
        let slot = match name.to_ascii_lowercase().as_str() {
            "redirect" => &mut self.redirect,
            "exp" => &mut self.explanation,
            // RFC 7208 6: "Unrecognized modifiers MUST be ignored no matter where, or how often, they appear"
            _ => {
                self.others.push((name.to_owned(), MacroString::parse(value)?));
                return Ok(());
            }
        };
        // RFC 7208 6: "These two modifiers MUST NOT appear in a record more than once each."
        if slot.replace(DomainSpec::parse(value)?).is_some() { Err(TermError::Repeated) } else { Ok(()) }
    }
}

/// RFC 7208 4.5: "the version section is terminated by either an SP character or the end of the record"
fn terms_of(record: &[u8]) -> Option<&[u8]> {
    let (version, terms) = record.split_at_checked(VERSION.len())?;
    let ended = matches!(terms.first(), None | Some(b' '));
    (version.eq_ignore_ascii_case(VERSION) && ended).then_some(terms)
}

/// RFC 7208 4.6.1: "Modifiers always contain an equals ('=') character immediately after the name, and before
/// any ":" or "/" characters"
fn split_modifier(term: &str) -> Option<(&str, &str)> {
    let (name, value) = term.split_once('=')?;
    let mut characters = name.chars();
    let good = characters.next().is_some_and(|first| first.is_ascii_alphabetic())
        && characters.all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
    good.then_some((name, value))
}

fn parse_directive(term: &str) -> Result<Directive, TermError> {
    let found = QUALIFIERS.iter().find_map(|(sign, qualifier)| Some((*qualifier, term.strip_prefix(*sign)?)));
    let (qualifier, term) = found.unwrap_or((Qualifier::Pass, term));
    let (name, behind) =
        term.split_at_checked(term.find([':', '/']).unwrap_or(term.len())).unwrap_or((term, ""));
    // RFC 7208 4.6.1: "mechanism and modifier names are case-insensitive"
    let mechanism = match name.to_ascii_lowercase().as_str() {
        "all" if behind.is_empty() => Mechanism::All,
        "all" => return Err(TermError::Surplus),
        "include" => Mechanism::Include(DomainSpec::parse(required(behind)?)?),
        "exists" => Mechanism::Exists(DomainSpec::parse(required(behind)?)?),
        "ptr" => Mechanism::Ptr(optional_domain(behind)?),
        "a" => {
            let (domain, lengths) = split_lengths(behind)?;
            Mechanism::A(optional_domain(domain)?, lengths)
        }
        "mx" => {
            let (domain, lengths) = split_lengths(behind)?;
            Mechanism::Mx(optional_domain(domain)?, lengths)
        }
        "ip4" => {
            let (network, length) = split_length(required(behind)?, Lengths::FULL.v4)?;
            Mechanism::Ip4(network.parse().map_err(|_| TermError::Address(network.to_owned()))?, length)
        }
        "ip6" => {
            let (network, length) = split_length(required(behind)?, Lengths::FULL.v6)?;
            Mechanism::Ip6(network.parse().map_err(|_| TermError::Address(network.to_owned()))?, length)
        }
        _ => return Err(TermError::UnknownMechanism),
    };
    Ok(Directive { qualifier, mechanism })
}

fn required(behind: &str) -> Result<&str, TermError> {
    behind.strip_prefix(':').filter(|value| !value.is_empty()).ok_or(TermError::MissingValue)
}

fn optional_domain(behind: &str) -> Result<Option<DomainSpec>, TermError> {
    match behind.strip_prefix(':') {
        Some(domain) if !domain.is_empty() => Ok(Some(DomainSpec::parse(domain)?)),
        Some(_) => Err(TermError::MissingValue),
        None if behind.is_empty() => Ok(None),
        None => Err(TermError::Surplus),
    }
}

/// `dual-cidr-length = [ ip4-cidr-length ] [ "/" ip6-cidr-length ]`, read from the end: a domain may hold
/// `/`, but cannot end in `/` and digits.
fn split_lengths(behind: &str) -> Result<(&str, Lengths), TermError> {
    let mut lengths = Lengths::FULL;
    let mut rest = behind;
    if let Some((front, digits)) = rest.rsplit_once("//").filter(|(_, digits)| is_number(digits)) {
        lengths.v6 = prefix_length(digits, Lengths::FULL.v6)?;
        rest = front;
    }
    if let Some((front, digits)) = rest.rsplit_once('/').filter(|(_, digits)| is_number(digits)) {
        lengths.v4 = prefix_length(digits, Lengths::FULL.v4)?;
        rest = front;
    }
    Ok((rest, lengths))
}

/// `network [ "/" length ]`
fn split_length(value: &str, longest: u8) -> Result<(&str, u8), TermError> {
    match value.split_once('/') {
        Some((network, digits)) => Ok((network, prefix_length(digits, longest)?)),
        None => Ok((value, longest)),
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit())
}

/// `"0" / %x31-39 0*2DIGIT`: no sign, no leading zero.
fn prefix_length(digits: &str, longest: u8) -> Result<u8, TermError> {
    let plain = is_number(digits) && (digits == "0" || !digits.starts_with('0'));
    let length = digits.parse().ok().filter(|length| plain && *length <= longest);
    length.ok_or_else(|| TermError::PrefixLength(digits.to_owned()))
}

impl Mechanism {
    /// Whether it counts toward the ten lookups of RFC 7208 4.6.4; `redirect=` counts, too.
    #[must_use]
    pub fn needs_lookup(&self) -> bool {
        !matches!(self, Self::All | Self::Ip4(..) | Self::Ip6(..))
    }
}

impl Lengths {
    /// Whole addresses: `/32` and `//128`.
    pub const FULL: Self = Self { v4: 32, v6: 128 };
}

impl fmt::Display for Policy {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("v=spf1")?;
        self.directives.iter().try_for_each(|directive| write!(out, " {directive}"))?;
        self.redirect.iter().try_for_each(|domain| write!(out, " redirect={domain}"))?;
        self.explanation.iter().try_for_each(|domain| write!(out, " exp={domain}"))?;
        self.others.iter().try_for_each(|(name, value)| write!(out, " {name}={value}"))
    }
}

impl fmt::Display for Directive {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign =
            QUALIFIERS.iter().find(|(_, qualifier)| *qualifier == self.qualifier).map(|(sign, _)| *sign);
        if let Some(sign) = sign.filter(|sign| *sign != '+') {
            write!(out, "{sign}")?;
        }
        self.mechanism.fmt(out)
    }
}

impl fmt::Display for Mechanism {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => out.write_str("all"),
            Self::Include(domain) => write!(out, "include:{domain}"),
            Self::Exists(domain) => write!(out, "exists:{domain}"),
            Self::A(domain, lengths) => {
                write_domain(out, "a", domain.as_ref()).and_then(|()| lengths.fmt(out))
            }
            Self::Mx(domain, lengths) => {
                write_domain(out, "mx", domain.as_ref()).and_then(|()| lengths.fmt(out))
            }
            Self::Ptr(domain) => write_domain(out, "ptr", domain.as_ref()),
            Self::Ip4(network, 32) => write!(out, "ip4:{network}"),
            Self::Ip4(network, length) => write!(out, "ip4:{network}/{length}"),
            Self::Ip6(network, 128) => write!(out, "ip6:{network}"),
            Self::Ip6(network, length) => write!(out, "ip6:{network}/{length}"),
        }
    }
}

fn write_domain(out: &mut fmt::Formatter<'_>, name: &str, domain: Option<&DomainSpec>) -> fmt::Result {
    match domain {
        Some(domain) => write!(out, "{name}:{domain}"),
        None => out.write_str(name),
    }
}

impl fmt::Display for Lengths {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.v4 < Self::FULL.v4 {
            write!(out, "/{}", self.v4)?;
        }
        if self.v6 < Self::FULL.v6 {
            write!(out, "//{}", self.v6)?;
        }
        Ok(())
    }
}

const VERSION: &[u8] = b"v=spf1";

const QUALIFIERS: [(char, Qualifier); 4] =
    [('+', Qualifier::Pass), ('-', Qualifier::Fail), ('~', Qualifier::SoftFail), ('?', Qualifier::Neutral)];

#[cfg(test)]
mod tests;
