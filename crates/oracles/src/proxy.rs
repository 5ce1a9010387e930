//! A PROXY header: a reader that fetches what it is told to never takes an octet of the client's, errors are the
//! same however the octets come, and a slow reading written from the specification agrees.
//! The fuzz target `proxy_header`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use countersign_wire::limits::Limits;
use countersign_wire::proxy::{Progress, Proxied, ProxyError, read};

/// The octets are what a peer sends first.
pub(crate) fn proxy_header(octets: &[u8]) {
    let limits = Limits::default();
    let (fetched, outcome) = fetch(octets, &limits);
    let slowly = (0..=octets.len()).map(|length| read(octets.get(..length).unwrap_or_default(), &limits));
    let first = slowly.into_iter().find(|reading| !matches!(reading, Ok(Progress::More(_))));
    assert_eq!(first, outcome, "octet by octet it is another header");
    match outcome {
        None => {}
        Some(Ok(Progress::Whole(proxied))) => {
            let length = 16
                + usize::from(octets.get(14).map_or(0, |high| *high)) * 256
                + usize::from(octets.get(15).map_or(0, |low| *low));
            assert_eq!(fetched, length, "too much or too little was fetched");
            assert!(length <= limits.proxy_header);
            assert_eq!(read(octets, &limits), Ok(Progress::Whole(proxied)));
            assert_eq!(naive(octets), Some(proxied));
        }
        // The slow reading knows no checksum and no fields.
        Some(Err(ProxyError::Checksum | ProxyError::Fields | ProxyError::TooLong(_))) => {}
        Some(error) => assert_eq!(naive(octets), None, "{error:?}"),
    }
}

/// Fetches as a door does: how many octets, and what they came to.
fn fetch(octets: &[u8], limits: &Limits) -> (usize, Option<Result<Progress, ProxyError>>) {
    let mut fetched = 0;
    loop {
        match read(octets.get(..fetched).unwrap_or_default(), limits) {
            Ok(Progress::More(more)) => {
                assert!(more > 0 && fetched + more <= limits.proxy_header, "{more} after {fetched}");
                let come = (fetched + more).min(octets.len());
                if come == fetched {
                    return (fetched, None);
                }
                fetched = come;
            }
            outcome => return (fetched, Some(outcome)),
        }
    }
}

/// By the table of the specification, as if everything had come.
fn naive(octets: &[u8]) -> Option<Proxied> {
    let rest = octets.strip_prefix(b"\x0d\x0a\x0d\x0a\x00\x0d\x0a\x51\x55\x49\x54\x0a")?;
    let (head, rest) = rest.split_at_checked(4)?;
    let length = head.iter().skip(2).fold(0, |length, octet| length * 256 + usize::from(*octet));
    let body = rest.get(..length)?;
    let port = |at: usize| Some(u16::from_be_bytes([*body.get(at)?, *body.get(at + 1)?]));
    match head.get(..2)? {
        [0x20, _] => Some(Proxied::Local),
        [0x21, 0x11] => {
            let ip = |at: usize| Some(Ipv4Addr::from(<[u8; 4]>::try_from(body.get(at..at + 4)?).ok()?));
            let source = SocketAddr::new(ip(0)?.into(), port(8)?);
            Some(Proxied::Given { source, destination: SocketAddr::new(ip(4)?.into(), port(10)?) })
        }
        [0x21, 0x21] => {
            let ip = |at: usize| Some(Ipv6Addr::from(<[u8; 16]>::try_from(body.get(at..at + 16)?).ok()?));
            let plain = |ip: Ipv6Addr| IpAddr::from(ip).to_canonical();
            let source = SocketAddr::new(plain(ip(0)?), port(32)?);
            Some(Proxied::Given { source, destination: SocketAddr::new(plain(ip(16)?), port(34)?) })
        }
        _ => None,
    }
}
