//! The PROXY protocol, version 2: who is at the other end of a connection that a load balancer passes on.
//! Called by the SMTP doors for peers in the listener's `proxy_protocol`, before TLS and before any greeting.
//!
//! There is no RFC: quotes are from "The PROXY protocol, Versions 1 & 2" (HAProxy, 2020), section 2.2.

use std::net::{IpAddr, SocketAddr};

use thiserror::Error;

use crate::limits::Limits;

/// What a header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proxied {
    /// "the connection was established on purpose by the proxy without being relayed": a health check. The peer
    /// is who it is.
    Local,
    /// The connection of somebody else.
    Given {
        /// Who connected to the balancer; an IPv4 address in IPv6 clothes is IPv4.
        source: SocketAddr,
        /// Where at the balancer.
        destination: SocketAddr,
    },
}

/// How far a header has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// At least so many octets more belong to it, 1 or more: read no further, what follows is the client's.
    More(usize),
    /// It is whole.
    Whole(Proxied),
}

/// Why octets are not a header that we take. The connection is closed without a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ProxyError {
    /// Something else, such as a greeting.
    #[error(
        "what comes is no PROXY header (take the peer out of `proxy_protocol`, or have it send version 2)"
    )]
    Absent,
    /// `PROXY TCP4 ...`
    #[error(
        "the PROXY header is of version 1: have the balancer send version 2 (`send-proxy-v2` of HAProxy)"
    )]
    FirstVersion,
    /// Neither 1 nor 2.
    #[error("the PROXY header is of version `{0}`: only 2 is read")]
    Version(u8),
    /// Neither LOCAL nor PROXY.
    #[error("the PROXY header has the unknown command `{0}`")]
    Command(u8),
    /// Not TCP over IPv4 or IPv6.
    #[error("the PROXY header has the family and transport `{0:#04x}`: only TCP over IPv4 or IPv6 is read")]
    Family(u8),
    /// The addresses do not fit into the length.
    #[error("the PROXY header is too short for its addresses")]
    Short,
    /// More than [`Limits::proxy_header`].
    #[error("the PROXY header has {0} octets, more than are read")]
    TooLong(usize),
    /// What follows the addresses is not type, length and value.
    #[error("the PROXY header has malformed fields after its addresses")]
    Fields,
    /// The checksum of the header is another.
    #[error("the PROXY header is damaged: its checksum does not fit")]
    Checksum,
}

/// Reads what has come so far, and never asks for an octet beyond the header. With octets beyond it they are
/// not looked at.
///
/// # Errors
/// See [`ProxyError`]; what is wrong already is said before the rest has come.
pub fn read(octets: &[u8], limits: &Limits) -> Result<Progress, ProxyError> {
    if let Some(progress) = read_signature(octets)? {
        return Ok(progress);
    }
    let Some((fixed, rest)) = octets.split_first_chunk::<FIXED>() else {
        return Ok(Progress::More(FIXED - octets.len()));
    };
    let [.., version_and_command, family, high, low] = *fixed;
    let is_local = command(version_and_command)?;
    let length = usize::from(u16::from_be_bytes([high, low]));
    let whole = FIXED + length;
    if whole > limits.proxy_header {
        return Err(ProxyError::TooLong(whole));
    }
    if !is_local && !matches!(family, TCP_OVER_IPV4 | TCP_OVER_IPV6) {
        return Err(ProxyError::Family(family));
    }
    let Some(body) = rest.get(..length) else { return Ok(Progress::More(length - rest.len())) };
    if is_local {
        // "the receiver must accept this connection as valid and must use the real connection endpoints and
        // discard the protocol block including the family which is ignored"
        return Ok(Progress::Whole(Proxied::Local));
    }
    let (proxied, fields) = addresses(family, body)?;
    check_fields(fixed, body, fields)?;
    Ok(Progress::Whole(proxied))
}

/// What is still missing of the signature, if anything; no other protocol begins like it.
fn read_signature(octets: &[u8]) -> Result<Option<Progress>, ProxyError> {
    let missing = |of: &[u8]| Some(Progress::More(of.len().saturating_sub(octets.len()).max(1)));
    match octets {
        _ if octets.starts_with(SIGNATURE) => Ok(None),
        _ if SIGNATURE.starts_with(octets) => Ok(missing(SIGNATURE)),
        _ if octets.starts_with(FIRST_VERSION) => Err(ProxyError::FirstVersion),
        _ if FIRST_VERSION.starts_with(octets) => Ok(missing(FIRST_VERSION)),
        _ => Err(ProxyError::Absent),
    }
}

