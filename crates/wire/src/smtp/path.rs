//! The address of an envelope (RFC 5321 4.1.2 `Mailbox`), read strictly and kept as it came.
//! Called by `command` for MAIL and RCPT, and by whoever builds an envelope.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use thiserror::Error;

/// Why a path is not one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PathError {
    /// No `<` where the path begins.
    #[error("address is not in angle brackets (write `<local@domain>`)")]
    NoBrackets,
    /// No `>` after the address.
    #[error("address has no closing angle bracket")]
    Unclosed,
    /// `<@a,@b:c@d>`.
    #[error("address has a source route (give the address alone)")]
    SourceRoute,
    /// Neither a dot-string nor a quoted string.
    #[error("local part of the address is malformed (quote it if it has special characters)")]
    Local,
    /// No `@`.
    #[error("address has no domain")]
    NoDomain,
    /// Not a host name as RFC 5321 4.1.2 has it.
    #[error("domain of the address is malformed")]
    Domain,
    /// Not `[192.0.2.1]` or `[IPv6:2001:db8::1]`.
    #[error("address literal is malformed")]
    Literal,
    /// RFC 5321 4.5.3.1.1: more than 64 octets.
    #[error("local part of the address is longer than 64 octets")]
    LocalTooLong,
    /// RFC 5321 4.5.3.1.2: more than 255 octets, or a label of more than 63 (RFC 1035 2.3.4).
    #[error("domain of the address is longer than 255 octets, or a label of it longer than 63")]
    DomainTooLong,
    /// RFC 5321 4.5.3.1.3: more than 256 octets with the brackets.
    #[error("address is longer than 254 octets")]
    TooLong,
}

/// A mailbox of an envelope. Both parts are the text that came, quotes and case included.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Path {
    local: String,
    domain: String,
}

impl Path {
    /// Reads `local@domain` without brackets (RFC 5321 4.1.2; UTF-8 as RFC 6531 3.3 allows it, but
    /// no control character and no space outside of ASCII).
    ///
    /// # Errors
    /// See [`PathError`].
    pub fn parse(text: &str) -> Result<Self, PathError> {
        let (local, domain) = split_local(text)?;
        Self::from_parts(local, domain)
    }

    /// The local part: a quoted string with its quotes.
    pub fn local(&self) -> &str {
        &self.local
    }

    /// The domain, or an address literal with its brackets.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The domain is an address literal (RFC 5321 4.1.3).
    pub fn is_literal(&self) -> bool {
        self.domain.starts_with('[')
    }

    /// No octet above 127: fit for a transaction without SMTPUTF8 (RFC 6531 3.3).
    pub fn is_ascii(&self) -> bool {
        self.local.is_ascii() && self.domain.is_ascii()
    }

    fn from_parts(local: &str, domain: &str) -> Result<Self, PathError> {
        if local.len() > LOCAL_MAX {
            return Err(PathError::LocalTooLong);
        }
        check_domain(domain)?;
        // RFC 5321 4.5.3.1.3: "The maximum total length of a reverse-path or forward-path is 256
        // octets (including the punctuation and element separators)."
        if local.len() + "@".len() + domain.len() > PATH_MAX - "<>".len() {
            return Err(PathError::TooLong);
        }
        Ok(Self { local: local.to_owned(), domain: domain.to_owned() })
    }
}

/// `local@domain`, without brackets.
impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.local, self.domain)
    }
}

/// What stands between angle brackets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Bracketed {
    Null,
    Postmaster,
    Mailbox(Path),
}

/// Reads `<...>` at the start of a text; returns what follows the closing bracket.
pub(super) fn read_bracketed(text: &str) -> Result<(Bracketed, &str), PathError> {
    let inner = text.strip_prefix('<').ok_or(PathError::NoBrackets)?;
    if let Some(rest) = inner.strip_prefix('>') {
        return Ok((Bracketed::Null, rest));
    }
    let (local, after) = match split_local(inner) {
        Err(PathError::NoDomain) => return read_postmaster(inner),
        split => split?,
    };
    // No character of a domain is `>`, so the first one closes the path.
    let (domain, rest) = after.split_once('>').ok_or(PathError::Unclosed)?;
    Ok((Bracketed::Mailbox(Path::from_parts(local, domain)?), rest))
}

/// RFC 5321 2.3.5: "The reserved mailbox name "postmaster" may be used in a RCPT command without
/// domain qualification (see Section 4.1.1.3) and MUST be accepted if so used."
fn read_postmaster(inner: &str) -> Result<(Bracketed, &str), PathError> {
    let (name, rest) = inner.split_once('>').ok_or(PathError::Unclosed)?;
    let postmaster = name.eq_ignore_ascii_case("postmaster");
    if postmaster { Ok((Bracketed::Postmaster, rest)) } else { Err(PathError::NoDomain) }
}

