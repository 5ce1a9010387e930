//! Authentication-Results (RFC 8601) as far as its first word: who says that they checked.
//! Called on release, to take out what claims to be ours and is not.

/// The authserv-id of a raw value, in lower case; `None` if there is none.
///
/// RFC 8601 2.2: `authres-payload = [CFWS] authserv-id [ CFWS authres-version ]`, where the id is a
/// `value` of RFC 2045 5.1: a token or a quoted string. A dot at its end is left out, as receivers do.
/// Comments may nest; the reading is linear and without recursion.
#[must_use]
pub fn authserv_id(raw_value: &[u8]) -> Option<String> {
    let rest = after_cfws(raw_value);
    let id = match rest.strip_prefix(b"\"") {
        Some(inside) => quoted(inside),
        None => rest.iter().copied().take_while(|b| !ends_token(*b)).collect(),
    };
    let id = String::from_utf8_lossy(&id).trim().trim_end_matches('.').to_lowercase();
    // `spf=pass ...` without an id before it: the first word is a result.
    Some(id).filter(|id| !id.is_empty() && !id.contains('='))
}

/// Whether a field claims to be written by `hostname`. RFC 8601 5 wants those removed that "claim, by
/// virtue of its authentication service identifier, to have been added within its trust boundary" and
/// were not. A field without an id claims nothing of anybody else, so it counts too.
#[must_use]
pub fn claims(raw_value: &[u8], hostname: &str) -> bool {
    authserv_id(raw_value).is_none_or(|id| id == hostname.trim_end_matches('.').to_lowercase())
}

/// RFC 5322 3.2.2: comments and folding white space.
fn after_cfws(value: &[u8]) -> &[u8] {
    let mut depth = 0_usize;
    let mut escaped = false;
    for (at, byte) in value.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if depth > 0 => escaped = true,
            b'(' => depth = depth.saturating_add(1),
            b')' if depth > 0 => depth = depth.saturating_sub(1),
            _ if depth == 0 && !byte.is_ascii_whitespace() => return value.get(at..).unwrap_or_default(),
            _ => {}
        }
    }
    &[]
}

/// From behind the opening quotation mark; a missing one at the end is forgiven.
fn quoted(text: &[u8]) -> Vec<u8> {
    let mut id = Vec::new();
    let mut bytes = text.iter().copied().filter(|b| !matches!(b, b'\r' | b'\n'));
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => break,
            b'\\' => id.extend(bytes.next()),
            _ => id.push(byte),
        }
    }
    id
}

const fn ends_token(byte: u8) -> bool {
    byte.is_ascii_whitespace() || matches!(byte, b';' | b'(' | b'"')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rfc8601_2_2_the_id_is_the_first_word() {
        for (value, id) in [
            (" example.org 1; none", Some("example.org")),
            (" MX.Example.ORG; spf=pass smtp.mailfrom=a@b.example", Some("mx.example.org")),
            ("\r\n\t(who (is) \\) it) mx.example;spf=pass", Some("mx.example")),
            (" \"mx.example\" (x) 1; dkim=pass", Some("mx.example")),
            (" \"mx\\.exa\r\nmple\"; dkim=pass", Some("mx.example")),
            ("mx.example.; x=y", Some("mx.example")),
            ("mx.example(x); x=y", Some("mx.example")),
            ("mx.example", Some("mx.example")),
            (" spf=pass smtp.mailfrom=b.example", None),
            ("; spf=pass", None),
            ("(never closed", None),
            ("", None),
        ] {
            assert_eq!(authserv_id(value.as_bytes()).as_deref(), id, "{value}");
        }
    }

    #[test]
    fn what_names_us_or_nobody_claims_to_be_ours() {
        for (value, ours) in [
            ("Mail.Acme.Example; spf=pass", true),
            ("mail.acme.example. 1; spf=pass", true),
            ("spf=pass", true),
            ("mail.acme.example.bank.example; spf=pass", false),
            ("mx.reader.example; spf=pass", false),
        ] {
            assert_eq!(claims(value.as_bytes(), "mail.acme.example"), ours, "{value}");
        }
    }

    #[test]
    fn deep_comments_stay_linear() {
        let deep = [vec![b'('; 1_000_000], vec![b')'; 1_000_000], b"mx.example; none".to_vec()].concat();
        assert_eq!(authserv_id(&deep).as_deref(), Some("mx.example"));
    }

    proptest! {
        #[test]
        fn arbitrary_values_end_in_an_answer(value in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = authserv_id(&value);
        }
    }
}
