//! What a MIME scan finds.
//! Made by the walk; read by `core::message` and the policy behind it.

use thiserror::Error;

/// The shape of a message within its limits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Structure {
    /// Parts: the message itself, each part of a multipart, each attached message.
    pub parts: usize,
    /// Multiparts and attached messages around the deepest part; 0 for a plain message.
    pub depth: usize,
    /// The longest line in octets, without its line end.
    pub longest_line: usize,
    /// Whether an octet above 127 occurs anywhere.
    pub has_8bit: bool,
    /// What two readers could understand differently, at most [`Structure::AMBIGUITIES`].
    pub ambiguities: Vec<MimeAmbiguity>,
}

impl Structure {
    /// How many ambiguities are kept.
    pub const AMBIGUITIES: usize = 16;

    pub(super) fn note(&mut self, ambiguity: MimeAmbiguity) {
        if self.ambiguities.len() < Self::AMBIGUITIES {
            self.ambiguities.push(ambiguity);
        }
    }
}

/// A budget that ran out: nobody knows what the rest of the message holds.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum MimeFault {
    /// More nesting than [`crate::limits::Limits::mime_depth`].
    #[error("line {line} of the message nests MIME parts more than {limit} deep")]
    Depth {
        /// The line, counted from 1.
        line: usize,
        /// The limit.
        limit: usize,
    },
    /// More parts than [`crate::limits::Limits::mime_parts`].
    #[error("line {line} of the message begins MIME part number {limit} + 1")]
    Parts {
        /// The line, counted from 1.
        line: usize,
        /// The limit.
        limit: usize,
    },
    /// More parameters in one field than [`crate::limits::Limits::field_parameters`], or in all fields
    /// than [`crate::limits::Limits::mime_parameters`].
    #[error(
        "line {line} of the message brings the parameters of Content-Type or Content-Disposition to more than {limit}"
    )]
    Parameters {
        /// The line, counted from 1.
        line: usize,
        /// The limit.
        limit: usize,
    },
    /// More fields in one header section than [`crate::limits::Limits::header_fields`].
    #[error("line {line} of the message is in a header section of more than {limit} fields")]
    HeaderFields {
        /// The line, counted from 1.
        line: usize,
        /// The limit.
        limit: usize,
    },
    /// A header section larger than [`crate::limits::Limits::header_bytes`].
    #[error("line {line} of the message is in a header section of more than {limit} octets")]
    HeaderBytes {
        /// The line, counted from 1.
        line: usize,
        /// The limit in octets.
        limit: usize,
    },
}

/// Something that two readers could understand differently. `line` is where the entity's header
/// ends or where the boundary stands, counted from 1.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum MimeAmbiguity {
    /// One entity has two Content-Type fields.
    #[error("the part whose header ends in line {line} has two Content-Type fields")]
    TwoContentTypes {
        /// The line.
        line: usize,
    },
    /// One entity has two Content-Transfer-Encoding fields.
    #[error("the part whose header ends in line {line} has two Content-Transfer-Encoding fields")]
    TwoEncodings {
        /// The line.
        line: usize,
    },
    /// One Content-Type has two `boundary` parameters.
    #[error("the multipart whose header ends in line {line} has two boundaries")]
    TwoBoundaries {
        /// The line.
        line: usize,
    },
    /// RFC 2231 pieces or encoding of `boundary`: some readers put them together, some do not.
    #[error("the multipart whose header ends in line {line} has its boundary in pieces (RFC 2231)")]
    BoundaryInPieces {
        /// The line.
        line: usize,
    },
    /// A boundary that is neither a token nor a quoted string, such as `a(b)` or `"a"b`.
    #[error("the multipart whose header ends in line {line} has a boundary that is no token and not quoted")]
    BoundaryForm {
        /// The line.
        line: usize,
    },
    /// A type or a parameter that RFC 2045 5.1 does not know, such as `multipart` or `x boundary=a`: some
    /// readers find a boundary in it, some do not.
    #[error("the multipart whose header ends in line {line} has a malformed Content-Type")]
    TypeForm {
        /// The line.
        line: usize,
    },
    /// A multipart inside another one with the same boundary.
    #[error("the multipart whose header ends in line {line} has the boundary of one around it")]
    SameBoundary {
        /// The line.
        line: usize,
    },
    /// A multipart in another encoding than 7bit, 8bit or binary, which RFC 2045 6.4 forbids: some readers
    /// decode it, some do not.
    #[error("the multipart whose header ends in line {line} is encoded")]
    EncodedMultipart {
        /// The line.
        line: usize,
    },
    /// A boundary again after the multipart was closed.
    #[error("line {line} begins a part of a multipart that was closed before")]
    PartAfterEnd {
        /// The line.
        line: usize,
    },
    /// A line that begins with a boundary and goes on: RFC 2046 5.1.1 calls it a boundary, half of
    /// the readers do not.
    #[error("line {line} begins with a boundary and goes on behind it")]
    LooseBoundary {
        /// The line.
        line: usize,
    },
    /// One entity has two Content-Disposition fields: two readers show two file names.
    #[error("the part whose header ends in line {line} has two Content-Disposition fields")]
    TwoDispositions {
        /// The line.
        line: usize,
    },
    /// One Content-Type has two `charset` parameters that differ.
    #[error("the part whose header ends in line {line} has two character sets")]
    TwoCharsets {
        /// The line.
        line: usize,
    },
    /// Two different `filename` parameters in one Content-Disposition, or `name` in one Content-Type.
    #[error("the part whose header ends in line {line} has two file names")]
    TwoFileNames {
        /// The line.
        line: usize,
    },
    /// `base64;` or `"quoted-printable"`: some readers decode it, some do not.
    #[error("the part whose header ends in line {line} has an encoding that is almost a known one")]
    EncodingForm {
        /// The line.
        line: usize,
    },
    /// A multipart without a boundary, which RFC 2046 5.1.1 requires: some readers guess one.
    #[error("the multipart whose header ends in line {line} has no boundary")]
    NoBoundary {
        /// The line.
        line: usize,
    },
    /// RFC 2046 5.2.2: a fragment, put together by the reader with others that nobody judged.
    #[error("the part whose header ends in line {line} is a fragment of a message (message/partial)")]
    Partial {
        /// The line.
        line: usize,
    },
    /// A line in the header of a part that is no field: some readers begin the body of the part there.
    #[error("line {line} is in the header of a MIME part and is no field")]
    PartHeader {
        /// The line.
        line: usize,
    },
}

impl MimeAmbiguity {
    /// A word for logs and policies.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TwoContentTypes { .. } => "two-content-types",
            Self::TwoEncodings { .. } => "two-encodings",
            Self::TwoBoundaries { .. } => "two-boundaries",
            Self::BoundaryInPieces { .. } => "boundary-in-pieces",
            Self::BoundaryForm { .. } => "boundary-form",
            Self::TypeForm { .. } => "type-form",
            Self::SameBoundary { .. } => "same-boundary",
            Self::EncodedMultipart { .. } => "encoded-multipart",
            Self::PartAfterEnd { .. } => "part-after-end",
            Self::LooseBoundary { .. } => "loose-boundary",
            Self::TwoDispositions { .. } => "two-dispositions",
            Self::TwoCharsets { .. } => "two-charsets",
            Self::TwoFileNames { .. } => "two-file-names",
            Self::EncodingForm { .. } => "encoding-form",
            Self::NoBoundary { .. } => "no-boundary",
            Self::Partial { .. } => "partial",
            Self::PartHeader { .. } => "part-header",
        }
    }
}
