//! The walk over a whole message: one pass over its lines with an explicit stack, no recursion.
//! Called once for each message, before anything else looks into it.

use std::borrow::Cow;

use super::content_type::{ContentType, Kind, has_two_file_names, without_comments};
use super::structure::{MimeAmbiguity, MimeFault, Structure};
use crate::limits::Limits;

/// Walks multiparts and attached messages and counts them against the limits.
///
/// The walk sees at least as much as other readers: attached messages are entered unless they are in
/// base64, a boundary also counts in a header section, and with two Content-Type fields both are
/// followed. Time is linear in the message: each line is compared with the open boundaries, of which
/// there are at most [`Limits::mime_depth`], and only if it begins with `--`.
///
/// # Errors
/// The first limit that is exceeded.
pub fn scan(message: &[u8], limits: &Limits) -> Result<Structure, MimeFault> {
    let mut walk = Walk::new(message, limits);
    for raw in message.split_inclusive(|b| *b == b'\n') {
        walk.line(raw)?;
    }
    walk.end_header()?;
    Ok(walk.found)
}

struct Walk<'a> {
    message: &'a [u8],
    limits: &'a Limits,
    found: Structure,
    /// What is open around the present line, outermost first.
    stack: Vec<Frame<'a>>,
    /// The header section that is being read; `None` in a body.
    header: Option<Header>,
    /// The boundary that was closed last.
    closed: Option<Cow<'a, [u8]>>,
    /// The present line, counted from 1, and where it begins in the message.
    line: usize,
    offset: usize,
    /// Parameters of all fields so far.
    parameters: usize,
}

/// A container.
struct Frame<'a> {
    /// `None` for an attached message.
    boundary: Option<Cow<'a, [u8]>>,
    digest: bool,
}

/// A header section as far as it was read: spans are offsets in the message.
#[derive(Default)]
struct Header {
    fields: usize,
    bytes: usize,
    /// The last field, if it is one of those that matter.
    last: Option<Last>,
    types: Spans,
    encodings: Spans,
    dispositions: Spans,
}

/// A field that matters: where its value is, and how many parameters it has so far.
struct Last {
    known: Known,
    start: usize,
    end: usize,
    parameters: usize,
}

/// The fields that the walk reads.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Known {
    Type,
    Encoding,
    Disposition,
}

/// The values of one field: the first few and always the last.
#[derive(Default)]
struct Spans(Vec<(usize, usize)>);

impl Spans {
    const KEPT: usize = 4;

    fn push(&mut self, span: (usize, usize)) {
        self.0.truncate(Self::KEPT - 1);
        self.0.push(span);
    }
}

impl<'a> Walk<'a> {
    fn new(message: &'a [u8], limits: &'a Limits) -> Self {
        let found = Structure { parts: 1, ..Structure::default() };
        let header = Some(Header::default());
        Self {
            message,
            limits,
            found,
            stack: Vec::new(),
            header,
            closed: None,
            line: 0,
            offset: 0,
            parameters: 0,
        }
    }

    fn line(&mut self, raw: &[u8]) -> Result<(), MimeFault> {
        self.line = self.line.saturating_add(1);
        let text = raw.strip_suffix(b"\n").unwrap_or(raw);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        self.found.longest_line = self.found.longest_line.max(text.len());
        self.found.has_8bit |= !text.is_ascii();
        match text.strip_prefix(b"--").and_then(|rest| self.delimiter(rest)) {
            Some(delimiter) => self.cross(&delimiter)?,
            None if self.header.is_some() && text.is_empty() => self.end_header()?,
            None => self.header_line(raw, text)?,
        }
        self.offset = self.offset.saturating_add(raw.len());
        Ok(())
    }

    /// RFC 2046 5.1.1: "it is sufficient that the boundary appear in its entirety following the CRLF".
    /// Where boundaries begin alike the line that is exactly one of them is that one.
    fn delimiter(&mut self, rest: &[u8]) -> Option<Delimiter> {
        let mut longer = None;
        for (at, frame) in self.stack.iter().enumerate().rev() {
            let Some(tail) = frame.boundary.as_deref().and_then(|boundary| rest.strip_prefix(boundary))
            else {
                continue;
            };
            let closes = tail.starts_with(b"--");
            if matches!(tail.trim_ascii_end(), b"" | b"--") {
                return Some(Delimiter { at, closes });
            }
            longer.get_or_insert(Delimiter { at, closes });
        }
        if longer.is_some() {
            self.found.note(MimeAmbiguity::LooseBoundary { line: self.line });
        } else if self.closed.as_deref().is_some_and(|closed| closed == rest.trim_ascii_end()) {
            self.found.note(MimeAmbiguity::PartAfterEnd { line: self.line });
        }
        longer
    }

