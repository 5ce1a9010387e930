//! A mail server on loopback that takes everything, keeps it exactly as it came, and fails on demand.
//! Called by `try` and by the tests in the place of the MTA behind us. It checks almost nothing.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustls::ServerConfig;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

mod session;

/// What the sink offers.
#[derive(Debug, Clone)]
pub struct SinkSettings {
    /// Lines of the reply to EHLO after its first.
    pub extensions: Vec<String>,
    pub tls: SinkTls,
    /// Log-in and password; with it, AUTH PLAIN is offered, and MAIL refused without it.
    pub auth: Option<(String, String)>,
    /// How many messages are kept; beyond that the oldest goes.
    pub keep: usize,
}

/// How the sink speaks TLS.
#[derive(Debug, Clone)]
pub enum SinkTls {
    None,
    StartTls(Arc<ServerConfig>),
    FromTheStart(Arc<ServerConfig>),
}

/// A message that the sink has taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// Which connection brought it, counted from 1.
    pub connection: usize,
    /// The argument of EHLO or HELO.
    pub helo: String,
    /// The arguments of the last XCLIENT; empty when there was none.
    pub client: String,
    /// It came over LMTP.
    pub lmtp: bool,
    pub tls: bool,
    /// Without brackets; empty for `<>`.
    pub mail_from: String,
    /// What followed the path, such as `SIZE=500`.
    pub mail_parameters: String,
    /// Accepted recipients, without brackets.
    pub recipients: Vec<String>,
    /// What followed each of their paths, such as `NOTIFY=NEVER`.
    pub recipient_parameters: Vec<String>,
    /// The octets between DATA's 354 and the end mark, without stuffed dots.
    pub message: Vec<u8>,
}

/// When a fault strikes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum On {
    /// In place of the greeting.
    Connect,
    Ehlo,
    Mail,
    /// A recipient that contains this text; the empty text is in all.
    Rcpt(String),
    /// The command DATA, in place of 354.
    Data,
    /// The end mark, in place of the final reply.
    End,
    Rset,
}

/// What happens then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// This reply, without its last CRLF.
    Reply(String),
    /// The connection is closed without a reply; a message at its end is not kept.
    Close,
    /// A message at its end is kept, then the connection is closed without a reply.
    KeepThenClose,
    /// Nothing more is said; the connection stays open.
    Silence,
    /// The usual, but so many milliseconds late.
    Late(u64),
}

/// Why there is no sink.
#[derive(Debug, Error)]
#[error("mail server of the sandbox cannot use `{address}`: {cause}")]
pub struct SinkError {
    address: SocketAddr,
    cause: io::Error,
}

/// A running sink. It stops when dropped.
#[derive(Debug)]
pub struct Sink {
    address: SocketAddr,
    state: Arc<State>,
    _tasks: JoinSet<()>,
}

#[derive(Debug)]
struct State {
    settings: SinkSettings,
    messages: Mutex<VecDeque<Arc<Received>>>,
    /// How many messages were ever taken.
    taken: watch::Sender<usize>,
    faults: Mutex<Vec<Fault>>,
    connections: AtomicUsize,
    /// Counts up when all connections are to be closed.
    closing: watch::Sender<usize>,
}

#[derive(Debug)]
struct Fault {
    on: On,
    act: Act,
    once: bool,
}

impl Default for SinkSettings {
    fn default() -> Self {
        let extensions = ["PIPELINING", "SIZE 104857600", "8BITMIME", "ENHANCEDSTATUSCODES"];
        Self {
            extensions: extensions.map(str::to_owned).to_vec(),
            tls: SinkTls::None,
            auth: None,
            keep: 10_000,
        }
    }
}

