//! `[[ledger.witnesses]]`: who cosigns the checkpoints of our log.
//! `checked` reads it; the cosigner asks them.

use std::fmt;
use std::path::PathBuf;

use countersign_core::ledger::{Algorithm, VerifierKey};

use super::network::parse_host;
use super::notes::Noted;
use super::reader::Reader;

/// `[[ledger.witnesses]]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Witness {
    /// Where it is.
    pub url: WitnessUrl,
    /// What its cosignatures are verified with.
    pub key: VerifierKey,
    /// The issuers that are believed about its certificate; those of the system when absent.
    pub ca_file: Option<PathBuf>,
}

impl Witness {
    pub(super) fn read(witness: Reader<'_>) -> Result<Self, Noted> {
        let url = witness.required("url", WitnessUrl::parse);
        let key = witness.required("key", parse_key);
        let ca_file = witness.file("ca_file")?;
        let (url, key) = (url?, key?);
        match ca_file.is_some() && !url.secured {
            true => Err(witness.wrong("ca_file", "has no effect with `http://`")),
            false => Ok(Self { url, key, ca_file }),
        }
    }
}

fn parse_key(text: &str) -> Result<VerifierKey, String> {
    let key = VerifierKey::parse(text).map_err(|error| {
        format!("{error} (`countersign ledger witness` prints the key of a witness when it starts)")
    })?;
    match key.algorithm() {
        Algorithm::Cosignature => Ok(key),
        Algorithm::Ed25519 => {
            Err("it is the key of a log; the key that the witness prints when it starts is allowed"
                .to_owned())
        }
    }
}

/// The address of a witness, to which `/add-checkpoint` is added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WitnessUrl {
    /// Whether it is spoken to inside TLS.
    pub secured: bool,
    /// A name or an address, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// What stands before `/add-checkpoint`, without a slash at its end; mostly nothing.
    pub prefix: String,
}

impl WitnessUrl {
    /// Reads `http://HOST:PORT/PREFIX` or `https://...`; port and prefix may be left out.
    ///
    /// # Errors
    /// A sentence that says what is allowed.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (scheme, rest) = text.split_once("://").ok_or_else(allowed)?;
        let secured = match scheme.to_ascii_lowercase().as_str() {
            "http" => false,
            "https" => true,
            _ => return Err(allowed()),
        };
        let (place, prefix) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        let (host, port) = match place.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().map_err(|_| allowed())?),
            _ => (place, if secured { 443 } else { 80 }),
        };
        let host = parse_host(host).map_err(|_| allowed())?;
        let prefix = prefix.trim_end_matches('/').to_owned();
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"/-._~".contains(&b);
        match port == 0 || !prefix.bytes().all(plain) || prefix.ends_with("/add-checkpoint") {
            true => Err(allowed()),
            false => Ok(Self { secured, host, port, prefix }),
        }
    }
}

impl fmt::Display for WitnessUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.secured { "https" } else { "http" };
        match self.host.contains(':') {
            true => write!(f, "{scheme}://[{}]:{}{}", self.host, self.port, self.prefix),
            false => write!(f, "{scheme}://{}:{}{}", self.host, self.port, self.prefix),
        }
    }
}

fn allowed() -> String {
    "an address without `/add-checkpoint` is allowed, as in `https://witness.example` or `http://127.0.0.1:7380`"
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_host_and_perhaps_port_and_prefix() {
        for (text, printed) in [
            ("http://127.0.0.1:7380", "http://127.0.0.1:7380"),
            ("HTTPS://Witness.example/", "https://witness.example:443"),
            ("http://[2001:db8::1]/log/w1", "http://[2001:db8::1]:80/log/w1"),
        ] {
            let url = WitnessUrl::parse(text).unwrap();
            assert_eq!(url.to_string(), printed);
            assert_eq!(WitnessUrl::parse(printed), Ok(url));
        }
        for bad in [
            "witness.example",
            "ftp://witness.example",
            "https://",
            "https://w.example:0",
            "https://w.example:x",
            "https://user:pass@w.example",
            "https://w.example/add-checkpoint",
            "https://w.example/a?b=c",
            "https://w.example/a b",
        ] {
            assert_eq!(WitnessUrl::parse(bad), Err(allowed()), "{bad}");
        }
    }
}
