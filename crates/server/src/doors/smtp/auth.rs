//! AUTH: who presents which credential (RFC 4954). Failures are protocol replies: no ruling, no ref.
//! The conversation calls it with what the client sent.

use std::net::IpAddr;
use std::time::Duration;

use countersign_core::ids::AccountId;
use countersign_wire::smtp::auth::Credentials;
use tokio::time::Instant;

use super::Door;
use super::guesses::{Attempt, Open};
use crate::accounts::{Credential, DirectoryError, within};

/// Who has signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SignedIn {
    pub(super) login: String,
    pub(super) account: AccountId,
}

/// Why nobody has. The peer hears the same for each but the last two; the log says which.
#[derive(Debug, thiserror::Error)]
pub(super) enum SignInError {
    #[error("no such login, or a wrong secret")]
    Wrong,
    #[error("the credential may not be used from here")]
    Network,
    #[error("the credential has expired")]
    Expired,
    #[error("the credential is blocked")]
    Blocked,
    #[error("too many sign-ins have failed for this login, from its network or altogether")]
    TooMany,
    #[error(transparent)]
    Directory(#[from] DirectoryError),
}

impl Door {
    /// Checks a login, unless too many have failed: then the secret is not looked at, except where the login
    /// is at home. A wrong one hears there what it would hear anywhere, and no sooner.
    pub(super) async fn sign_in(
        &self,
        credentials: &Credentials,
        ip: IpAddr,
    ) -> Result<SignedIn, SignInError> {
        let soonest = Instant::now() + SOONEST;
        let outcome = self.guess(credentials, ip).await;
        if matches!(outcome, Err(SignInError::TooMany)) {
            tokio::time::sleep_until(soonest).await;
        }
        outcome
    }

    /// Asks the counters once more before the answer is told: who guesses over many sessions at once learns
    /// no more than over one.
    async fn guess(&self, credentials: &Credentials, ip: IpAddr) -> Result<SignedIn, SignInError> {
        let known = self.directory.login(credentials.login()).await?;
        let meant = match &known {
            Some(credential) => self.is_meant(credential, ip).await?,
            None => false,
        };
        let (guesses, attempt) = (&self.capacity.guesses, Attempt { login: credentials.login(), ip, meant });
        if guesses.open(attempt, Instant::now()).await == Open::Nobody {
            return Err(SignInError::TooMany);
        }
        let checked = self.check(known, credentials, ip).await;
        let open = match &checked {
            Err(SignInError::Wrong | SignInError::TooMany) => guesses.failed(attempt, Instant::now()).await,
            // Who has the right secret has not guessed.
            _ => guesses.open(attempt, Instant::now()).await,
        };
        match &checked {
            _ if open == Open::Nobody => return Err(SignInError::TooMany),
            Ok(_) => {
                self.capacity.admission.remember(ip);
                guesses.remember(attempt, Instant::now());
            }
            Err(_) => {}
        }
        match checked {
            Ok(_) | Err(SignInError::Directory(_)) => checked,
            // Strangers are stopped: nobody learns more than they do, but by coming in.
            Err(_) if open == Open::AtHome => Err(SignInError::TooMany),
            Err(_) => checked,
        }
    }

    /// Whether the login or its account has networks, and the address is in them.
    async fn is_meant(&self, credential: &Credential, ip: IpAddr) -> Result<bool, DirectoryError> {
        let account = self.directory.account(&credential.account).await?;
        let lists = [&credential.networks, &account.networks];
        let mut named = lists.iter().filter(|list| !list.is_empty()).peekable();
        Ok(named.peek().is_some() && named.all(|list| within(list, ip)))
    }

    /// Secret first, so that nothing else can be learned without it.
    async fn check(
        &self,
        known: Option<Credential>,
        credentials: &Credentials,
        ip: IpAddr,
    ) -> Result<SignedIn, SignInError> {
        let hash = known.as_ref().map(|credential| credential.hash.as_str());
        let right = self.verifier.check(hash, credentials.password()).await;
        let Some(credential) = known.filter(|_| right) else { return Err(SignInError::Wrong) };
        if !credential.networks.is_empty() && !within(&credential.networks, ip) {
            return Err(SignInError::Network);
        }
        if credential.expires.is_some_and(|at| at <= self.clock.now()) {
            return Err(SignInError::Expired);
        }
        if self.directory.account(&credential.account).await?.is_login_blocked(&credential.login) {
            return Err(SignInError::Blocked);
        }
        Ok(SignedIn { login: credential.login, account: credential.account })
    }
}

/// Whether a secret was looked at before the answer "too many" must not be told by the time that it took.
const SOONEST: Duration = Duration::from_millis(250);
