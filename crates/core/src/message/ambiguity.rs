//! The ways in which an author field can name another author to another reader.
//! Found by the mailbox grammar and by `Message::read`; the sentences are for the sender.

use countersign_wire::header::HeaderError;
use thiserror::Error;

use crate::address::DomainError;

/// Why a From, Sender or Reply-To field does not name exactly what it should.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Ambiguity {
    /// The header section is malformed, so nobody knows which fields there are.
    #[error("{0}")]
    Header(#[from] HeaderError),
    /// RFC 5322 3.6: From occurs once.
    #[error("there is no From field: send exactly one")]
    NoFrom,
    /// Some readers show the first, some the last.
    #[error("there are {count} From fields: send exactly one")]
    TwoFrom {
        /// How many.
        count: usize,
    },
    /// A Sender or Reply-To field more than once.
    #[error("there are {count} fields of this name: send at most one")]
    TwoFields {
        /// How many.
        count: usize,
    },
    /// Nothing but white space and comments.
    #[error("the field has no address")]
    NoAddress,
    /// `<>`.
    #[error("the address between the angle brackets is empty")]
    EmptyAddress,
    /// More than one mailbox, or a comma that should be in quotes (`Doe, Ana <ana@shop.example>`).
    #[error("a comma makes two mailboxes of the field: name one, or put the display name in quotes")]
    TwoMailboxes,
    /// A comma with nothing before or after it.
    #[error("a comma stands at the beginning or the end of the field: remove it")]
    StrayComma,
    /// `<ana@shop.example> <ceo@bank.example>` or `<<ana@shop.example>>`.
    #[error("the field has more than one pair of angle brackets")]
    TwoAngles,
    /// RFC 6854 allows a group in From; it names many authors, or none.
    #[error("the field holds a group (a colon or semicolon outside quotes): name one mailbox")]
    Group,
    /// RFC 5322 4.4 `obs-route`: `<@bank.example:ana@shop.example>`.
    #[error("the address has a source route: write only the address")]
    Route,
    /// RFC 2047 5: "An 'encoded-word' MUST NOT appear in any portion of an 'addr-spec'."
    #[error("the address has an encoded word in it: only a display name may be encoded")]
    EncodedAddress,
    /// `=?utf-8?q?Ana <ana@shop.example>`: some readers take all that follows into the word.
    #[error(
        "the display name has a `=?` that begins no encoded word: encode the whole name, or nothing of it"
    )]
    BrokenWord,
    /// An encoded word with octets that are no character, or that we do not decode, beside an `@` or what
    /// separates mailboxes: some reader sees another character there.
    #[error("the display name has an encoded word with characters that nobody can tell: use UTF-8")]
    UndecodedWord,
    /// `ceo@bank.example <ana@shop.example>` without quotes.
    #[error("there is an unquoted `@` before the angle brackets: some readers take it for the author")]
    AddressInDisplay,
    /// `<ana@shop.example> ceo@bank.example`.
    #[error("there is text after the address: end the field with it")]
    TextAfterAddress,
    /// RFC 5322 3.2.3 specials that are neither quoted nor in their place.
    #[error("the character `{0}` must be in quotes here")]
    UnquotedSpecial(char),
    /// A backslash outside quotes.
    #[error("there is a backslash outside quotes")]
    Backslash,
    /// A quotation mark without its partner.
    #[error("a quotation mark is not closed")]
    UnclosedQuote,
    /// A line that ends inside a quoted string or a comment.
    #[error("a quoted string or a comment is folded: end lines between the words, not in quotes")]
    FoldedQuote,
    /// A parenthesis without its partner.
    #[error("a parenthesis has no partner")]
    UnclosedComment,
    /// An angle bracket without its partner.
    #[error("an angle bracket has no partner")]
    UnclosedAngle,
    /// A comment in which a simpler reader sees an address or a quotation.
    #[error("a comment holds one of @ < > \" \\: leave comments out")]
    CommentWithAddress,
    /// RFC 5322 allows comments around the parts of an address; RFC 5321 does not.
    #[error("a comment touches the address: leave comments out")]
    CommentInAddress,
    /// RFC 5322 4.4 `obs-local-part`, `obs-domain`: `ana . doe@shop.example`.
    #[error("there is white space in the address, or text beside an address without angle brackets")]
    SpaceInAddress,
    /// UTF-8 in the address itself.
    #[error("the address is not ASCII: only a display name may be; write the domain in its xn-- form")]
    NonAsciiAddress,
    /// Bytes that are not UTF-8 (RFC 6532 allows no others).
    #[error("the field is neither ASCII nor UTF-8")]
    InvalidUtf8,
    /// A control character other than a tab, raw or behind an encoded word.
    #[error("the field has a control character")]
    Control,
    /// A character that turns the direction of text around: what is shown is not what is sent.
    #[error("the field has a character that changes the direction of text")]
    Bidi,
    /// `ana@[192.0.2.1]`.
    #[error("the address has an IP address for a domain")]
    AddressLiteral,
    /// No `@`, or nothing behind it.
    #[error("the address has no domain")]
    NoDomain,
    /// Nothing before the `@`.
    #[error("the address has nothing before the `@`")]
    NoLocal,
    /// More than one `@` outside quotes.
    #[error("the address has more than one `@`")]
    TwoAts,
    /// Dots at an end or in a row, or a mixture of quoted and unquoted words.
    #[error("the part before the `@` is neither words with single dots between them nor one quoted string")]
    LocalPart,
    /// A quoted local part that a simpler reader takes apart.
    #[error("the quoted part before the `@` holds one of @ < > ( ) , ; : \" \\: use another address")]
    QuotedLocalPart,
    /// What is behind the `@` is no domain of mail.
    #[error("{0}")]
    Domain(#[from] DomainError),
    /// A domain of one label.
    #[error("the domain of the address has no dot")]
    BareHost,
    /// The field or the address is too long.
    #[error("the field or its address is too long: write one address and a short name")]
    TooLong,
    /// The display name holds an address of another domain and what separates mailboxes.
    #[error("the display name holds another mailbox, `{0}`, as if it were the author")]
    MailboxInDisplay(String),
    /// An encoded word in a character set that hides ASCII characters.
    #[error("the display name is in the character set `{0}`: use UTF-8")]
    Charset(String),
    /// More mailboxes in one field than anybody needs.
    #[error("the field names more than {limit} mailboxes")]
    TooMany {
        /// The limit.
        limit: usize,
    },
}

