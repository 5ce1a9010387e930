//! Bearer keys: `Authorization: Bearer SECRET` (RFC 6750 2.1). Wrong ones are counted as failed sign-ins are.
//! The guard asks it for every request that comes over the network.

use std::net::IpAddr;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, header};
use tokio::time::Instant;

use super::Api;
use super::caller::Caller;
use super::problem::{Kind, Problem};
use crate::accounts::{ApiKey, DirectoryError, Holder, tag_of, within};
use crate::doors::smtp::{Attempt, Open};

/// Why a key is not taken. The peer hears the same for each but the last two; the log says which.
#[derive(Debug, thiserror::Error)]
enum KeyError {
    #[error("no such key")]
    Wrong,
    #[error("several keys have this secret: give each its own")]
    Several,
    #[error("the key may not be used from here")]
    Network,
    #[error("the key has expired")]
    Expired,
    #[error("the key is blocked")]
    Blocked,
    #[error("too many keys from this network, or altogether, were wrong")]
    TooMany,
    #[error(transparent)]
    Directory(#[from] DirectoryError),
}

impl Api {
    /// The caller that a key stands for.
    pub(super) async fn caller(&self, headers: &HeaderMap, ip: IpAddr) -> Result<Caller, Problem> {
        let Some(secret) = secret(headers)? else {
            return Err(unauthorized(
                "Bearer realm=\"countersign\"",
                "send a key: `Authorization: Bearer KEY`",
            ));
        };
        let soonest = Instant::now() + SOONEST;
        match self.known(secret, ip).await {
            Ok(caller) => Ok(caller),
            Err(KeyError::Directory(error)) => Err(Problem::of(error)),
            Err(error) => {
                metrics::counter!("countersign_sign_ins_refused_total").increment(1);
                tracing::warn!(%ip, %error, "an API key is refused");
                match error {
                    KeyError::TooMany => {
                        tokio::time::sleep_until(soonest).await;
                        let why =
                            "too many wrong keys came from your network, or altogether; try again later";
                        let later = HeaderValue::from_static("60");
                        Err(Problem::new(Kind::TooMany, why).header(header::RETRY_AFTER, later))
                    }
                    // RFC 6750 3.1: "invalid_token [...] expired, revoked, malformed, or invalid for other reasons"
                    _ => Err(unauthorized(
                        "Bearer realm=\"countersign\", error=\"invalid_token\"",
                        "this key opens nothing here",
                    )),
                }
            }
        }
    }

    /// As AUTH of SMTP does: the counters are asked before the secret is looked at, and before the answer is told.
    async fn known(&self, secret: &str, ip: IpAddr) -> Result<Caller, KeyError> {
        let tag = tag_of(&self.control.keys, secret);
        let found = self.control.directory.keys(&tag).await?;
        let meant = found.iter().any(|key| !key.networks.is_empty() && within(&key.networks, ip));
        // A key is its secret alone, so each wrong one is a login of its own.
        let login = tag.iter().fold(String::from("key:"), |text, octet| format!("{text}{octet:02x}"));
        let (guesses, attempt) = (&self.capacity.guesses, Attempt { login: &login, ip, meant });
        if guesses.open(attempt, Instant::now()).await == Open::Nobody {
            return Err(KeyError::TooMany);
        }
        let checked = self.check(found, secret, ip).await;
        let open = match &checked {
            Err(KeyError::Wrong) => guesses.failed(attempt, Instant::now()).await,
            _ => guesses.open(attempt, Instant::now()).await,
        };
        match &checked {
            _ if open == Open::Nobody => return Err(KeyError::TooMany),
            Ok(_) => {
                self.capacity.admission.remember(ip);
                guesses.remember(attempt, Instant::now());
            }
            Err(_) => {}
        }
        match checked {
            Ok(_) | Err(KeyError::Directory(_)) => checked,
            Err(_) if open == Open::AtHome => Err(KeyError::TooMany),
            Err(_) => checked,
        }
    }

    /// Secret first, so that nothing else can be learned without it.
    async fn check(&self, found: Vec<ApiKey>, secret: &str, ip: IpAddr) -> Result<Caller, KeyError> {
        let mut found = found.into_iter();
        let key = match (found.next(), found.next()) {
            (Some(key), None) => key,
            (Some(_), Some(_)) => return Err(KeyError::Several),
            (None, _) => return Err(KeyError::Wrong),
        };
        if !self.verifier.check(Some(&key.hash), secret).await {
            return Err(KeyError::Wrong);
        }
        if !key.networks.is_empty() && !within(&key.networks, ip) {
            return Err(KeyError::Network);
        }
        if key.expires.is_some_and(|at| at <= self.control.clock.now()) {
            return Err(KeyError::Expired);
        }
        match key.holder {
            Holder::Staff(email) => Ok(Caller::staff(email, key.scopes)),
            Holder::Account { account, login } => {
                let known = self.control.directory.account(&account).await?;
                match known.is_login_blocked(&login) {
                    true => Err(KeyError::Blocked),
                    false => Ok(Caller::account(account, login, key.scopes)),
                }
            }
        }
    }
}

/// The secret of the one Authorization field; none when there is no such field.
fn secret(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let mut fields = headers.get_all(header::AUTHORIZATION).iter();
    let field = match (fields.next(), fields.next()) {
        (None, _) => return Ok(None),
        (Some(field), None) => field,
        (Some(_), Some(_)) => return Err(Problem::bad_request("`Authorization` is there twice")),
    };
    let words = field.to_str().ok().and_then(|text| text.split_once(' '));
    // RFC 9110 11.1: "a case-insensitive token to identify the authentication scheme"
    match words.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")) {
        Some((_, secret)) if !secret.trim().is_empty() => Ok(Some(secret.trim())),
        _ => Err(unauthorized("Bearer realm=\"countersign\"", "send a key: `Authorization: Bearer KEY`")),
    }
}

/// RFC 9110 11.6.1: "A server generating a 401 (Unauthorized) response MUST send a WWW-Authenticate header field"
fn unauthorized(challenge: &'static str, why: &str) -> Problem {
    Problem::new(Kind::Unauthorized, why)
        .header(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge))
}

/// Whether a secret was looked at before the answer "too many" must not be told by the time that it took.
const SOONEST: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests {
    use super::*;

    fn read(fields: &[&str]) -> Option<Option<String>> {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(header::AUTHORIZATION, field.parse().unwrap());
        }
        secret(&headers).ok().map(|secret| secret.map(str::to_owned))
    }

    #[test]
    fn rfc9110_11_1_the_scheme_is_read_in_any_capitals() {
        for field in ["Bearer s3cret", "bearer s3cret", "BEARER  s3cret"] {
            assert_eq!(read(&[field]), Some(Some("s3cret".to_owned())), "{field}");
        }
        assert_eq!(read(&[]), Some(None));
        for fields in
            [&["Basic s3cret"][..], &["Bearer"], &["Bearer "], &["s3cret"], &["Bearer a", "Bearer a"]]
        {
            assert_eq!(read(fields), None, "{fields:?}");
        }
    }
}
