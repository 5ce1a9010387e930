//! TLS settings: for our doors from PEM files or a certificate of our own, for upstreams from roots.
//! Called by `boot` (doors) and by `upstream`. Every setting names its crypto provider itself.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme};
use thiserror::Error;

/// Why TLS cannot be set up.
#[derive(Debug, Error)]
pub enum TlsError {
    #[error("`{}` cannot be read: {cause}", file.display())]
    Read { file: PathBuf, cause: pem::Error },
    #[error("`{}` holds no certificate", file.display())]
    NoCertificate { file: PathBuf },
    #[error("certificate `{}` does not go with key `{}`: {cause}", certificate.display(), key.display())]
    Pair { certificate: PathBuf, key: PathBuf, cause: rustls::Error },
    #[error("`{}` cannot be written: {cause}", file.display())]
    Write { file: PathBuf, cause: io::Error },
    #[error("only one of `{}` and `{}` is there (remove it, or restore the other)", key.display(), certificate.display())]
    HalfPair { key: PathBuf, certificate: PathBuf },
    #[error("certificate cannot be made for `{host}`: {cause}")]
    Make { host: String, cause: rcgen::Error },
    #[error("no file of root certificates is found (name one as `ca_file`)")]
    NoRoots,
    #[error("TLS versions are not supported: {0}")]
    Versions(rustls::Error),
}

/// Settings of a door from a chain of certificates and a private key, both in PEM.
pub fn server_config(certificate: &Path, key: &Path) -> Result<ServerConfig, TlsError> {
    let chain = read_certificates(certificate)?;
    let private =
        PrivateKeyDer::from_pem_file(key).map_err(|cause| TlsError::Read { file: key.to_owned(), cause })?;
    ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Versions)?
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .map_err(|cause| TlsError::Pair { certificate: certificate.to_owned(), key: key.to_owned(), cause })
}

/// Settings of a door from `tls-key.pem` (mode 0600) and `tls-cert.pem` in the data directory. They
/// are made the first time, self-signed with a P-256 key, and never made again.
pub fn own_server_config(data_dir: &Path, host: &str) -> Result<ServerConfig, TlsError> {
    let (key, certificate) = (data_dir.join("tls-key.pem"), data_dir.join("tls-cert.pem"));
    match (key.exists(), certificate.exists()) {
        (true, true) => {}
        // The key is written last: without it the making was cut off, and the certificate is worth nothing.
        (false, _) => make_certificate(&key, &certificate, host)?,
        (true, false) => return Err(TlsError::HalfPair { key, certificate }),
    }
    server_config(&certificate, &key)
}

/// Settings of a client that verifies names and certificates. Without a `ca_file` the roots are the
/// system's.
pub fn client_config(ca_file: Option<&Path>) -> Result<ClientConfig, TlsError> {
    let file = match ca_file {
        Some(file) => file.to_owned(),
        None => system_roots()?,
    };
    let mut roots = RootCertStore::empty();
    let (taken, _) = roots.add_parsable_certificates(read_certificates(&file)?);
    if taken == 0 {
        return Err(TlsError::NoCertificate { file });
    }
    Ok(ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Versions)?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

/// Settings of a client that believes whoever answers (`tls_verify = false`). The connection is
/// hidden from those who only listen; whoever stands in its middle reads and changes everything.
pub fn unverified_client_config() -> Result<ClientConfig, TlsError> {
    Ok(ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Versions)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AcceptsAnyCertificate(provider())))
        .with_no_client_auth())
}

pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

pub(super) fn read_certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let unread = |cause| TlsError::Read { file: file.to_owned(), cause };
    let certificates: Vec<_> =
        CertificateDer::pem_file_iter(file).map_err(unread)?.collect::<Result<_, _>>().map_err(unread)?;
    if certificates.is_empty() {
        return Err(TlsError::NoCertificate { file: file.to_owned() });
    }
    Ok(certificates)
}

pub(super) fn system_roots() -> Result<PathBuf, TlsError> {
    ROOT_FILES.iter().map(PathBuf::from).find(|file| file.exists()).ok_or(TlsError::NoRoots)
}

fn make_certificate(key_file: &Path, certificate_file: &Path, host: &str) -> Result<(), TlsError> {
    let unmade = |cause| TlsError::Make { host: host.to_owned(), cause };
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(unmade)?;
    let mut names = vec![host.to_owned()];
    if host != "localhost" {
        names.push("localhost".to_owned());
    }
    let mut params = CertificateParams::new(names).map_err(unmade)?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, host);
    let certificate = params.self_signed(&key).map_err(unmade)?;
    // The key last: a certificate without its key is known for a making that was cut off, and no key is lost.
    write_new(certificate_file, certificate.pem().as_bytes(), 0o644)?;
    write_new(key_file, key.serialize_pem().as_bytes(), 0o600)
}

