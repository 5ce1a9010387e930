//! The envelope: AES-256-GCM-SIV under one key, with the nonce in front.
//! `Keys` wraps data keys with it, an `AccountKey` seals data.

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

/// A key made ready. GCM-SIV keeps its promise even if a nonce comes twice.
pub(crate) struct Cipher(LessSafeKey);

impl Cipher {
    pub(crate) fn new(key: &[u8; 32]) -> Result<Self, SealError> {
        let key = UnboundKey::new(&AES_256_GCM_SIV, key).map_err(|_| SealError::Broken)?;
        Ok(Self(LessSafeKey::new(key)))
    }

    /// version, nonce, ciphertext, tag. What `aad` says must be said again to open it.
    pub(crate) fn seal(&self, aad: &[u8], plain: &[u8]) -> Result<Vec<u8>, SealError> {
        let mut nonce = [0_u8; NONCE_LEN];
        aws_lc_rs::rand::fill(&mut nonce).map_err(|_| SealError::Random)?;
        let mut text = Vec::with_capacity(plain.len() + TAG_LENGTH);
        text.extend(plain);
        let sealed =
            self.0.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(aad), &mut text);
        sealed.map_err(|_| SealError::Broken)?;
        let mut out = Vec::with_capacity(1 + NONCE_LEN + text.len());
        out.push(VERSION);
        out.extend(nonce);
        out.extend(text);
        Ok(out)
    }

    pub(crate) fn open(&self, aad: &[u8], sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        let Some((&VERSION, rest)) = sealed.split_first() else {
            return Err(SealError::Broken);
        };
        let (nonce, text) = rest.split_first_chunk::<NONCE_LEN>().ok_or(SealError::Broken)?;
        let mut text = text.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let opened = self.0.open_in_place(nonce, Aad::from(aad), &mut text);
        let length = opened.map_err(|_| SealError::Broken)?.len();
        text.truncate(length);
        Ok(text)
    }
}

/// Why something is not sealed or opened.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The seal is broken: other octets, another key, or another purpose.
    #[error("the seal does not open: it was changed, or sealed with another key or for another purpose")]
    Broken,
    /// The system gives no randomness.
    #[error("the system gives no random numbers")]
    Random,
    /// The root key is not the one of this store.
    #[error("the key of account `{account}` does not open: the root key is not the one of this store")]
    Root {
        /// The account whose key was tried.
        account: String,
    },
    /// The key is not to be had from the store.
    #[error("the key of account `{account}` is not to be had: {cause}")]
    Store {
        /// The account.
        account: String,
        /// Why.
        cause: String,
    },
}

const VERSION: u8 = 1;
const TAG_LENGTH: usize = 16;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_was_sealed_opens(plain: Vec<u8>, aad: Vec<u8>) {
            let cipher = Cipher::new(&[7; 32]).unwrap();
            prop_assert_eq!(cipher.open(&aad, &cipher.seal(&aad, &plain).unwrap()).unwrap(), plain);
        }

        #[test]
        fn a_changed_octet_is_found(plain: Vec<u8>, place: prop::sample::Index, flip in 1_u8..) {
            let cipher = Cipher::new(&[7; 32]).unwrap();
            let mut sealed = cipher.seal(b"aad", &plain).unwrap();
            let place = place.index(sealed.len());
            sealed[place] ^= flip;
            prop_assert!(cipher.open(b"aad", &sealed).is_err());
        }

        #[test]
        fn arbitrary_octets_do_not_open(octets: Vec<u8>) {
            prop_assert!(Cipher::new(&[7; 32]).unwrap().open(b"", &octets).is_err());
        }
    }

    #[test]
    fn another_key_or_purpose_does_not_open_it() {
        let sealed = Cipher::new(&[7; 32]).unwrap().seal(b"one", b"plain").unwrap();
        assert!(Cipher::new(&[8; 32]).unwrap().open(b"one", &sealed).is_err());
        assert!(Cipher::new(&[7; 32]).unwrap().open(b"two", &sealed).is_err());
    }

    #[test]
    fn the_same_text_is_never_sealed_to_the_same() {
        let cipher = Cipher::new(&[7; 32]).unwrap();
        assert_ne!(cipher.seal(b"", b"plain").unwrap(), cipher.seal(b"", b"plain").unwrap());
    }
}