/// Starts; port 0 picks a free one.
pub async fn start(bind: SocketAddr, settings: SinkSettings) -> Result<Sink, SinkError> {
    let failed = |cause| SinkError { address: bind, cause };
    let listener = TcpListener::bind(bind).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let state = Arc::new(State {
        settings,
        messages: Mutex::new(VecDeque::new()),
        taken: watch::Sender::new(0),
        faults: Mutex::new(Vec::new()),
        connections: AtomicUsize::new(0),
        closing: watch::Sender::new(0),
    });
    let mut tasks = JoinSet::new();
    tasks.spawn(listen(listener, Arc::clone(&state)));
    Ok(Sink { address, state, _tasks: tasks })
}

impl Sink {
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The messages kept, oldest first.
    pub fn messages(&self) -> Vec<Arc<Received>> {
        lock(&self.state.messages).iter().cloned().collect()
    }

    /// Waits until so many messages were taken in all, or until the time is over; then as `messages`.
    pub async fn wait_for(&self, count: usize, time: Duration) -> Vec<Arc<Received>> {
        let mut taken = self.state.taken.subscribe();
        let _ = tokio::time::timeout(time, taken.wait_for(|taken| *taken >= count)).await;
        self.messages()
    }

    /// How many messages were ever taken, also those no longer kept.
    pub fn taken(&self) -> usize {
        *self.state.taken.borrow()
    }

    pub fn forget_messages(&self) {
        lock(&self.state.messages).clear();
    }

    /// How many connections were ever accepted.
    pub fn connections(&self) -> usize {
        self.state.connections.load(Ordering::Relaxed)
    }

    /// From now on. Faults strike in the order in which they were set, and the first that fits wins.
    pub fn always(&self, on: On, act: Act) {
        lock(&self.state.faults).push(Fault { on, act, once: false });
    }

    /// The next time only.
    pub fn once(&self, on: On, act: Act) {
        lock(&self.state.faults).push(Fault { on, act, once: true });
    }

    /// How many faults have not struck yet, or will strike always.
    pub fn faults_left(&self) -> usize {
        lock(&self.state.faults).len()
    }

    pub fn clear_faults(&self) {
        lock(&self.state.faults).clear();
    }

    /// Closes every open connection at once, without a word.
    pub fn close_connections(&self) {
        self.state.closing.send_modify(|count| *count += 1);
    }
}

impl State {
    /// The act of the first fault that fits; `subject` is the recipient for RCPT, else empty.
    fn strike(&self, on: &On, subject: &str) -> Option<Act> {
        let mut faults = lock(&self.faults);
        let fits = |fault: &Fault| match (&fault.on, on) {
            (On::Rcpt(part), On::Rcpt(_)) => subject.contains(part.as_str()),
            (fault, on) => fault == on,
        };
        let position = faults.iter().position(fits)?;
        let act = faults.get(position)?.act.clone();
        if faults.get(position).is_some_and(|fault| fault.once) {
            faults.remove(position);
        }
        Some(act)
    }

    fn keep(&self, message: Received) {
        let mut messages = lock(&self.messages);
        messages.push_back(Arc::new(message));
        while messages.len() > self.settings.keep {
            messages.pop_front();
        }
        drop(messages);
        self.taken.send_modify(|count| *count += 1);
    }
}

async fn listen(listener: TcpListener, state: Arc<State>) {
    let mut sessions = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let _ = stream.set_nodelay(true);
        let number = state.connections.fetch_add(1, Ordering::Relaxed) + 1;
        let mut closing = state.closing.subscribe();
        let state = Arc::clone(&state);
        sessions.spawn(async move {
            tokio::select! {
                _ = serve(Box::new(stream), number, state) => {}
                _ = closing.changed() => {}
            }
        });
        while sessions.try_join_next().is_some() {}
    }
}

/// A connection ends in an error as well as in order; nobody asks which.
async fn serve(stream: session::Stream, number: usize, state: Arc<State>) -> io::Result<()> {
    match &state.settings.tls {
        SinkTls::FromTheStart(config) => {
            let stream = TlsAcceptor::from(Arc::clone(config)).accept(stream).await?;
            session::run(Box::new(stream), number, &state, true).await
        }
        _ => session::run(stream, number, &state, false).await,
    }
}

/// What is behind these locks is whole after every statement, so a panic elsewhere spoils nothing.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests;
