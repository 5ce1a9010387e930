//! `[[send.upstream]]`: the MTA behind us, and the addresses from which it sends.
//! `send` reads it; the SMTP client and the SPF probe use it.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use ipnet::{IpAddrRange, IpNet, Ipv4AddrRange, Ipv6AddrRange};

use super::network::{parse_host, parse_network, parse_own_name};
use super::notes::Noted;
use super::reader::Reader;

/// `[[send.upstream]]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// The name that accounts choose it by.
    pub name: String,
    /// Where it is.
    pub url: UpstreamUrl,
    /// The networks from which it sends: v4 no wider than /24, v6 no wider than /120.
    pub egress: Vec<IpNet>,
    /// User and password for it, two lines.
    pub auth_file: Option<PathBuf>,
    /// Whether its certificate is checked.
    pub tls_verify: bool,
    /// The issuers that are believed about it; those of the system when absent.
    pub ca_file: Option<PathBuf>,
    /// The name in its EHLO; `[server] hostname` when absent.
    pub helo: Option<String>,
    /// Whether it is told the client with XCLIENT.
    pub xclient: bool,
    /// The most connections to it.
    pub pool: usize,
}

impl Upstream {
    pub(super) fn read(upstream: Reader<'_>) -> Result<Self, Noted> {
        let name = upstream.required("name", parse_name);
        let url = upstream.required("url", UpstreamUrl::parse);
        let egress = upstream.list("egress", parse_egress);
        let auth_file = upstream.file("auth_file");
        let tls_verify = upstream.flag("tls_verify");
        let ca_file = upstream.file("ca_file");
        let helo = upstream.optional("helo", parse_own_name);
        let xclient = upstream.flag("xclient");
        let pool = upstream.count("pool");
        Ok(Self {
            name: name?,
            url: url?,
            egress: egress?,
            auth_file: auth_file?,
            tls_verify: tls_verify?,
            ca_file: ca_file?,
            helo: helo?,
            xclient: xclient?,
            pool: pool?,
        })
    }

    /// Every address from which it may send, each once, in order.
    #[must_use]
    pub fn egress_addresses(&self) -> Vec<IpAddr> {
        let all: BTreeSet<IpAddr> = self.egress.iter().copied().flat_map(addresses).collect();
        all.into_iter().collect()
    }
}

/// Every address of a network, its first and last too: mail may leave from any.
fn addresses(net: IpNet) -> IpAddrRange {
    match net {
        IpNet::V4(v4) => IpAddrRange::from(Ipv4AddrRange::new(v4.network(), v4.broadcast())),
        IpNet::V6(v6) => IpAddrRange::from(Ipv6AddrRange::new(v6.network(), v6.broadcast())),
    }
}

fn parse_name(text: &str) -> Result<String, String> {
    let known = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    match text.bytes().all(known) && text.len() <= 63 {
        true => Ok(text.to_owned()),
        false => Err("letters, digits, `-`, `_` and `.` are allowed, at most 63".to_owned()),
    }
}

fn parse_egress(text: &str) -> Result<IpNet, String> {
    let net = parse_network(text)?;
    let (widest, family) = match net {
        IpNet::V4(_) => (24, "IPv4"),
        IpNet::V6(_) => (120, "IPv6"),
    };
    match net.prefix_len() >= widest {
        true => Ok(net),
        false => Err(format!(
            "a network of {family} no wider than /{widest} is allowed, because SPF is checked for each address"
        )),
    }
}

/// Where an upstream is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamUrl {
    /// How it is spoken to.
    pub scheme: Scheme,
    /// A name or an address, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// How an upstream is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// SMTP, with STARTTLS where it is offered.
    Smtp,
    /// SMTP inside TLS.
    Smtps,
    /// LMTP.
    Lmtp,
}

