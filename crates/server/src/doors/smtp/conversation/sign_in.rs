//! AUTH as the client sees it: the lines of a SASL exchange, and what is said to its outcome.

use std::io;

use countersign_wire::smtp::auth::{AuthError, AuthStep, Credentials, Exchange, InitialResponse, Mechanism};
use countersign_wire::smtp::session::Event;
use tokio::io::{AsyncRead, AsyncWrite};

use super::super::auth::SignInError;
use super::super::lines::Line;
use super::replies::{NOT_OFFERED, SIGNED_IN, TOO_MANY_FAILURES, TOO_MANY_GUESSES, TRY_LATER, WRONG};
use super::{Conversation, Next};

impl<S: AsyncRead + AsyncWrite + Unpin> Conversation<S> {
    pub(super) async fn auth(
        &mut self,
        mechanism: &str,
        initial: Option<InitialResponse>,
    ) -> io::Result<Next> {
        let Some(mechanism) = Mechanism::parse(mechanism) else { return self.answer(&NOT_OFFERED).await };
        let credentials = match self.exchange(mechanism, initial.as_ref()).await? {
            Some(Ok(credentials)) => credentials,
            Some(Err(error)) => {
                self.say(&error.reply()).await?;
                return Ok(Next::Go);
            }
            None => return Ok(Next::Close),
        };
        let ip = self.peer.ip;
        match self.door.sign_in(&credentials, ip).await {
            Ok(signed_in) => {
                tracing::info!("account.id" = %signed_in.account, login = signed_in.login, %ip, "signed in");
                self.signed_in = Some(signed_in);
                self.session.advance(Event::Authenticated);
                self.answer(&SIGNED_IN).await
            }
            Err(error @ SignInError::Directory(_)) => {
                tracing::error!(%error, "sign-in cannot be checked");
                self.answer(&TRY_LATER).await
            }
            Err(error) => {
                metrics::counter!("countersign_sign_ins_refused_total").increment(1);
                tracing::warn!(login = credentials.login(), %ip, %error, "sign-in refused");
                self.failures += 1;
                match error {
                    _ if self.failures >= MOST_FAILURES => self.leave(&TOO_MANY_FAILURES).await,
                    SignInError::TooMany => self.answer(&TOO_MANY_GUESSES).await,
                    _ => self.answer(&WRONG).await,
                }
            }
        }
    }

    /// The lines of a SASL exchange; `None` when the peer is gone.
    async fn exchange(
        &mut self,
        mechanism: Mechanism,
        initial: Option<&InitialResponse>,
    ) -> io::Result<Option<Result<Credentials, AuthError>>> {
        let mut step = Exchange::begin(mechanism, initial);
        loop {
            let exchange = match step {
                Ok(AuthStep::Ask(exchange)) => exchange,
                Ok(AuthStep::Check(credentials)) => return Ok(Some(Ok(credentials))),
                Err(error) => return Ok(Some(Err(error))),
            };
            self.say(&exchange.challenge()).await?;
            let until = self.patience();
            step = match self.lines.line(self.door.settings.limits.auth_line, until).await? {
                Line::Text(line) => exchange.answer(&line),
                Line::TooLong => Err(AuthError::TooLong),
                Line::BareLf | Line::Closed | Line::Late | Line::TooSlow => return Ok(None),
            };
        }
    }
}

const MOST_FAILURES: usize = 3;
