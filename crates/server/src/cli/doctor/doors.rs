//! The checks of our own doors: whether they answer, and what their certificates say.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::line::Line;
use super::running;
use crate::cli::exit::Code;
use crate::clock::Clock;
use crate::config::{Config, Listener, ListenerTls};
use crate::net::{certificate, tls};

/// Whether a server runs, whether it is ready, and whether its listeners answer.
pub(super) async fn listeners(config: &Config) -> Vec<Line> {
    if running(&config.server.data_dir).is_none() {
        let why = "no server runs on this data directory (`countersign serve`)";
        return vec![Line::skipped("server", why)];
    }
    let mut lines = vec![ready(config.metrics).await];
    for listener in &config.send.listeners {
        lines.push(match listener.listen.port() {
            0 => Line::skipped(
                "listener",
                format!("{}: which port it has is not in the configuration", listener.listen),
            ),
            _ if !listener.proxy_protocol.is_empty() => {
                Line::skipped("listener", format!("{}: a load balancer speaks first there", listener.listen))
            }
            _ => answers(listener).await,
        });
    }
    lines
}

/// What `/readyz` says.
async fn ready(metrics: SocketAddr) -> Line {
    const CHECK: &str = "server";
    if metrics.port() == 0 {
        return Line::ok(CHECK, "runs; where /readyz is, is not in the configuration (`[metrics] listen`)");
    }
    let ask = async {
        let mut stream = TcpStream::connect(reachable(metrics)).await?;
        stream.write_all(b"GET /readyz HTTP/1.0\r\nHost: localhost\r\n\r\n").await?;
        let mut answer = String::new();
        stream.take(MOST).read_to_string(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    let answer = match tokio::time::timeout(PATIENCE, ask).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => {
            return unreachable(CHECK, &format!("runs, but /readyz on {metrics} does not answer: {error}"));
        }
        Err(_) => return unreachable(CHECK, &format!("runs, but /readyz on {metrics} does not answer")),
    };
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body).trim();
    match answer.split(' ').nth(1) {
        Some("200") => Line::ok(CHECK, format!("runs and is ready: {body}")),
        _ => {
            let said: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
            let why = said.get("why").and_then(serde_json::Value::as_str).unwrap_or(body);
            unreachable(CHECK, &format!("runs and is not ready: {why}"))
        }
    }
}

async fn answers(listener: &Listener) -> Line {
    const CHECK: &str = "listener";
    let address = listener.listen;
    match tokio::time::timeout(PATIENCE, greeting(listener)).await {
        Ok(Ok(greeting)) => Line::ok(CHECK, format!("{address} says `{greeting}`")),
        Ok(Err(error)) => unreachable(CHECK, &format!("{address} does not answer: {error}")),
        Err(_) => unreachable(CHECK, &format!("{address} does not answer in time")),
    }
}

fn unreachable(check: &'static str, what: &str) -> Line {
    Line::fail(
        check,
        Code::Unreachable,
        what,
        "see the log of `serve`; another configuration takes a restart for addresses",
    )
}

async fn greeting(listener: &Listener) -> std::io::Result<String> {
    let stream = TcpStream::connect(reachable(listener.listen)).await?;
    if listener.tls != ListenerTls::Implicit {
        return first_line(stream).await;
    }
    let client = tls::unverified_client_config().map_err(std::io::Error::other)?;
    let name = ServerName::try_from("localhost").map_err(std::io::Error::other)?;
    first_line(TlsConnector::from(Arc::new(client)).connect(name, stream).await?).await
}

async fn first_line(mut stream: impl AsyncRead + Unpin) -> std::io::Result<String> {
    let mut line = Vec::new();
    while !line.ends_with(b"\n") && line.len() < 600 {
        line.push(stream.read_u8().await?);
    }
    Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
}

/// An address to connect to: who listens everywhere is met on loopback.
pub(super) fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(v4) if v4.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(v6) if v6.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        other => other,
    };
    SocketAddr::new(ip, address.port())
}

/// Every certificate that is shown: whom it names, and until when.
pub(super) fn certificates(config: &Config, clock: &Clock) -> Vec<Line> {
    let secured = config.send.listeners.iter().filter(|listener| listener.tls != ListenerTls::Off);
    let own = config.server.data_dir.join("tls-cert.pem");
    let files: BTreeSet<PathBuf> = secured
        .map(|listener| listener.tls_files.as_ref().or(config.tls.as_ref()))
        .map(|files| files.map_or_else(|| own.clone(), |files| files.cert_file.clone()))
        .collect();
    if files.is_empty() {
        return vec![Line::skipped("certificate", "no listener speaks TLS")];
    }
    files.iter().map(|file| shown(config, file, clock, *file == own)).collect()
}

fn shown(config: &Config, file: &Path, clock: &Clock, own: bool) -> Line {
    const CHECK: &str = "certificate";
    let (path, host) = (file.display(), &config.server.hostname);
    if own && !file.exists() {
        return Line::skipped(CHECK, format!("`{path}` is made by the first `countersign serve`"));
    }
    let now = clock.now();
    let seen = match certificate::look(file, host, now) {
        Ok(seen) => seen,
        Err(error) => return Line::failed(CHECK, Code::Configuration, error),
    };
    let renew = "renew it, and send `serve` a SIGHUP";
    let until =
        seen.not_after.map_or_else(|| "a time that cannot be read".to_owned(), |until| until.to_string());
    match seen.not_after.map(|until| until.duration_since(now)) {
        Some(left) if left.is_negative() => {
            return Line::fail(CHECK, Code::Configuration, format!("`{path}` ended at {until}"), renew);
        }
        Some(left) if left < SOON => return Line::warn(CHECK, format!("`{path}` ends at {until}"), renew),
        _ => {}
    }
    if !seen.names_host {
        let remedy = "take one for that name, or set `[server] hostname`";
        return Line::warn(CHECK, format!("`{path}` does not name {host}"), remedy);
    }
    match seen.vouched_for {
        true => Line::ok(CHECK, format!("`{path}` names {host}, until {until}")),
        false => Line::warn(
            CHECK,
            format!("`{path}` names {host}, until {until}; nobody whom this machine knows vouches for it"),
            "clients that verify will not sign in: set `[tls] cert_file` and `key_file`",
        ),
    }
}

const PATIENCE: Duration = Duration::from_secs(5);
const SOON: SignedDuration = SignedDuration::from_hours(14 * 24);
/// Octets of an answer that are read.
const MOST: u64 = 65_536;
