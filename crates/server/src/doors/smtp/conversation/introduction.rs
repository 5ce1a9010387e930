//! XCLIENT: a trusted relay says who its client is, and the session begins anew with that one.

use std::io;
use std::net::IpAddr;

use countersign_wire::smtp::session::Event;
use countersign_wire::smtp::xclient::{Attribute, Xclient};
use tokio::io::{AsyncRead, AsyncWrite};

use super::{Conversation, Next};

/// What a relay has said of its client. Several commands add to each other.
#[derive(Debug, Clone, Default)]
pub(super) struct Introduction {
    pub(super) login: Option<Attribute<String>>,
    /// It counts, whatever the relay calls itself in its next EHLO.
    pub(super) helo: Option<String>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Conversation<S> {
    pub(super) async fn introduce(&mut self, said: &Xclient) -> io::Result<Next> {
        self.end_transaction().await;
        if let Some(address) = &said.address {
            // An address that nobody knows is none: it is not the relay's.
            self.client.ip = address.value().map(IpAddr::to_canonical);
        }
        if said.login.is_some() {
            self.introduction.login.clone_from(&said.login);
        }
        if let Some(helo) = &said.helo {
            self.introduction.helo = helo.value().cloned();
        }
        self.client.helo = self.introduction.helo.clone().unwrap_or_default();
        self.session.advance(Event::ClientGiven);
        // XCLIENT_README: "220 success", after which "the session is reset to the initial state".
        self.say_hello().await?;
        Ok(Next::Go)
    }
}
