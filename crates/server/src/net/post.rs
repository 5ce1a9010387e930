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

#[cfg(test)]
mod tests {
    use tempfile::TempDir;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;

    use super::*;

    /// Takes one request up to its last octet and gives one answer.
    async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin, answer: String) -> String {
        let (mut request, mut some) = (Vec::new(), [0_u8; 4096]);
        while !request.ends_with(b"end") {
            let read = stream.read(&mut some).await.unwrap();
            request.extend_from_slice(&some[..read]);
        }
        stream.write_all(answer.as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        String::from_utf8(request).unwrap()
    }

    #[tokio::test]
    async fn a_body_is_posted_and_answered_in_the_clear_and_inside_tls() {
        let dir = TempDir::new().unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(tls::own_server_config(dir.path(), "localhost").unwrap()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let said = "HTTP/1.1 409 Conflict\r\nContent-Length: 2\r\n\r\n7\n".to_owned();
        let plain = Destination::plain("localhost", port, "/w/add-checkpoint");
        let certificate = dir.path().join("tls-cert.pem");
        let secured = plain.clone().secured(Some(&certificate)).unwrap();

        let (posted, request) = tokio::join!(plain.post("the end".to_owned()), async {
            answer(listener.accept().await.unwrap().0, said.clone()).await
        });
        assert_eq!(posted.unwrap(), Posted { status: 409, body: "7\n".to_owned() });
        let head = format!("POST /w/add-checkpoint HTTP/1.1\r\nhost: localhost:{port}\r\n");
        assert!(request.starts_with(&head) && request.ends_with("\r\n\r\nthe end"), "{request}");

        let (posted, _) = tokio::join!(secured.post("the end".to_owned()), async {
            let stream = acceptor.accept(listener.accept().await.unwrap().0).await.unwrap();
            answer(stream, said.clone()).await
        });
        assert_eq!(posted.unwrap().status, 409);

        // Whoever has another certificate is not spoken to.
        let other = TempDir::new().unwrap();
        tls::own_server_config(other.path(), "localhost").unwrap();
        let wary = plain.clone().secured(Some(&other.path().join("tls-cert.pem"))).unwrap();
        let (posted, _) = tokio::join!(wary.post("the end".to_owned()), async {
            acceptor.accept(listener.accept().await.unwrap().0).await.map(drop)
        });
        assert!(matches!(posted, Err(PostError::Tls(_))), "{posted:?}");
    }

    #[tokio::test]
    async fn an_answer_that_does_not_end_is_none() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let plain = Destination::plain("127.0.0.1", port, "/");
        let long = format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(LARGEST + 1));
        let (posted, _) = tokio::join!(plain.post("the end".to_owned()), async {
            answer(listener.accept().await.unwrap().0, long).await
        });
        assert!(matches!(posted, Err(PostError::Http(_))), "{posted:?}");
        drop(listener);
        assert!(matches!(plain.post(String::new()).await, Err(PostError::Connect(_))));
    }
}
