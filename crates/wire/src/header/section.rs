//! The header section of a message, cut into fields and nothing more: no decoding, no forgiveness.
//! Called by `core::message`, which reads the author from what comes out.

use std::borrow::Cow;

use thiserror::Error;

use crate::limits::Limits;

/// A header section and what follows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section<'a> {
    /// The fields in the order in which they stand.
    pub fields: Vec<Field<'a>>,
    /// What follows the empty line; empty when there is none.
    pub body: &'a [u8],
    /// Where the body begins, in octets from the start of the message.
    pub body_offset: usize,
}

/// One header field, as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field<'a> {
    /// The name in the sender's own capitals, without the colon.
    pub name: &'a [u8],
    /// What follows the colon, with its folding, without the last CRLF.
    pub raw_value: &'a [u8],
    /// The whole field with its last CRLF.
    pub raw: &'a [u8],
    /// Where the field begins, in octets from the start of the message.
    pub offset: usize,
}

/// Why a header section can be read in more than one way. Lines are counted from 1.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum HeaderError {
    /// `From :`. RFC 5322 4.5 reads it as a field, RFC 5322 2.2 does not know it.
    #[error(
        "line {line} of the header has white space between the field name `{name}` and its colon: remove it"
    )]
    SpaceBeforeColon {
        /// The line.
        line: usize,
        /// The name without the white space.
        name: String,
    },
    /// `X From:`, or an mbox line such as `From ana@shop.example`.
    #[error("line {line} of the header has white space in the field name `{name}`")]
    SpaceInName {
        /// The line.
        line: usize,
        /// The name, escaped and shortened.
        name: String,
    },
    /// A line that is no field: some readers skip it, others begin the body here.
    #[error("line {line} of the header has no colon: `{text}`")]
    NoColon {
        /// The line.
        line: usize,
        /// The line, escaped and shortened.
        text: String,
    },
    /// The message begins with folding white space: there is nothing to continue.
    #[error("line {line} of the header continues a field, but there is none before it")]
    ContinuationFirst {
        /// The line.
        line: usize,
    },
    /// A folded line of white space only: some readers begin the body here.
    #[error("line {line} of the header is neither empty nor does it say anything: it is white space only")]
    BlankContinuation {
        /// The line.
        line: usize,
    },
    /// The line begins with a colon.
    #[error("line {line} of the header has no field name before the colon")]
    EmptyName {
        /// The line.
        line: usize,
    },
    /// The name has an octet above 126, such as a no-break space.
    #[error("line {line} of the header has a field name that is not ASCII: `{name}`")]
    NonAsciiName {
        /// The line.
        line: usize,
        /// The name, escaped and shortened.
        name: String,
    },
    /// The name has a control character.
    #[error("line {line} of the header has a control character in the field name `{name}`")]
    ControlInName {
        /// The line.
        line: usize,
        /// The name, escaped and shortened.
        name: String,
    },
    /// A carriage return that no line feed follows.
    #[error("line {line} of the header has a bare carriage return: end lines with CRLF")]
    BareCr {
        /// The line.
        line: usize,
    },
    /// A line feed that follows no carriage return.
    #[error("line {line} of the header ends with a bare line feed: end lines with CRLF")]
    BareLf {
        /// The line.
        line: usize,
    },
    /// An octet zero: some readers end the text there.
    #[error("line {line} of the header has a NUL")]
    Nul {
        /// The line.
        line: usize,
    },
    /// More fields than [`Limits::header_fields`].
    #[error("the header has more than {limit} fields")]
    TooManyFields {
        /// The limit.
        limit: usize,
    },
    /// More octets than [`Limits::header_bytes`].
    #[error("the header is larger than {limit} octets")]
    TooBig {
        /// The limit in octets.
        limit: usize,
    },
}

/// Cuts the header section of a message into fields.
///
/// The fields' `raw`, the empty line and the body, in this order, are the message: no octet is lost.
/// A message without an empty line is all header (RFC 5322 2.1: the body "is simply ... optional").
///
/// # Errors
/// The first line that RFC 5322 2.2 does not allow, or a limit that is exceeded.
pub fn split<'a>(message: &'a [u8], limits: &Limits) -> Result<Section<'a>, HeaderError> {
    let mut fields: Vec<Field<'a>> = Vec::new();
    let (mut offset, mut number) = (0_usize, 0_usize);
    while let Some(rest) = message.get(offset..).filter(|rest| !rest.is_empty()) {
        number = number.saturating_add(1);
        let room = limits.header_bytes.saturating_sub(offset);
        let Some(line) = Line::first(rest, room, number)? else {
            return Err(HeaderError::TooBig { limit: limits.header_bytes });
        };
        let end = offset.saturating_add(line.raw.len());
        if line.text.is_empty() {
            return Ok(Section { fields, body: message.get(end..).unwrap_or_default(), body_offset: end });
        }
        if line.text.first().is_some_and(|b| is_blank(*b)) {
            extend(&mut fields, message, line.text, end, number)?;
        } else if fields.len() >= limits.header_fields {
            return Err(HeaderError::TooManyFields { limit: limits.header_fields });
        } else {
            let (name, raw_value) = name_and_value(line.text, number)?;
            fields.push(Field { name, raw_value, raw: line.raw, offset });
        }
        offset = end;
    }
    Ok(Section { fields, body: &[], body_offset: message.len() })
}

