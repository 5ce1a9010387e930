//! The way of a letter to the MTA behind us: its transaction there, and what that says to each recipient.

use countersign_wire::smtp::command::{Mail, Rcpt};
use countersign_wire::smtp::reply::Reply;
use countersign_wire::smtp::xclient::Attribute::{Is, Unavailable};
use countersign_wire::smtp::xclient::Xclient;

use super::{Door, Letter, Owner};
use crate::net::{Transaction, UpstreamError};

/// Why a recipient is not taken.
pub(super) enum Refusal {
    /// For a reason of ours.
    Ours(&'static str),
    /// In the upstream's words.
    Upstream(Reply),
}

impl Letter {
    /// Asks the upstream about a recipient. The transaction with it begins at the first.
    ///
    /// INVARIANT: a transaction that had a recipient and is lost is not begun again: the message would go to
    /// those alone who came after.
    pub(super) async fn ask_upstream(&mut self, door: &Door, rcpt: &Rcpt) -> Result<Reply, Refusal> {
        let (outgoing, reply) = match self.outgoing.take() {
            Some(outgoing) if outgoing.is_full() => {
                self.outgoing = Some(outgoing);
                return Err(Refusal::Ours("limit-recipients"));
            }
            Some(mut outgoing) => {
                let asked = passed_on(&outgoing, rcpt);
                let answer = outgoing.rcpt(&asked).await;
                let reply = self.heard(answer, outgoing.upstream())?;
                (outgoing, reply)
            }
            None if self.begun => return Err(Refusal::Ours("upstream-unavailable")),
            None => self.begin(door, rcpt).await?,
        };
        self.outgoing = Some(outgoing);
        if reply.is_positive() {
            self.begun = true;
            return Ok(reply);
        }
        Err(Refusal::Upstream(reply))
    }

    /// Asks about all who waited until it was known whose letter this is. They were told yes already, so the
    /// first no fails the whole: the relay hears it in place of the message's reply, and keeps or returns the
    /// message. One that wants an answer for each recipient sends each message to one.
    pub(super) async fn ask_about_waiting(&mut self, door: &Door) -> Result<(), (&'static str, String)> {
        for rcpt in std::mem::take(&mut self.waiting) {
            if let Err(refusal) = self.ask_upstream(door, &rcpt).await {
                return Err(match refusal {
                    Refusal::Ours(code) => (code, String::new()),
                    Refusal::Upstream(reply) => {
                        let code =
                            if reply.is_transient() { "recipient-deferred" } else { "recipient-refused" };
                        (code, format!("<{}>: {reply}", rcpt.recipient))
                    }
                });
            }
        }
        Ok(())
    }

    /// Begins the transaction with its first recipient.
    async fn begin(&self, door: &Door, rcpt: &Rcpt) -> Result<(Transaction, Reply), Refusal> {
        let owner = self.owner.as_ref().ok_or(Refusal::Ours("account-unknown"))?;
        let exit = door.exits.of(&owner.account).ok_or(Refusal::Ours("upstream-not-configured"))?;
        let begun = exit.upstream.begin_for(owner.account.id.as_str(), &self.introduction(owner)).await;
        let mut outgoing = self.heard_error(begun, &exit.name)?;
        let Some(parameters) = outgoing.mail_parameters(&self.mail.parameters) else {
            outgoing.abandon().await;
            return Err(Refusal::Ours("upstream-lacks-smtputf8"));
        };
        let mail = Mail { sender: self.mail.sender.clone(), parameters };
        let asked = passed_on(&outgoing, rcpt);
        let (reply, second) = self.heard_error(outgoing.mail_and_rcpt(&mail, &asked).await, &exit.name)?;
        let reply = self.heard(Ok(reply), &exit.name)?;
        match second {
            Some(second) => Ok((outgoing, self.heard(Ok(second), &exit.name)?)),
            None => {
                outgoing.abandon().await;
                Err(Refusal::Upstream(reply))
            }
        }
    }

    /// What an upstream is told that wants to know whose mail it is: of a relay's mail that comes without a login
    /// the account. Nothing is left as it was told of somebody else.
    fn introduction(&self, owner: &Owner) -> Xclient {
        let given = |text: &str| if text.is_empty() { Unavailable } else { Is(text.to_owned()) };
        let login = if owner.login.is_empty() { owner.account.id.as_str() } else { &owner.login };
        Xclient {
            name: Some(Unavailable),
            address: Some(self.client.ip.map_or(Unavailable, Is)),
            helo: Some(given(&self.client.helo)),
            login: Some(given(login)),
            ..Xclient::default()
        }
    }

    /// RFC 5321 3.8: 421 is about the connection, and the client's own is none of the upstream's business.
    fn heard(&self, answer: Result<Reply, UpstreamError>, upstream: &str) -> Result<Reply, Refusal> {
        match self.heard_error(answer, upstream)? {
            reply if reply.code() == CLOSING => {
                tracing::warn!(upstream, %reply, "ledger.ref" = %self.reference, "the upstream closes");
                Err(Refusal::Ours("upstream-unavailable"))
            }
            reply => Ok(reply),
        }
    }

    fn heard_error<T>(&self, answer: Result<T, UpstreamError>, upstream: &str) -> Result<T, Refusal> {
        answer.map_err(|error| {
            tracing::warn!(upstream, %error, "ledger.ref" = %self.reference, "the upstream is not there");
            match error {
                UpstreamError::Busy => Refusal::Ours("upstream-busy"),
                _ => Refusal::Ours("upstream-unavailable"),
            }
        })
    }
}

/// The recipient as this upstream is asked about it.
fn passed_on(outgoing: &Transaction, rcpt: &Rcpt) -> Rcpt {
    Rcpt { recipient: rcpt.recipient.clone(), parameters: outgoing.rcpt_parameters(&rcpt.parameters) }
}

const CLOSING: u16 = 421;
