//! Character sets of East Asia, in which two octets are a character: only its signs, no ideographs.
//! Called for the octets of an encoded word in such a set.

use super::charset::{Characters, is_page};

/// How a set pairs its octets, and which signs it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pairs {
    /// GB 2312: both octets above 160.
    Chinese,
    /// GBK and GB 18030: the second octet may be ASCII; some characters have four octets.
    ChineseExtended,
    /// KS X 1001: both octets above 160.
    Korean,
    /// Its extension by Microsoft: the second octet may be an ASCII letter.
    KoreanExtended,
    /// EUC-JP.
    Japanese,
    /// Shift JIS: the second octet may be ASCII, single octets are half-width letters.
    ShiftJis,
    /// Big5: the second octet may be ASCII.
    Taiwanese,
}

impl Pairs {
    /// The set of a name in small letters with `_` written as `-`.
    pub(super) fn of(name: &str) -> Option<Self> {
        let page = |pages: &[&str]| is_page(name, pages);
        let starts = |starts: &[&str]| starts.iter().any(|start| name.starts_with(start));
        Some(match name {
            _ if page(&["936", "1381"]) || starts(&["gbk", "gb18030", "csgbk", "csgb18030"]) => {
                Self::ChineseExtended
            }
            _ if starts(&["gb2312", "gb-2312", "csgb", "chinese", "euc-cn", "x-euc-cn"]) => Self::Chinese,
            _ if page(&["949"]) || name == "uhc" => Self::KoreanExtended,
            _ if page(&["5601"]) || starts(&["ks-c-5601", "ksc5601", "ksc-5601"]) => Self::Korean,
            _ if starts(&["euc-kr", "x-euc-kr", "cseuckr"]) => Self::Korean,
            _ if starts(&["euc-jp", "x-euc-jp", "cseuc"]) => Self::Japanese,
            _ if page(&["932", "31j", "942", "943"]) => Self::ShiftJis,
            _ if starts(&["shift-jis", "shiftjis", "sjis", "x-sjis", "csshiftjis", "ms-kanji"]) => {
                Self::ShiftJis
            }
            _ if page(&["950"]) || starts(&["big5", "x-big5", "csbig5"]) => Self::Taiwanese,
            _ => return None,
        })
    }

    /// What a pair is, if it is a sign or a letter of full width; all others are letters to us.
    pub(super) fn sign(self, lead: u8, trail: u8) -> Option<char> {
        let full_width = |from: u8| char::from_u32(0xff00 + u32::from(trail.saturating_sub(from)));
        let pair = u16::from_be_bytes([lead, trail]);
        let signs: &[(u16, char)] = match self {
            Self::Chinese | Self::ChineseExtended | Self::Korean | Self::KoreanExtended
                if lead == 0xa3 && trail > 0xa0 =>
            {
                return full_width(0xa0);
            }
            Self::Japanese if lead == 0xa3 && trail > 0xa0 => return full_width(0xa0),
            Self::Chinese | Self::ChineseExtended => &CHINESE,
            Self::Korean | Self::KoreanExtended => &KOREAN,
            Self::Japanese => &JAPANESE,
            Self::ShiftJis => {
                let (lead, trail) = kuten(lead, trail)?;
                return Self::Japanese.sign(lead, trail);
            }
            Self::Taiwanese => match pair {
                0xa2af..=0xa2b8 => return char::from_u32(0xff10 + u32::from(pair - 0xa2af)),
                0xa2cf..=0xa2e8 => return char::from_u32(0xff21 + u32::from(pair - 0xa2cf)),
                0xa2e9..=0xa2fe => return char::from_u32(0xff41 + u32::from(pair - 0xa2e9)),
                0xa340..=0xa343 => return char::from_u32(0xff57 + u32::from(pair - 0xa340)),
                _ => &TAIWANESE,
            },
        };
        signs.iter().find(|(known, _)| *known == pair).map(|(_, sign)| *sign)
    }

    const fn is_pair(self, lead: u8, trail: u8) -> bool {
        let high = trail >= 0x80 && trail < 0xff;
        match self {
            Self::Chinese | Self::Korean | Self::Japanese => {
                lead > 0xa0 && lead < 0xff && trail > 0xa0 && high
            }
            Self::KoreanExtended => lead > 0x80 && lead < 0xff && (trail.is_ascii_alphabetic() || high),
            Self::ShiftJis => {
                matches!(lead, 0x81..=0x9f | 0xe0..=0xfc) && trail >= 0x40 && trail != 0x7f && trail <= 0xfc
            }
            Self::ChineseExtended | Self::Taiwanese => {
                lead > 0x80 && lead < 0xff && trail >= 0x40 && trail != 0x7f && trail < 0xff
            }
        }
    }
}

