//! One SMTP transaction with the upstream: MAIL, RCPT, DATA, and the way back into the pool.
//! Called by the SMTP doors and by release; made by `upstream`.

use std::fmt;
use std::future::{Future, ready};
use std::sync::Arc;

use countersign_wire::smtp::capabilities::Capabilities;
use countersign_wire::smtp::command::{Mail, Rcpt};
use countersign_wire::smtp::parameters::{MailParameters, RcptParameters};
use countersign_wire::smtp::reply::Reply;
use countersign_wire::smtp::xclient::Xclient;

use super::connection::{CLOSING, Connection, lost};
use super::pool::Place;
use super::upstream::{Inner, Scheme, UpstreamError};

/// A connection with a place in the pool. Replies are the upstream's own, whatever they say; an
/// error ends the connection, and the transaction with it.
pub struct Transaction {
    inner: Arc<Inner>,
    /// `None` once it is lost or closing.
    connection: Option<Connection>,
    /// Of whom the upstream is told.
    client: Option<Box<Xclient>>,
    /// Recipients that were accepted.
    accepted: usize,
    /// It has answered in this transaction, or was made for it: it is not stale.
    fresh: bool,
    begun: bool,
    /// INVARIANT: below the connection, so that it is given back after that is closed.
    _place: Place,
}

impl Transaction {
    pub(super) fn new(
        inner: Arc<Inner>,
        place: Place,
        mut connection: Connection,
        client: Option<&Xclient>,
        fresh: bool,
    ) -> Self {
        connection.transactions += 1;
        Self {
            inner,
            connection: Some(connection),
            client: client.cloned().map(Box::new),
            accepted: 0,
            fresh,
            begun: false,
            _place: place,
        }
    }

    /// The name of the upstream.
    pub fn upstream(&self) -> &str {
        &self.inner.settings.name
    }

    /// Whether it takes no more recipients. RFC 2033 4.2: after the message "the server returns one reply for
    /// each previously successful RCPT command"; a client of ours hears one reply, so there is one recipient.
    pub fn is_full(&self) -> bool {
        self.inner.settings.scheme == Scheme::Lmtp && self.accepted > 0
    }

    /// What the upstream offers on this connection.
    pub fn capabilities(&self) -> Capabilities {
        self.connection.as_ref().map(|connection| connection.capabilities.clone()).unwrap_or_default()
    }

    /// What goes on of the parameters of MAIL that a client gave: SIZE is the client's word, and the trace makes
    /// the message longer; AUTH is not believed; what this upstream lacks is left out, as another has it. `None`:
    /// it lacks SMTPUTF8, and the message cannot do without.
    pub fn mail_parameters(&self, given: &MailParameters) -> Option<MailParameters> {
        let theirs = self.capabilities();
        let passed_on = MailParameters {
            size: None,
            auth: None,
            body: given.body.filter(|_| theirs.eight_bit),
            smtputf8: given.smtputf8,
            ret: given.ret.filter(|_| theirs.dsn),
            envid: given.envid.clone().filter(|_| theirs.dsn),
        };
        (!given.smtputf8 || theirs.smtputf8).then_some(passed_on)
    }

    /// What goes on of the parameters of RCPT.
    pub fn rcpt_parameters(&self, given: &RcptParameters) -> RcptParameters {
        if self.capabilities().dsn { given.clone() } else { RcptParameters::default() }
    }

    /// MAIL. A pooled connection that turns out to be closed is replaced by a new one, once: nothing
    /// of the transaction was taken yet.
    pub async fn mail(&mut self, mail: &Mail) -> Result<Reply, UpstreamError> {
        self.begun = true;
        let line = mail.to_string();
        let answer = self.command(&line).await;
        let stale = match &answer {
            Ok(reply) => reply.code() == CLOSING,
            Err(error) => matches!(error, UpstreamError::Closed { .. }),
        };
        if !stale || !self.renewed().await? {
            self.fresh = true;
            return answer;
        }
        self.command(&line).await
    }

