//! The header section: no octet is lost, limits hold, and a naive reading finds the same fields or refuses
//! the same messages.
//! The fuzz target `header_split`.

use countersign_wire::header::{self, Section};
use countersign_wire::limits::Limits;

use crate::pieces::split_seed;

/// The first octet chooses limits; the others are a message.
pub(crate) fn header_split(octets: &[u8]) {
    let (seed, message) = split_seed(octets);
    let limits = limits(seed);
    let read = header::split(message, &limits);
    let naive = naive(message, &limits);
    match (&read, &naive) {
        (Ok(section), Some(fields)) => {
            let read = section.fields.iter().map(|field| (field.name, field.raw_value));
            assert!(read.eq(fields.iter().copied()), "the naive reading differs: {fields:?}");
            check_section(section, message, &limits);
        }
        (Err(error), None) => {
            let shown = error.to_string();
            assert!(!shown.is_empty() && shown.len() <= 400, "{shown}");
            assert!(shown.bytes().all(|octet| octet == b' ' || octet.is_ascii_graphic()), "{shown}");
        }
        _ => assert_eq!(read.is_ok(), naive.is_some(), "{read:?} and {naive:?}"),
    }
}

fn limits(seed: u8) -> Limits {
    match seed % 3 {
        0 => Limits { header_bytes: usize::from(seed), ..Limits::default() },
        1 => Limits { header_fields: usize::from(seed % 7), ..Limits::default() },
        _ => Limits::default(),
    }
}

fn check_section(section: &Section<'_>, message: &[u8], limits: &Limits) {
    let mut joined: Vec<u8> = Vec::new();
    for field in &section.fields {
        assert_eq!(field.offset, joined.len(), "the field stands elsewhere");
        joined.extend_from_slice(field.raw);
        assert!(!field.unfolded().contains(&b'\n') && !field.unfolded().contains(&b'\r'));
    }
    let between = message.get(joined.len()..section.body_offset);
    assert!(matches!(between, Some(b"" | b"\r\n")), "between header and body: {between:?}");
    assert_eq!(message.get(section.body_offset..), Some(section.body));
    assert!(message.starts_with(&joined), "the fields are not the header");
    assert!(section.fields.len() <= limits.header_fields);
    assert!(section.body_offset <= limits.header_bytes);
}

/// RFC 5322 2.2 in a few sentences: lines end with CRLF, the first empty one ends the header, a line that
/// begins with white space goes on, every other one is a name, a colon and a value.
fn naive<'a>(message: &'a [u8], limits: &Limits) -> Option<Vec<(&'a [u8], &'a [u8])>> {
    // Where each field begins, and where its last line ends.
    let mut spans: Vec<(usize, usize)> = Vec::new();
    let mut at = 0;
    while at < message.len() {
        let rest = message.get(at..)?;
        let length = rest.iter().position(|octet| *octet == b'\n').map_or(rest.len(), |lf| lf + 1);
        let (raw, ended) =
            (rest.get(..length)?, length <= rest.len() && rest.get(length - 1) == Some(&b'\n'));
        let line = if ended { raw.strip_suffix(b"\r\n")? } else { raw };
        if at + length > limits.header_bytes || line.contains(&b'\r') || line.contains(&0) {
            return None;
        }
        if line.is_empty() {
            break;
        }
        if matches!(line.first(), Some(b' ' | b'\t')) {
            spans.last_mut()?.1 = at + line.len();
            line.iter().find(|octet| !matches!(octet, b' ' | b'\t'))?;
        } else {
            spans.push((at, at + line.len()));
            let name = line.split(|octet| *octet == b':').next().filter(|name| name.len() < line.len())?;
            if name.is_empty() || !name.iter().all(u8::is_ascii_graphic) {
                return None;
            }
        }
        at += length;
    }
    let fields = spans.iter().filter_map(|(start, end)| {
        let field = message.get(*start..*end)?;
        let colon = field.iter().position(|octet| *octet == b':')?;
        Some((field.get(..colon)?, field.get(colon + 1..)?))
    });
    (spans.len() <= limits.header_fields).then(|| fields.collect())
}
