//! The mailbox of RFC 5322 3.4, strictly: one way to read it, or none.
//! Called by `Message::read` for From, Sender and Reply-To.

use countersign_wire::header::unfold;

use super::Ambiguity;
use super::display::{Display, no_control};
use super::tokens::{Token, cut};
use crate::address::{Domain, EmailAddress, EmailError, is_dot_string};

/// One mailbox: an address and what is shown beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mailbox {
    /// The decoded display name; `None` if there is none or it is empty.
    pub display: Option<String>,
    /// The address.
    pub address: EmailAddress,
    /// The decoded text of comments, which some readers show as the name.
    pub comment: Option<String>,
    /// An address of another domain that stands in the display name or a comment (`"ceo@bank.example"
    /// <ana@shop.example>`): legal, and worth a warning (`display-address`).
    pub display_address: Option<String>,
}

impl Mailbox {
    /// Reads the raw value of a field that holds exactly one mailbox.
    ///
    /// # Errors
    /// Whatever lets another reader see another mailbox; see [`Ambiguity`].
    pub fn parse(raw_value: &[u8]) -> Result<Self, Ambiguity> {
        let value = unfold(raw_value);
        if value.len() > LONGEST_MAILBOX || raw_value.split(|b| *b == b'\n').any(|l| l.len() > LONGEST_LINE) {
            return Err(Ambiguity::TooLong);
        }
        let tokens = cut(text(&value)?)?;
        if is_folded_inside(raw_value) {
            return Err(Ambiguity::FoldedQuote);
        }
        one(&tokens)
    }

    /// Reads the raw value of a field that holds a list of mailboxes, such as Reply-To.
    ///
    /// # Errors
    /// As [`Self::parse`] for any of them; groups; more than 100 mailboxes.
    pub fn parse_list(raw_value: &[u8]) -> Result<Vec<Self>, Ambiguity> {
        let value = unfold(raw_value);
        if value.len() > LONGEST_LIST {
            return Err(Ambiguity::TooLong);
        }
        let tokens = cut(text(&value)?)?;
        let mut in_angle = false;
        let mailboxes = tokens.split(|token| {
            match token {
                Token::Special('<') => in_angle = true,
                Token::Special('>') => in_angle = false,
                _ => {}
            }
            *token == Token::Special(',') && !in_angle
        });
        let mailboxes = mailboxes.map(one).collect::<Result<Vec<_>, _>>()?;
        if mailboxes.len() > MOST_MAILBOXES {
            return Err(Ambiguity::TooMany { limit: MOST_MAILBOXES });
        }
        Ok(mailboxes)
    }
}