impl Ambiguity {
    /// The kebab-case word of this ambiguity: a closed list, for logs, policies and tests.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Header(_) => "header",
            Self::NoFrom => "no-from",
            Self::TwoFrom { .. } => "two-from",
            Self::TwoFields { .. } => "two-fields",
            Self::NoAddress => "no-address",
            Self::EmptyAddress => "empty-address",
            Self::TwoMailboxes => "two-mailboxes",
            Self::StrayComma => "stray-comma",
            Self::TwoAngles => "two-angles",
            Self::Group => "group",
            Self::Route => "route",
            Self::EncodedAddress => "encoded-address",
            Self::BrokenWord | Self::UndecodedWord => "broken-word",
            Self::AddressInDisplay => "address-in-display",
            Self::TextAfterAddress => "text-after-address",
            Self::UnquotedSpecial(_) => "unquoted-special",
            Self::Backslash => "backslash",
            Self::UnclosedQuote => "unclosed-quote",
            Self::FoldedQuote => "folded-quote",
            Self::UnclosedComment => "unclosed-comment",
            Self::UnclosedAngle => "unclosed-angle",
            Self::CommentWithAddress => "comment-with-address",
            Self::CommentInAddress => "comment-in-address",
            Self::SpaceInAddress => "space-in-address",
            Self::NonAsciiAddress => "non-ascii-address",
            Self::InvalidUtf8 => "invalid-utf8",
            Self::Control => "control",
            Self::Bidi => "bidi",
            Self::AddressLiteral => "address-literal",
            Self::NoDomain => "no-domain",
            Self::NoLocal => "no-local",
            Self::TwoAts => "two-ats",
            Self::LocalPart => "local-part",
            Self::QuotedLocalPart => "quoted-local-part",
            Self::Domain(_) => "domain",
            Self::BareHost => "bare-host",
            Self::TooLong => "too-long",
            Self::MailboxInDisplay(_) => "mailbox-in-display",
            Self::Charset(_) => "charset",
            Self::TooMany { .. } => "too-many",
        }
    }
}
