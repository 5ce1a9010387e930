//! Post: one HTTP request with a body, one answer, over a connection of its own.
//! Checkpoints go to witnesses with it.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Request, header};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::tls::{self, TlsError};

/// Where something is posted.
#[derive(Debug, Clone)]
pub struct Destination {
    host: String,
    port: u16,
    path: String,
    tls: Option<Arc<ClientConfig>>,
}

/// What was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posted {
    /// The HTTP status.
    pub status: u16,
    /// The body, at most 64 KiB.
    pub body: String,
}

impl Destination {
    /// A path on a host, over HTTP in the clear.
    #[must_use]
    pub fn plain(host: &str, port: u16, path: &str) -> Self {
        Self { host: host.to_owned(), port, path: path.to_owned(), tls: None }
    }

    /// The same inside TLS, where the issuers of the system are believed, or those of a file.
    ///
    /// # Errors
    /// When there are none.
    pub fn secured(self, ca_file: Option<&Path>) -> Result<Self, TlsError> {
        Ok(Self { tls: Some(Arc::new(tls::client_config(ca_file)?)), ..self })
    }

    /// Posts a text.
    ///
    /// # Errors
    /// When no whole answer comes within ten seconds.
    pub async fn post(&self, body: String) -> Result<Posted, PostError> {
        tokio::time::timeout(PATIENCE, self.exchange(body)).await.unwrap_or(Err(PostError::Late))
    }

    async fn exchange(&self, body: String) -> Result<Posted, PostError> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await.map_err(PostError::Connect)?;
        stream.set_nodelay(true).map_err(PostError::Connect)?;
        let Some(tls) = &self.tls else { return self.ask(stream, body).await };
        let failed = |cause: &dyn std::fmt::Display| PostError::Tls(cause.to_string());
        let name = ServerName::try_from(self.host.clone()).map_err(|cause| failed(&cause))?;
        let connector = TlsConnector::from(Arc::clone(tls));
        self.ask(connector.connect(name, stream).await.map_err(|cause| failed(&cause))?, body).await
    }

    async fn ask<S>(&self, stream: S, body: String) -> Result<Posted, PostError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let failed = |error: &dyn std::fmt::Display| PostError::Http(error.to_string());
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|e| failed(&e))?;
        // It ends with the sender; an error of it is an error of the request too.
        let connection = tokio::spawn(async move { connection.await.map_err(io::Error::other) });
        let request = Request::post(&self.path)
            .header(header::HOST, self.host())
            .header(header::CONTENT_TYPE, "text/plain; charset=utf-8")
            .header(header::CONNECTION, "close")
            .body(Full::new(Bytes::from(body)))
            .map_err(|e| failed(&e))?;
        let response = sender.send_request(request).await.map_err(|e| failed(&e))?;
        let status = response.status().as_u16();
        let octets = Limited::new(response.into_body(), LARGEST).collect().await.map_err(|e| failed(&e))?;
        // Whoever keeps the connection open does not keep it with us.
        connection.abort();
        let body = String::from_utf8(octets.to_bytes().to_vec()).map_err(|e| failed(&e))?;
        Ok(Posted { status, body })
    }

    /// RFC 9110 7.2: "uri-host [ ":" port ]"
    fn host(&self) -> String {
        match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        }
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum PostError {
    /// Nobody is there.
    #[error("it cannot be reached: {0}")]
    Connect(io::Error),
    /// The connection cannot be secured.
    #[error("TLS with it fails: {0} (trust its issuer with `ca_file`)")]
    Tls(String),
    /// What came is no answer.
    #[error("it gave no answer: {0}")]
    Http(String),
    /// It took too long.
    #[error("it gave no answer within {} s", PATIENCE.as_secs())]
    Late,
}

const PATIENCE: Duration = Duration::from_secs(10);
const LARGEST: usize = 65_536;
