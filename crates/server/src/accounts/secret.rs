//! Secrets of credentials: Argon2id hashes, checked off the hot threads, remembered for a short while.
//! The SMTP door asks; `apply` makes hashes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use argon2::{Argon2, PasswordHasher, PasswordVerifier, password_hash::PasswordHash};
use aws_lc_rs::digest::{SHA256, digest};
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// Hashes a secret (Argon2id with the crate's defaults: 19 MiB, 2 passes; about 10 ms).
///
/// # Errors
/// When the system has no randomness for a salt.
pub fn hash(secret: &str) -> Result<String, SecretError> {
    let hash = Argon2::default().hash_password(secret.as_bytes()).map_err(|_| SecretError::Hash)?;
    Ok(hash.to_string())
}

/// Checks secrets: a few at a time, each on a thread of its own, a right one remembered for a minute.
#[derive(Clone)]
pub struct Verifier {
    right: Arc<Mutex<HashMap<[u8; 32], Instant>>>,
    turns: Arc<Semaphore>,
}

impl Verifier {
    /// Whether a secret is the one that was hashed. `None` for the hash of a login that does not exist:
    /// it takes the same time.
    pub async fn check(&self, hash: Option<&str>, secret: &str) -> bool {
        let key = remembered_as(hash.unwrap_or_default(), secret);
        if hash.is_some() && self.knows(&key) {
            return true;
        }
        let Ok(_turn) = self.turns.acquire().await else { return false };
        let (hash_text, secret) = (hash.unwrap_or(NOBODY).to_owned(), secret.to_owned());
        let checked = tokio::task::spawn_blocking(move || is_right(&hash_text, &secret)).await;
        let right = checked.unwrap_or(false) && hash.is_some();
        if right {
            self.remember(key);
        }
        right
    }

    fn knows(&self, key: &[u8; 32]) -> bool {
        let right = self.right.lock().unwrap_or_else(PoisonError::into_inner);
        right.get(key).is_some_and(|until| *until > Instant::now())
    }

    fn remember(&self, key: [u8; 32]) {
        let mut right = self.right.lock().unwrap_or_else(PoisonError::into_inner);
        if right.len() >= MOST {
            right.clear();
        }
        right.insert(key, Instant::now() + REMEMBERED);
    }
}

impl Default for Verifier {
    fn default() -> Self {
        Self { right: Arc::default(), turns: Arc::new(Semaphore::new(AT_ONCE)) }
    }
}

fn is_right(hash: &str, secret: &str) -> bool {
    PasswordHash::new(hash)
        .is_ok_and(|parsed| Argon2::default().verify_password(secret.as_bytes(), &parsed).is_ok())
}

/// A changed hash is another key, so that a changed secret is forgotten at once.
fn remembered_as(hash: &str, secret: &str) -> [u8; 32] {
    let mut out = [0; 32];
    let text = format!("{hash}\0{secret}");
    out.iter_mut().zip(digest(&SHA256, text.as_bytes()).as_ref()).for_each(|(to, from)| *to = *from);
    out
}

/// Why a secret has no hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// No salt, or parameters out of range.
    #[error("the secret could not be hashed: the system gave no randomness")]
    Hash,
}

const REMEMBERED: Duration = Duration::from_secs(60);
const MOST: usize = 10_000;
const AT_ONCE: usize = 2;
/// Hash of a secret that nobody has, so that an unknown login takes as long as a wrong secret.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_right_secret_is_right() {
        let hash = hash("correct horse").unwrap();
        let verifier = Verifier::default();
        assert!(verifier.check(Some(&hash), "correct horse").await);
        assert!(verifier.check(Some(&hash), "correct horse").await, "remembered");
        assert!(!verifier.check(Some(&hash), "correct horsf").await);
        assert!(!verifier.check(None, "correct horse").await);
    }

    #[test]
    fn the_hash_of_nobody_is_well_formed() {
        assert!(PasswordHash::new(NOBODY).is_ok());
    }
}
