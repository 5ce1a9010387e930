//! Connections: who is let in, what each may take of time and room, and how they end.
//! Boot serves both listeners with it; requests go to the router. The door of a witness talks the same way.

use std::io;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use countersign_core::request::Actor;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::caller::Origin;
use super::{Api, Current, routes};

impl Api {
    /// Serves programs until told to stop, then waits for the requests that are at work.
    pub async fn serve(
        current: watch::Receiver<Arc<Self>>,
        listener: TcpListener,
        mut stop: watch::Receiver<bool>,
    ) {
        let (mut talks, router) = (JoinSet::new(), routes::router(&Current(current.clone())));
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((socket, peer)) => {
                        let api = Arc::clone(&current.borrow());
                        talks.spawn(api.receive(socket, peer.ip(), router.clone(), stop.clone()));
                    }
                    Err(error) => pause(&error).await,
                },
                Some(_) = talks.join_next(), if !talks.is_empty() => {}
                _ = stop.changed() => break,
            }
        }
        drop(listener);
        drain(talks).await;
    }

    /// Serves the commands of the CLI. Who opens the socket is known by its peer credentials.
    pub async fn serve_local(
        current: watch::Receiver<Arc<Self>>,
        listener: UnixListener,
        mut stop: watch::Receiver<bool>,
    ) {
        let (mut talks, router) = (JoinSet::new(), routes::router(&Current(current)));
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((socket, _)) => {
                        // Without credentials nobody is anybody: policy permits `local` users only.
                        let actor = socket.peer_cred().map_or_else(
                            |_| Actor::Staff("unknown".to_owned()),
                            |peer| Actor::Local(peer.uid()),
                        );
                        talks.spawn(talk(socket, Origin::Local(actor), router.clone(), stop.clone()));
                    }
                    Err(error) => pause(&error).await,
                },
                Some(_) = talks.join_next(), if !talks.is_empty() => {}
                _ = stop.changed() => break,
            }
        }
        drop(listener);
        drain(talks).await;
    }

    /// A connection of a program. It takes a place among the sessions of all listeners.
    async fn receive(
        self: Arc<Self>,
        socket: TcpStream,
        ip: IpAddr,
        router: Router,
        stop: watch::Receiver<bool>,
    ) {
        let Ok(_place) = self.capacity.admission.admit(ip, false) else {
            metrics::counter!("countersign_connections_refused_total", "code" => "503").increment(1);
            if self.settings.tls.is_none() {
                // The peer may be gone already; there is nobody else to tell.
                let _gone = socket.try_write(BUSY);
            }
            return;
        };
        if let Err(error) = options(&socket) {
            tracing::debug!(%ip, %error, "a connection has no options");
        }
        let Some(acceptor) = &self.settings.tls else {
            return talk(socket, Origin::Network(ip), router, stop).await;
        };
        match tokio::time::timeout(HANDSHAKE, acceptor.accept(socket)).await {
            Ok(Ok(secured)) => talk(secured, Origin::Network(ip), router, stop).await,
            Ok(Err(error)) => tracing::debug!(%ip, %error, "a handshake failed"),
            Err(_) => tracing::debug!(%ip, "a handshake took too long"),
        }
    }
}

pub(in crate::doors) fn options(socket: &TcpStream) -> io::Result<()> {
    socket.set_nodelay(true)?;
    // A peer that takes nothing of its answer holds the connection no longer than this.
    Ok(rustix::net::sockopt::set_tcp_user_timeout(socket, UNHEARD_MS)?)
}

/// Answers requests until the peer has no more, is too slow, or the server stops.
pub(in crate::doors) async fn talk<S>(
    socket: S,
    origin: Origin,
    router: Router,
    mut stop: watch::Receiver<bool>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let router = TowerToHyperService::new(router);
    let service = service_fn(|mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(origin.clone());
        router.call(request)
    });
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS)
        .max_headers(MOST_HEADERS)
        .max_header_size(MOST_HEADER_OCTETS)
        .max_buf_size(BUFFER);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(socket), service));
    let stopped = async {
        tokio::select! {
            _ = stop.changed() => {}
            () = tokio::time::sleep(LIFETIME) => {}
        }
    };
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stopped => {
            connection.as_mut().graceful_shutdown();
            connection.as_mut().await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

pub(in crate::doors) async fn pause(error: &io::Error) {
    tracing::warn!(%error, "a connection could not be accepted");
    tokio::time::sleep(ACCEPT_PAUSE).await;
}

pub(in crate::doors) async fn drain(mut talks: JoinSet<()>) {
    let drained = async { while talks.join_next().await.is_some() {} };
    if tokio::time::timeout(DRAIN, drained).await.is_err() {
        tracing::warn!("some requests did not end within {} s and are cut", DRAIN.as_secs());
    }
}

pub(in crate::doors) const BUSY: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 60\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long a request may take to show its header section, and a connection to stand without one.
const HEADERS: Duration = Duration::from_secs(15);
const MOST_HEADERS: usize = 64;
const MOST_HEADER_OCTETS: usize = 32_768;
const BUFFER: usize = 65_536;
/// After so long a connection ends with the request that it is at.
const LIFETIME: Duration = Duration::from_secs(300);
const UNHEARD_MS: u32 = 30_000;
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
const DRAIN: Duration = Duration::from_secs(30);