    /// MAIL and the first RCPT: together where the upstream takes commands together (RFC 2920), else RCPT when MAIL
    /// was accepted. There is no second reply when MAIL was not. A connection that is closed is replaced as in `mail`.
    pub async fn mail_and_rcpt(
        &mut self,
        mail: &Mail,
        rcpt: &Rcpt,
    ) -> Result<(Reply, Option<Reply>), UpstreamError> {
        if !self.capabilities().pipelining {
            let reply = self.mail(mail).await?;
            return match reply.is_positive() {
                true => Ok((reply, Some(self.rcpt(rcpt).await?))),
                false => Ok((reply, None)),
            };
        }
        self.begun = true;
        let (first, second) = (mail.to_string(), rcpt.to_string());
        let answer = self.commands(&first, &second).await;
        let stale = match &answer {
            Ok((reply, _)) => reply.code() == CLOSING,
            Err(error) => matches!(error, UpstreamError::Closed { .. }),
        };
        let answer = match stale && self.renewed().await? {
            true => self.commands(&first, &second).await,
            false => answer,
        };
        self.fresh = true;
        // RFC 2920 3.1: what follows a command that was refused is refused too; its reply says nothing new.
        let (reply, second) = answer?;
        let second = second.filter(|_| reply.is_positive());
        self.accepted += usize::from(second.as_ref().is_some_and(Reply::is_positive));
        Ok((reply, second))
    }

    /// Replaces a pooled connection that turned out to be closed before it answered anything; `false` for one
    /// that was made for this transaction.
    async fn renewed(&mut self) -> Result<bool, UpstreamError> {
        if self.fresh {
            return Ok(false);
        }
        self.connection = None;
        let mut connection = self.inner.connect(self.client.as_deref()).await?;
        connection.transactions += 1;
        self.connection = Some(connection);
        self.fresh = true;
        Ok(true)
    }

    /// RCPT.
    pub async fn rcpt(&mut self, rcpt: &Rcpt) -> Result<Reply, UpstreamError> {
        if self.is_full() {
            return Err(UpstreamError::Protocol("a transaction over LMTP has one recipient".to_owned()));
        }
        let reply = self.command(&rcpt.to_string()).await?;
        self.accepted += usize::from(reply.is_positive());
        Ok(reply)
    }

    /// DATA, the message, and the final reply. The message has its header and body with CRLF at every
    /// line end and without stuffed dots. Nobody needs to call `abandon` after this.
    pub async fn data(self, message: &[u8]) -> Result<Reply, UpstreamError> {
        self.data_in_pieces(&[message], ready(true)).await
    }

    /// As `data`, of a message in pieces, each of them whole lines: nobody has to copy it to put a line on top.
    /// `still` is asked at the last moment, when the upstream waits for the first octet: if it says no, the
    /// connection ends without one.
    pub async fn data_in_pieces(
        mut self,
        message: &[&[u8]],
        still: impl Future<Output = bool>,
    ) -> Result<Reply, UpstreamError> {
        let ready = self.command("DATA").await?;
        if ready.is_positive() {
            return Err(UpstreamError::Protocol(format!("it answers DATA with `{ready}`")));
        }
        if !ready.is_intermediate() {
            tokio::spawn(self.abandon());
            return Ok(ready);
        }
        if !still.await {
            return Err(UpstreamError::Withdrawn);
        }
        let connection = self.connection.take().ok_or_else(gone)?;
        let (reply, connection) = connection.deliver(message).await?;
        let Some(connection) = connection.filter(|_| reply.code() != CLOSING) else { return Ok(reply) };
        if reply.is_positive() {
            self.inner.pool.give(connection);
        } else {
            // RFC 5321 4.1.1.4 has the upstream forget the envelope after a refusal too; not all do.
            self.connection = Some(connection);
            tokio::spawn(self.abandon());
        }
        Ok(reply)
    }

    /// RSET, and the connection goes back into the pool; closed if that does not work.
    pub async fn abandon(mut self) {
        let clean = !self.begun || self.command("RSET").await.is_ok_and(|reply| reply.is_positive());
        if let Some(connection) = self.connection.take().filter(|_| clean) {
            self.inner.pool.give(connection);
        }
    }

    async fn command(&mut self, line: &str) -> Result<Reply, UpstreamError> {
        // Taken out while it is in use: if the caller stops waiting half-way it is not used again.
        let mut connection = self.connection.take().ok_or_else(gone)?;
        let reply = connection.command(line).await?;
        // RFC 5321 3.8: 421 says that the server is closing the connection.
        if reply.code() != CLOSING {
            self.connection = Some(connection);
        }
        Ok(reply)
    }

    /// As `command`, for two in one write.
    async fn commands(&mut self, first: &str, second: &str) -> Result<(Reply, Option<Reply>), UpstreamError> {
        let mut connection = self.connection.take().ok_or_else(gone)?;
        let replies = connection.commands(first, second).await?;
        if replies.1.as_ref().is_some_and(|second| second.code() != CLOSING) {
            self.connection = Some(connection);
        }
        Ok(replies)
    }
}

impl fmt::Debug for Transaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transaction").field("begun", &self.begun).finish_non_exhaustive()
    }
}

fn gone() -> UpstreamError {
    lost("it was closed earlier in this transaction")
}
