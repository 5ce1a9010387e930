//! Macro expansion (RFC 7208 7.3): values in, text out.
//! `evaluation` calls it for the names of terms and for explanations.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::net::IpAddr;

use super::macro_string::{DomainSpec, Letter, Macro, MacroString, Part};

/// What the macro letters stand for in one check.
pub(super) struct Values<'a> {
    pub(super) ip: IpAddr,
    pub(super) local: &'a str,
    pub(super) sender_domain: &'a str,
    pub(super) domain: &'a str,
    pub(super) helo: &'a str,
    pub(super) validated_name: &'a str,
    pub(super) receiver: &'a str,
    pub(super) now: i64,
}

/// Expands a domain specification to a name without its final dot, at most 253 characters long.
pub(super) fn name(spec: &DomainSpec, values: &Values<'_>) -> String {
    // Only the last 253 characters can be kept, so what stands further left is never built.
    let mut pieces = Vec::new();
    let mut length = 0;
    for part in spec.parts().iter().rev() {
        if length > MAX_NAME + 1 {
            break;
        }
        let piece = expand_part(part, values);
        length += piece.len();
        pieces.push(piece);
    }
    let whole: String = pieces.into_iter().rev().collect();
    shorten(whole.strip_suffix('.').unwrap_or(&whole)).to_owned()
}

/// RFC 7208 7.3: "the left side is truncated to fit, by removing successive domain labels (and their
/// following dots) until the total length does not exceed 253 characters"
fn shorten(name: &str) -> &str {
    let mut rest = name;
    while rest.len() > MAX_NAME {
        rest = rest.split_once('.').map_or("", |(_, behind)| behind);
    }
    rest
}

/// Expands an explanation, at most [`MAX_EXPLANATION`] characters; `None` when it would not be US-ASCII.
pub(super) fn explanation(string: &MacroString, values: &Values<'_>) -> Option<String> {
    let mut text = String::new();
    for part in string.parts() {
        text.push_str(&expand_part(part, values));
        if text.len() > MAX_EXPLANATION {
            break;
        }
    }
    // RFC 7208 6.2: "the explanation string MUST be limited to [US-ASCII]". No control characters either: the
    // text ends up in an SMTP reply.
    if !text.bytes().all(|octet| octet == b' ' || octet.is_ascii_graphic()) {
        return None;
    }
    // RFC 7208 6.2: "Implementations MAY limit the length of the resulting explanation string"
    text.truncate(MAX_EXPLANATION);
    Some(text)
}

fn expand_part<'p>(part: &'p Part, values: &Values<'p>) -> Cow<'p, str> {
    match part {
        Part::Literal(text) => Cow::Borrowed(text),
        Part::Percent => Cow::Borrowed("%"),
        Part::Space => Cow::Borrowed(" "),
        Part::EscapedSpace => Cow::Borrowed("%20"),
        Part::Macro(found) => {
            let text = transform(found, value(found.letter, values));
            if found.escape { Cow::Owned(url_escape(&text)) } else { text }
        }
    }
}

fn value<'v>(letter: Letter, values: &Values<'v>) -> Cow<'v, str> {
    match letter {
        Letter::Sender => Cow::Owned(format!("{}@{}", values.local, values.sender_domain)),
        Letter::Local => Cow::Borrowed(values.local),
        Letter::SenderDomain => Cow::Borrowed(values.sender_domain),
        Letter::Domain => Cow::Borrowed(values.domain),
        Letter::Address => Cow::Owned(dotted(values.ip)),
        Letter::ValidatedName => Cow::Borrowed(values.validated_name),
        Letter::Family => Cow::Borrowed(family(values.ip)),
        Letter::Helo => Cow::Borrowed(values.helo),
        Letter::ReadableAddress => Cow::Owned(values.ip.to_string()),
        Letter::Receiver => Cow::Borrowed(values.receiver),
        Letter::Now => Cow::Owned(values.now.to_string()),
    }
}

/// RFC 7208 7.3: "the replacement value for a macro letter is split into parts [...] After performing any
/// reversal operation and/or removal of left-hand parts, the parts are rejoined using "." and not the
/// original splitting characters."
fn transform<'v>(found: &Macro, value: Cow<'v, str>) -> Cow<'v, str> {
    if found.keep.is_none() && !found.reverse && found.delimiters.is_empty() {
        return value;
    }
    let delimiters = if found.delimiters.is_empty() { "." } else { &found.delimiters };
    let mut parts: Vec<&str> = value.split(|c| delimiters.contains(c)).collect();
    if found.reverse {
        parts.reverse();
    }
    let dropped = parts.len().saturating_sub(found.keep.unwrap_or(parts.len()));
    Cow::Owned(parts.get(dropped..).unwrap_or_default().join("."))
}

/// RFC 7208 7.3: "URL escaping MUST be performed for characters not in the "unreserved" set"
fn url_escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for octet in text.bytes() {
        if octet.is_ascii_alphanumeric() || b"-._~".contains(&octet) {
            escaped.push(char::from(octet));
        } else {
            // Writing to a `String` cannot fail.
            let _ = write!(escaped, "%{octet:02X}");
        }
    }
    escaped
}

/// RFC 7208 7.3: dotted quads for IPv4; "For IPv6 addresses, the "i" macro expands to a dot-format address"
pub(super) fn dotted(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => nibbles(v6.octets().iter().flat_map(|octet| [octet >> 4, octet & 15])),
    }
}