/// Writes beside the name and then takes the name, so that half a file never bears it.
fn write_new(file: &Path, octets: &[u8], mode: u32) -> Result<(), TlsError> {
    let unwritten = |cause| TlsError::Write { file: file.to_owned(), cause };
    let beside = file.with_extension("new");
    let _ = fs::remove_file(&beside);
    let mut written =
        OpenOptions::new().write(true).create_new(true).mode(mode).open(&beside).map_err(unwritten)?;
    written.write_all(octets).map_err(unwritten)?;
    written.sync_all().map_err(unwritten)?;
    fs::rename(&beside, file).map_err(unwritten)
}

/// Takes any certificate of anybody. Signatures of the handshake are still checked, so the peer does
/// hold the key of whatever certificate it shows.
#[derive(Debug)]
struct AcceptsAnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AcceptsAnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// Where systems keep their roots: Debian and Alpine, Fedora, the BSDs.
const ROOT_FILES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
    "/usr/local/share/certs/ca-root-nss.crt",
];

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio_rustls::{TlsAcceptor, TlsConnector};

    use super::*;

    async fn handshake(server: ServerConfig, client: ClientConfig, name: &str) -> io::Result<()> {
        let (near, far) = tokio::io::duplex(1 << 16);
        let acceptor = TlsAcceptor::from(Arc::new(server));
        let served = tokio::spawn(async move {
            let mut stream = acceptor.accept(far).await?;
            stream.write_all(b"hello").await?;
            stream.shutdown().await
        });
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let mut stream = TlsConnector::from(Arc::new(client)).connect(name, near).await?;
        let mut said = String::new();
        stream.read_to_string(&mut said).await?;
        assert_eq!(said, "hello");
        served.await?
    }

    #[tokio::test]
    async fn own_certificate_is_made_once_and_verifies_for_its_host_only() {
        let data = tempfile::tempdir().unwrap();
        let server = || own_server_config(data.path(), "gate.example").unwrap();
        let first = server();
        let file = data.path().join("tls-cert.pem");
        let made = fs::read(&file).unwrap();
        handshake(first, client_config(Some(&file)).unwrap(), "gate.example").await.unwrap();
        handshake(server(), client_config(Some(&file)).unwrap(), "localhost").await.unwrap();
        let other = handshake(server(), client_config(Some(&file)).unwrap(), "other.example").await;
        assert!(other.is_err());
        assert_eq!(fs::read(&file).unwrap(), made);
        let mode = fs::metadata(data.path().join("tls-key.pem")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_making_that_was_cut_off_before_the_key_is_made_up_for() {
        let data = tempfile::tempdir().unwrap();
        own_server_config(data.path(), "gate.example").unwrap();
        fs::remove_file(data.path().join("tls-key.pem")).unwrap();
        own_server_config(data.path(), "gate.example").unwrap();
        assert!(data.path().join("tls-key.pem").exists());
    }

    #[tokio::test]
    async fn unverified_takes_any_certificate_and_the_system_roots_do_not() {
        let data = tempfile::tempdir().unwrap();
        let server = || own_server_config(data.path(), "gate.example").unwrap();
        handshake(server(), unverified_client_config().unwrap(), "other.example").await.unwrap();
        if system_roots().is_ok() {
            let system = client_config(None).unwrap();
            assert!(handshake(server(), system, "gate.example").await.is_err());
        }
    }

    #[test]
    fn errors_name_the_file() {
        let data = tempfile::tempdir().unwrap();
        let (key, certificate) = (data.path().join("k.pem"), data.path().join("c.pem"));
        let missing = server_config(&certificate, &key).unwrap_err().to_string();
        assert!(missing.contains("c.pem"), "{missing}");
        fs::write(&certificate, "nothing").unwrap();
        let empty = server_config(&certificate, &key).unwrap_err().to_string();
        assert!(empty.contains("c.pem` holds no certificate"), "{empty}");
        own_server_config(data.path(), "gate.example").unwrap();
        let missing = server_config(&data.path().join("tls-cert.pem"), &key).unwrap_err().to_string();
        assert!(missing.contains("k.pem"), "{missing}");
        fs::remove_file(data.path().join("tls-cert.pem")).unwrap();
        let half = own_server_config(data.path(), "gate.example").unwrap_err().to_string();
        assert!(half.contains("tls-key.pem"), "{half}");
    }
}
