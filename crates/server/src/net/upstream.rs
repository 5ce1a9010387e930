//! The MTA behind us: transactions with it over pooled connections, every reply its own words.
//! Called by the SMTP doors for mail that passes, and by acts that release mail.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use countersign_wire::limits::Limits;
use countersign_wire::smtp::auth::Credentials;
use countersign_wire::smtp::capabilities::Capabilities;
use countersign_wire::smtp::data::DataFault;
use countersign_wire::smtp::xclient::Xclient;
use rustls::ClientConfig;
use thiserror::Error;
use tokio::time::{Instant, timeout};

use super::connection::Connection;
use super::pool::Pool;
pub use super::transaction::Transaction;

/// Where an upstream is and how it is spoken to.
#[derive(Debug, Clone)]
pub struct UpstreamSettings {
    pub name: String,
    /// A host name or an address.
    pub host: String,
    pub port: u16,
    pub scheme: Scheme,
    /// Whether STARTTLS is used where it is offered, with `smtp://` and `lmtp://`.
    pub starttls: bool,
    /// Whether nothing is said to it without TLS.
    pub tls_required: bool,
    /// What we call ourselves in EHLO.
    pub helo: String,
    /// Settings made with [`tls::client_config`](super::tls::client_config), or with
    /// [`tls::unverified_client_config`](super::tls::unverified_client_config) for `tls_verify = false`.
    pub tls: Arc<ClientConfig>,
    pub auth: Option<Credentials>,
    /// Whether it is told the client with XCLIENT, where it offers that.
    pub xclient: bool,
    /// Connections at the same time, at least 1.
    pub pool: usize,
    pub timeouts: UpstreamTimeouts,
    /// What the upstream may make us read.
    pub limits: Limits,
}

/// What is spoken, and how TLS begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// `smtp://`: STARTTLS where it is offered and wanted.
    Smtp,
    /// `smtps://`: TLS from the start.
    Smtps,
    /// `lmtp://` (RFC 2033): as `Smtp`, with LHLO and a reply for each recipient. A transaction takes one.
    Lmtp,
}

/// How long each phase may last.
#[derive(Debug, Clone, Copy)]
pub struct UpstreamTimeouts {
    /// TCP and TLS, until the greeting begins.
    pub connect: Duration,
    /// One command and its reply, and one block of a message.
    pub command: Duration,
    /// From the end mark to the final reply.
    pub end: Duration,
    /// For a place in the pool.
    pub place: Duration,
    /// How long a connection waits for its next transaction.
    pub idle: Duration,
}

impl Default for UpstreamTimeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            command: Duration::from_secs(30),
            end: Duration::from_secs(120),
            place: Duration::from_secs(3),
            idle: Duration::from_secs(60),
        }
    }
}

/// Why there is no reply of the upstream.
#[derive(Debug, Error)]
pub enum UpstreamError {
    /// No connection, one on which no mail can be sent, or nothing came in time. The message was not
    /// taken.
    #[error("upstream cannot be used: {0}")]
    Unreachable(String),
    /// It is there, and no mail can be sent over it as it is configured; what helps is said in brackets. The message
    /// was not taken.
    #[error("upstream cannot be used: {0}")]
    Unfit(String),
    /// Every connection of the pool is at work. Nothing was sent.
    #[error("upstream has no free connection (raise `pool`, or slow down)")]
    Busy,
    /// The upstream does not speak SMTP as we know it. The message was not taken.
    #[error("upstream breaks the protocol: {0}")]
    Protocol(String),
    /// The message is not one that can be sent over SMTP. It was not taken.
    #[error("message cannot be sent: {0}")]
    Message(#[from] DataFault),
    /// The caller took the message back before its first octet.
    #[error("message was withdrawn: what sends it was blocked meanwhile")]
    Withdrawn,
    /// The connection is lost. In doubt: the whole message was sent, and no reply came to it, so
    /// the upstream may have it or not.
    #[error("connection to the upstream is lost{}: {cause}", if *.in_doubt { " and it may have taken the message" } else { "" })]
    Closed { in_doubt: bool, cause: String },
}

/// One upstream with its connections. Cheap to share behind an `Arc`, and so are its transactions.
pub struct Upstream {
    inner: Arc<Inner>,
    /// When it was last asked what it offers.
    asked: tokio::sync::Mutex<Option<Instant>>,
}

/// What transactions share with their upstream.
pub(super) struct Inner {
    pub(super) settings: UpstreamSettings,
    pub(super) pool: Pool,
    capabilities: Mutex<Option<Capabilities>>,
}

impl Upstream {
    pub fn new(settings: UpstreamSettings) -> Self {
        let pool = Pool::new(settings.pool, settings.timeouts.idle);
        Self {
            inner: Arc::new(Inner { settings, pool, capabilities: Mutex::new(None) }),
            asked: tokio::sync::Mutex::new(None),
        }
    }

