//! Networks and addresses as operators write them.
//! Sections of the configuration and the accounts file call it.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

/// Reads a network; a bare address is a network of one.
///
/// Host bits are cut off, and an IPv4 network in IPv6 clothes is read as IPv4.
///
/// # Errors
/// A sentence that says what is allowed.
pub fn parse_network(text: &str) -> Result<IpNet, String> {
    let net = match text.parse::<IpAddr>() {
        Ok(address) => Some(IpNet::from(address)),
        Err(_) => text.parse::<IpNet>().ok(),
    };
    net.map(|net| unmapped(net.trunc()))
        .ok_or_else(|| "a network is allowed, as in `192.0.2.0/28`, or an address".to_owned())
}

fn unmapped(net: IpNet) -> IpNet {
    match net {
        IpNet::V6(v6) => v6
            .network()
            .to_ipv4_mapped()
            .zip(v6.prefix_len().checked_sub(96))
            .and_then(|(address, prefix)| ipnet::Ipv4Net::new(address, prefix).ok())
            .map_or(net, IpNet::V4),
        IpNet::V4(_) => net,
    }
}

/// Reads an address with a port, to listen on.
///
/// # Errors
/// A sentence that says what is allowed.
pub(crate) fn parse_listen(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "an address with a port is allowed, as in `127.0.0.1:2525`".to_owned())
}

/// Whether only this machine can reach what listens there.
pub(crate) fn is_loopback(address: SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}

/// Reads a host name or an address, as a URL has it, with its brackets cut off.
pub(crate) fn parse_host(text: &str) -> Result<String, String> {
    let allowed = || "a host name or an address is allowed, as in `mx1.example.com`".to_owned();
    if let Some(inner) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return match inner.parse::<std::net::Ipv6Addr>() {
            Ok(address) => Ok(address.to_string()),
            Err(_) => Err(allowed()),
        };
    }
    let labels = text.split('.').all(|label| {
        let edges = label.starts_with('-') || label.ends_with('-');
        !label.is_empty() && label.len() <= 63 && !edges
    });
    let characters = text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
    match labels && characters && text.len() <= 253 {
        true => Ok(text.to_ascii_lowercase()),
        false => Err(allowed()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_address_is_a_network_of_one() {
        assert_eq!(parse_network("192.0.2.7").unwrap().to_string(), "192.0.2.7/32");
        assert_eq!(parse_network("2001:db8::7").unwrap().to_string(), "2001:db8::7/128");
    }

    #[test]
    fn host_bits_and_ipv6_clothes_are_cut_off() {
        assert_eq!(parse_network("127.0.0.1/8").unwrap().to_string(), "127.0.0.0/8");
        assert_eq!(parse_network("::ffff:192.0.2.0/124").unwrap().to_string(), "192.0.2.0/28");
        assert_eq!(parse_network("::ffff:192.0.2.9").unwrap().to_string(), "192.0.2.9/32");
        assert_eq!(parse_network("::/0").unwrap().to_string(), "::/0");
    }

    #[test]
    fn no_network_says_what_is_allowed() {
        for bad in ["", "192.0.2.0/33", "192.0.2", "acme.example", "2001:db8::/129"] {
            assert_eq!(
                parse_network(bad).unwrap_err(),
                "a network is allowed, as in `192.0.2.0/28`, or an address"
            );
        }
    }

    #[test]
    fn hosts_are_names_or_addresses() {
        assert_eq!(parse_host("MX1.example").unwrap(), "mx1.example");
        assert_eq!(parse_host("[2001:DB8::1]").unwrap(), "2001:db8::1");
        for bad in ["", "a b", "a..b", "-a", "user@host", "[::g]", &"a".repeat(64), "a\r\n"] {
            assert!(parse_host(bad).is_err(), "{bad}");
        }
    }
}
