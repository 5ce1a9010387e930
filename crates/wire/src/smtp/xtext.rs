//! `xtext` (RFC 3461 4): any octets in printable ASCII without spaces.
//! Called by `parameters` and `xclient`.

/// The octets that an xtext stands for; `None` when it is none.
///
/// RFC 3461 4: "xchar = any ASCII CHAR between "!" (33) and "~" (126) inclusive, except for "+" and "="" and
/// "ASCII "+" followed immediately by two upper case hexadecimal digits".
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    let mut octets = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(octet) = octets.next() {
        decoded.push(match octet {
            b'+' => hex_digit(octets.next()?)? * 16 + hex_digit(octets.next()?)?,
            b'=' => return None,
            _ if octet.is_ascii_graphic() => octet,
            _ => return None,
        });
    }
    Some(decoded)
}

/// The xtext of a text.
pub(super) fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for octet in text.bytes() {
        match octet {
            b'+' | b'=' => encoded.push_str(&format!("+{octet:02X}")),
            _ if octet.is_ascii_graphic() => encoded.push(char::from(octet)),
            _ => encoded.push_str(&format!("+{octet:02X}")),
        }
    }
    encoded
}

const fn hex_digit(octet: u8) -> Option<u8> {
    match octet {
        b'0'..=b'9' => Some(octet - b'0'),
        b'A'..=b'F' => Some(octet - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rfc3461_4_what_is_no_xtext_is_none() {
        assert_eq!(decode("a+2Bb+3D+20").as_deref(), Some(&b"a+b= "[..]));
        for bad in ["a b", "a=b", "+", "+2", "+2b", "+G0", "\u{e9}", "a\0"] {
            assert_eq!(decode(bad), None, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(text in any::<String>()) {
            let encoded = encode(&text);
            prop_assert!(encoded.bytes().all(|octet| octet.is_ascii_graphic() && octet != b'='));
            prop_assert_eq!(decode(&encoded), Some(text.into_bytes()));
        }
    }
}