/// Cuts at the `@` that ends the local part: `("local", "domain and more")`.
fn split_local(text: &str) -> Result<(&str, &str), PathError> {
    // A source route may be ignored or refused. Ignoring it means that the address that is judged
    // is not the text that was sent, so it is refused.
    if text.starts_with('@') {
        return Err(PathError::SourceRoute);
    }
    let end = if text.starts_with('"') { quoted_length(text)? } else { dot_string_length(text)? };
    let (local, rest) = text.split_at_checked(end).ok_or(PathError::Local)?;
    match rest.strip_prefix('@') {
        Some(domain) => Ok((local, domain)),
        None if rest.is_empty() || rest.starts_with('>') => Err(PathError::NoDomain),
        None => Err(PathError::Local),
    }
}

/// `Dot-string = Atom *("." Atom)`: the octets before the first character that is neither.
fn dot_string_length(text: &str) -> Result<usize, PathError> {
    let end = text.find(|character| character != '.' && !is_atom_text(character));
    let (dot_string, _) = text.split_at_checked(end.unwrap_or(text.len())).ok_or(PathError::Local)?;
    let atoms_are_not_empty = dot_string.split('.').all(|atom| !atom.is_empty());
    if atoms_are_not_empty { Ok(dot_string.len()) } else { Err(PathError::Local) }
}

/// `Quoted-string = DQUOTE *QcontentSMTP DQUOTE`: the octets up to and with the closing quote.
fn quoted_length(text: &str) -> Result<usize, PathError> {
    let mut characters = text.char_indices().skip(1);
    while let Some((index, character)) = characters.next() {
        match character {
            '"' => return Ok(index + 1),
            // quoted-pairSMTP = %d92 %d32-126
            '\\' if characters.next().is_some_and(|(_, next)| matches!(next, ' '..='~')) => {}
            ' '..='[' | ']'..='~' => {}
            _ if is_utf8_text(character) => {}
            _ => return Err(PathError::Local),
        }
    }
    Err(PathError::Local)
}

/// `atext` of RFC 5322 3.2.3, extended by RFC 6531 3.3.
fn is_atom_text(character: char) -> bool {
    character.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(character) || is_utf8_text(character)
}

/// RFC 6531 3.3 allows all of UTF-8 above ASCII. Control characters and spaces are left out: no
/// address needs them, and logs and pages are safer without.
fn is_utf8_text(character: char) -> bool {
    !character.is_ascii() && !character.is_control() && !character.is_whitespace()
}

fn check_domain(domain: &str) -> Result<(), PathError> {
    if domain.len() > DOMAIN_MAX {
        return Err(PathError::DomainTooLong);
    }
    if domain.is_empty() {
        return Err(PathError::NoDomain);
    }
    if let Some(literal) = domain.strip_prefix('[') {
        return check_literal(literal.strip_suffix(']').ok_or(PathError::Literal)?);
    }
    domain.split('.').try_for_each(check_label)
}

/// `sub-domain = Let-dig [Ldh-str]`, or a U-label (RFC 6531 3.3). The length of a U-label counts in
/// its other form, which is not computed here.
fn check_label(label: &str) -> Result<(), PathError> {
    if label.is_ascii() && label.len() > LABEL_MAX {
        return Err(PathError::DomainTooLong);
    }
    let letter_or_digit = |character: char| character.is_ascii_alphanumeric() || is_utf8_text(character);
    let legal = label.starts_with(letter_or_digit)
        && label.ends_with(letter_or_digit)
        && label.chars().all(|character| character == '-' || letter_or_digit(character));
    if legal { Ok(()) } else { Err(PathError::Domain) }
}

/// RFC 5321 4.1.3. Other tags than `IPv6:` have never been registered.
fn check_literal(literal: &str) -> Result<(), PathError> {
    let legal = match literal.split_at_checked("IPv6:".len()) {
        Some((tag, address)) if tag.eq_ignore_ascii_case("IPv6:") => address.parse::<Ipv6Addr>().is_ok(),
        _ => literal.parse::<Ipv4Addr>().is_ok(),
    };
    if legal { Ok(()) } else { Err(PathError::Literal) }
}

/// RFC 5321 4.5.3.1.1, in octets.
const LOCAL_MAX: usize = 64;
/// RFC 5321 4.5.3.1.2, in octets.
const DOMAIN_MAX: usize = 255;
/// RFC 1035 2.3.4, in octets.
const LABEL_MAX: usize = 63;
/// RFC 5321 4.5.3.1.3, in octets, with the brackets.
const PATH_MAX: usize = 256;

#[cfg(test)]
mod tests;
