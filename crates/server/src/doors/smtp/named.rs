//! The field with which a relay names the account: the first of the message, and the only one of its name.
//! The letter takes it off before anything judges the octets or sends them.

use bytes::Bytes;

/// Why the field does not name an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum NamedError {
    #[error("the message has no such field")]
    Absent,
    #[error("the field is not the first of the message")]
    NotFirst,
    #[error("the field occurs more than once")]
    Twice,
    #[error("white space stands before its colon")]
    Space,
    #[error("the field goes on over several lines")]
    Folded,
    #[error("its value is not text")]
    NotText,
}

/// The value of the field, and the message without it.
///
/// # Errors
/// Anything but one field of this name, on top: another one may be the work of the message's author.
pub(super) fn take(message: &Bytes, name: &str) -> Result<(String, Bytes), NamedError> {
    let mut count = 0_usize;
    for line in header_lines(message) {
        count += usize::from(value_of(line, name).is_some());
    }
    let first_end = message.iter().position(|octet| *octet == b'\n').map_or(message.len(), |end| end + 1);
    let first = message.get(..first_end).unwrap_or_default();
    match (value_of(first, name), count) {
        (_, 0) => Err(NamedError::Absent),
        (_, 2..) => Err(NamedError::Twice),
        (None, _) => Err(NamedError::NotFirst),
        (Some(value), _) => {
            let rest = message.slice(first_end..);
            // RFC 5322 2.2.3: a line that begins with white space goes on with the field before it.
            if rest.first().is_some_and(|octet| matches!(octet, b' ' | b'\t')) {
                return Err(NamedError::Folded);
            }
            if name_of(first).len() != name.len() {
                return Err(NamedError::Space);
            }
            let text = std::str::from_utf8(value).map_err(|_| NamedError::NotText)?;
            Ok((text.trim_matches(|c| matches!(c, ' ' | '\t' | '\r' | '\n')).to_owned(), rest))
        }
    }
}

/// The lines until the empty one, with their ends. Every line counts, also one that is no field, so that
/// nothing hides behind a malformed header section.
fn header_lines(message: &[u8]) -> impl Iterator<Item = &[u8]> {
    message.split_inclusive(|octet| *octet == b'\n').take_while(|line| *line != b"\r\n")
}

/// What follows the colon of a field of this name, in any capitals and with white space before the colon.
fn value_of<'a>(line: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let found = name_of(line);
    let is_it = found.trim_ascii_end().eq_ignore_ascii_case(name.as_bytes());
    line.get(found.len() + 1..).filter(|_| is_it)
}

/// What stands before the colon; the whole line when there is none.
fn name_of(line: &[u8]) -> &[u8] {
    line.split(|octet| *octet == b':').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(message: &str) -> Result<(String, String), NamedError> {
        let taken = take(&Bytes::from(message.to_owned()), "X-Account");
        taken.map(|(value, rest)| (value, String::from_utf8(rest.to_vec()).unwrap()))
    }

    #[test]
    fn the_first_field_is_taken_off() {
        let rest = "From: a@shop.example\r\n\r\nX-Account: text\r\n".to_owned();
        for field in ["X-Account: shop", "x-account:shop", "X-ACCOUNT:   shop  "] {
            assert_eq!(
                named(&format!("{field}\r\n{rest}")),
                Ok(("shop".to_owned(), rest.clone())),
                "{field}"
            );
        }
        assert_eq!(named("X-Account:\r\n\r\n"), Ok((String::new(), "\r\n".to_owned())));
        assert_eq!(named("X-Account: shop\r\n"), Ok(("shop".to_owned(), String::new())));
    }

    #[test]
    fn anything_else_names_nobody() {
        let cases = [
            ("", NamedError::Absent),
            ("From: a@shop.example\r\n\r\nX-Account: shop\r\n", NamedError::Absent),
            ("X-Accounts: shop\r\n\r\n", NamedError::Absent),
            ("From: a@shop.example\r\nX-Account: shop\r\n\r\n", NamedError::NotFirst),
            ("X-Account: shop\r\nFrom: a@shop.example\r\nX-Account: bank\r\n\r\n", NamedError::Twice),
            ("X-Account: shop\r\nno field\r\nx-account : bank\r\n\r\n", NamedError::Twice),
            ("X-Account: shop\r\n bank\r\n\r\n", NamedError::Folded),
            ("X-Account: shop\r\n\t\r\n\r\n", NamedError::Folded),
            ("X-Account : shop\r\n\r\n", NamedError::Space),
        ];
        let octets = Bytes::from_static(b"X-Account: \xff\r\n\r\n");
        assert_eq!(take(&octets, "X-Account").unwrap_err(), NamedError::NotText);
        for (message, error) in cases {
            assert_eq!(named(message), Err(error), "{message:?}");
        }
    }
}
