//! Signed notes (C2SP signed-note): a text, an empty line, and signatures of it.
//! Checkpoints are notes; logs, witnesses and exports exchange them.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::key::{KeyName, Signer, VerifierKey};

#[cfg(test)]
mod tests;

/// A text with signatures, none of which says anything before it is verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<NoteSignature>,
}

/// One line below the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteSignature {
    /// The name of the key that it says to be of.
    pub name: KeyName,
    /// The id of that key.
    pub key_id: [u8; 4],
    /// The signature; its form depends on the key.
    pub octets: Vec<u8>,
}

/// A signature that was verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signed {
    /// The time that a cosignature says, in seconds since 1970; a plain signature says none.
    pub time: Option<u64>,
}

impl Note {
    /// A note without signatures yet.
    ///
    /// # Errors
    /// When the text is none of a note.
    pub fn unsigned(text: String) -> Result<Self, NoteError> {
        check_text(&text)?;
        Ok(Self { text, signatures: Vec::new() })
    }

    /// Reads a note with its signatures. Nothing is verified.
    ///
    /// # Errors
    /// When it is not as `Display` writes it, or larger than anybody needs.
    pub fn parse(note: &str) -> Result<Self, NoteError> {
        // signed-note: "Verifiers SHOULD apply a maximum limit to the number of signatures in a note (or,
        // equivalently, to the overall size of a note), but MUST accept at least up to 16 signatures."
        if note.len() > LARGEST {
            return Err(NoteError::Large);
        }
        // signed-note: "the text is separated from the signatures by the last empty line in the note."
        let (text, signatures) = note.rsplit_once("\n\n").ok_or(NoteError::NoSignatures)?;
        let text = format!("{text}\n");
        check_text(&text)?;
        // signed-note: "followed by one or more signature lines"
        let lines = signatures.strip_suffix('\n').ok_or(NoteError::NoSignatures)?;
        let signatures = lines.split('\n').map(NoteSignature::parse).collect::<Result<Vec<_>, _>>()?;
        match signatures.len() > MOST_SIGNATURES {
            true => Err(NoteError::Large),
            false => Ok(Self { text, signatures }),
        }
    }

    /// The text with its final line feed: what is signed.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The signatures, verified or not.
    #[must_use]
    pub fn signatures(&self) -> &[NoteSignature] {
        &self.signatures
    }

    /// Adds the signature of this key. A cosignature says `time`, in seconds since 1970.
    pub fn sign(&mut self, signer: &Signer, time: u64) {
        self.signatures.push(signer.sign(&self.text, time));
    }

    /// Adds a signature that was made elsewhere, unless it is there already.
    pub fn add(&mut self, signature: NoteSignature) {
        if !self.signatures.contains(&signature) {
            self.signatures.push(signature);
        }
    }

    /// Adds a signature that was made elsewhere, in the place of those of the same key that are there.
    pub fn put(&mut self, signature: NoteSignature) {
        let same = |other: &NoteSignature| other.name == signature.name && other.key_id == signature.key_id;
        self.signatures.retain(|other| !same(other));
        self.signatures.push(signature);
    }

    /// Whether this key signed it. Signatures of other keys say nothing here.
    ///
    /// # Errors
    /// When it did not, or when a signature says to be of this key and is not.
    pub fn verify(&self, key: &VerifierKey) -> Result<Signed, NoteError> {
        let mut found = None;
        // signed-note: "Verifiers MUST ignore signatures from unknown keys, even if they share a name or ID (but
        // not both) with a known key. If the key name and ID match a known key, verifiers MUST verify the signature.
        // If a signature from a known key fails to verify, clients SHOULD reject the whole note."
        for signature in self.signatures.iter().filter(|signature| key.claims(signature)) {
            let bad = || NoteError::Bad(key.name().to_string());
            let time = key.verify(&self.text, &signature.octets).ok_or_else(bad)?;
            found = found.or(Some(Signed { time }));
        }
        // signed-note: "If no signature from a known key verifies successfully, clients MUST reject the note."
        found.ok_or_else(|| NoteError::Unsigned(key.name().to_string()))
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures.iter().try_for_each(|signature| signature.fmt(f))
    }
}

impl NoteSignature {
    /// Reads a signature line without its line feed: em dash, space, name, space, base64 of key id and signature.
    ///
    /// # Errors
    /// When it is not as `Display` writes it.
    pub fn parse(line: &str) -> Result<Self, NoteError> {
        let wrong = || NoteError::Line(line.escape_default().take(SHOWN).collect());
        // signed-note: "em dash (U+2014), space (U+0020), key name, space, base64-encoded signature, newline"
        let (name, octets) =
            line.strip_prefix("\u{2014} ").and_then(|rest| rest.split_once(' ')).ok_or_else(wrong)?;
        let name = KeyName::parse(name).map_err(|_| wrong())?;
        // signed-note: "Signatures are the base64 encoding of 4+n bytes. The first four bytes in the signature are
        // the uint32 key ID stored in big-endian order."
        let octets = STANDARD.decode(octets).map_err(|_| wrong())?;
        let (key_id, signature) = octets.split_first_chunk::<4>().ok_or_else(wrong)?;
        match signature.is_empty() {
            true => Err(wrong()),
            false => Ok(Self { name, key_id: *key_id, octets: signature.to_vec() }),
        }
    }
}

/// The line with its line feed.
impl fmt::Display for NoteSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let octets = [self.key_id.as_slice(), &self.octets].concat();
        writeln!(f, "\u{2014} {} {}", self.name, STANDARD.encode(octets))
    }
}

/// signed-note: "Signed notes MUST be valid UTF-8 and MUST NOT contain any ASCII control characters (those below
/// U+0020) other than newline."
fn check_text(text: &str) -> Result<(), NoteError> {
    let control = |octet: u8| octet < b' ' && octet != b'\n';
    match text.ends_with('\n') && !text.bytes().any(control) {
        true => Ok(()),
        false => Err(NoteError::Text),
    }
}

/// Why something is no signed note, or is not signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// There is nothing below the text.
    #[error("a signed note ends in an empty line and lines with signatures; here are none")]
    NoSignatures,
    /// The text cannot be that of a note.
    #[error("the text of a note ends in a line feed and has no other control characters")]
    Text,
    /// A line that is no signature.
    #[error("`{0}` is no signature of a note: `\u{2014} name base64` is expected")]
    Line(String),
    /// Too much.
    #[error("a note has at most 100 signatures and 1 MiB")]
    Large,
    /// The key did not sign.
    #[error("the note is not signed by `{0}`")]
    Unsigned(String),
    /// A signature that is none.
    #[error("the signature of `{0}` under the note is not one of its key over this text")]
    Bad(String),
}

const LARGEST: usize = 1 << 20;
const MOST_SIGNATURES: usize = 100;
const SHOWN: usize = 120;