    pub fn name(&self) -> &str {
        &self.inner.settings.name
    }

    /// Takes a connection from the pool, or makes one. A transaction that is dropped before its end
    /// closes its connection.
    pub async fn begin(&self) -> Result<Transaction, UpstreamError> {
        self.begin_within(None, None).await
    }

    /// As `begin`, for an account: it has at most a quarter of the pool at work, and waits for itself. The
    /// upstream is told the client, if it is to be.
    pub async fn begin_for(&self, account: &str, client: &Xclient) -> Result<Transaction, UpstreamError> {
        let client = Some(client).filter(|_| self.inner.settings.xclient);
        self.begin_within(Some(account), client).await
    }

    async fn begin_within(
        &self,
        account: Option<&str>,
        client: Option<&Xclient>,
    ) -> Result<Transaction, UpstreamError> {
        let inner = &self.inner;
        let place = timeout(inner.settings.timeouts.place, inner.pool.place(account))
            .await
            .map_err(|_| UpstreamError::Busy)?
            .ok_or(UpstreamError::Busy)?;
        let (connection, fresh) = inner.connection_for(client).await?;
        Ok(Transaction::new(Arc::clone(inner), place, connection, client, fresh))
    }

    /// Whether a transaction takes one recipient only (RFC 2033).
    pub fn is_lmtp(&self) -> bool {
        self.inner.settings.scheme == Scheme::Lmtp
    }

    /// What the upstream offered the last time it was asked.
    pub fn capabilities(&self) -> Option<Capabilities> {
        self.inner.capabilities.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Makes sure that a transaction can begin, and says what the upstream offers.
    pub async fn check(&self) -> Result<Capabilities, UpstreamError> {
        let transaction = self.begin().await?;
        let capabilities = transaction.capabilities();
        transaction.abandon().await;
        Ok(capabilities)
    }

    /// What the upstream offers: as it did last time, else it is asked, by one for all who want to know. One
    /// that was not there is left alone for a while.
    pub async fn offers(&self) -> Option<Capabilities> {
        if let Some(known) = self.capabilities() {
            return Some(known);
        }
        let mut asked = self.asked.lock().await;
        if self.capabilities().is_none() && asked.is_none_or(|at| at.elapsed() >= ASK_AGAIN) {
            let answer = timeout(ASK, self.check()).await;
            if !matches!(answer, Ok(Ok(_))) {
                tracing::debug!(upstream = self.name(), ?answer, "what the upstream offers is not known");
            }
            *asked = Some(Instant::now());
        }
        self.capabilities()
    }

    /// Connections that wait in the pool.
    pub fn idle(&self) -> usize {
        self.inner.pool.idle()
    }
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream").field("name", &self.name()).finish_non_exhaustive()
    }
}

impl Inner {
    /// A connection of the pool on which the client is told, or a new one; whether it has answered just now.
    async fn connection_for(&self, client: Option<&Xclient>) -> Result<(Connection, bool), UpstreamError> {
        while let Some(mut connection) = self.pool.take().await {
            match connection.introduce(&self.settings, client).await {
                Ok(answered) => return Ok((connection, answered)),
                // It closed while it waited, or cannot forget the client of before.
                Err(UpstreamError::Closed { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok((self.connect(client).await?, true))
    }

    pub(super) async fn connect(&self, client: Option<&Xclient>) -> Result<Connection, UpstreamError> {
        let mut connection = Connection::open(&self.settings).await?;
        if self.settings.xclient && connection.capabilities.xclient.is_empty() {
            let upstream = &self.settings.name;
            tracing::warn!(
                upstream,
                "it offers us no XCLIENT, so it is not told whose mail it is (in Postfix: `smtpd_authorized_xclient_hosts`)"
            );
        }
        connection.introduce(&self.settings, client).await?;
        let seen = Some(connection.capabilities.clone());
        *self.capabilities.lock().unwrap_or_else(PoisonError::into_inner) = seen;
        Ok(connection)
    }
}

const ASK: Duration = Duration::from_secs(2);
const ASK_AGAIN: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests;
