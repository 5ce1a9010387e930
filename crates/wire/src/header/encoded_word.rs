//! Encoded words of RFC 2047, decoded the way a mail reader shows them.
//! Called by `core::message` to judge a display name; never to find an address.

mod charset;
mod octet_pairs;

use base64::Engine;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};

use self::charset::characters;

/// A text with its encoded words decoded.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Decoded {
    /// The text. What the character set cannot tell us is U+FFFD.
    pub text: String,
    /// How many encoded words there were.
    pub words: usize,
    /// A character set in which ASCII characters can hide, such as UTF-7: nobody knows what it says.
    pub opaque_charset: Option<String>,
    /// A `=?` begins no encoded word: some readers look for its end far behind it.
    pub broken: bool,
    /// Octets that are none of their character set, or a character that we cannot tell: it may be any.
    pub invalid: bool,
    /// Letters and signs of a set of one octet each that we do not decode: none of them separates mailboxes.
    pub unknown: bool,
}

/// Decodes every encoded word of a text, also where RFC 2047 5 does not allow one (inside quotes, in
/// the middle of a word), because mail readers do. Linear in the text; what is no encoded word stays.
#[must_use]
pub fn decode(text: &str) -> Decoded {
    let mut out = Decoded::default();
    let mut run = Run::default();
    let mut rest = text;
    while let Some((before, at)) = rest.split_once("=?").map(|(before, _)| (before, before.len())) {
        let candidate = rest.get(at..).unwrap_or_default();
        if let Some((word, after)) = Word::first(candidate) {
            // RFC 2047 6.2: "any 'linear-white-space' that separates a pair of adjacent
            // 'encoded-word's is ignored"
            let adjacent = !run.charset.is_empty() && before.chars().all(char::is_whitespace);
            if !(adjacent && run.goes_on_with(&word)) {
                run.flush(&mut out);
            }
            if !adjacent {
                out.text.push_str(before);
            }
            run.push(&word);
            out.words = out.words.saturating_add(1);
            rest = after;
        } else {
            run.flush(&mut out);
            out.broken = true;
            out.text.push_str(before);
            out.text.push_str("=?");
            rest = candidate.get(2..).unwrap_or_default();
        }
    }
    run.flush(&mut out);
    out.text.push_str(rest);
    out
}

/// `=?charset?encoding?text?=`.
struct Word<'a> {
    charset: &'a str,
    base64: bool,
    text: &'a str,
}

impl<'a> Word<'a> {
    fn first(text: &'a str) -> Option<(Self, &'a str)> {
        let (charset, rest) = text.strip_prefix("=?")?.split_once('?')?;
        let (encoding, rest) = rest.split_once('?')?;
        let (text, rest) = rest.split_once('?')?;
        let after = rest.strip_prefix('=')?;
        let base64 = match encoding {
            "B" | "b" => true,
            "Q" | "q" => false,
            _ => return None,
        };
        // RFC 2231 5: a language may follow the character set, after an asterisk.
        let charset = charset.split_once('*').map_or(charset, |(charset, _)| charset);
        (!charset.is_empty()).then_some((Self { charset, base64, text }, after))
    }

    fn bytes(&self) -> Vec<u8> {
        if self.base64 { base64(self.text) } else { quoted(self.text) }
    }
}

/// Adjacent words in UTF-8: a character may be cut between two of them. In other sets RFC 2047 5 holds:
/// "The characters in an 'encoded-word' MUST NOT be split"; the second half could be ASCII.
#[derive(Default)]
struct Run<'a> {
    charset: &'a str,
    bytes: Vec<u8>,
}

impl<'a> Run<'a> {
    fn goes_on_with(&self, word: &Word<'_>) -> bool {
        charset::is_utf8(self.charset) && charset::is_utf8(word.charset)
    }

    fn push(&mut self, word: &Word<'a>) {
        self.charset = word.charset;
        self.bytes.extend(word.bytes());
    }

