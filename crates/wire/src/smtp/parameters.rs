//! The parameters of MAIL and RCPT (RFC 5321 4.1.2 `Mail-parameters`), typed.
//! Called by `command`; the upstream client prints them again with `Display`.

use std::fmt;

use thiserror::Error;

use super::xtext;

/// Why the parameters were not taken.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ParameterError {
    /// Not `keyword` or `keyword=value` after exactly one space.
    #[error("parameters are malformed (write ` KEYWORD=value` after the address)")]
    Form,
    /// A keyword that no extension of ours has (RFC 5321 4.1.1.11).
    #[error("parameter `{0}` is unknown")]
    Unknown(String),
    /// The same keyword twice.
    #[error("parameter `{0}` is given twice")]
    Duplicate(String),
    /// A value that the extension does not allow.
    #[error("value of parameter `{0}` is malformed")]
    Value(String),
}

/// The parameters of MAIL FROM.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MailParameters {
    /// RFC 1870: the size the client declares, in octets. 0 says nothing.
    pub size: Option<u64>,
    /// RFC 6152, RFC 3030: what kind of octets the message has.
    pub body: Option<BodyKind>,
    /// RFC 6531: addresses and header fields may be UTF-8.
    pub smtputf8: bool,
    /// RFC 3461 4.3: what a failure notice returns.
    pub ret: Option<Return>,
    /// RFC 3461 4.4: the envelope id, still in xtext, at most 100 octets.
    pub envid: Option<String>,
    /// RFC 4954 5: who submitted it: `<>` or an address, still in xtext.
    pub auth: Option<String>,
}

/// The parameters of RCPT TO.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RcptParameters {
    /// RFC 3461 4.1: when to send a notice.
    pub notify: Option<Notify>,
    /// RFC 3461 4.2: the original recipient, `type;address`, still in xtext, at most 500 octets.
    pub orcpt: Option<String>,
}

/// The value of `BODY=`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyKind {
    /// `7BIT`
    SevenBit,
    /// `8BITMIME`
    EightBitMime,
    /// `BINARYMIME`
    BinaryMime,
}

/// The value of `RET=`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Return {
    /// `FULL`
    Full,
    /// `HDRS`
    Headers,
}

/// The value of `NOTIFY=`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notify {
    /// `NEVER`
    Never,
    /// At least one of `SUCCESS`, `FAILURE`, `DELAY`.
    On {
        /// `SUCCESS`
        success: bool,
        /// `FAILURE`
        failure: bool,
        /// `DELAY`
        delay: bool,
    },
}

impl MailParameters {
    /// Reads what follows the path: nothing, or ` KEYWORD=value` repeated.
    ///
    /// # Errors
    /// An unknown, duplicated or malformed parameter.
    pub fn parse(text: &str) -> Result<Self, ParameterError> {
        let mut parameters = Self::default();
        for word in words(text) {
            let (keyword, value) = split_word(word?)?;
            match keyword.as_str() {
                "SIZE" => set(&mut parameters.size, keyword, value.and_then(decimal))?,
                "BODY" => set(&mut parameters.body, keyword, value.and_then(BodyKind::parse))?,
                "SMTPUTF8" if value.is_some() => return Err(ParameterError::Value(keyword)),
                "SMTPUTF8" if parameters.smtputf8 => return Err(ParameterError::Duplicate(keyword)),
                "SMTPUTF8" => parameters.smtputf8 = true,
                "RET" => set(&mut parameters.ret, keyword, value.and_then(Return::parse))?,
                "ENVID" => {
                    set(&mut parameters.envid, keyword, value.and_then(|text| xtext(text, ENVID_MAX)))?
                }
                "AUTH" => set(&mut parameters.auth, keyword, value.and_then(submitter))?,
                _ => return Err(ParameterError::Unknown(keyword)),
            }
        }
        Ok(parameters)
    }

    /// A parameter of RFC 3461 is there.
    pub const fn has_dsn(&self) -> bool {
        self.ret.is_some() || self.envid.is_some()
    }

    /// No parameter is there: what a client says that sent HELO.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl RcptParameters {
    /// Reads what follows the path: nothing, or ` KEYWORD=value` repeated.
    ///
    /// # Errors
    /// An unknown, duplicated or malformed parameter.
    pub fn parse(text: &str) -> Result<Self, ParameterError> {
        let mut parameters = Self::default();
        for word in words(text) {
            let (keyword, value) = split_word(word?)?;
            match keyword.as_str() {
                "NOTIFY" => set(&mut parameters.notify, keyword, value.and_then(Notify::parse))?,
                "ORCPT" => set(&mut parameters.orcpt, keyword, value.and_then(original_recipient))?,
                _ => return Err(ParameterError::Unknown(keyword)),
            }
        }
        Ok(parameters)
    }

