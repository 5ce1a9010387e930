//! The SMTP doors: a listener, and one conversation for each connection.
//! Boot opens them; the order of commands and the framing are `countersign_wire::smtp`.

mod admission;
mod auth;
mod balancer;
mod capacity;
mod conversation;
mod guesses;
mod letter;
mod lines;
mod named;
mod pace;

use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use countersign_core::address::Domain;
use countersign_core::ids::AccountId;
use countersign_core::request::Mode;
use countersign_wire::limits::Limits;
use countersign_wire::smtp::capabilities::Capabilities;
use countersign_wire::smtp::reply::{FixedReply, Reply};
use countersign_wire::smtp::session::Rules;
use countersign_wire::smtp::xclient;
use ipnet::IpNet;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::accounts::secret::Verifier;
use crate::accounts::{Directory, within};
use crate::clock::Clock;
use crate::doors::Exits;
use crate::gate::Gate;

pub use admission::Connections;
pub(in crate::doors) use admission::{Full, Place};
pub(in crate::doors) use capacity::Share;
pub use capacity::{Capacity, CapacitySettings};
pub use guesses::MostGuesses;
pub(in crate::doors) use guesses::{Attempt, Open};
pub use letter::code_of;
pub(in crate::doors) use pace::Pace;

use conversation::{Closing, Conversation, End, Peer};

/// A listener: the parts that it uses, and its settings. Another door with other settings can take its place
/// at any time, and does for sessions that stand at their next transaction; what is counted is in `capacity`.
pub struct Door {
    pub gate: Gate,
    pub directory: Directory,
    pub verifier: Verifier,
    pub clock: Clock,
    pub exits: Exits,
    pub capacity: Capacity,
    pub settings: DoorSettings,
}

/// What the configuration says of a listener.
pub struct DoorSettings {
    pub limits: Limits,
    pub hostname: Domain,
    /// The gate's mode of the configuration file.
    pub mode: Option<Mode>,
    pub tls: Option<TlsAcceptor>,
    /// The connection begins with a handshake (RFC 8314 3.3).
    pub implicit_tls: bool,
    /// Octets a second below which a message is given up; 0 is never.
    pub min_data_rate: u64,
    pub who: Who,
    /// Load balancers, which say for whom they connect.
    pub balancers: Vec<IpNet>,
}

/// Who may send through a listener, and for whom.
#[derive(Debug, Clone)]
pub enum Who {
    /// Customers, who sign in.
    Customers {
        /// AUTH without TLS, for peers on loopback only.
        plaintext_loopback: bool,
    },
    /// MTAs that are trusted by network, and how they name the account.
    Relays { trusted: Vec<IpNet>, account: RelayAccount },
}

/// Whose mail a relay brings.
#[derive(Debug, Clone)]
pub enum RelayAccount {
    /// Always that of this account.
    Fixed(AccountId),
    /// That of the account which the first field of the message names; this is the field's name.
    Field(String),
    /// That of the login which it gives with XCLIENT.
    Login,
    /// That of the account which has proved the domain of MAIL FROM.
    Sender,
}

impl Door {
    /// Accepts connections until told to stop, then waits for those that stand: each ends at its next
    /// boundary between transactions.
    pub async fn serve(
        current: watch::Receiver<Arc<Self>>,
        listener: TcpListener,
        mut stop: watch::Receiver<bool>,
    ) {
        let (mut talks, closing) = (JoinSet::new(), watch::Sender::new(Closing::No));
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((socket, address)) => {
                        let door = Arc::clone(&current.borrow());
                        let (ip, now, end) = (address.ip(), current.clone(), closing.subscribe());
                        let is_balancer = door.is_balancer(ip);
                        match if is_balancer { door.place(ip, true) } else { door.admit(ip) } {
                            Ok(place) if is_balancer => {
                                talks.spawn(door.receive_proxied(socket, address, now, end, place));
                            }
                            Ok(place) => drop(talks.spawn(door.receive(socket, Peer::new(ip, now, end), place))),
                            Err(reply) => door.turn_away(socket, address, reply),
                        }
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
        drain(talks, &closing).await;
    }

    /// Whether a peer is let in. A relay that is not trusted hears so before anything else.
    fn admit(&self, ip: IpAddr) -> Result<Place, &'static FixedReply> {
        let trusted = match &self.settings.who {
            Who::Customers { .. } => false,
            Who::Relays { trusted, .. } if within(trusted, ip) => true,
            Who::Relays { .. } => return Err(&NOT_TRUSTED),
        };
        self.place(ip, trusted)
    }

