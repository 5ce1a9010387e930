//! MIME: the walk stays within its limits and overlooks no boundary that another reader follows; encoded
//! words are decoded, and nothing else is.
//! The fuzz targets `mime_walk`, `content_type` and `encoded_word`.

use countersign_wire::header::encoded_word;
use countersign_wire::limits::Limits;
use countersign_wire::mime::{self, Structure};
use mail_parser::MimeHeaders;

use crate::pieces::split_seed;

/// The first octet chooses limits; the others are a message.
pub(crate) fn mime_walk(octets: &[u8]) {
    let (seed, message) = split_seed(octets);
    let limits = match seed % 3 {
        0 => Limits {
            mime_depth: usize::from(seed % 5),
            mime_parts: usize::from(seed % 11),
            ..Limits::default()
        },
        1 => Limits {
            header_bytes: usize::from(seed),
            header_fields: usize::from(seed % 7),
            ..Limits::default()
        },
        _ => Limits::default(),
    };
    let found = mime::scan(message, &limits);
    if let Ok(structure) = &found {
        check_structure(structure, message, &limits);
    }
    // What keeps small limits keeps wide ones, and is found alike.
    let wide = Limits {
        mime_depth: usize::MAX,
        mime_parts: usize::MAX,
        header_bytes: usize::MAX,
        header_fields: usize::MAX,
        ..Limits::default()
    };
    let unlimited = mime::scan(message, &wide);
    if found.is_ok() {
        assert_eq!(found, unlimited, "a limit that was kept changes what is found");
    }
}

fn check_structure(structure: &Structure, message: &[u8], limits: &Limits) {
    assert!((1..=limits.mime_parts.max(1)).contains(&structure.parts), "{structure:?}");
    assert!(structure.depth <= limits.mime_depth, "{structure:?}");
    assert!(structure.ambiguities.len() <= Structure::AMBIGUITIES);
    let lines = message.split(|octet| *octet == b'\n');
    let longest = lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line).len()).max();
    assert_eq!(Some(structure.longest_line), longest.or(Some(0)));
    assert_eq!(structure.has_8bit, !message.is_ascii());
}

/// The octets are the value of a Content-Type field. A boundary that another reader follows is followed by
/// the walk, or the walk says that the message can be read in two ways.
pub(crate) fn content_type(octets: &[u8]) {
    let header = [b"Content-Type: ", octets, b"\r\n\r\n"].concat();
    if countersign_wire::header::split(&header, &Limits::default()).map(|section| section.fields.len())
        != Ok(1)
    {
        return;
    }
    for (reader, boundary) in [("mail-parser", by_mail_parser(&header)), ("mailparse", by_mailparse(&header))]
    {
        let Some(boundary) = boundary.filter(|boundary| can_stand_in_a_line(boundary)) else { continue };
        let message = format!("--{boundary}\r\n\r\na\r\n--{boundary}\r\n\r\nb\r\n--{boundary}--\r\n");
        let message = [header.as_slice(), message.as_bytes()].concat();
        let seen = match mime::scan(&message, &Limits::default()) {
            Ok(structure) => structure.parts >= 3 || !structure.ambiguities.is_empty(),
            Err(_) => true,
        };
        assert!(seen, "{reader} follows the boundary {boundary:?}, and the walk does not");
    }
}

/// A boundary of which no line can be made leads no reader anywhere.
fn can_stand_in_a_line(boundary: &str) -> bool {
    let fits = |character: char| character == ' ' || character.is_ascii_graphic();
    !boundary.is_empty() && boundary.chars().all(fits) && boundary.trim_end() == boundary
}

fn by_mail_parser(header: &[u8]) -> Option<String> {
    let message = mail_parser::MessageParser::default().parse_headers(header)?;
    let found = message.content_type()?;
    let is_multipart = found.ctype().eq_ignore_ascii_case("multipart");
    found.attribute("boundary").filter(|_| is_multipart).map(str::to_owned)
}

fn by_mailparse(header: &[u8]) -> Option<String> {
    let (fields, _) = mailparse::parse_headers(header).ok()?;
    let found = mailparse::parse_content_type(&fields.first()?.get_value());
    let is_multipart = found.mimetype.starts_with("multipart/");
    found.params.get("boundary").filter(|_| is_multipart).cloned()
}

/// The octets are a text; what is no encoded word stays, and what we encode comes out again.
pub(crate) fn encoded_word(octets: &[u8]) {
    let text = String::from_utf8_lossy(octets);
    let decoded = encoded_word::decode(&text);
    assert!(decoded.words <= text.matches("=?").count());
    assert!(decoded.words > 0 || decoded.text == text, "text without encoded words is changed");
    assert!(decoded.words > 0 || decoded.opaque_charset.is_none());
    assert!(decoded.text.len() <= 3 * text.len(), "{} octets of {}", decoded.text.len(), text.len());
    assert!(decoded.opaque_charset.is_none_or(|name| name.len() <= 40 && name.is_ascii()));

    // RFC 2047 4.2, each octet escaped, and cut into words of four.
    let escaped: Vec<String> = text.bytes().map(|octet| format!("={octet:02X}")).collect();
    let words: Vec<String> = escaped.chunks(4).map(|word| format!("=?utf-8?q?{}?=", word.concat())).collect();
    let again = encoded_word::decode(&words.join(" "));
    assert_eq!((again.text.as_str(), again.words), (text.as_ref(), words.len()));
}
