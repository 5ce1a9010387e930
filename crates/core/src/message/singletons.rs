//! Header fields that may occur once.
//! Called by `Message::read`.

/// The field of this table that a name is, in the table's capitals.
pub(super) fn singleton(name: &[u8]) -> Option<&'static str> {
    SINGLETONS.into_iter().find(|known| name.eq_ignore_ascii_case(known.as_bytes()))
}

/// RFC 5322 3.6 ("max number 1"), RFC 2045 3 and RFC 2183 2. Return-Path is not here: RFC 5322 3.6
/// gives it the number "unlimited", once for each block of trace fields, and delivered mail has it twice.
const SINGLETONS: [&str; 17] = [
    "From",
    "Sender",
    "Reply-To",
    "To",
    "Cc",
    "Bcc",
    "Subject",
    "Date",
    "Message-ID",
    "In-Reply-To",
    "References",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
    "Content-ID",
    "Content-Description",
    "Content-Disposition",
];