    fn flush(&mut self, out: &mut Decoded) {
        if self.charset.is_empty() {
            return;
        }
        match characters(self.charset, &self.bytes) {
            Some(read) => {
                out.text.push_str(&read.text);
                out.invalid |= read.invalid;
                out.unknown |= read.unknown;
            }
            None => {
                out.text.push('\u{fffd}');
                out.opaque_charset.get_or_insert_with(|| self.charset.escape_default().take(40).collect());
            }
        }
        *self = Self::default();
    }
}

/// Like lenient readers: other characters are skipped, padding is optional.
fn base64(text: &str) -> Vec<u8> {
    let digits: Vec<u8> =
        text.bytes().filter(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/')).collect();
    let whole = if digits.len() % 4 == 1 { digits.len().saturating_sub(1) } else { digits.len() };
    LENIENT.decode(digits.get(..whole).unwrap_or_default()).unwrap_or_default()
}

/// RFC 2047 4.2.
fn quoted(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    loop {
        rest = match rest {
            [] => return out,
            [b'=', high, low, after @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                out.push(hex(*high) << 4 | hex(*low));
                after
            }
            [b'_', after @ ..] => {
                out.push(b' ');
                after
            }
            [byte, after @ ..] => {
                out.push(*byte);
                after
            }
        };
    }
}

fn hex(digit: u8) -> u8 {
    char::from(digit).to_digit(16).and_then(|d| u8::try_from(d).ok()).unwrap_or_default()
}

const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rfc2047_8_examples() {
        for (encoded, plain) in [
            ("=?ISO-8859-1?Q?a?=", "a"),
            ("=?ISO-8859-1?Q?a?= b", "a b"),
            ("=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=", "ab"),
            ("=?ISO-8859-1?Q?a?=   =?ISO-8859-1?Q?b?=", "ab"),
            ("=?ISO-8859-1?Q?a_b?=", "a b"),
            ("=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=", "a b"),
        ] {
            assert_eq!(decode(encoded).text, plain, "{encoded}");
        }
    }

    #[test]
    fn characters_come_out() {
        assert_eq!(decode("=?utf-8?b?w6k=?=").text, "é");
        assert_eq!(decode("=?utf-8*en?b?w6k?=").text, "é");
        assert_eq!(decode("=?utf-8?q?=C3?= =?UTF-8?q?=A9?=").text, "é");
        assert_eq!(decode("=?windows-1252?q?=93Ana=94?=").text, "“Ana”");
        assert_eq!(decode("=?gb2312?q?=C4=E3@bank.example?=").text, "\u{fffd}@bank.example");
        assert_eq!(decode("=?iso-2022-jp?b?GyRCJCIbKEIgYQ==?=").text, "\u{fffd} a");
    }

    #[test]
    fn what_is_no_encoded_word_stays() {
        for text in ["=?utf-8?q?no end", "=?x?z?abc?=", "=??q?abc?=", "a =? b ?= c", "=?utf-8?q?a?b?="] {
            assert_eq!(decode(text).text, text);
        }
        assert_eq!(decode("a=?utf-8?q?b?=c").text, "abc");
    }

    #[test]
    fn utf7_is_opaque() {
        let decoded = decode("=?utf-7?q?ceo+AEA-bank.example?=");
        assert_eq!(decoded.opaque_charset.as_deref(), Some("utf-7"));
        assert_eq!(decoded.text, "\u{fffd}");
    }

    #[test]
    fn many_open_words_stay_linear() {
        let text = "=?utf-8?q?".repeat(100_000);
        assert_eq!(decode(&text).text.len(), text.len());
    }

    proptest! {
        #[test]
        fn never_panics(text in "(=\\?|\\?=|\\?|utf-8|[qb]|=|[ -~]|\\PC){0,60}") {
            let _ = decode(&text);
        }

        #[test]
        fn utf8_survives_base64(text in "\\PC{0,30}") {
            let encoded = base64::engine::general_purpose::STANDARD.encode(&text);
            prop_assert_eq!(decode(&format!("=?utf-8?B?{encoded}?=")).text, text);
        }
    }
}