/// The characters of a text.
pub(super) fn read(pairs: Pairs, bytes: &[u8]) -> Characters {
    let mut out = Characters::default();
    let mut rest = bytes;
    loop {
        rest = match rest {
            [] => return out,
            [byte @ 0..=0x7f, after @ ..] => {
                out.text.push(char::from(*byte));
                after
            }
            [a @ 0x81..=0xfe, b @ 0x30..=0x39, c @ 0x81..=0xfe, d @ 0x30..=0x39, after @ ..]
                if pairs == Pairs::ChineseExtended =>
            {
                match punctuation([*a, *b, *c, *d]) {
                    Some(character) => out.text.push(character),
                    None => out.invalid(),
                }
                after
            }
            [byte @ 0xa1..=0xdf, after @ ..] if pairs == Pairs::ShiftJis => {
                half_width(&mut out, *byte);
                after
            }
            [0x8e, byte @ 0xa1..=0xdf, after @ ..] if pairs == Pairs::Japanese => {
                half_width(&mut out, *byte);
                after
            }
            [0x8f, 0xa1..=0xfe, 0xa1..=0xfe, after @ ..] if pairs == Pairs::Japanese => {
                out.letter();
                after
            }
            [lead, trail, after @ ..] if pairs.is_pair(*lead, *trail) => {
                match pairs.sign(*lead, *trail) {
                    Some(sign) => out.text.push(sign),
                    None => out.letter(),
                }
                // A reader to which the pair is none shows the `@`.
                let everywhere =
                    matches!((pairs, lead), (Pairs::Taiwanese, 0xa1 | 0xa4) | (Pairs::ShiftJis, 0x81));
                out.invalid |= *trail == b'@' && !everywhere;
                after
            }
            [_, after @ ..] => {
                out.invalid();
                after
            }
        };
    }
}

fn half_width(out: &mut Characters, byte: u8) {
    out.text.push(char::from_u32(0xff61 + u32::from(byte.saturating_sub(0xa1))).unwrap_or('\u{fffd}'));
}

/// GB 18030 writes the general punctuation of Unicode in four octets: white space and what turns text.
fn punctuation([a, b, c, d]: [u8; 4]) -> Option<char> {
    let index = |[a, b, c, d]: [u8; 4]| {
        let digit = |byte: u8, from: u8| u32::from(byte.saturating_sub(from));
        ((digit(a, 0x81) * 10 + digit(b, 0x30)) * 126 + digit(c, 0x81)) * 10 + digit(d, 0x30)
    };
    let at = index([a, b, c, d]);
    RUNS.iter().find_map(|(first, from, to)| {
        let code = from.checked_add(at.checked_sub(index(*first))?)?;
        (code <= *to).then(|| char::from_u32(code)).flatten()
    })
}

/// Shift JIS as EUC-JP: the same rows in another arrangement.
fn kuten(lead: u8, trail: u8) -> Option<(u8, u8)> {
    let row = lead.checked_sub(if lead >= 0xe0 { 0xc1 } else { 0x81 })?.checked_mul(2)?;
    let cell = trail.checked_sub(if trail > 0x7f { 0x41 } else { 0x40 })?;
    let (row, cell) = if cell >= 94 { (row.checked_add(1)?, cell.checked_sub(94)?) } else { (row, cell) };
    Some((row.checked_add(0xa1)?, cell.checked_add(0xa1)?))
}

/// First four octets, first and last code point: contiguous in GB 18030.
const RUNS: [([u8; 4], u32, u32); 3] = [
    ([0x81, 0x36, 0xa3, 0x36], 0x2000, 0x200f),
    ([0x81, 0x36, 0xa6, 0x34], 0x2027, 0x202f),
    ([0x81, 0x36, 0xa8, 0x30], 0x203c, 0x206f),
];

const CHINESE: [(u16, char); 11] = [
    (0xa1a1, '\u{3000}'),
    (0xa1a2, '\u{3001}'),
    (0xa1a3, '\u{3002}'),
    (0xa1b4, '\u{3008}'),
    (0xa1b5, '\u{3009}'),
    (0xa96f, '\u{fe50}'),
    (0xa971, '\u{fe52}'),
    (0xa972, '\u{fe54}'),
    (0xa982, '\u{fe64}'),
    (0xa983, '\u{fe65}'),
    (0xa988, '\u{fe6b}'),
];