    /// No parameter is there.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The words after the path. RFC 5321 4.1.1.2 has one space before each; two are refused.
fn words(text: &str) -> impl Iterator<Item = Result<&str, ParameterError>> {
    let (rest, form) = match text.strip_prefix(' ') {
        Some(rest) => (Some(rest), None),
        None if text.is_empty() => (None, None),
        None => (None, Some(Err(ParameterError::Form))),
    };
    form.into_iter().chain(rest.into_iter().flat_map(|rest| rest.split(' ')).map(Ok))
}

/// `esmtp-param = esmtp-keyword ["=" esmtp-value]`, the keyword in capitals.
fn split_word(word: &str) -> Result<(String, Option<&str>), ParameterError> {
    let (keyword, value) = word.split_once('=').map_or((word, None), |(name, value)| (name, Some(value)));
    let keyword_is_legal = keyword.starts_with(|first: char| first.is_ascii_alphanumeric())
        && keyword.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-');
    // esmtp-value = 1*(%d33-60 / %d62-126)
    let value_is_legal = value.is_none_or(|value| {
        !value.is_empty() && value.bytes().all(|octet| octet.is_ascii_graphic() && octet != b'=')
    });
    match (keyword_is_legal, value_is_legal) {
        (true, true) => Ok((keyword.to_ascii_uppercase(), value)),
        (true, false) => Err(ParameterError::Value(keyword.to_ascii_uppercase())),
        (false, _) => Err(ParameterError::Form),
    }
}

fn set<T>(slot: &mut Option<T>, keyword: String, value: Option<T>) -> Result<(), ParameterError> {
    match (slot.is_some(), value) {
        (true, _) => Err(ParameterError::Duplicate(keyword)),
        (false, None) => Err(ParameterError::Value(keyword)),
        (false, value) => {
            *slot = value;
            Ok(())
        }
    }
}

/// RFC 1870 3: `size-value ::= 1*20DIGIT`.
fn decimal(text: &str) -> Option<u64> {
    let digits = (1..=20).contains(&text.len()) && text.bytes().all(|octet| octet.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

/// RFC 3461 4: printable ASCII without `+` and `=`, or `+` and two capital hexadecimal digits that
/// must not stand for a control character: decoded later, it would reach a header or a log.
fn xtext(text: &str, max: usize) -> Option<String> {
    let safe = xtext::decode(text)?.iter().all(|octet| !octet.is_ascii_control());
    (safe && (1..=max).contains(&text.len())).then(|| text.to_owned())
}

/// RFC 4954 5: `<>` or an xtext.
fn submitter(text: &str) -> Option<String> {
    if text == "<>" { Some(text.to_owned()) } else { xtext(text, AUTH_MAX) }
}

/// RFC 3461 4.2: `addr-type ";" xtext`, the type an atom.
fn original_recipient(text: &str) -> Option<String> {
    let (kind, address) = text.split_once(';')?;
    let atom = !kind.is_empty() && kind.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-');
    (atom && text.len() <= ORCPT_MAX && xtext(address, ORCPT_MAX).is_some()).then(|| text.to_owned())
}

impl BodyKind {
    fn parse(text: &str) -> Option<Self> {
        match text.to_ascii_uppercase().as_str() {
            "7BIT" => Some(Self::SevenBit),
            "8BITMIME" => Some(Self::EightBitMime),
            "BINARYMIME" => Some(Self::BinaryMime),
            _ => None,
        }
    }
}

impl Return {
    fn parse(text: &str) -> Option<Self> {
        match text.to_ascii_uppercase().as_str() {
            "FULL" => Some(Self::Full),
            "HDRS" => Some(Self::Headers),
            _ => None,
        }
    }
}

impl Notify {
    /// RFC 3461 4.1: `NEVER` stands alone. A word given twice is refused.
    fn parse(text: &str) -> Option<Self> {
        if text.eq_ignore_ascii_case("NEVER") {
            return Some(Self::Never);
        }
        let (mut success, mut failure, mut delay) = (false, false, false);
        for word in text.split(',') {
            let seen = match word.to_ascii_uppercase().as_str() {
                "SUCCESS" => &mut success,
                "FAILURE" => &mut failure,
                "DELAY" => &mut delay,
                _ => return None,
            };
            if std::mem::replace(seen, true) {
                return None;
            }
        }
        Some(Self::On { success, failure, delay })
    }
}

/// As they follow the path: empty, or ` SIZE=1 BODY=8BITMIME`.
impl fmt::Display for MailParameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_parameter(f, "SIZE", self.size.as_ref())?;
        write_parameter(f, "BODY", self.body.as_ref())?;
        f.write_str(if self.smtputf8 { " SMTPUTF8" } else { "" })?;
        write_parameter(f, "RET", self.ret.as_ref())?;
        write_parameter(f, "ENVID", self.envid.as_ref())?;
        write_parameter(f, "AUTH", self.auth.as_ref())
    }
}

/// As they follow the path: empty, or ` NOTIFY=NEVER`.
impl fmt::Display for RcptParameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_parameter(f, "NOTIFY", self.notify.as_ref())?;
        write_parameter(f, "ORCPT", self.orcpt.as_ref())
    }
}

fn write_parameter<T: fmt::Display>(
    f: &mut fmt::Formatter<'_>,
    keyword: &str,
    value: Option<&T>,
) -> fmt::Result {
    value.map_or(Ok(()), |value| write!(f, " {keyword}={value}"))
}

impl fmt::Display for BodyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SevenBit => "7BIT",
            Self::EightBitMime => "8BITMIME",
            Self::BinaryMime => "BINARYMIME",
        })
    }
}

impl fmt::Display for Return {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "FULL",
            Self::Headers => "HDRS",
        })
    }
}

impl fmt::Display for Notify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::On { success, failure, delay } = *self else { return f.write_str("NEVER") };
        let words = [(success, "SUCCESS"), (failure, "FAILURE"), (delay, "DELAY")];
        let said: Vec<&str> = words.iter().filter(|(on, _)| *on).map(|(_, word)| *word).collect();
        f.write_str(&said.join(","))
    }
}

/// RFC 3461 4.4, in octets.
const ENVID_MAX: usize = 100;
/// RFC 3461 4.2, in octets.
const ORCPT_MAX: usize = 500;
/// RFC 4954 3: the MAIL line grows by 500 octets for AUTH=.
const AUTH_MAX: usize = 500;

#[cfg(test)]
mod tests;
