//! The SMTP submission door: a listener, and one conversation for each connection.
//! Boot opens it; the order of commands and the framing are `countersign_wire::smtp`.

mod admission;
mod auth;
mod conversation;
mod letter;
mod lines;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use countersign_core::address::Domain;
use countersign_core::request::Mode;
use countersign_wire::limits::Limits;
use countersign_wire::smtp::capabilities::Capabilities;
use countersign_wire::smtp::session::Rules;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use crate::accounts::secret::Verifier;
use crate::accounts::Directory;
use crate::clock::Clock;
use crate::doors::Exits;
use crate::gate::Gate;
use crate::net::Upstream;

pub use letter::code_of;

use admission::Admission;
use conversation::{Conversation, End};

/// What a submission listener needs.
pub struct Door {
    pub gate: Gate,
    pub directory: Directory,
    pub verifier: Verifier,
    pub clock: Clock,
    pub limits: Limits,
    pub hostname: Domain,
    /// The gate's mode of the configuration file.
    pub mode: Option<Mode>,
    pub exits: Exits,
    pub tls: Option<TlsAcceptor>,
    /// The connection begins with a handshake (RFC 8314 3.3).
    pub implicit_tls: bool,
    /// AUTH without TLS, for peers on loopback only.
    pub plaintext_loopback: bool,
    pub connections: Connections,
}

/// How many connections may stand at once.
#[derive(Debug, Clone, Copy)]
pub struct Connections {
    pub per_ip: usize,
    pub per_net: usize,
}

impl Door {
    /// Accepts connections until told to stop, then waits for those that stand: each ends at its next
    /// boundary between transactions.
    pub async fn serve(self: Arc<Self>, listener: TcpListener, mut stop: watch::Receiver<bool>) {
        let admission = Admission::new(self.connections);
        let mut talks = tokio::task::JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((socket, peer)) => {
                        let door = Arc::clone(&self);
                        talks.spawn(door.receive(socket, peer, admission.clone(), stop.clone()));
                    }
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be accepted");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
                Some(_) = talks.join_next(), if !talks.is_empty() => {}
                _ = stop.changed() => break,
            }
        }
        drop(listener);
        let drained = async { while talks.join_next().await.is_some() {} };
        if tokio::time::timeout(DRAIN, drained).await.is_err() {
            tracing::warn!("some sessions did not end within {} s and are cut", DRAIN.as_secs());
        }
    }

    async fn receive(
        self: Arc<Self>,
        mut socket: TcpStream,
        peer: SocketAddr,
        admission: Admission,
        stop: watch::Receiver<bool>,
    ) {
        let Some(_place) = admission.admit(peer.ip()) else {
            return lines::say_and_close(&mut socket, &conversation::TOO_MANY_CONNECTIONS.reply(), &self.limits).await;
        };
        metrics::gauge!("countersign_sessions").increment(1.0);
        if let Err(error) = self.converse(socket, peer, stop).await {
            tracing::debug!(%peer, %error, "a session ended early");
        }
        metrics::gauge!("countersign_sessions").decrement(1.0);
    }

    async fn converse(
        self: &Arc<Self>,
        socket: TcpStream,
        peer: SocketAddr,
        stop: watch::Receiver<bool>,
    ) -> std::io::Result<()> {
        socket.set_nodelay(true)?;
        let rules = self.rules(peer).await;
        if self.implicit_tls {
            let secured = self.secure(socket).await?;
            Conversation::new(Arc::clone(self), secured, peer, rules, true, stop).run().await?;
            return Ok(());
        }
        let plain = Conversation::new(Arc::clone(self), socket, peer, rules.clone(), false, stop.clone());
        if let End::StartTls(socket) = plain.run().await? {
            let secured = self.secure(socket).await?;
            Conversation::after_starttls(Arc::clone(self), secured, peer, rules, stop).run().await?;
        }
        Ok(())
    }

    async fn secure(&self, socket: TcpStream) -> std::io::Result<tokio_rustls::server::TlsStream<TcpStream>> {
        let Some(acceptor) = &self.tls else { return Err(std::io::ErrorKind::Unsupported.into()) };
        tokio::time::timeout(HANDSHAKE, acceptor.accept(socket)).await?
    }

    /// What this listener demands of this peer, and offers. What the upstream lacks is not offered.
    async fn rules(&self, peer: SocketAddr) -> Rules {
        let ours = Capabilities {
            size: Some(self.limits.message_bytes as u64),
            starttls: self.tls.is_some() && !self.implicit_tls,
            auth: vec!["PLAIN".to_owned(), "LOGIN".to_owned()],
            eight_bit: true,
            pipelining: true,
            enhanced: true,
            ..Capabilities::default()
        };
        let theirs = match self.exits.0.first() {
            Some(exit) => known(&exit.upstream).await,
            None => Capabilities::default(),
        };
        let plaintext_auth = self.plaintext_loopback && peer.ip().to_canonical().is_loopback();
        Rules { auth_required: true, plaintext_auth, offer: ours.limited_to(&theirs) }
    }
}

/// What the upstream offers: as it did last time, else it is asked. One that is not there offers nothing.
async fn known(upstream: &Upstream) -> Capabilities {
    match upstream.capabilities() {
        Some(capabilities) => capabilities,
        None => match tokio::time::timeout(ASK_UPSTREAM, upstream.check()).await {
            Ok(Ok(capabilities)) => capabilities,
            Ok(Err(_)) | Err(_) => Capabilities::default(),
        },
    }
}

const ASK_UPSTREAM: Duration = Duration::from_secs(2);
const HANDSHAKE: Duration = Duration::from_secs(30);
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
const DRAIN: Duration = Duration::from_secs(30);