    fn cross(&mut self, delimiter: &Delimiter) -> Result<(), MimeFault> {
        if delimiter.closes {
            self.closed = self.stack.get_mut(delimiter.at).and_then(|frame| frame.boundary.take());
            self.stack.truncate(delimiter.at);
            self.header = None;
            Ok(())
        } else {
            self.stack.truncate(delimiter.at.saturating_add(1));
            self.begin_part()
        }
    }

    fn begin_part(&mut self) -> Result<(), MimeFault> {
        self.header = Some(Header::default());
        self.found.parts = self.found.parts.saturating_add(1);
        if self.found.parts > self.limits.mime_parts {
            return Err(MimeFault::Parts { line: self.line, limit: self.limits.mime_parts });
        }
        Ok(())
    }

    fn header_line(&mut self, raw: &[u8], text: &[u8]) -> Result<(), MimeFault> {
        let (line, end) = (self.line, self.offset.saturating_add(text.len()));
        let Some(header) = &mut self.header else { return Ok(()) };
        header.bytes = header.bytes.saturating_add(raw.len());
        if header.bytes > self.limits.header_bytes {
            return Err(MimeFault::HeaderBytes { line, limit: self.limits.header_bytes });
        }
        if matches!(text.first(), Some(b' ' | b'\t')) && header.fields > 0 && !text.trim_ascii().is_empty() {
            if let Some(last) = &mut header.last {
                last.end = end;
            }
            return self.count_parameters(text);
        }
        header.fields = header.fields.saturating_add(1);
        if header.fields > self.limits.header_fields {
            return Err(MimeFault::HeaderFields { line, limit: self.limits.header_fields });
        }
        header.end_field();
        // Only in a part of a multipart: `header::split` judges the message's own header, and the
        // faults of an attached message are its author's.
        let in_multipart = self.stack.last().is_some_and(|frame| frame.boundary.is_some());
        if in_multipart && !is_field(text) {
            self.found.note(MimeAmbiguity::PartHeader { line });
        }
        header.last = Last::begin(text, self.offset, end);
        self.count_parameters(text)
    }

    /// Every reader cuts parameters at semicolons; those in quotes or comments count too, so that no
    /// reader finds more than we do.
    fn count_parameters(&mut self, text: &[u8]) -> Result<(), MimeFault> {
        let Some(last) = self.header.as_mut().and_then(|header| header.last.as_mut()) else { return Ok(()) };
        if last.known == Known::Encoding {
            return Ok(());
        }
        let more = text.iter().filter(|b| **b == b';').count();
        last.parameters = last.parameters.saturating_add(more);
        self.parameters = self.parameters.saturating_add(more);
        let (line, limits) = (self.line, self.limits);
        if last.parameters > limits.field_parameters {
            return Err(MimeFault::Parameters { line, limit: limits.field_parameters });
        }
        if self.parameters > limits.mime_parameters {
            return Err(MimeFault::Parameters { line, limit: limits.mime_parameters });
        }
        Ok(())
    }

    /// The empty line after a header section, or the end of the message in one.
    fn end_header(&mut self) -> Result<(), MimeFault> {
        let Some(mut header) = self.header.take() else { return Ok(()) };
        header.end_field();
        let message = self.message;
        let value = |span: &(usize, usize)| message.get(span.0..span.1).unwrap_or_default();
        let base64 = !header.encodings.0.is_empty() && header.encodings.0.iter().all(|s| is_base64(value(s)));
        let encoded = header.encodings.0.iter().any(|s| is_encoded(value(s)));
        let line = self.line;
        let odd = [
            (header.types.0.len() > 1, MimeAmbiguity::TwoContentTypes { line }),
            (header.encodings.0.len() > 1, MimeAmbiguity::TwoEncodings { line }),
            (header.dispositions.0.len() > 1, MimeAmbiguity::TwoDispositions { line }),
            (
                header.dispositions.0.iter().any(|s| has_two_file_names(value(s))),
                MimeAmbiguity::TwoFileNames { line },
            ),
            (header.encodings.0.iter().any(|s| is_near_miss(value(s))), MimeAmbiguity::EncodingForm { line }),
        ];
        self.note(odd);
        let mut enters = header.types.0.is_empty() && self.stack.last().is_some_and(|frame| frame.digest);
        for span in &header.types.0 {
            let read = ContentType::read(value(span));
            self.note([
                (read.two_charsets, MimeAmbiguity::TwoCharsets { line }),
                (read.two_names, MimeAmbiguity::TwoFileNames { line }),
                (read.kind == Kind::Partial, MimeAmbiguity::Partial { line }),
            ]);
            match read.kind {
                Kind::Leaf | Kind::Partial => {}
                Kind::Message => enters = true,
                Kind::Multipart { digest } => self.open_multipart(read, digest, encoded)?,
            }
        }
        if enters && !base64 {
            self.open(Frame { boundary: None, digest: false })?;
            self.begin_part()?;
        }
        Ok(())
    }