const KOREAN: [(u16, char); 7] = [
    (0xa1a1, '\u{3000}'),
    (0xa1a2, '\u{3001}'),
    (0xa1a3, '\u{3002}'),
    (0xa1a9, '\u{ad}'),
    (0xa1b4, '\u{3008}'),
    (0xa1b5, '\u{3009}'),
    (0xa4d4, '\u{3164}'),
];

const JAPANESE: [(u16, char); 12] = [
    (0xa1a1, '\u{3000}'),
    (0xa1a2, '\u{3001}'),
    (0xa1a3, '\u{3002}'),
    (0xa1a4, '\u{ff0c}'),
    (0xa1a5, '\u{ff0e}'),
    (0xa1a8, '\u{ff1b}'),
    (0xa1d2, '\u{3008}'),
    (0xa1d3, '\u{3009}'),
    (0xa1e3, '\u{ff1c}'),
    (0xa1e4, '\u{ff1e}'),
    (0xa1f7, '\u{ff20}'),
    (0xa9a9, '\u{ad}'),
];

const TAIWANESE: [(u16, char); 18] = [
    (0xa140, '\u{3000}'),
    (0xa141, '\u{ff0c}'),
    (0xa142, '\u{3001}'),
    (0xa143, '\u{3002}'),
    (0xa144, '\u{ff0e}'),
    (0xa146, '\u{ff1b}'),
    (0xa14d, '\u{fe50}'),
    (0xa14e, '\u{ff64}'),
    (0xa14f, '\u{fe52}'),
    (0xa151, '\u{fe54}'),
    (0xa171, '\u{3008}'),
    (0xa172, '\u{3009}'),
    (0xa1d5, '\u{ff1c}'),
    (0xa1d6, '\u{ff1e}'),
    (0xa1e0, '\u{fe64}'),
    (0xa1e1, '\u{fe65}'),
    (0xa249, '\u{ff20}'),
    (0xa24e, '\u{fe6b}'),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_at_sign_of_full_width_is_seen_in_every_set() {
        for (name, octets) in [
            ("gb2312", b"\xa3\xc0".as_slice()),
            ("gbk", b"\xa3\xc0"),
            ("gb18030", b"\xa9\x88"),
            ("euc-kr", b"\xa3\xc0"),
            ("cp949", b"\xa3\xc0"),
            ("euc-jp", b"\xa1\xf7"),
            ("shift-jis", b"\x81\x97"),
            ("cp932", b"\x81\x97"),
            ("big5", b"\xa2\x49"),
        ] {
            let read = read(Pairs::of(name).unwrap(), octets);
            assert!(
                matches!(read.text.as_str(), "\u{ff20}" | "\u{fe6b}") && !read.invalid,
                "{name}: {read:?}"
            );
        }
        assert_eq!(read(Pairs::ShiftJis, b"\x81\x83\x82\x81\x81\x84\x81\x40").text, "＜ａ＞\u{3000}");
        assert_eq!(read(Pairs::Taiwanese, b"\xa2\xe9\xa2\xcf\xa3\x43").text, "ａＡｚ");
    }

    #[test]
    fn four_octets_of_gb18030_can_turn_text() {
        for (octets, character) in [
            (b"\x81\x36\xa7\x31", '\u{202e}'),
            (b"\x81\x36\xa6\x35", '\u{2028}'),
            (b"\x81\x36\xa4\x37", '\u{200b}'),
            (b"\x81\x36\xac\x32", '\u{2066}'),
        ] {
            assert_eq!(read(Pairs::ChineseExtended, octets).text, String::from(character));
        }
        assert!(read(Pairs::ChineseExtended, b"\x81\x30\x81\x30").invalid);
    }

    #[test]
    fn an_at_sign_may_be_half_a_letter() {
        assert_eq!(
            read(Pairs::Taiwanese, b"\xa4\x40"),
            Characters { text: "\u{fffd}".into(), ..Characters::default() }
        );
        assert!(read(Pairs::Taiwanese, b"\x81\x40").invalid);
        assert!(!read(Pairs::ShiftJis, b"\x8e\x52\x93\x63\x81\x40\xc0\xdb\xb3").invalid);
        assert_eq!(read(Pairs::Chinese, b"\x81@").text, "\u{fffd}@");
    }
}