/// The name whose PTR records name an address: under `in-addr.arpa` or `ip6.arpa` (RFC 7208 5.5).
pub(super) fn reverse_name(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(v6) => {
            let turned = v6.octets().into_iter().rev().flat_map(|octet| [octet & 15, octet >> 4]);
            format!("{}.ip6.arpa", nibbles(turned))
        }
    }
}

fn nibbles(values: impl Iterator<Item = u8>) -> String {
    let digits = values.filter_map(|nibble| char::from_digit(u32::from(nibble), 16));
    let mut text = digits.fold(String::with_capacity(64), |mut text, digit| {
        text.push(digit);
        text.push('.');
        text
    });
    text.pop();
    text
}

fn family(ip: IpAddr) -> &'static str {
    match ip {
        IpAddr::V4(_) => "in-addr",
        IpAddr::V6(_) => "ip6",
    }
}

/// RFC 7208 7.3: "253 characters (the maximum length of a domain name in this format)"
pub(super) const MAX_NAME: usize = 253;

/// An explanation is cut after so many characters.
pub(super) const MAX_EXPLANATION: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn values(ip: &str) -> Values<'static> {
        Values {
            ip: ip.parse().unwrap(),
            local: "strong-bad",
            sender_domain: "email.sender.example",
            domain: "email.sender.example",
            helo: "mx.sender.example",
            validated_name: "mx.other.example",
            receiver: "gate.example",
            now: 1_700_000_000,
        }
    }

    fn expanded(text: &str, ip: &str) -> String {
        name(&DomainSpec::parse(text).unwrap(), &values(ip))
    }

    #[test]
    fn rfc7208_7_4_expansions() {
        let cases = [
            ("%{s}", "strong-bad@email.sender.example"),
            ("%{o}", "email.sender.example"),
            ("%{d4}", "email.sender.example"),
            ("%{d3}", "email.sender.example"),
            ("%{d2}", "sender.example"),
            ("%{d1}", "example"),
            ("%{dr}", "example.sender.email"),
            ("%{d2r}", "sender.email"),
            ("%{l}", "strong-bad"),
            ("%{l-}", "strong.bad"),
            ("%{lr}", "strong-bad"),
            ("%{lr-}", "bad.strong"),
            ("%{l1r-}", "strong"),
            ("%{ir}.%{v}._spf.%{d2}", "3.2.0.192.in-addr._spf.sender.example"),
            ("%{lr-}.lp.%{ir}.%{v}._spf.%{d2}", "bad.strong.lp.3.2.0.192.in-addr._spf.sender.example"),
            ("%{d2}.trusted.%{p}", "sender.example.trusted.mx.other.example"),
            ("%{h}", "mx.sender.example"),
            ("a%%b%_c%-d.example.", "a%b c%20d.example"),
            ("%{S}", "strong-bad%40email.sender.example"),
        ];
        for (text, expected) in cases {
            assert_eq!(expanded(text, "192.0.2.3"), expected, "{text}");
        }
    }

    #[test]
    fn rfc7208_7_4_ipv6_expansion() {
        let expected =
            "1.0.b.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6._spf.sender.example";
        assert_eq!(expanded("%{ir}.%{v}._spf.%{d2}", "2001:db8::cb01"), expected);
        let reversed = "1.0.b.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa";
        assert_eq!(reverse_name("2001:db8::cb01".parse().unwrap()), reversed);
        assert_eq!(reverse_name("192.0.2.3".parse().unwrap()), "3.2.0.192.in-addr.arpa");
    }

    #[test]
    fn rfc7208_7_3_long_names_lose_labels_on_the_left() {
        let label = "a".repeat(62);
        let long = format!("x1.{label}.{label}.{label}.{label}.example");
        let kept = format!("{label}.{label}.{label}.example");
        assert_eq!(expanded(&long, "192.0.2.3"), kept);
        let exact = format!("{}.{label}.{label}.{label}", "b".repeat(253 - 3 * 63));
        assert_eq!(expanded(&exact, "192.0.2.3"), exact);
        let many = format!("{}%{{d}}", "%{s}.".repeat(500));
        let name = expanded(&many, "192.0.2.3");
        assert!(
            name.len() <= MAX_NAME && name.len() > 200 && name.ends_with(".email.sender.example"),
            "{name}"
        );
    }

    #[test]
    fn rfc7208_6_2_explanations() {
        let explained =
            |text: &str| explanation(&MacroString::parse_explanation(text).unwrap(), &values("2001:db8::1"));
        assert_eq!(
            explained("%{c} is not ours, says %{r}").as_deref(),
            Some("2001:db8::1 is not ours, says gate.example")
        );
        assert_eq!(explained("%{t}").as_deref(), Some("1700000000"));
        assert_eq!(explained("").as_deref(), Some(""));
        assert_eq!(explained(&"x ".repeat(5_000)).unwrap().len(), MAX_EXPLANATION);
        let mut foreign = values("192.0.2.1");
        foreign.local = "j\u{f6}rg";
        let string = MacroString::parse_explanation("hello %{l}").unwrap();
        assert_eq!(explanation(&string, &foreign), None);
        let escaped = MacroString::parse_explanation("hello %{L}").unwrap();
        assert_eq!(explanation(&escaped, &foreign).as_deref(), Some("hello j%C3%B6rg"));
    }
}