impl Scheme {
    /// With the port when none is given. RFC 2033 gives LMTP none.
    const ALL: [(&'static str, Self, Option<u16>); 3] =
        [("smtp", Self::Smtp, Some(25)), ("smtps", Self::Smtps, Some(465)), ("lmtp", Self::Lmtp, None)];
}

impl UpstreamUrl {
    /// Reads `smtp://HOST`, `smtps://HOST:PORT` or `lmtp://[V6]:PORT`; LMTP has no port of its own.
    ///
    /// # Errors
    /// A sentence that says what is allowed.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (scheme, rest) = text.split_once("://").ok_or_else(allowed_url)?;
        let found = Scheme::ALL.into_iter().find(|(name, ..)| scheme.eq_ignore_ascii_case(name));
        let (_, scheme, default_port) = found.ok_or_else(allowed_url)?;
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().map_err(|_| allowed_url())?),
            _ => (rest, default_port.ok_or_else(no_port)?),
        };
        let host = parse_host(host).map_err(|_| allowed_url())?;
        match (scheme, port) {
            (_, 0) => Err(allowed_url()),
            // RFC 2033 keeps LMTP off port 25, where SMTP is expected.
            (Scheme::Lmtp, 25) => Err(no_port()),
            _ => Ok(Self { scheme, host, port }),
        }
    }
}

fn allowed_url() -> String {
    "`smtp://`, `smtps://` or `lmtp://` with a host and a port is allowed, as in `smtp://127.0.0.1:10026`"
        .to_owned()
}

fn no_port() -> String {
    "LMTP has no port of its own, and never 25: name one, as in `lmtp://127.0.0.1:24`".to_owned()
}

impl fmt::Display for UpstreamUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.scheme {
            Scheme::Smtp => "smtp",
            Scheme::Smtps => "smtps",
            Scheme::Lmtp => "lmtp",
        };
        match self.host.contains(':') {
            true => write!(f, "{scheme}://[{}]:{}", self.host, self.port),
            false => write!(f, "{scheme}://{}:{}", self.host, self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_url_prints_as_it_is_read() {
        for (text, printed) in [
            ("smtp://127.0.0.1:10026", "smtp://127.0.0.1:10026"),
            ("smtps://mx.example", "smtps://mx.example:465"),
            ("lmtp://[2001:db8::1]:24", "lmtp://[2001:db8::1]:24"),
            ("SMTP://MX.example:26", "smtp://mx.example:26"),
        ] {
            let url = UpstreamUrl::parse(text).unwrap();
            assert_eq!(url.to_string(), printed);
            assert_eq!(UpstreamUrl::parse(printed).unwrap(), url);
        }
    }

    #[test]
    fn no_url_says_what_is_allowed() {
        for bad in [
            "127.0.0.1:25",
            "http://mx.example",
            "smtp://",
            "smtp://user@mx.example",
            "smtp://mx.example/in",
            "smtp://mx.example:0",
            "smtp://2001:db8::1:x",
        ] {
            assert_eq!(UpstreamUrl::parse(bad), Err(allowed_url()), "{bad}");
        }
    }

    #[test]
    fn lmtp_needs_a_port_and_another_than_smtp_has() {
        for bad in ["lmtp://mx.example", "lmtp://[2001:db8::1]", "lmtp://mx.example:25"] {
            assert_eq!(UpstreamUrl::parse(bad), Err(no_port()), "{bad}");
        }
    }

    #[test]
    fn every_address_of_a_prefix_counts_once() {
        let egress = ["192.0.2.0/30", "192.0.2.1", "2001:db8::/127"].map(|net| parse_egress(net).unwrap());
        let upstream = Upstream {
            name: "a".to_owned(),
            url: UpstreamUrl::parse("smtp://mx.example").unwrap(),
            egress: egress.to_vec(),
            auth_file: None,
            tls_verify: true,
            ca_file: None,
            helo: None,
            xclient: false,
            pool: 1,
        };
        let addresses: Vec<String> = upstream.egress_addresses().iter().map(IpAddr::to_string).collect();
        let expected = ["192.0.2.0", "192.0.2.1", "192.0.2.2", "192.0.2.3", "2001:db8::", "2001:db8::1"];
        assert_eq!(addresses, expected);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".{0,60}", tail in "(smtp|lmtp)://[a-z0-9:\\[\\].@/-]{0,30}") {
            for text in [text, tail] {
                if let Ok(url) = UpstreamUrl::parse(&text) {
                    prop_assert_eq!(UpstreamUrl::parse(&url.to_string()), Ok(url));
                }
            }
        }
    }
}
