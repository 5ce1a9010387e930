//! Keys of signed notes: the name and public key that a verifier knows, the seed that a signer has.
//! Logs sign checkpoints with them, witnesses cosign, and everybody who verifies is told the verifier key.

use std::fmt;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::note::NoteSignature;
use super::tree::sha256;

/// The name of a key: not empty, at most 255 octets, without spaces, controls and `+`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyName(String);

impl KeyName {
    /// Reads a name.
    ///
    /// # Errors
    /// When it is empty, too long or has a character that names do not have.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        // signed-note: "Key names MUST be non-empty and MUST NOT contain any Unicode spaces or plus (U+002B)
        // characters."
        let other = |c: char| c.is_whitespace() || c.is_control() || c == '+';
        match text.is_empty() || text.len() > LONGEST_NAME || text.contains(other) {
            true => Err(KeyError::Name(shown(text))),
            false => Ok(Self(text.to_owned())),
        }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a key signs, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    /// The text of a note, with Ed25519: type 0x01 of signed-note.
    Ed25519,
    /// A checkpoint and the time, with Ed25519, by a witness: type 0x04, tlog-cosignature.
    Cosignature,
}

impl Algorithm {
    fn octet(self) -> u8 {
        match self {
            Self::Ed25519 => 0x01,
            Self::Cosignature => 0x04,
        }
    }

    fn of(octet: u8) -> Option<Self> {
        match octet {
            0x01 => Some(Self::Ed25519),
            0x04 => Some(Self::Cosignature),
            _ => None,
        }
    }
}

/// A key that signatures are verified with. Written `name+hexid+base64`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct VerifierKey {
    name: KeyName,
    algorithm: Algorithm,
    public: [u8; 32],
}

impl VerifierKey {
    /// Reads `name+hexid+base64`, where the last part is the octet of the algorithm and the public key.
    ///
    /// # Errors
    /// When a part is missing, the algorithm is not known, or the id is not the one of the name and key.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let wrong = || KeyError::Form(shown(text));
        let (name, rest) = text.split_once('+').ok_or_else(wrong)?;
        let (id, octets) = rest.split_once('+').ok_or_else(wrong)?;
        let name = KeyName::parse(name)?;
        let octets = STANDARD.decode(octets).map_err(|_| wrong())?;
        let (octet, public) = octets.split_first().ok_or_else(wrong)?;
        let algorithm = Algorithm::of(*octet).ok_or(KeyError::Algorithm(*octet))?;
        let public = public.try_into().map_err(|_| wrong())?;
        let key = Self { name, algorithm, public };
        match id == hex(key.id()) {
            true => Ok(key),
            false => Err(KeyError::Id { said: shown(id), right: hex(key.id()) }),
        }
    }

    /// The name of the key.
    #[must_use]
    pub fn name(&self) -> &KeyName {
        &self.name
    }

    /// What it signs.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The id that goes before a signature, so that others are not tried.
    ///
    /// signed-note: "key ID = SHA-256(key name || 0x0A || signature type || public key)[:4]"
    #[must_use]
    pub fn id(&self) -> [u8; 4] {
        let digest = sha256(&[self.name.0.as_bytes(), b"\n", &[self.algorithm.octet()], &self.public]);
        digest.first_chunk().copied().unwrap_or_default()
    }

    /// Whether a signature says that this key made it. signed-note: "The tuple of key name and key ID uniquely
    /// identifies the key that performed the signature and the algorithm it used."
    #[must_use]
    pub fn claims(&self, signature: &NoteSignature) -> bool {
        signature.key_id == self.id() && signature.name == self.name
    }

    /// Whether the signature is one of this key over `text`; of a cosignature, its time in seconds since 1970.
    pub(super) fn verify(&self, text: &str, octets: &[u8]) -> Option<Option<u64>> {
        match self.algorithm {
            Algorithm::Ed25519 => self.verifies(text.as_bytes(), octets).then_some(None),
            Algorithm::Cosignature => {
                let (time, signature) = octets.split_first_chunk::<8>()?;
                let time = u64::from_be_bytes(*time);
                // tlog-cosignature: "It MUST NOT exceed 2^63 - 1"
                let fits = i64::try_from(time).is_ok();
                (fits && self.verifies(&cosigned(time, text), signature)).then_some(Some(time))
            }
        }
    }

    fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, self.public).verify(message, signature).is_ok()
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let octets = [&[self.algorithm.octet()], self.public.as_slice()].concat();
        write!(f, "{}+{}+{}", self.name, hex(self.id()), STANDARD.encode(octets))
    }
}

/// A key that signs. It never prints its seed.
pub struct Signer {
    verifier: VerifierKey,
    pair: Ed25519KeyPair,
}

