//! XCLIENT: a proxy says who its client is. Not an RFC but Postfix's extension, which nginx and Dovecot speak too
//! (Postfix's `XCLIENT_README`).
//! Called by `command` for relays that are trusted, and by the upstream client, which prints it.

use std::fmt;
use std::net::IpAddr;

use thiserror::Error;

use super::xtext;

/// What one XCLIENT command says. What it does not mention stays as it was.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Xclient {
    /// `NAME`: the host name of the client, from DNS.
    pub name: Option<Attribute<String>>,
    /// `ADDR`: an IPv4 address in IPv6 clothes is IPv4.
    pub address: Option<Attribute<IpAddr>>,
    /// `PORT`
    pub port: Option<Attribute<u16>>,
    /// `PROTO`
    pub protocol: Option<Attribute<Protocol>>,
    /// `HELO`: what the client called itself, 1 to 255 printable ASCII characters.
    pub helo: Option<Attribute<String>>,
    /// `LOGIN`: as whom the client signed in; no control character, at most 255 octets.
    pub login: Option<Attribute<String>>,
    /// `DESTADDR`: to which address the client connected.
    pub destination_address: Option<Attribute<IpAddr>>,
    /// `DESTPORT`
    pub destination_port: Option<Attribute<u16>>,
}

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attribute<T> {
    /// It is this.
    Is(T),
    /// `[UNAVAILABLE]`: nobody knows.
    Unavailable,
    /// `[TEMPUNAVAIL]`: nobody knows now.
    NotNow,
}

/// What the client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// `SMTP`
    Smtp,
    /// `ESMTP`
    Esmtp,
}

/// Why the arguments of XCLIENT were not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum XclientError {
    /// Not `NAME=value` once or more, with one space between.
    #[error("attributes are malformed (write `NAME=value`)")]
    Form,
    /// An attribute that is not in [`ATTRIBUTES`].
    #[error("an attribute is unknown")]
    Unknown,
    /// The same attribute twice.
    #[error("an attribute is given twice")]
    Duplicate,
    /// A value that the attribute does not allow.
    #[error("the value of `{0}` is malformed")]
    Value(&'static str),
}

/// The attributes that we know, as they stand in an EHLO reply.
pub const ATTRIBUTES: [&str; 8] = ["NAME", "ADDR", "PORT", "PROTO", "HELO", "LOGIN", "DESTADDR", "DESTPORT"];

impl Xclient {
    /// Reads what follows `XCLIENT `.
    ///
    /// # Errors
    /// See [`XclientError`].
    pub fn parse(arguments: &str) -> Result<Self, XclientError> {
        let mut said = Self::default();
        for word in arguments.split(' ') {
            let (name, value) = word.split_once('=').ok_or(XclientError::Form)?;
            match ATTRIBUTES.into_iter().find(|known| known.eq_ignore_ascii_case(name)) {
                Some(name @ "NAME") => set(&mut said.name, name, value, printable)?,
                Some(name @ "ADDR") => set(&mut said.address, name, value, address)?,
                Some(name @ "PORT") => set(&mut said.port, name, value, port)?,
                Some(name @ "PROTO") => set(&mut said.protocol, name, value, Protocol::parse)?,
                Some(name @ "HELO") => set(&mut said.helo, name, value, printable)?,
                Some(name @ "LOGIN") => set(&mut said.login, name, value, login)?,
                Some(name @ "DESTADDR") => set(&mut said.destination_address, name, value, address)?,
                Some(name @ "DESTPORT") => set(&mut said.destination_port, name, value, port)?,
                _ => return Err(XclientError::Unknown),
            }
        }
        Ok(said)
    }

    /// Only what somebody takes who offers these attributes.
    #[must_use]
    pub fn limited_to(&self, offered: &[String]) -> Self {
        let takes = |name: &str| offered.iter().any(|offered| offered.eq_ignore_ascii_case(name));
        Self {
            name: self.name.clone().filter(|_| takes("NAME")),
            address: self.address.clone().filter(|_| takes("ADDR")),
            port: self.port.clone().filter(|_| takes("PORT")),
            protocol: self.protocol.clone().filter(|_| takes("PROTO")),
            helo: self.helo.clone().filter(|_| takes("HELO")),
            login: self.login.clone().filter(|_| takes("LOGIN")),
            destination_address: self.destination_address.clone().filter(|_| takes("DESTADDR")),
            destination_port: self.destination_port.clone().filter(|_| takes("DESTPORT")),
        }
    }

