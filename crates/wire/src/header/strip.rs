//! Fields taken out of a message before it goes on: those that only we may write.
//! Called on release.

use std::borrow::Cow;

use super::Field;

/// The message without the fields for which `is_forged` says so. Not an octet else is changed.
///
/// Unlike [`super::split`] this reads malformed header sections too, as leniently as any receiver: a
/// line ends at LF, white space before the colon is no part of the name, and a line without a colon is
/// kept. The header section ends at the first empty line. Time is linear in the header section.
pub fn strip<'a>(message: &'a [u8], is_forged: impl Fn(&Field<'_>) -> bool) -> Cow<'a, [u8]> {
    let mut kept: Option<Vec<u8>> = None;
    let mut offset = 0_usize;
    while let Some(field) = next(message, offset) {
        let end = offset.saturating_add(field.raw.len());
        if is_forged(&field) {
            kept.get_or_insert_with(|| message.get(..offset).unwrap_or_default().to_vec());
        } else if let Some(kept) = &mut kept {
            kept.extend_from_slice(field.raw);
        }
        offset = end;
    }
    match kept {
        None => Cow::Borrowed(message),
        Some(mut kept) => {
            kept.extend_from_slice(message.get(offset..).unwrap_or_default());
            Cow::Owned(kept)
        }
    }
}

/// The field that begins at `offset`, with its folded lines; `None` where the header section ends.
fn next(message: &[u8], offset: usize) -> Option<Field<'_>> {
    let rest = message.get(offset..).filter(|rest| !rest.is_empty() && !is_empty_line(rest))?;
    let mut length = line(rest);
    while let Some(more) = rest.get(length..).filter(|more| matches!(more.first(), Some(b' ' | b'\t'))) {
        length = length.saturating_add(line(more));
    }
    let raw = rest.get(..length)?;
    let colon = raw.iter().position(|b| *b == b':').unwrap_or(raw.len());
    let (name, value) = raw.split_at_checked(colon)?;
    let value = value.get(1..).unwrap_or_default();
    let value = value.strip_suffix(b"\n").unwrap_or(value);
    let raw_value = value.strip_suffix(b"\r").unwrap_or(value);
    Some(Field { name: name.trim_ascii(), raw_value, raw, offset })
}

fn is_empty_line(rest: &[u8]) -> bool {
    rest.starts_with(b"\r\n") || rest.starts_with(b"\n")
}

/// Octets of the first line with its end.
fn line(rest: &[u8]) -> usize {
    rest.iter().position(|b| *b == b'\n').map_or(rest.len(), |at| at.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn without_trace(message: &str) -> String {
        let message = message.replace('\n', "\r\n");
        let stripped = strip(message.as_bytes(), |field| field.is("trace"));
        String::from_utf8(stripped.into_owned()).unwrap().replace("\r\n", "\n")
    }

    #[test]
    fn a_field_goes_with_its_folded_lines_and_nothing_else() {
        for (message, stripped) in [
            ("A: 1\nTrace: x\n y\n\tz\nB: 2\n\nTrace: in the body\n", "A: 1\nB: 2\n\nTrace: in the body\n"),
            ("trace: x\nA: 1\nTRACE: y\n\n.\n", "A: 1\n\n.\n"),
            ("A: 1\n\n", "A: 1\n\n"),
            ("Trace: x", ""),
            ("Tracer: x\n", "Tracer: x\n"),
            ("\nTrace: x\n", "\nTrace: x\n"),
            ("", ""),
        ] {
            assert_eq!(without_trace(message), stripped);
        }
    }

    #[test]
    fn malformed_sections_are_read_as_leniently_as_by_anybody() {
        for (message, stripped) in [
            ("no colon\nTrace : x\nA: 1\n\n", "no colon\nA: 1\n\n"),
            (" folded first\nTrace\t: x\n \nA: 1\n\n", " folded first\nA: 1\n\n"),
        ] {
            assert_eq!(without_trace(message), stripped);
        }
        let bare = strip(b"A: 1\nTrace: x\nB: 2\r\n\r\n", |field| field.is("trace"));
        assert_eq!(&*bare, b"A: 1\nB: 2\r\n\r\n");
    }

    #[test]
    fn a_million_fields_stay_linear() {
        let bomb = [b"Trace: x\r\n y\r\n".repeat(500_000), b"A: 1\r\n\r\n".to_vec()].concat();
        assert_eq!(&*strip(&bomb, |field| field.is("trace")), b"A: 1\r\n\r\n");
    }

    proptest! {
        #[test]
        fn nothing_forged_nothing_changed(message in "[A: \r\n\t]{0,80}") {
            prop_assert!(matches!(strip(message.as_bytes(), |_| false), Cow::Borrowed(same) if same == message.as_bytes()));
            let stripped = strip(message.as_bytes(), |field| field.is("A")).into_owned();
            prop_assert!(message.as_bytes().ends_with(&[]) && stripped.len() <= message.len());
            prop_assert_eq!(strip(&stripped, |field| field.is("A")).into_owned(), stripped);
        }
    }
}
