//! Every limit of the wire in one place.
//! The doors read them from the configuration; the parsers take them as an argument.

/// What a peer may make us read before we say no. Sizes are octets unless stated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// A command line including CRLF. RFC 5321 4.5.3.1.4 asks for 512; extensions add to it.
    pub command_line: usize,
    /// An AUTH response line including CRLF. RFC 4954 4: 12,288.
    pub auth_line: usize,
    /// A whole message as received, without dot-stuffing.
    pub message_bytes: usize,
    /// A line of a message without CRLF that is refused when exceeded. RFC 5322 2.1.1 allows 998;
    /// up to this many are passed with a finding.
    pub line_hard: usize,
    /// RFC 5322 2.1.1: "Each line of characters MUST be no more than 998 characters".
    pub line_soft: usize,
    /// All header fields of one header section together.
    pub header_bytes: usize,
    /// Header fields in one header section.
    pub header_fields: usize,
    /// Nesting of multiparts and `message/rfc822`.
    pub mime_depth: usize,
    /// MIME parts of a message, leaves and containers.
    pub mime_parts: usize,
    /// Parameters of one Content-Type or Content-Disposition field; each piece of an RFC 2231
    /// continuation is one.
    pub field_parameters: usize,
    /// Parameters of all Content-Type and Content-Disposition fields of a message.
    pub mime_parameters: usize,
    /// Recipients of one transaction.
    pub recipients: usize,
    /// Commands of a session between two messages; RCPT has a limit of its own.
    pub commands: usize,
    /// All of a PROXY header. Its addresses take 52 octets at most; balancers add certificates and names.
    pub proxy_header: usize,
    /// Chunks of one message (RFC 3030).
    pub chunks: usize,
    /// Octets of one line of a reply that we write. RFC 5321 4.5.3.1.5 allows 512 with CRLF.
    pub reply_line: usize,
    /// Octets of one reply line of an upstream including CRLF. RFC 5321 4.5.3.1.5 says 512, and
    /// real servers exceed it.
    pub upstream_reply_line: usize,
    /// Lines of one reply of an upstream: a hostile one could send continuation lines for ever.
    pub upstream_reply_lines: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            command_line: 4096,
            auth_line: 12_288,
            message_bytes: 26_214_400,
            line_hard: 2048,
            line_soft: 998,
            header_bytes: 102_400,
            header_fields: 1000,
            mime_depth: 20,
            mime_parts: 1000,
            field_parameters: 100,
            mime_parameters: 10_000,
            recipients: 1000,
            commands: 1000,
            proxy_header: 4096,
            chunks: 10_000,
            reply_line: 500,
            upstream_reply_line: 2048,
            upstream_reply_lines: 100,
        }
    }
}