/// Whether a line ends inside a quoted string or a comment. RFC 5322 3.2.2 allows it, but a reader that
/// does not unfold first (such as Python's `parseaddr` of a raw field) ends the string there and goes on
/// with the rest: `"ceo@bank.example` CRLF ` " <ana@shop.example>` is the bank's for it.
fn is_folded_inside(raw_value: &[u8]) -> bool {
    let (mut quoted, mut depth, mut escaped) = (false, 0_usize, false);
    let value = raw_value.trim_ascii();
    for byte in value {
        match byte {
            b'\r' | b'\n' if quoted || depth > 0 => return true,
            _ if escaped => escaped = false,
            b'\\' if quoted || depth > 0 => escaped = true,
            b'"' if depth == 0 => quoted = !quoted,
            b'(' if !quoted => depth = depth.saturating_add(1),
            b')' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

/// RFC 6532 3.2 adds UTF-8 to the text of header fields, and nothing else.
fn text(value: &[u8]) -> Result<&str, Ambiguity> {
    let text = str::from_utf8(value).map_err(|_| Ambiguity::InvalidUtf8)?;
    no_control(text)?;
    Ok(text)
}

/// RFC 5322 3.4: `mailbox = name-addr / addr-spec`.
fn one(tokens: &[Token<'_>]) -> Result<Mailbox, Ambiguity> {
    let tokens = trim(tokens, |token| *token == Token::Space);
    if tokens.iter().all(Token::is_cfws) {
        return Err(Ambiguity::NoAddress);
    }
    if tokens.iter().any(|token| matches!(token, Token::Comment(text) if text.contains(NOT_IN_COMMENTS))) {
        return Err(Ambiguity::CommentWithAddress);
    }
    match cut_at(tokens, '<') {
        Some((phrase, after)) => name_addr(phrase, after),
        None => bare(tokens),
    }
}

/// `name-addr = [display-name] angle-addr`.
fn name_addr(before: &[Token<'_>], after: &[Token<'_>]) -> Result<Mailbox, Ambiguity> {
    let (inside, behind) = cut_at(after, '>').ok_or(Ambiguity::UnclosedAngle)?;
    check_phrase(before)?;
    if inside.contains(&Token::Special('<')) {
        return Err(Ambiguity::TwoAngles);
    }
    check_behind(behind)?;
    mailbox(addr_spec(inside)?, before, &[before, behind].concat())
}

/// `addr-spec` without angle brackets. Comments beside it need white space between.
fn bare(tokens: &[Token<'_>]) -> Result<Mailbox, Ambiguity> {
    if tokens.contains(&Token::Special(',')) {
        return Err(comma(tokens));
    }
    if tokens.contains(&Token::Special(';')) {
        return Err(Ambiguity::Group);
    }
    let core = trim(tokens, Token::is_cfws);
    let touches = |pair: &[Token<'_>]| match pair {
        [a, b] => {
            matches!(a, Token::Comment(_)) && !b.is_cfws() || matches!(b, Token::Comment(_)) && !a.is_cfws()
        }
        _ => false,
    };
    if tokens.windows(2).any(touches) {
        return Err(Ambiguity::CommentInAddress);
    }
    mailbox(addr_spec(core)?, &[], tokens)
}

fn mailbox(
    address: EmailAddress,
    phrase: &[Token<'_>],
    commented: &[Token<'_>],
) -> Result<Mailbox, Ambiguity> {
    let name = Display::read(&phrase_text(phrase), &address)?;
    let comments: Vec<&str> = commented
        .iter()
        .filter_map(|token| if let Token::Comment(text) = token { Some(*text) } else { None })
        .collect();
    let comment = Display::read(&comments.join(" "), &address)?;
    if comment.text.contains(NOT_IN_COMMENTS) {
        return Err(Ambiguity::CommentWithAddress);
    }
    let some = |text: String| Some(text).filter(|text| !text.is_empty());
    Ok(Mailbox {
        display: some(name.text),
        address,
        comment: some(comment.text),
        display_address: name.foreign.or(comment.foreign),
    })
}

/// RFC 5322 3.2.5 and 4.1: words, with dots among them as everybody writes them.
fn check_phrase(tokens: &[Token<'_>]) -> Result<(), Ambiguity> {
    let specials =
        || tokens.iter().filter_map(|token| if let Token::Special(c) = token { Some(*c) } else { None });
    if specials().any(|c| c == '\\') {
        return Err(Ambiguity::Backslash);
    }
    if let Some(last) = tokens.iter().rposition(|token| *token == Token::Special(',')) {
        let before = tokens.iter().take(last).any(|token| !token.is_cfws() && *token != Token::Special(','));
        return Err(if before { Ambiguity::TwoMailboxes } else { Ambiguity::StrayComma });
    }
    if specials().any(|c| matches!(c, ':' | ';')) {
        return Err(Ambiguity::Group);
    }
    if specials().any(|c| c == '@') {
        return Err(Ambiguity::AddressInDisplay);
    }
    match specials().next() {
        None => Ok(()),
        Some('>') => Err(Ambiguity::UnclosedAngle),
        Some(special) => Err(Ambiguity::UnquotedSpecial(special)),
    }
}

/// Nothing but a comment may follow the closing angle bracket.
fn check_behind(tokens: &[Token<'_>]) -> Result<(), Ambiguity> {
    if let [Token::Special(','), more @ ..] = trim(tokens, Token::is_cfws) {
        let nothing = more.iter().all(|token| token.is_cfws() || *token == Token::Special(','));
        return Err(if nothing { Ambiguity::StrayComma } else { Ambiguity::TwoMailboxes });
    }
    if tokens.contains(&Token::Special('<')) {
        return Err(Ambiguity::TwoAngles);
    }
    match tokens.iter().find(|token| !token.is_cfws()) {
        None => Ok(()),
        Some(Token::Special(';' | ':')) => Err(Ambiguity::Group),
        Some(Token::Special('>')) => Err(Ambiguity::UnclosedAngle),
        Some(_) => Err(Ambiguity::TextAfterAddress),
    }
}

/// Commas with something on both sides separate mailboxes; others are strays.
fn comma(tokens: &[Token<'_>]) -> Ambiguity {
    let full = |piece: &&[Token<'_>]| !piece.iter().all(Token::is_cfws);
    match tokens.split(|token| *token == Token::Special(',')).filter(full).count() {
        0 | 1 => Ambiguity::StrayComma,
        _ => Ambiguity::TwoMailboxes,
    }
}

/// RFC 5322 3.4.1 without its obsolete forms and without CFWS, so that RFC 5321 reads it alike.
fn addr_spec(tokens: &[Token<'_>]) -> Result<EmailAddress, Ambiguity> {
    check_addr_spec(tokens)?;
    let (local, domain) = match tokens {
        [Token::Atom(local), Token::Special('@'), Token::Atom(domain)] => {
            if !is_dot_string(local) {
                return Err(Ambiguity::LocalPart);
            }
            ((*local).to_owned(), domain)
        }
        [Token::Quoted(local, escapes), Token::Special('@'), Token::Atom(domain)] => {
            // Legal in all its characters, but simple readers cut at the first `@`, comma or bracket.
            if *escapes || local.contains(NOT_IN_LOCAL_PARTS) {
                return Err(Ambiguity::QuotedLocalPart);
            }
            (local.clone(), domain)
        }
        _ => return Err(Ambiguity::LocalPart),
    };
    let domain = Domain::parse(domain)?;
    if !domain.is_fqdn() {
        return Err(Ambiguity::BareHost);
    }
    EmailAddress::new(local, domain).map_err(|error| match error {
        EmailError::Domain(error) => Ambiguity::Domain(error),
        EmailError::TooLong | EmailError::LocalTooLong => Ambiguity::TooLong,
        _ => Ambiguity::LocalPart,
    })
}

/// Names what is wrong, the most telling first.
fn check_addr_spec(tokens: &[Token<'_>]) -> Result<(), Ambiguity> {
    let has = |special: char| tokens.contains(&Token::Special(special));
    let ats = tokens.iter().filter(|token| **token == Token::Special('@')).count();
    let wrong = [
        (tokens.iter().all(Token::is_cfws), Ambiguity::EmptyAddress),
        (has('[') || has(']'), Ambiguity::AddressLiteral),
        (has(':'), if ats > 0 { Ambiguity::Route } else { Ambiguity::Group }),
        (has(','), Ambiguity::TwoMailboxes),
        (has(';'), Ambiguity::Group),
        (tokens.iter().any(is_encoded), Ambiguity::EncodedAddress),
        (has('\\'), Ambiguity::Backslash),
        (has('>'), Ambiguity::UnclosedAngle),
        (tokens.iter().any(|token| matches!(token, Token::Comment(_))), Ambiguity::CommentInAddress),
        (tokens.contains(&Token::Space), Ambiguity::SpaceInAddress),
        (!tokens.iter().all(is_ascii), Ambiguity::NonAsciiAddress),
        (ats > 1, Ambiguity::TwoAts),
        (ats == 0 || tokens.last() == Some(&Token::Special('@')), Ambiguity::NoDomain),
        (tokens.first() == Some(&Token::Special('@')), Ambiguity::NoLocal),
    ];
    wrong.into_iter().find(|(is, _)| *is).map_or(Ok(()), |(_, ambiguity)| Err(ambiguity))
}

fn is_encoded(token: &Token<'_>) -> bool {
    match token {
        Token::Atom(text) => text.contains("=?"),
        Token::Quoted(text, _) => text.contains("=?"),
        _ => false,
    }
}

const fn is_ascii(token: &Token<'_>) -> bool {
    match token {
        Token::Atom(text) => text.is_ascii(),
        Token::Quoted(text, _) => text.as_str().is_ascii(),
        Token::Special(character) => character.is_ascii(),
        Token::Space | Token::Comment(_) => true,
    }
}

fn phrase_text(tokens: &[Token<'_>]) -> String {
    let words = tokens.iter().map(|token| match token {
        Token::Atom(text) => text,
        Token::Quoted(text, _) => text.as_str(),
        _ => " ",
    });
    words.collect()
}

/// The tokens before and after the first such special.
fn cut_at<'t, 'a>(tokens: &'t [Token<'a>], special: char) -> Option<(&'t [Token<'a>], &'t [Token<'a>])> {
    let at = tokens.iter().position(|token| *token == Token::Special(special))?;
    let (before, rest) = tokens.split_at_checked(at)?;
    Some((before, rest.get(1..)?))
}

fn trim<'t, 'a>(tokens: &'t [Token<'a>], is: fn(&Token<'a>) -> bool) -> &'t [Token<'a>] {
    let start = tokens.iter().take_while(|token| is(token)).count();
    let rest = tokens.get(start..).unwrap_or_default();
    let end = rest.len().saturating_sub(rest.iter().rev().take_while(|token| is(token)).count());
    rest.get(..end).unwrap_or_default()
}

/// With these a reader that knows no comments sees an address, or is led out of the comment.
const NOT_IN_COMMENTS: [char; 5] = ['@', '<', '>', '"', '\\'];

const NOT_IN_LOCAL_PARTS: [char; 10] = ['@', '<', '>', '(', ')', ',', ';', ':', '"', '\\'];

/// RFC 5322 2.1.1 allows a line of 998; one mailbox needs no more, folded or not.
const LONGEST_MAILBOX: usize = 998;

/// RFC 5322 2.1.1: a line of more than 998, the name included, may be folded on its way, and not by us.
const LONGEST_LINE: usize = 990;

const LONGEST_LIST: usize = 16_384;

const MOST_MAILBOXES: usize = 100;

#[cfg(test)]
mod tests;