    /// It says nothing: there is no such command.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl<T> Attribute<T> {
    /// The value, if there is one.
    pub const fn value(&self) -> Option<&T> {
        match self {
            Self::Is(value) => Some(value),
            Self::Unavailable | Self::NotNow => None,
        }
    }
}

impl Protocol {
    fn parse(text: &str) -> Option<Self> {
        match text.to_ascii_uppercase().as_str() {
            "SMTP" => Some(Self::Smtp),
            "ESMTP" => Some(Self::Esmtp),
            _ => None,
        }
    }
}

/// XCLIENT_README: "Attribute values are xtext encoded", and two words in brackets stand for no value.
fn set<T>(
    slot: &mut Option<Attribute<T>>,
    name: &'static str,
    value: &str,
    read: impl Fn(&str) -> Option<T>,
) -> Result<(), XclientError> {
    let wrong = || XclientError::Value(name);
    let said = if value.eq_ignore_ascii_case(UNAVAILABLE) {
        Attribute::Unavailable
    } else if value.eq_ignore_ascii_case(NOT_NOW) {
        Attribute::NotNow
    } else {
        let octets = xtext::decode(value).ok_or_else(wrong)?;
        let text = String::from_utf8(octets).map_err(|_| wrong())?;
        Attribute::Is(read(&text).ok_or_else(wrong)?)
    };
    match slot.replace(said) {
        None => Ok(()),
        Some(_) => Err(XclientError::Duplicate),
    }
}

/// XCLIENT_README: "IPv6 addresses are always prefixed with "IPV6:"".
fn address(text: &str) -> Option<IpAddr> {
    let tag_and_address = text.split_at_checked(IPV6.len());
    match tag_and_address {
        Some((tag, address)) if tag.eq_ignore_ascii_case(IPV6) => {
            address.parse().ok().map(|address: std::net::Ipv6Addr| IpAddr::from(address).to_canonical())
        }
        _ => text.parse().ok().map(|address: std::net::Ipv4Addr| address.into()),
    }
}

fn port(text: &str) -> Option<u16> {
    let digits = (1..=5).contains(&text.len()) && text.bytes().all(|octet| octet.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

fn printable(text: &str) -> Option<String> {
    let legal = (1..=LONGEST).contains(&text.len()) && text.bytes().all(|octet| octet.is_ascii_graphic());
    // A bracket would be read as one of the words that stand for no value.
    (legal && !is_word(text)).then(|| text.to_owned())
}

/// The same as a login that comes with AUTH.
fn login(text: &str) -> Option<String> {
    let legal = (1..=LONGEST).contains(&text.len()) && !text.chars().any(char::is_control);
    (legal && !is_word(text)).then(|| text.to_owned())
}

fn is_word(text: &str) -> bool {
    [UNAVAILABLE, NOT_NOW].iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// `XCLIENT ADDR=192.0.2.1 ...` as it is sent to an upstream, without CRLF.
impl fmt::Display for Xclient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("XCLIENT")?;
        write_attribute(f, "NAME", self.name.as_ref(), Clone::clone)?;
        write_attribute(f, "ADDR", self.address.as_ref(), printed)?;
        write_attribute(f, "PORT", self.port.as_ref(), u16::to_string)?;
        write_attribute(f, "PROTO", self.protocol.as_ref(), Protocol::to_string)?;
        write_attribute(f, "HELO", self.helo.as_ref(), Clone::clone)?;
        write_attribute(f, "LOGIN", self.login.as_ref(), Clone::clone)?;
        write_attribute(f, "DESTADDR", self.destination_address.as_ref(), printed)?;
        write_attribute(f, "DESTPORT", self.destination_port.as_ref(), u16::to_string)
    }
}

fn write_attribute<T>(
    f: &mut fmt::Formatter<'_>,
    name: &str,
    value: Option<&Attribute<T>>,
    print: impl Fn(&T) -> String,
) -> fmt::Result {
    match value {
        None => Ok(()),
        Some(Attribute::Is(value)) => write!(f, " {name}={}", xtext::encode(&print(value))),
        Some(Attribute::Unavailable) => write!(f, " {name}={UNAVAILABLE}"),
        Some(Attribute::NotNow) => write!(f, " {name}={NOT_NOW}"),
    }
}

fn printed(address: &IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => format!("{IPV6}{v6}"),
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Smtp => "SMTP",
            Self::Esmtp => "ESMTP",
        })
    }
}

