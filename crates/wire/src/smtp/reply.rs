//! A reply of SMTP (RFC 5321 4.2): its code, its enhanced code, its lines; and its octets.
//! Called by everything that answers a client; [`ReplyParser`] reads the replies of an upstream.

use std::fmt;

pub use self::parser::{ReplyError, ReplyParser, ReplyProgress};
use crate::limits::Limits;

mod parser;

/// An enhanced status code (RFC 3463 2): class, subject, detail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Enhanced {
    class: u8,
    subject: u16,
    detail: u16,
}

impl Enhanced {
    /// `Enhanced::new(5, 7, 1)` is `5.7.1`. The class is 2, 4 or 5, the others 0 to 999.
    pub const fn new(class: u8, subject: u16, detail: u16) -> Self {
        Self { class, subject, detail }
    }

    /// Reads `5.7.1` (RFC 3463 2): class 2, 4 or 5, no leading zeros, nothing around it.
    pub fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split('.').map(number);
        let (class, subject, detail) = (numbers.next()??, numbers.next()??, numbers.next()??);
        let class = u8::try_from(class).ok().filter(|class| matches!(class, 2 | 4 | 5))?;
        numbers.next().is_none().then_some(Self { class, subject, detail })
    }

    /// 2 success, 4 try again, 5 permanent.
    pub const fn class(self) -> u8 {
        self.class
    }
}

/// RFC 3463 2: "Each numeric sub-code within the status code MUST be expressed without leading
/// zero digits."
fn number(text: &str) -> Option<u16> {
    let digits = (1..=3).contains(&text.len()) && text.bytes().all(|octet| octet.is_ascii_digit());
    let leading_zero = text.len() > 1 && text.starts_with('0');
    if digits && !leading_zero { text.parse().ok() } else { None }
}

impl fmt::Display for Enhanced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.class, self.subject, self.detail)
    }
}

/// A reply, ours or an upstream's.
///
/// INVARIANT: the code is 200 to 599, the enhanced code is of the code's class, there is at least
/// one line, and no line has a control character: a reply is safe in a log and on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    code: u16,
    enhanced: Option<Enhanced>,
    lines: Vec<String>,
}

impl Reply {
    /// A reply of one line. A control character of the text becomes `?`, a tab a space. A code
    /// outside 200 to 599 becomes 451; an enhanced code of another class is dropped
    /// (RFC 2034 4: the classes must agree).
    pub fn new(code: u16, enhanced: Option<Enhanced>, text: &str) -> Self {
        let code = if (200..=599).contains(&code) { code } else { 451 };
        let enhanced = enhanced.filter(|enhanced| u16::from(enhanced.class) == code / 100);
        Self { code, enhanced, lines: vec![without_controls(text)] }
    }

    /// The same reply with one more line.
    #[must_use]
    pub fn with_line(mut self, text: &str) -> Self {
        self.lines.push(without_controls(text));
        self
    }

    /// 200 to 599.
    pub const fn code(&self) -> u16 {
        self.code
    }

    /// The enhanced code; it is not repeated in the lines.
    pub const fn enhanced(&self) -> Option<Enhanced> {
        self.enhanced
    }

    /// The text, at least one line, without codes.
    pub fn lines(&self) -> &[String] {
        &self.lines
    }

    /// 2yz: done.
    pub const fn is_positive(&self) -> bool {
        self.code / 100 == 2
    }

    /// 3yz: go on (354, 334).
    pub const fn is_intermediate(&self) -> bool {
        self.code / 100 == 3
    }

    /// 4yz: may work later.
    pub const fn is_transient(&self) -> bool {
        self.code / 100 == 4
    }

    /// 5yz: will not work.
    pub const fn is_permanent(&self) -> bool {
        self.code / 100 == 5
    }

    /// Appends the reply with its CRLFs (RFC 5321 4.2.1). No line exceeds [`Limits::reply_line`]
    /// octets with CRLF (values below 64 count as 64): a longer text goes on, cut at a word end, in
    /// the next line with the same codes. A character that is not ASCII leaves as `?`.
    pub fn write(&self, out: &mut Vec<u8>, limits: &Limits) {
        let enhanced = self.enhanced.map(|enhanced| format!("{enhanced} ")).unwrap_or_default();
        let codes_and_line_end = "250-".len() + enhanced.len() + "\r\n".len();
        let width = limits.reply_line.max(SHORTEST_LINE) - codes_and_line_end;
        let texts: Vec<String> = self.lines.iter().map(|line| ascii_only(line)).collect();
        let mut pieces = texts.iter().flat_map(|text| wrap(text, width)).peekable();
        while let Some(piece) = pieces.next() {
            // RFC 5321 4.2.1: "the format for multiline replies requires that every line, except
            // the last, begin with the reply code, followed immediately by a hyphen"
            let separator = if pieces.peek().is_some() { '-' } else { ' ' };
            out.extend_from_slice(format!("{}{separator}{enhanced}{piece}\r\n", self.code).as_bytes());
        }
    }
}

/// The reply as one line for a log: `550 5.7.1 first / second`.
impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)?;
        if let Some(enhanced) = self.enhanced {
            write!(f, " {enhanced}")?;
        }
        write!(f, " {}", self.lines.join(" / "))
    }
}

/// A reply that is always the same: what tables are made of.
#[derive(Debug, PartialEq, Eq)]
pub struct FixedReply {
    /// 200 to 599.
    pub code: u16,
    /// Of the same class as the code.
    pub enhanced: Option<Enhanced>,
    /// One line of ASCII.
    pub text: &'static str,
}

impl FixedReply {
    /// `FixedReply::new(503, (5, 5, 1), "send MAIL first")`.
    pub const fn new(code: u16, enhanced: (u8, u16, u16), text: &'static str) -> Self {
        let (class, subject, detail) = enhanced;
        Self { code, enhanced: Some(Enhanced::new(class, subject, detail)), text }
    }

    /// The reply.
    pub fn reply(&self) -> Reply {
        Reply::new(self.code, self.enhanced, self.text)
    }
}

fn without_controls(text: &str) -> String {
    let replace = |character: char| match character {
        '\t' => ' ',
        _ if character.is_control() => '?',
        _ => character,
    };
    text.chars().map(replace).collect()
}

fn ascii_only(text: &str) -> String {
    text.chars().map(|character| if character.is_ascii() { character } else { '?' }).collect()
}

/// Cuts ASCII text into pieces of at most `width` octets, at a space where there is one.
fn wrap(text: &str, width: usize) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((window, _)) = rest.split_at_checked(width + 1) {
        let cut = window.rfind(' ').filter(|cut| *cut > 0).unwrap_or(width);
        let Some((piece, tail)) = rest.split_at_checked(cut) else { break };
        pieces.push(piece);
        rest = tail.strip_prefix(' ').unwrap_or(tail);
    }
    pieces.push(rest);
    pieces
}

/// A line must hold the codes and a few words, whatever the configuration says.
const SHORTEST_LINE: usize = 64;

#[cfg(test)]
mod tests;
