//! What the octets of an encoded word say in its character set, as far as an address can hide in them.
//! Called when a run of encoded words ends.

use super::octet_pairs::{self, Pairs};

/// The characters of a text. A letter that we need not know is U+FFFD.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Characters {
    pub(super) text: String,
    /// As `Decoded::invalid`.
    pub(super) invalid: bool,
    /// As `Decoded::unknown`.
    pub(super) unknown: bool,
}

impl Characters {
    pub(super) fn letter(&mut self) {
        self.text.push('\u{fffd}');
    }

    pub(super) fn invalid(&mut self) {
        self.letter();
        self.invalid = true;
    }
}

/// The characters of a text; `None` if the set is one in which we cannot even see ASCII, or that we do
/// not know: some library decodes it, be it UTF-7, EBCDIC or Python's own `unicode-escape`.
pub(super) fn characters(charset: &str, bytes: &[u8]) -> Option<Characters> {
    if is_utf8(charset) {
        let text = String::from_utf8_lossy(bytes).into_owned();
        return Some(Characters { text, invalid: str::from_utf8(bytes).is_err(), unknown: false });
    }
    let name = charset.to_ascii_lowercase().replace('_', "-");
    if name.starts_with("iso-2022-") {
        return shifted(&name, bytes);
    }
    match Pairs::of(&name) {
        Some(pairs) => Some(octet_pairs::read(pairs, bytes)),
        None if is_ascii(&name) => Some(single(bytes, |_| None)),
        None if WESTERN.contains(&name.as_str()) => Some(single(bytes, western)),
        None if keeps_ascii(&name) => Some(ascii_part(&name, bytes)),
        None => None,
    }
}

pub(super) fn is_utf8(charset: &str) -> bool {
    ["utf-8", "utf_8", "utf8"].iter().any(|name| charset.eq_ignore_ascii_case(name))
}

fn is_ascii(name: &str) -> bool {
    matches!(name, "us-ascii" | "ascii") || name.starts_with("ansi-x3.")
}

/// Whether octets below 128 are ASCII in this set of one octet a character.
fn keeps_ascii(name: &str) -> bool {
    is_page(name, &CODE_PAGES) || KEEP_ASCII.iter().any(|start| name.starts_with(start))
}

/// Whether a name is that of one of these code pages.
pub(super) fn is_page(name: &str, pages: &[&str]) -> bool {
    NUMBERED.iter().any(|start| {
        let number = name.strip_prefix(start).map(|rest| rest.trim_start_matches('-'));
        number.is_some_and(|number| pages.contains(&number))
    })
}

fn single(bytes: &[u8], above: fn(u8) -> Option<char>) -> Characters {
    let mut out = Characters::default();
    for byte in bytes {
        match Some(*byte).filter(u8::is_ascii).map(char::from).or_else(|| above(*byte)) {
            Some(character) => out.text.push(character),
            None => out.invalid(),
        }
    }
    out
}

/// Every reader takes ISO-8859-1 for Windows-1252; five of its octets are no character.
fn western(byte: u8) -> Option<char> {
    match byte {
        0x80..=0x9f => WINDOWS_1252.chars().nth(usize::from(byte & 0x1f)).filter(|c| *c != '\u{fffd}'),
        _ => Some(char::from(byte)),
    }
}

/// Character sets that keep ASCII as it is: the rest we need not know to see an address in it.
fn ascii_part(name: &str, bytes: &[u8]) -> Characters {
    let mut out = Characters::default();
    for byte in bytes {
        match byte {
            0..=0x7f => out.text.push(char::from(*byte)),
            // ISO 8859: controls (ISO 6429), or what a mislabelled Windows set has there.
            0x80..=0x9f if name.starts_with("iso") => out.invalid(),
            _ if GUESSED.iter().any(|start| name.starts_with(start)) => out.invalid(),
            _ => {
                out.letter();
                out.unknown = true;
            }
        }
    }
    out
}

/// ISO 2022: escape sequences switch between ASCII and sets of two octets. RFC 1468: `ESC ( B`, `ESC ( J`,
/// `ESC $ @` and `ESC $ B`; RFC 1557 and RFC 1922: a designation, SO and SI. Behind any other escape
/// one reader sees ASCII and another does not: `None`.
fn shifted(name: &str, bytes: &[u8]) -> Option<Characters> {
    let (pairs, designation): (_, &[u8]) = match name {
        "iso-2022-kr" => (Pairs::Korean, b"\x1b$)C"),
        "iso-2022-cn" | "iso-2022-cn-ext" => (Pairs::Chinese, b"\x1b$)A"),
        _ if name.starts_with("iso-2022-jp") => (Pairs::Japanese, b""),
        _ => return None,
    };
    let japanese = designation.is_empty();
    let mut out = Characters::default();
    let mut double = false;
    let mut rest = bytes;
    loop {
        if let Some(after) = rest.strip_prefix(designation).filter(|_| !japanese) {
            rest = after;
            continue;
        }
        rest = match rest {
            [] => break,
            [0x1b, b'(', b'B' | b'J', after @ ..] if japanese => {
                double = false;
                after
            }
            [0x1b, b'$', b'@' | b'B', after @ ..] if japanese => {
                double = true;
                after
            }
            [0x1b, ..] => return None,
            [shift @ (0x0e | 0x0f), after @ ..] if !japanese => {
                double = *shift == 0x0e;
                after
            }
            [a @ 0x21..=0x7e, b @ 0x21..=0x7e, after @ ..] if double => {
                out.text.push(pairs.sign(a | 0x80, b | 0x80).unwrap_or('\u{fffd}'));
                after
            }
            [byte @ 0..=0x7f, after @ ..] if !double => {
                out.text.push(char::from(*byte));
                after
            }
            [_, after @ ..] => {
                out.invalid();
                after
            }
        };
    }
    // RFC 1468: "The text must end in ASCII": the next word would be read in one set or the other.
    out.invalid |= double;
    Some(out)
}

