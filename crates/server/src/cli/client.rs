//! The CLI's side of the control socket: one request, one answer, JSON both ways.

use std::io;
use std::path::Path;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::UnixStream;

use super::exit::{Code, Failure};

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum NoAnswer {
    /// No server has the data directory.
    NoServer,
    /// The server said no, or could not.
    Problem(Failure),
}

impl From<NoAnswer> for Failure {
    fn from(no: NoAnswer) -> Self {
        match no {
            NoAnswer::NoServer => Self::new(
                Code::Unreachable,
                "no server has this data directory: start `countersign serve`, or name its configuration with --config",
            ),
            NoAnswer::Problem(failure) => failure,
        }
    }
}

/// Asks the server of a data directory.
pub(super) async fn ask(
    data_dir: &Path,
    method: Method,
    path: &str,
    body: Option<&Value>,
) -> Result<Value, NoAnswer> {
    let stream = UnixStream::connect(data_dir.join("control.sock")).await.map_err(|_| NoAnswer::NoServer)?;
    let failed = |error: &dyn std::fmt::Display| {
        NoAnswer::Problem(Failure::new(Code::Unreachable, format!("the server did not answer: {error}")))
    };
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|e| failed(&e))?;
    // It ends with the sender; an error of it is an error of the request too.
    tokio::spawn(async move { connection.await.map_err(io::Error::other) });
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, "localhost")
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(body.map(Value::to_string).unwrap_or_default())))
        .map_err(|e| failed(&e))?;
    let response = sender.send_request(request).await.map_err(|e| failed(&e))?;
    let status = response.status();
    let octets = response.into_body().collect().await.map_err(|e| failed(&e))?.to_bytes();
    let value: Value = serde_json::from_slice(&octets).unwrap_or_default();
    if status.is_success() { Ok(value) } else { Err(NoAnswer::Problem(problem(status, &value, &octets))) }
}

fn problem(status: StatusCode, value: &Value, octets: &[u8]) -> Failure {
    let code = match status {
        StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND | StatusCode::UNPROCESSABLE_ENTITY => Code::Usage,
        StatusCode::FORBIDDEN | StatusCode::CONFLICT | StatusCode::GONE => Code::NotPermitted,
        StatusCode::SERVICE_UNAVAILABLE => Code::Unreachable,
        _ => Code::Internal,
    };
    let plain = String::from_utf8_lossy(octets);
    let says = value.get("detail").and_then(Value::as_str).unwrap_or(&plain);
    let reference =
        value.get("ref").and_then(Value::as_str).map(|r| format!(" (ref={r})")).unwrap_or_default();
    Failure::new(code, format!("{says}{reference}"))
}