impl Signer {
    /// The key pair of a seed of 32 octets (RFC 8032 5.1.5: the private key).
    ///
    /// # Errors
    /// When the crypto library makes no key of the seed, which does not happen.
    pub fn of(name: KeyName, algorithm: Algorithm, seed: &[u8; 32]) -> Result<Self, KeyError> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| KeyError::Seed)?;
        let public = pair.public_key().as_ref().try_into().map_err(|_| KeyError::Seed)?;
        Ok(Self { verifier: VerifierKey { name, algorithm, public }, pair })
    }

    /// Reads `PRIVATE+KEY+name+hexid+base64`, where the last part is the octet of the algorithm and the seed.
    ///
    /// # Errors
    /// When it is not as `text` writes it. The error repeats nothing of the seed.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        // The base64 at the end may have a `+` of its own.
        let parts: Vec<&str> = text.splitn(5, '+').collect();
        let ["PRIVATE", "KEY", name, id, octets] = parts.as_slice() else { return Err(KeyError::Private) };
        let octets = STANDARD.decode(octets).map_err(|_| KeyError::Private)?;
        let (octet, seed) = octets.split_first().ok_or(KeyError::Private)?;
        let algorithm = Algorithm::of(*octet).ok_or(KeyError::Algorithm(*octet))?;
        let seed: &[u8; 32] = seed.try_into().map_err(|_| KeyError::Private)?;
        let signer = Self::of(KeyName::parse(name)?, algorithm, seed)?;
        let right = hex(signer.verifier.id());
        match *id == right {
            true => Ok(signer),
            false => Err(KeyError::Id { said: shown(id), right }),
        }
    }

    /// The key as a text that `parse` reads; `seed` is the one that it was made of. Whoever has it signs.
    #[must_use]
    pub fn text(&self, seed: &[u8; 32]) -> String {
        let VerifierKey { name, algorithm, .. } = &self.verifier;
        let octets = [&[algorithm.octet()], seed.as_slice()].concat();
        format!("PRIVATE+KEY+{name}+{}+{}", hex(self.verifier.id()), STANDARD.encode(octets))
    }

    /// What to verify its signatures with.
    #[must_use]
    pub fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    /// The signature over the text of a note. A cosignature says that it was made at `time`, in seconds since
    /// 1970; a plain signature says no time.
    #[must_use]
    pub fn sign(&self, text: &str, time: u64) -> NoteSignature {
        let octets = match self.verifier.algorithm {
            Algorithm::Ed25519 => self.pair.sign(text.as_bytes()).as_ref().to_vec(),
            // tlog-cosignature: "The signature MUST be a timestamped_signature structure."
            Algorithm::Cosignature => {
                let time = time.min(i64::MAX.unsigned_abs());
                [time.to_be_bytes().as_slice(), self.pair.sign(&cosigned(time, text)).as_ref()].concat()
            }
        };
        NoteSignature { name: self.verifier.name.clone(), key_id: self.verifier.id(), octets }
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({})", self.verifier)
    }
}

/// tlog-cosignature: "The signed message MUST be two newline (U+000A) terminated lines (one header line and one
/// timestamp line) followed by the whole note body of the cosigned checkpoint (including the final newline, but not
/// including any signature lines)."
fn cosigned(time: u64, text: &str) -> Vec<u8> {
    format!("cosignature/v1\ntime {time}\n{text}").into_bytes()
}

fn hex(id: [u8; 4]) -> String {
    format!("{:08x}", u32::from_be_bytes(id))
}

fn shown(text: &str) -> String {
    text.escape_default().take(SHOWN).collect()
}

/// Why a text is no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// A name that no key has.
    #[error("`{0}` is no name of a key: 1 to 255 octets without spaces and `+` are expected")]
    Name(String),
    /// Not the three parts.
    #[error("`{0}` is no verifier key: `name+id+base64` is expected, with a key of 32 octets")]
    Form(String),
    /// An algorithm that we do not verify.
    #[error("signature type `{0}` of a verifier key is not known: 1 (Ed25519) and 4 (cosignature) are")]
    Algorithm(u8),
    /// The id does not fit.
    #[error("the id `{said}` of a verifier key is not the one of its name and key, which is `{right}`")]
    Id {
        /// What it says.
        said: String,
        /// What it should say.
        right: String,
    },
    /// Not the parts of a private key.
    #[error(
        "it is no private key of a note: `PRIVATE+KEY+name+id+base64` is expected, with a seed of 32 octets"
    )]
    Private,
    /// The crypto library refused.
    #[error("no key can be made of the seed")]
    Seed,
}

const LONGEST_NAME: usize = 255;
const SHOWN: usize = 120;