    fn open_multipart(
        &mut self,
        read: ContentType<'a>,
        digest: bool,
        encoded: bool,
    ) -> Result<(), MimeFault> {
        let line = self.line;
        let same = |frame: &Frame<'_>| frame.boundary.as_ref() == read.boundary.as_ref().map(|b| &b.text);
        let odd = [
            (read.two_boundaries, MimeAmbiguity::TwoBoundaries { line }),
            (read.in_pieces, MimeAmbiguity::BoundaryInPieces { line }),
            (read.boundary.as_ref().is_some_and(|b| b.odd), MimeAmbiguity::BoundaryForm { line }),
            (
                read.malformed && read.boundary.as_ref().is_some_and(|b| !b.odd),
                MimeAmbiguity::TypeForm { line },
            ),
            (read.boundary.is_some() && self.stack.iter().any(same), MimeAmbiguity::SameBoundary { line }),
            (read.boundary.is_none() && !read.in_pieces, MimeAmbiguity::NoBoundary { line }),
            (encoded, MimeAmbiguity::EncodedMultipart { line }),
        ];
        self.note(odd);
        match read.boundary {
            Some(boundary) => self.open(Frame { boundary: Some(boundary.text), digest }),
            None => Ok(()),
        }
    }

    fn note<const N: usize>(&mut self, odd: [(bool, MimeAmbiguity); N]) {
        odd.into_iter().filter(|(is, _)| *is).for_each(|(_, ambiguity)| self.found.note(ambiguity));
    }

    fn open(&mut self, frame: Frame<'a>) -> Result<(), MimeFault> {
        self.stack.push(frame);
        self.found.depth = self.found.depth.max(self.stack.len());
        if self.stack.len() > self.limits.mime_depth {
            return Err(MimeFault::Depth { line: self.line, limit: self.limits.mime_depth });
        }
        Ok(())
    }
}

/// A line that is a boundary of the frame `at`.
struct Delimiter {
    at: usize,
    closes: bool,
}

impl Header {
    fn end_field(&mut self) {
        if let Some(last) = self.last.take() {
            let list = match last.known {
                Known::Type => &mut self.types,
                Known::Encoding => &mut self.encodings,
                Known::Disposition => &mut self.dispositions,
            };
            list.push((last.start, last.end));
        }
    }
}

impl Last {
    fn begin(text: &[u8], offset: usize, end: usize) -> Option<Self> {
        let colon = text.iter().position(|b| *b == b':')?;
        let name = text.get(..colon)?.trim_ascii_end();
        let known = match name {
            _ if name.eq_ignore_ascii_case(b"content-type") => Known::Type,
            _ if name.eq_ignore_ascii_case(b"content-transfer-encoding") => Known::Encoding,
            _ if name.eq_ignore_ascii_case(b"content-disposition") => Known::Disposition,
            _ => return None,
        };
        let start = offset.saturating_add(colon).saturating_add(1);
        Some(Self { known, start, end, parameters: 0 })
    }
}

/// RFC 5322 2.2: a name of printable ASCII right before a colon.
fn is_field(text: &[u8]) -> bool {
    let name = text.split(|b| *b == b':').next().unwrap_or_default();
    !name.is_empty() && name.len() < text.len() && name.iter().all(u8::is_ascii_graphic)
}

/// RFC 2045 6.4: "encodings other than '7bit', '8bit', or 'binary' are forbidden" for a multipart.
fn is_encoded(value: &[u8]) -> bool {
    let word = without_comments(value);
    !["7bit", "8bit", "binary", ""].iter().any(|plain| word.eq_ignore_ascii_case(plain.as_bytes()))
}

fn is_base64(value: &[u8]) -> bool {
    value.trim_ascii().eq_ignore_ascii_case(b"base64")
}

/// Whether a lenient reader finds an encoding in it that a strict one does not.
fn is_near_miss(value: &[u8]) -> bool {
    let word: Vec<u8> = without_comments(value).to_ascii_lowercase();
    let has = |name: &[u8]| word.windows(name.len()).any(|part| part == name);
    (has(b"base64") && word != b"base64") || (has(b"quoted-printable") && word != b"quoted-printable")
}

#[cfg(test)]
mod tests;