const UNAVAILABLE: &str = "[UNAVAILABLE]";
const NOT_NOW: &str = "[TEMPUNAVAIL]";
const IPV6: &str = "IPV6:";
/// In octets.
const LONGEST: usize = 255;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Result<Xclient, XclientError> {
        Xclient::parse(text)
    }

    #[test]
    fn what_nginx_and_postfix_send_is_read() {
        let said = parse("ADDR=192.0.2.9 LOGIN=shop-web NAME=[UNAVAILABLE]").unwrap();
        assert_eq!(said.address, Some(Attribute::Is("192.0.2.9".parse().unwrap())));
        assert_eq!(said.login, Some(Attribute::Is("shop-web".to_owned())));
        assert_eq!((said.name, said.helo), (Some(Attribute::Unavailable), None));
        let said =
            parse("addr=IPv6:2001:db8::9 PROTO=ESMTP HELO=[192.0.2.9] DESTPORT=587 PORT=[tempunavail]");
        let said = said.unwrap();
        assert_eq!(said.address, Some(Attribute::Is("2001:db8::9".parse().unwrap())));
        assert_eq!(said.protocol, Some(Attribute::Is(Protocol::Esmtp)));
        assert_eq!(said.helo, Some(Attribute::Is("[192.0.2.9]".to_owned())));
        assert_eq!((said.destination_port, said.port), (Some(Attribute::Is(587)), Some(Attribute::NotNow)));
        let login = parse("LOGIN=ana+2Bweb+40shop.example").unwrap().login;
        assert_eq!(login, Some(Attribute::Is("ana+web@shop.example".to_owned())));
        let mapped = parse("ADDR=IPV6:::ffff:192.0.2.9").unwrap().address;
        assert_eq!(mapped, Some(Attribute::Is("192.0.2.9".parse().unwrap())));
    }

    #[test]
    fn what_says_nothing_for_certain_is_refused() {
        for (text, error) in [
            ("", XclientError::Form),
            ("LOGIN", XclientError::Form),
            ("LOGIN=a  ADDR=192.0.2.9", XclientError::Form),
            ("USER=a", XclientError::Unknown),
            ("LOGIN=a login=b", XclientError::Duplicate),
            ("LOGIN=[UNAVAILABLE] LOGIN=b", XclientError::Duplicate),
            ("LOGIN=", XclientError::Value("LOGIN")),
            ("LOGIN=a+0Ab", XclientError::Value("LOGIN")),
            ("LOGIN=a+b", XclientError::Value("LOGIN")),
            ("LOGIN=a=b", XclientError::Value("LOGIN")),
            ("LOGIN=+FF", XclientError::Value("LOGIN")),
            ("LOGIN=+5BUNAVAILABLE+5D", XclientError::Value("LOGIN")),
            ("HELO=a+20b", XclientError::Value("HELO")),
            ("ADDR=2001:db8::9", XclientError::Value("ADDR")),
            ("ADDR=IPV6:192.0.2.9", XclientError::Value("ADDR")),
            ("ADDR=192.0.2.256", XclientError::Value("ADDR")),
            ("PORT=65536", XclientError::Value("PORT")),
            ("PORT=+2B1", XclientError::Value("PORT")),
            ("PROTO=LMTP", XclientError::Value("PROTO")),
        ] {
            assert_eq!(parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn only_what_is_offered_is_said() {
        let said = parse("NAME=[UNAVAILABLE] ADDR=192.0.2.9 HELO=client LOGIN=a+20b").unwrap();
        let offered = ["addr", "LOGIN", "FUTURE"].map(str::to_owned);
        assert_eq!(said.limited_to(&offered).to_string(), "XCLIENT ADDR=192.0.2.9 LOGIN=a+20b");
        assert!(said.limited_to(&[]).is_empty());
    }

    proptest! {
        #[test]
        fn print_then_parse_is_identity(words in prop::collection::vec(
            "(NAME|ADDR|PORT|PROTO|HELO|LOGIN|DESTADDR|DESTPORT|X)=(\\[UNAVAILABLE\\]|\\[TEMPUNAVAIL\\]|192\\.0\\.2\\.9|IPV6:[0-9a-f:]{2,8}|[0-9]{1,5}|E?SMTP|[a-z+=2B@]{0,8})",
            0..5,
        )) {
            if let Ok(said) = Xclient::parse(&words.join(" ")) {
                let printed = said.to_string();
                let again = Xclient::parse(printed.strip_prefix("XCLIENT ").unwrap());
                prop_assert_eq!(again, Ok(said));
            }
        }

        #[test]
        fn any_text_is_read_or_refused(text in any::<String>()) {
            if let Ok(said) = Xclient::parse(&text) {
                prop_assert!(!said.to_string().contains(char::is_control));
            }
        }
    }
}