const WESTERN: [&str; 6] = ["iso-8859-1", "iso8859-1", "latin1", "windows-1252", "cp1252", "x-cp1252"];

/// Readers guess what these are, or some of these have two octets a character.
const GUESSED: [&str; 3] = ["unknown", "x-mac-", "mac-"];

/// How the names of sets of one octet a character begin that add to ASCII, with `_` written as `-`.
const KEEP_ASCII: [&str; 20] = [
    "iso-8859-",
    "iso8859-",
    "iso-ir-10",
    "iso-ir-11",
    "iso-ir-12",
    "iso-ir-13",
    "iso-ir-144",
    "iso-ir-148",
    "latin",
    "koi8-",
    "tis-620",
    "tis620",
    "viscii",
    "tcvn",
    "macintosh",
    "x-mac-",
    "mac-",
    "armscii-8",
    "georgian-",
    "unknown",
];

const NUMBERED: [&str; 6] = ["windows", "cp", "ibm", "x-cp", "dos", "ms"];

/// The numbers of code pages of one octet that add to ASCII; the others of IBM are EBCDIC.
const CODE_PAGES: [&str; 33] = [
    "437", "720", "737", "775", "850", "852", "855", "857", "858", "860", "861", "862", "863", "864", "865",
    "866", "869", "874", "922", "1125", "1250", "1251", "1252", "1253", "1254", "1255", "1256", "1257",
    "1258", "1250l", "819", "912", "915",
];

const WINDOWS_1252: &str = "€\u{fffd}‚ƒ„…†‡ˆ‰Š‹Œ\u{fffd}Ž\u{fffd}\u{fffd}‘’“”•–—˜™š›œ\u{fffd}žŸ";

#[cfg(test)]
mod tests {
    use super::*;

    fn read(charset: &str, bytes: &[u8]) -> (String, bool) {
        let read = characters(charset, bytes).unwrap();
        (read.text, read.invalid)
    }

    #[test]
    fn rfc1468_knows_four_escapes() {
        assert_eq!(read("iso-2022-jp", b"\x1b$B!w$\"\x1b(B a"), ("\u{ff20}\u{fffd} a".to_owned(), false));
        assert_eq!(read("ISO-2022-JP", b"\x1b$@!c\x1b(Jb"), ("\u{ff1c}b".to_owned(), false));
        for escape in ["(K", "(H", "(I", "$Z", "$", ".A", "( ", "", "$(D", "$)C"] {
            for name in ["iso-2022-jp", "iso-2022-jp-2", "iso-2022-kr", "iso-2022-cn"] {
                let text = format!("\x1b{escape}a");
                let known = name.ends_with("kr") && escape == "$)C";
                assert_eq!(characters(name, text.as_bytes()).is_some(), known, "{name} {escape}");
            }
        }
        assert!(read("iso-2022-jp", b"\x1b$B$\"").1, "it does not end in ASCII");
        assert!(read("iso-2022-jp", b"a\xa4").1);
        assert_eq!(read("iso-2022-kr", b"\x1b$)C\x0e#@0!\x0f@"), ("\u{ff20}\u{fffd}@".to_owned(), false));
        assert!(characters("iso-2022-xx", b"a").is_none());
    }

    #[test]
    fn octets_that_are_no_character_are_told() {
        for (charset, bytes) in [
            ("utf-8", b"a\xc1\x80".as_slice()),
            ("us-ascii", b"a\xe9"),
            ("ANSI_X3.4-1968", b"a\xe9"),
            ("windows-1252", b"a\x81"),
            ("iso-8859-1", b"a\x8d"),
            ("iso-8859-2", b"a\x85"),
            ("euc-jp", b"a\xa4"),
            ("gb2312", b"a\x81@"),
            ("big5", b"\xa4"),
            ("gb18030", b"\x81\x30\x81\x30"),
        ] {
            assert!(read(charset, bytes).1, "{charset}");
        }
        assert_eq!(read("windows-1252", b"\x93\xe9"), ("“é".to_owned(), false));
        assert!(characters("koi8-r", b"\xc1").unwrap().unknown);
        assert_eq!(characters("johab", b"a"), None);
    }
}
