//! Whose letter it is, where nobody signs in: found by the login that a relay gives with XCLIENT, or by the domain of
//! MAIL FROM. What names nobody, or two, is refused.

use countersign_core::address::EmailAddress;
use countersign_core::ids::AccountId;
use countersign_wire::smtp::reply::Reply;
use countersign_wire::smtp::xclient::Attribute;

use super::super::auth::SignedIn;
use super::{Door, Letter, TRY_LATER};
use crate::accounts::{Credential, DirectoryError, within};

/// Why a relay's word names no owner.
pub(super) enum Nobody {
    /// With a reason of the catalogue, and its detail.
    Refused(&'static str, String),
    /// It cannot be told now.
    NotNow,
}

impl From<DirectoryError> for Nobody {
    fn from(error: DirectoryError) -> Self {
        tracing::error!(%error, "whose mail a relay brings cannot be told");
        Self::NotNow
    }
}

impl Letter {
    /// The letter with its owner, or the reply.
    pub(super) async fn given_to(self, door: &Door, found: Result<SignedIn, Nobody>) -> Result<Self, Reply> {
        match found {
            Ok(owner) => self.owned_by(door, &owner).await,
            Err(Nobody::Refused(code, detail)) => Err(self.refuse(door, code, &detail).await),
            Err(Nobody::NotNow) => Err(TRY_LATER.reply()),
        }
    }

    /// The owner of the login that was given with XCLIENT.
    pub(super) async fn owner_by_login(
        &self,
        door: &Door,
        given: Option<Attribute<String>>,
    ) -> Result<SignedIn, Nobody> {
        let login = match given {
            Some(Attribute::Is(login)) => login,
            Some(Attribute::NotNow) => return Err(Nobody::NotNow),
            Some(Attribute::Unavailable) | None => {
                return Err(unknown("no LOGIN was given with XCLIENT".to_owned()));
            }
        };
        let account = match AccountId::parse(&login) {
            Ok(id) => match door.directory.account(&id).await {
                Ok(account) => Some(account.id.clone()),
                Err(DirectoryError::Unknown(_)) => None,
                Err(error) => return Err(error.into()),
            },
            Err(_) => None,
        };
        match (door.directory.login(&login).await?, account) {
            (Some(credential), Some(other)) if credential.account != other => Err(unknown(format!(
                "`{}` is a login of account `{}` and the id of another account",
                shown(&login),
                credential.account
            ))),
            (Some(credential), _) => self.may_be_used(door, credential),
            // Mail of an account that a relay names without a login counts as that of one more login.
            (None, Some(account)) => Ok(SignedIn { login: String::new(), account }),
            (None, None) => {
                Err(unknown(format!("`{}` is neither a login nor the id of an account", shown(&login))))
            }
        }
    }

    /// What AUTH would ask beside the secret, which the relay has seen.
    fn may_be_used(&self, door: &Door, credential: Credential) -> Result<SignedIn, Nobody> {
        let unusable = |why: String| Err(Nobody::Refused("credential-not-usable", why));
        if credential.expires.is_some_and(|at| at <= door.clock.now()) {
            return unusable("it has expired".to_owned());
        }
        let ip = self.client.ip;
        let from_here =
            credential.networks.is_empty() || ip.is_some_and(|ip| within(&credential.networks, ip));
        match (from_here, ip) {
            (true, _) => Ok(SignedIn { login: credential.login, account: credential.account }),
            (false, Some(ip)) => unusable(format!("{ip} is in none of its networks")),
            (false, None) => unusable("it has networks, and the client's address is not known".to_owned()),
        }
    }

    /// The account that has proved the domain of MAIL FROM.
    pub(super) async fn owner_by_sender(&self, door: &Door) -> Result<SignedIn, Nobody> {
        let Some(domain) = self.envelope.mail_from.as_ref().map(EmailAddress::domain) else {
            return Err(unknown("MAIL FROM is `<>`, which is nobody's".to_owned()));
        };
        let mut owners = door.directory.proved_by(domain).await?.into_iter();
        match (owners.next(), owners.next()) {
            (Some(account), None) => Ok(SignedIn { login: String::new(), account }),
            (None, _) => Err(unknown(format!("no account has proved `{domain}`, the domain of MAIL FROM"))),
            (Some(_), Some(_)) => {
                Err(unknown(format!("more than one account has proved `{domain}`, the domain of MAIL FROM")))
            }
        }
    }
}

fn unknown(detail: String) -> Nobody {
    Nobody::Refused("account-unknown", detail)
}

fn shown(text: &str) -> String {
    text.escape_default().take(30).collect()
}