    fn place(&self, ip: IpAddr, trusted: bool) -> Result<Place, &'static FixedReply> {
        self.capacity.admission.admit(ip, trusted).map_err(|full| match full {
            Full::Address => &TOO_MANY_FROM_ADDRESS,
            Full::Network => &TOO_MANY_FROM_NETWORK,
            Full::House => &HOUSE_FULL,
        })
    }

    /// One write that does not wait, and the connection is gone: a flood of peers costs no memory. Inside
    /// TLS the reply could not be read.
    fn turn_away(&self, socket: TcpStream, peer: SocketAddr, reply: &FixedReply) {
        metrics::counter!("countersign_connections_refused_total", "code" => reply.code.to_string())
            .increment(1);
        tracing::debug!(%peer, reply = %reply.reply(), "a connection is not let in");
        let Ok(mut socket) = socket.into_std() else { return };
        if !self.settings.implicit_tls {
            let mut octets = Vec::new();
            reply.reply().write(&mut octets, &self.settings.limits);
            // The peer may be gone already; there is nobody else to tell.
            let _gone = socket.write(&octets);
        }
    }

    async fn receive(self: Arc<Self>, socket: TcpStream, peer: Peer, _place: Place) {
        metrics::gauge!("countersign_sessions").increment(1.0);
        let ip = peer.ip;
        if let Err(error) = self.converse(socket, peer).await {
            tracing::debug!(%ip, %error, "a session ended early");
        }
        metrics::gauge!("countersign_sessions").decrement(1.0);
    }

    async fn converse(self: &Arc<Self>, socket: TcpStream, peer: Peer) -> std::io::Result<()> {
        socket.set_nodelay(true)?;
        let door = || Arc::clone(self);
        let rules = self.rules(&peer).await;
        // A conversation is boxed: a connection costs the memory of the one that it is in.
        if self.settings.implicit_tls {
            let secured = Box::pin(self.secure(socket)).await?;
            Box::pin(Conversation::new(door(), secured, peer, rules, true).run()).await?;
            return Ok(());
        }
        let plain = Conversation::new(door(), socket, peer.clone(), rules.clone(), false);
        let end = Box::pin(plain.run()).await?;
        if let End::StartTls(socket) = end {
            let secured = Box::pin(self.secure(socket)).await?;
            Box::pin(Conversation::after_starttls(door(), secured, peer, rules).run()).await?;
        }
        Ok(())
    }

    async fn secure(&self, socket: TcpStream) -> std::io::Result<tokio_rustls::server::TlsStream<TcpStream>> {
        let Some(acceptor) = &self.settings.tls else { return Err(std::io::ErrorKind::Unsupported.into()) };
        let patience = if self.capacity.stress.is_on() { HANDSHAKE_UNDER_STRESS } else { HANDSHAKE };
        tokio::time::timeout(patience, acceptor.accept(socket)).await?
    }

    /// What this listener demands of this peer, and offers. What no upstream has is not offered, and neither
    /// is what only some have: before MAIL nobody knows whose turn it will be.
    async fn rules(&self, peer: &Peer) -> Rules {
        let customers = matches!(self.settings.who, Who::Customers { .. });
        let auth = if customers { vec!["PLAIN".to_owned(), "LOGIN".to_owned()] } else { vec![] };
        let introduces = matches!(self.settings.who, Who::Relays { account: RelayAccount::Login, .. });
        let ours = Capabilities {
            size: Some(self.settings.limits.message_bytes as u64),
            starttls: self.settings.tls.is_some() && !self.settings.implicit_tls,
            auth,
            eight_bit: true,
            smtputf8: true,
            chunking: true,
            dsn: true,
            pipelining: true,
            enhanced: true,
            xclient: if introduces { xclient::ATTRIBUTES.map(str::to_owned).to_vec() } else { vec![] },
        };
        let known = self.exits.offers().await;
        // Upstreams of which nothing is known count only if nothing is known of any.
        let offer = match known.as_slice() {
            [] => ours.limited_to(&Capabilities::default()),
            known => known.iter().fold(ours, Capabilities::limited_to),
        };
        let plaintext = matches!(self.settings.who, Who::Customers { plaintext_loopback: true });
        Rules { auth_required: customers, plaintext_auth: plaintext && peer.is_on_loopback(), offer }
    }
}

/// Sessions end at their next boundary; after a while those that wait for their client end at once, and at
/// last nobody is waited for.
async fn drain(mut talks: JoinSet<()>, closing: &watch::Sender<Closing>) {
    for (how, patience) in [(Closing::AtBoundary, DRAIN), (Closing::Now, CUT)] {
        closing.send_replace(how);
        let ended = async { while talks.join_next().await.is_some() {} };
        if tokio::time::timeout(patience, ended).await.is_ok() {
            return;
        }
    }
    tracing::warn!(
        sessions = talks.len(),
        "some sessions did not end within {} s and are cut",
        (DRAIN + CUT).as_secs()
    );
}

/// A reply of the wire with the ref of its transaction.
fn with_reference(reply: Reply, reference: &countersign_core::ids::Ref) -> Reply {
    reply.with_line(&format!("ref={reference}"))
}

static NOT_TRUSTED: FixedReply =
    FixedReply::new(554, (5, 7, 1), "this listener is for trusted relays, and you are none; goodbye");
static TOO_MANY_FROM_ADDRESS: FixedReply =
    FixedReply::new(421, (4, 7, 0), "too many connections from your address; try again later");
static TOO_MANY_FROM_NETWORK: FixedReply =
    FixedReply::new(421, (4, 7, 0), "too many connections from your network; try again later");
static HOUSE_FULL: FixedReply =
    FixedReply::new(421, (4, 3, 2), "this server is too busy for newcomers; try again later");
const HANDSHAKE: Duration = Duration::from_secs(30);
const HANDSHAKE_UNDER_STRESS: Duration = Duration::from_secs(10);
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
const DRAIN: Duration = Duration::from_secs(30);
const CUT: Duration = Duration::from_secs(10);