impl<'a> Field<'a> {
    /// Whether this is the field of that name. RFC 5322 1.2.2: names are not case-sensitive.
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }

    /// The value without folding and without white space around it.
    /// RFC 5322 2.2.3: "Unfolding is accomplished by simply removing any CRLF that is immediately
    /// followed by WSP."
    #[must_use]
    pub fn unfolded(&self) -> Cow<'a, [u8]> {
        unfold(self.raw_value)
    }
}

/// [`Field::unfolded`] for a raw value that was kept elsewhere.
#[must_use]
pub fn unfold(raw_value: &[u8]) -> Cow<'_, [u8]> {
    let value = trim(raw_value);
    if value.iter().any(|b| is_line_end(*b)) {
        Cow::Owned(value.iter().copied().filter(|b| !is_line_end(*b)).collect())
    } else {
        Cow::Borrowed(value)
    }
}

/// RFC 5322 2.2.2: SP and HTAB are "the white space characters, WSP". A form feed is none: it is left to be
/// refused.
fn trim(value: &[u8]) -> &[u8] {
    let is_edge = |b: &u8| is_blank(*b) || is_line_end(*b);
    let start = value.iter().position(|b| !is_edge(b)).unwrap_or(value.len());
    let end = value.iter().rposition(|b| !is_edge(b)).map_or(start, |at| at.saturating_add(1));
    value.get(start..end).unwrap_or_default()
}

/// A line with and without its CRLF.
struct Line<'a> {
    text: &'a [u8],
    raw: &'a [u8],
}

impl<'a> Line<'a> {
    /// The first line of `rest`; `None` if it does not end within `room` octets.
    fn first(rest: &'a [u8], room: usize, line: usize) -> Result<Option<Self>, HeaderError> {
        let window = rest.get(..room).unwrap_or(rest);
        let (text, raw) = match window.iter().position(|b| *b == b'\n') {
            Some(at) => {
                let raw = window.get(..=at).unwrap_or_default();
                (raw.strip_suffix(b"\r\n").ok_or(HeaderError::BareLf { line })?, raw)
            }
            None if window.len() < rest.len() => return Ok(None),
            None => (rest, rest),
        };
        if text.contains(&0) {
            return Err(HeaderError::Nul { line });
        }
        if text.contains(&b'\r') {
            return Err(HeaderError::BareCr { line });
        }
        Ok(Some(Self { text, raw }))
    }
}

/// Adds a folded line to the field before it.
fn extend<'a>(
    fields: &mut [Field<'a>],
    message: &'a [u8],
    text: &[u8],
    end: usize,
    line: usize,
) -> Result<(), HeaderError> {
    let field = fields.last_mut().ok_or(HeaderError::ContinuationFirst { line })?;
    // RFC 5322 3.2.2: folding must not make "any line of a folded header field ... made up entirely
    // of WSP characters".
    if text.iter().all(|b| is_blank(*b)) {
        return Err(HeaderError::BlankContinuation { line });
    }
    field.raw = message.get(field.offset..end).unwrap_or_default();
    let value = field.raw.get(field.name.len().saturating_add(1)..).unwrap_or_default();
    field.raw_value = value.strip_suffix(b"\r\n").unwrap_or(value);
    Ok(())
}

fn name_and_value(text: &[u8], line: usize) -> Result<(&[u8], &[u8]), HeaderError> {
    let at = text
        .iter()
        .position(|b| *b == b':')
        .ok_or_else(|| HeaderError::NoColon { line, text: shown(text) })?;
    let (name, rest) = text.split_at_checked(at).unwrap_or((text, &[]));
    check_name(name, line)?;
    Ok((name, rest.get(1..).unwrap_or_default()))
}

/// RFC 5322 2.2: a name "MUST be composed of printable US-ASCII characters (i.e., characters that
/// have values between 33 and 126, inclusive), except colon".
fn check_name(name: &[u8], line: usize) -> Result<(), HeaderError> {
    if name.is_empty() {
        return Err(HeaderError::EmptyName { line });
    }
    if name.iter().all(u8::is_ascii_graphic) {
        return Ok(());
    }
    let bare = name.trim_ascii_end();
    if name.iter().any(|b| *b > 126) {
        Err(HeaderError::NonAsciiName { line, name: shown(name) })
    } else if bare.iter().all(u8::is_ascii_graphic) {
        Err(HeaderError::SpaceBeforeColon { line, name: shown(bare) })
    } else if name.iter().any(|b| b.is_ascii_control() && *b != b'\t') {
        Err(HeaderError::ControlInName { line, name: shown(name) })
    } else {
        Err(HeaderError::SpaceInName { line, name: shown(name) })
    }
}

/// The sender's octets in a form that a log or a reply can carry.
fn shown(bytes: &[u8]) -> String {
    bytes.iter().take(SHOWN).flat_map(|b| b.escape_ascii()).map(char::from).collect()
}

const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

const fn is_line_end(byte: u8) -> bool {
    matches!(byte, b'\r' | b'\n')
}

/// How many octets of a wrong line an error repeats.
const SHOWN: usize = 40;

#[cfg(test)]
mod tests;
