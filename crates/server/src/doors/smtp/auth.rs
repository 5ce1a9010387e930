//! AUTH: who presents which credential (RFC 4954). Failures are protocol replies: no ruling, no ref.
//! The conversation calls it with what the client sent.

use std::net::IpAddr;

use countersign_core::ids::AccountId;
use countersign_wire::smtp::auth::Credentials;
use tokio::time::Instant;

use super::Door;
use crate::accounts::{DirectoryError, within};

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
    /// Checks a login, unless too many have failed: then the secret is not looked at. Asked once more
    /// before the answer is told: who guesses over many sessions at once learns no more than over one.
    pub(super) async fn sign_in(
        &self,
        credentials: &Credentials,
        ip: IpAddr,
    ) -> Result<SignedIn, SignInError> {
        let guesses = &self.capacity.guesses;
        if !guesses.may_try(credentials.login(), ip, Instant::now()) {
            return Err(SignInError::TooMany);
        }
        let checked = self.check(credentials, ip).await;
        if !guesses.may_try(credentials.login(), ip, Instant::now()) {
            return Err(SignInError::TooMany);
        }
        match &checked {
            Ok(_) => self.capacity.admission.remember(ip),
            // Who has the right secret has not guessed.
            Err(
                SignInError::Directory(_)
                | SignInError::Network
                | SignInError::Expired
                | SignInError::Blocked,
            ) => {}
            Err(SignInError::Wrong | SignInError::TooMany) => {
                guesses.count(credentials.login(), ip, Instant::now())
            }
        }
        checked
    }

    /// Secret first, so that nothing else can be learned without it.
    async fn check(&self, credentials: &Credentials, ip: IpAddr) -> Result<SignedIn, SignInError> {
        let known = self.directory.login(credentials.login()).await?;
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
