//! A mail of ours as octets: header fields, and parts that every server passes on unchanged.
//! `notify` writes it without From, which the clock puts on top when it sends.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// What the header section says beside the form of the body.
pub(super) struct Header<'a> {
    pub(super) to: &'a str,
    pub(super) subject: &'a str,
    pub(super) at: Timestamp,
    /// Unique for the mail; letters and digits.
    pub(super) name: &'a str,
    pub(super) hostname: &'a str,
    /// RFC 3834 5: `auto-replied` for what answers a message, else `auto-generated`.
    pub(super) automatic: &'static str,
}

/// A mail of one plain text.
pub(super) fn plain(header: &Header<'_>, text: &str) -> Vec<u8> {
    let mut out = fields(header);
    out.push_str(&text_part(text));
    out.into_bytes()
}

/// RFC 6522 3: a multipart/report of a text for people, a part for machines, and what it is about.
pub(super) fn report(header: &Header<'_>, text: &str, status: &str, about: &[u8]) -> Vec<u8> {
    // RFC 2045 6.7: `=_` occurs in no quoted-printable text; the rest is a keyed name that nobody can foresee.
    let boundary = format!("=_{}", header.name);
    let mut out = fields(header);
    out.push_str("Content-Type: multipart/report; report-type=delivery-status;\r\n");
    out.push_str(&format!("\tboundary=\"{boundary}\"\r\n\r\n"));
    out.push_str(&format!("--{boundary}\r\n{}", text_part(text)));
    out.push_str(&format!("--{boundary}\r\nContent-Type: message/delivery-status\r\n\r\n{status}"));
    out.push_str(&format!("\r\n--{boundary}\r\n{}", headers_part(about)));
    out.push_str(&format!("\r\n--{boundary}--\r\n"));
    out.into_bytes()
}

/// RFC 5322 3.3: a time as mail writes it.
pub(super) fn date(at: Timestamp) -> String {
    let zoned = at.to_zoned_datetime(TimeZone::UTC);
    jiff::fmt::rfc2822::to_string(&zoned).unwrap_or_default()
}

fn fields(header: &Header<'_>) -> String {
    let Header { to, subject, at, name, hostname, automatic } = header;
    let (date, subject) = (date(*at), unstructured(subject));
    format!(
        "To: <{to}>\r\nSubject: {subject}\r\nDate: {date}\r\nMessage-ID: <{name}@{hostname}>\r\n\
         Auto-Submitted: {automatic}\r\nMIME-Version: 1.0\r\n"
    )
}

fn text_part(text: &str) -> String {
    let octets = text.replace('\n', "\r\n");
    format!(
        "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n{}",
        quoted_printable(octets.as_bytes())
    )
}

/// RFC 6522 4: "7-bit is sufficient for normal mail headers, however, if the headers are broken or extended
/// and require encoding to make them legal 7-bit content, they may be encoded with quoted-printable".
fn headers_part(headers: &[u8]) -> String {
    let kind = "Content-Type: text/rfc822-headers\r\n";
    let legal = headers.is_ascii()
        && headers.split(|octet| *octet == b'\n').all(|line| line.len() <= 990)
        && !headers.starts_with(b"--")
        && !headers.windows(3).any(|three| three == b"\n--");
    match std::str::from_utf8(headers) {
        Ok(text) if legal => format!("{kind}\r\n{text}"),
        _ => {
            format!("{kind}Content-Transfer-Encoding: quoted-printable\r\n\r\n{}", quoted_printable(headers))
        }
    }
}

/// RFC 2047 2: what is not ASCII stands in encoded words of at most 75 characters.
fn unstructured(text: &str) -> String {
    let plain = text.chars().all(|c| c == ' ' || c.is_ascii_graphic());
    if plain && text.len() <= 200 && !text.contains("=?") {
        return text.to_owned();
    }
    let mut words = Vec::new();
    let mut piece = String::new();
    for character in text.chars().filter(|c| !c.is_control()) {
        if piece.len() + character.len_utf8() > 42 {
            words.push(std::mem::take(&mut piece));
        }
        piece.push(character);
    }
    words.push(piece);
    let word = |piece: &String| format!("=?utf-8?B?{}?=", STANDARD.encode(piece));
    words.iter().map(word).collect::<Vec<_>>().join("\r\n ")
}

/// RFC 2045 6.7: lines of at most 76 characters, CRLF only where a line ends.
fn quoted_printable(octets: &[u8]) -> String {
    let mut out = String::with_capacity(octets.len() + octets.len() / 8);
    let mut column = 0;
    let mut rest = octets;
    while let Some((&octet, after)) = rest.split_first() {
        if let Some(next) = rest.strip_prefix(b"\r\n") {
            out.push_str("\r\n");
            (column, rest) = (0, next);
            continue;
        }
        let ends = after.is_empty() || after.starts_with(b"\r\n");
        let literal = (octet.is_ascii_graphic() && octet != b'=') || (octet == b' ' && !ends);
        // A dot or a From at the start of a line is changed by some servers.
        let literal = literal && !(column == 0 && matches!(octet, b'.' | b'F'));
        let width = if literal { 1 } else { 3 };
        if column + width > 75 {
            out.push_str("=\r\n");
            column = 0;
        }
        match literal {
            true => out.push(char::from(octet)),
            false => out.push_str(&format!("={octet:02X}")),
        }
        column += width;
        rest = after;
    }
    if column > 0 {
        out.push_str("\r\n");
    }
    out
}

#[cfg(test)]
mod tests;
