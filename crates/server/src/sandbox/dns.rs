//! A name server on loopback that plays all of DNS from a map, over UDP and TCP, and fails on demand.
//! Called by `try` and by the tests; the map can be changed while it runs.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, OpCode, ResponseCode};
use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinSet;

use crate::net::record::{Record, RecordKind, plain_name};

mod zone_map;
use zone_map::key;
pub use zone_map::{Fault, ZoneError, ZoneMap};

/// Why there is no name server.
#[derive(Debug, Error)]
pub enum DnsServerError {
    #[error("name server of the sandbox cannot use `{0}`: {1}")]
    Bind(SocketAddr, #[source] io::Error),
    #[error("zone of the sandbox: {0}")]
    Zone(#[from] ZoneError),
}

/// A running name server. It stops when dropped.
#[derive(Debug)]
pub struct DnsServer {
    address: SocketAddr,
    world: Arc<World>,
    _tasks: JoinSet<()>,
}

/// What the server knows and has heard.
#[derive(Debug)]
struct World {
    zones: RwLock<ZoneMap>,
    fault: RwLock<Fault>,
    asked: Mutex<VecDeque<(String, RecordKind)>>,
}

/// What to do about one question.
enum Deed {
    Answer(Message),
    After(Duration, Message),
    Garbage(u16),
    Nothing,
}

/// Starts on the same port for UDP and TCP; port 0 picks a free one.
pub async fn start(bind: SocketAddr, zones: ZoneMap) -> Result<DnsServer, DnsServerError> {
    let zones = zones.checked()?;
    let (udp, tcp) = bind_both(bind).await.map_err(|cause| DnsServerError::Bind(bind, cause))?;
    let address = udp.local_addr().map_err(|cause| DnsServerError::Bind(bind, cause))?;
    let world = Arc::new(World {
        zones: RwLock::new(zones),
        fault: RwLock::new(Fault::None),
        asked: Mutex::new(VecDeque::new()),
    });
    let mut tasks = JoinSet::new();
    tasks.spawn(serve_udp(Arc::new(udp), Arc::clone(&world)));
    tasks.spawn(serve_tcp(tcp, Arc::clone(&world)));
    Ok(DnsServer { address, world, _tasks: tasks })
}

impl DnsServer {
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes anything in the map at once.
    pub fn change(&self, change: impl FnOnce(&mut ZoneMap)) {
        change(&mut self.world.zones.write().unwrap_or_else(PoisonError::into_inner));
    }

    /// Replaces all records of one kind at a name.
    pub fn set(&self, name: &str, kind: RecordKind, records: Vec<Record>) {
        self.change(|zones| zones.set(name, kind, records));
    }

    /// Replaces all texts at a name by one.
    pub fn set_txt(&self, name: &str, text: &str) {
        self.set(name, RecordKind::Txt, vec![Record::Txt(text.as_bytes().to_vec())]);
    }

    /// Takes all records of one kind away from a name, which goes on to exist.
    pub fn remove(&self, name: &str, kind: RecordKind) {
        self.change(|zones| zones.remove(name, kind));
    }

    /// The switch for the whole server, over the faults of names.
    pub fn set_fault(&self, fault: Fault) {
        *self.world.fault.write().unwrap_or_else(PoisonError::into_inner) = fault;
    }

    /// The questions heard so far, oldest first; the last 10,000 of them.
    pub fn asked(&self) -> Vec<(String, RecordKind)> {
        self.world.asked.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

async fn bind_both(bind: SocketAddr) -> io::Result<(UdpSocket, TcpListener)> {
    let mut tries = BIND_TRIES;
    loop {
        let udp = UdpSocket::bind(bind).await?;
        match TcpListener::bind(udp.local_addr()?).await {
            Ok(tcp) => return Ok((udp, tcp)),
            Err(_) if bind.port() == 0 && tries > 0 => tries -= 1,
            Err(cause) => return Err(cause),
        }
    }
}

async fn serve_udp(socket: Arc<UdpSocket>, world: Arc<World>) {
    let mut late = JoinSet::new();
    let mut buffer = vec![0; RECEIVE_BUFFER];
    loop {
        // An error here is the echo of an answer to somebody who has left.
        let Ok((length, peer)) = socket.recv_from(&mut buffer).await else { continue };
        let datagram = buffer.get(..length).unwrap_or_default();
        let Ok(query) = Message::from_vec(datagram) else { continue };
        let room = usize::from(query.max_payload().max(512));
        let (wait, octets) = match world.deed(&query) {
            Deed::Answer(answer) => (Duration::ZERO, fitted(&answer, room)),
            Deed::After(wait, answer) => (wait, fitted(&answer, room)),
            Deed::Garbage(id) => (Duration::ZERO, garbage(id)),
            Deed::Nothing => continue,
        };
        while late.try_join_next().is_some() {}
        if wait.is_zero() {
            let _ = socket.send_to(&octets, peer).await;
        } else {
            let socket = Arc::clone(&socket);
            late.spawn(async move {
                tokio::time::sleep(wait).await;
                let _ = socket.send_to(&octets, peer).await;
            });
        }
    }
}

async fn serve_tcp(listener: TcpListener, world: Arc<World>) {
    let mut peers = JoinSet::new();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(peers.spawn(converse(stream, Arc::clone(&world)))),
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
        while peers.try_join_next().is_some() {}
    }
}

/// A connection ends when the peer closes it or breaks the framing.
async fn converse(mut stream: TcpStream, world: Arc<World>) {
    let _ = stream.set_nodelay(true);
    while let Ok(length) = stream.read_u16().await {
        let mut buffer = vec![0; length.into()];
        if stream.read_exact(&mut buffer).await.is_err() {
            return;
        }
        let Ok(query) = Message::from_vec(&buffer) else { return };
        let (wait, octets) = match world.deed(&query) {
            Deed::Answer(answer) => (Duration::ZERO, fitted(&answer, LONGEST)),
            Deed::After(wait, answer) => (wait, fitted(&answer, LONGEST)),
            Deed::Garbage(id) => (Duration::ZERO, garbage(id)),
            Deed::Nothing => continue,
        };
        tokio::time::sleep(wait).await;
        let length = u16::try_from(octets.len()).unwrap_or(u16::MAX);
        if stream.write_all(&[&length.to_be_bytes(), octets.as_slice()].concat()).await.is_err() {
            return;
        }
    }
}

impl World {
    fn deed(&self, query: &Message) -> Deed {
        let id = query.metadata.id;
        let [question] = query.queries.as_slice() else {
            return Deed::Answer(Message::error_msg(id, OpCode::Query, ResponseCode::FormErr));
        };
        let name = key(&plain_name(question.name()));
        let kind = RecordKind::from_wire(question.query_type());
        self.note(&name, kind);
        let zones = self.zones.read().unwrap_or_else(PoisonError::into_inner);
        let fault = match *self.fault.read().unwrap_or_else(PoisonError::into_inner) {
            Fault::None => zones.fault_at(&name),
            fault => fault,
        };
        match fault {
            Fault::None => Deed::Answer(answer(query, &zones, &name, kind)),
            Fault::Slow(wait) => Deed::After(Duration::from_millis(wait), answer(query, &zones, &name, kind)),
            Fault::ServFail => Deed::Answer(failure(query, ResponseCode::ServFail)),
            Fault::Refused => Deed::Answer(failure(query, ResponseCode::Refused)),
            Fault::Garbage => Deed::Garbage(id),
            Fault::Silent => Deed::Nothing,
        }
    }

    fn note(&self, name: &str, kind: Option<RecordKind>) {
        let Some(kind) = kind else { return };
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if asked.len() >= REMEMBERED {
            asked.pop_front();
        }
        asked.push_back((name.to_owned(), kind));
    }
}

fn answer(query: &Message, zones: &ZoneMap, name: &str, kind: Option<RecordKind>) -> Message {
    let Ok(found) = zones.find(name, kind) else { return failure(query, ResponseCode::ServFail) };
    let code = if found.exists { ResponseCode::NoError } else { ResponseCode::NXDomain };
    let mut answer = failure(query, code);
    answer.metadata.authoritative = true;
    answer.add_answers(found.answers);
    answer.add_authorities(found.negative);
    answer
}

/// The frame of an answer, which says nothing but a code.
fn failure(query: &Message, code: ResponseCode) -> Message {
    let mut answer = Message::new(query.metadata.id, MessageType::Response, OpCode::Query);
    answer.metadata.recursion_desired = query.metadata.recursion_desired;
    answer.metadata.recursion_available = true;
    answer.metadata.response_code = code;
    answer.add_queries(query.queries.iter().cloned());
    if query.edns.is_some() {
        answer.set_edns(hickory_proto::op::Edns::new());
    }
    answer
}

/// RFC 2181 9: "The TC bit should be set in responses only when an RRSet is required as a part of
/// the response, but could not be included in its entirety."
fn fitted(answer: &Message, room: usize) -> Vec<u8> {
    match answer.to_vec() {
        Ok(octets) if octets.len() <= room => octets,
        _ => answer.truncate().to_vec().unwrap_or_default(),
    }
}

fn garbage(id: u16) -> Vec<u8> {
    [&id.to_be_bytes()[..], b"\xff\xff\xff\xff no dns here"].concat()
}

const BIND_TRIES: u32 = 20;
const RECEIVE_BUFFER: usize = 4096;
const LONGEST: usize = 65_535;
const REMEMBERED: usize = 10_000;
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);
