//! What a certificate says to those who meet it: whether it names us, until when, and who vouches for it.
//! `doctor` looks at those that our doors show.

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, Error, RootCertStore};

use super::tls::{TlsError, provider, read_certificates, system_roots};

/// What was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// It names the host that was asked for.
    pub names_host: bool,
    /// When it ends; `None` when that cannot be read.
    pub not_after: Option<Timestamp>,
    /// Its chain leads to a root of this machine, now.
    pub vouched_for: bool,
}

/// Looks at the first certificate of a file, with the rest as its chain.
///
/// # Errors
/// When there is none, or it is no certificate.
pub fn look(file: &Path, host: &str, now: Timestamp) -> Result<Seen, TlsError> {
    let chain = read_certificates(file)?;
    let nothing = || TlsError::NoCertificate { file: file.to_owned() };
    let (first, rest) = chain.split_first().ok_or_else(nothing)?;
    let parsed = ParsedCertificate::try_from(first).map_err(|_| nothing())?;
    let name = ServerName::try_from(host.to_owned());
    let mut own = RootCertStore::empty();
    own.add_parsable_certificates(chain.iter().cloned());
    Ok(Seen {
        names_host: name.is_ok_and(|name| verify_server_name(&parsed, &name).is_ok()),
        not_after: not_after(&parsed, &own, rest),
        vouched_for: system_roots().is_ok_and(|file| is_vouched_for(&parsed, &file, rest, now)),
    })
}

/// Asked about a day after all others, the verifier says when the certificate ended.
fn not_after(
    certificate: &ParsedCertificate<'_>,
    roots: &RootCertStore,
    chain: &[CertificateDer<'_>],
) -> Option<Timestamp> {
    match verify(certificate, roots, chain, FAR) {
        Err(Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. })) => {
            Timestamp::from_second(i64::try_from(not_after.as_secs()).ok()?).ok()
        }
        _ => None,
    }
}

fn is_vouched_for(
    certificate: &ParsedCertificate<'_>,
    roots: &Path,
    chain: &[CertificateDer<'_>],
    now: Timestamp,
) -> bool {
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(read_certificates(roots).unwrap_or_default());
    let now = u64::try_from(now.as_second()).unwrap_or_default();
    verify(certificate, &store, chain, Duration::from_secs(now)).is_ok()
}

fn verify(
    certificate: &ParsedCertificate<'_>,
    roots: &RootCertStore,
    chain: &[CertificateDer<'_>],
    at: Duration,
) -> Result<(), Error> {
    let algorithms = provider().signature_verification_algorithms.all;
    let at = UnixTime::since_unix_epoch(at);
    verify_server_cert_signed_by_trust_anchor(certificate, roots, chain, at, algorithms)
}

/// 9999-12-31, the last day that RFC 5280 4.1.2.5 has, is just before it.
const FAR: Duration = Duration::from_secs(253_402_300_800);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::tls::own_server_config;

    #[test]
    fn a_certificate_of_our_own_names_us_ends_one_day_and_nobody_vouches_for_it() {
        let dir = tempfile::tempdir().unwrap();
        own_server_config(dir.path(), "gate.example").unwrap();
        let file = dir.path().join("tls-cert.pem");
        let look = |host: &str| look(&file, host, Timestamp::UNIX_EPOCH).unwrap();
        assert!(look("gate.example").names_host && look("localhost").names_host);
        assert!(!look("other.example").names_host && !look("not a name").names_host);
        let seen = look("gate.example");
        assert!(!seen.vouched_for);
        assert!(seen.not_after.unwrap() > Timestamp::UNIX_EPOCH, "{seen:?}");
    }

    #[test]
    fn a_certificate_with_an_end_is_read_to_the_second() {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(vec!["gate.example".to_owned()]).unwrap();
        params.not_after = rcgen::date_time_ymd(2026, 12, 24);
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), params.self_signed(&key).unwrap().pem()).unwrap();
        let seen = look(file.path(), "gate.example", Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(seen.not_after, Some("2026-12-24T00:00:00Z".parse().unwrap()));
    }

    #[test]
    fn what_is_no_certificate_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = look(file.path(), "gate.example", Timestamp::UNIX_EPOCH).unwrap_err().to_string();
        assert!(error.contains("holds no certificate"), "{error}");
    }
}