/// "The highest four bits contains the version. As of this specification, it must always be sent as \x2 and the
/// receiver must only accept this value. The lowest four bits represents the command". Whether it is LOCAL.
const fn command(octet: u8) -> Result<bool, ProxyError> {
    match (octet >> 4, octet & 15) {
        (2, 0) => Ok(true),
        (2, 1) => Ok(false),
        // "other values are unassigned and must not be emitted by senders. Receivers must drop connections
        // presenting unexpected values here."
        (2, command) => Err(ProxyError::Command(command)),
        (version, _) => Err(ProxyError::Version(version)),
    }
}

/// The addresses and the fields behind them.
fn addresses(family: u8, body: &[u8]) -> Result<(Proxied, &[u8]), ProxyError> {
    let (source, destination, ports, fields) = match family {
        TCP_OVER_IPV4 => {
            let (source, rest) = body.split_first_chunk::<4>().ok_or(ProxyError::Short)?;
            let (destination, rest) = rest.split_first_chunk::<4>().ok_or(ProxyError::Short)?;
            let (ports, fields) = rest.split_first_chunk::<4>().ok_or(ProxyError::Short)?;
            (IpAddr::from(*source), IpAddr::from(*destination), ports, fields)
        }
        _ => {
            let (source, rest) = body.split_first_chunk::<16>().ok_or(ProxyError::Short)?;
            let (destination, rest) = rest.split_first_chunk::<16>().ok_or(ProxyError::Short)?;
            let (ports, fields) = rest.split_first_chunk::<4>().ok_or(ProxyError::Short)?;
            (IpAddr::from(*source), IpAddr::from(*destination), ports, fields)
        }
    };
    let [source_high, source_low, destination_high, destination_low] = *ports;
    let at = |address: IpAddr, port| SocketAddr::new(address.to_canonical(), u16::from_be_bytes(port));
    let source = at(source, [source_high, source_low]);
    let destination = at(destination, [destination_high, destination_low]);
    Ok((Proxied::Given { source, destination }, fields))
}

/// Type, length in two octets, value: as often as there is room. Only the checksum means something to us.
fn check_fields(fixed: &[u8], body: &[u8], fields: &[u8]) -> Result<(), ProxyError> {
    let mut rest = fields;
    while let Some((kind, after)) = rest.split_first() {
        let (length, after) = after.split_first_chunk::<2>().ok_or(ProxyError::Fields)?;
        let length = usize::from(u16::from_be_bytes(*length));
        let (value, after) = after.split_at_checked(length).ok_or(ProxyError::Fields)?;
        if *kind == CHECKSUM {
            let stated = <[u8; 4]>::try_from(value).map_err(|_| ProxyError::Fields)?;
            let at = FIXED + body.len() - after.len() - stated.len();
            // "calculate the CRC32c checksum [...] of the PROXY header with the Checksum field replaced by 0"
            let octets = fixed.iter().chain(body).enumerate();
            let zeroed = octets.map(|(place, octet)| if (at..at + 4).contains(&place) { 0 } else { *octet });
            if crc32c(zeroed) != u32::from_be_bytes(stated) {
                return Err(ProxyError::Checksum);
            }
        }
        rest = after;
    }
    Ok(())
}

/// RFC 3720, appendix B.4 has the test vectors.
fn crc32c(octets: impl Iterator<Item = u8>) -> u32 {
    !octets.fold(!0, |sum, octet| {
        (0..8).fold(sum ^ u32::from(octet), |sum, _| (sum >> 1) ^ (CASTAGNOLI & 0_u32.wrapping_sub(sum & 1)))
    })
}

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
const FIRST_VERSION: &[u8] = b"PROXY";
/// Signature, version and command, family and transport, length.
const FIXED: usize = 16;
const TCP_OVER_IPV4: u8 = 0x11;
const TCP_OVER_IPV6: u8 = 0x21;
/// `PP2_TYPE_CRC32C`
const CHECKSUM: u8 = 0x03;
/// The polynomial, its lowest power first.
const CASTAGNOLI: u32 = 0x82f6_3b78;

#[cfg(test)]
mod tests;
