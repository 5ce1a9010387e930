//! A line of an export, in the one form that it may have.
//! The writer prints lines, the verifier reads them; what reads and does not print back to the same is refused.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::ledger::checkpoint::parse_hash;
use crate::ledger::{Hash, Leaf};

#[cfg(test)]
mod tests;

/// One line of an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line<'a> {
    /// The first line of an export: which log this is.
    Header(Header),
    /// The first line of a second sink, which grows with its log and is never closed.
    Sink(Header),
    /// A leaf and what is known of its payload.
    Leaf(LeafLine<'a>),
    /// A signed checkpoint over the leaves before it.
    Checkpoint(Cow<'a, str>),
    /// The last line: the signed checkpoint that covers the file.
    Closing(Cow<'a, str>),
}

/// Which log a file is of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// The version of the form: 1.
    pub v: u8,
    /// The name of the log.
    pub origin: String,
    /// The verifier key of the log. Who was not told it by the log's owner is told nothing by a file.
    pub key: String,
    /// The index of the first leaf in the file: 0.
    pub from: u64,
    /// The log that this one goes on from, after a restore from a backup.
    pub continues: Option<Continued>,
}

/// The last that was witnessed of a log that ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Continued {
    /// Its last checkpoint, as it was signed and cosigned.
    pub note: String,
    /// Its verifier key.
    pub key: String,
}

/// A leaf in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeafLine<'a> {
    /// Its place in the log, from 0.
    pub index: u64,
    /// Its hash in the tree: with it, a leaf that was changed is told from the leaves around it.
    pub hash: Hash,
    /// Its encoding.
    pub leaf: [u8; Leaf::LENGTH],
    /// What it promises.
    pub payload: Payload<'a>,
}

/// The payload of a leaf in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload<'a> {
    /// What was recorded.
    Opened {
        /// What was hashed before the text, so that nobody finds a text by trying.
        salt: [u8; 32],
        /// The text as it was recorded: JSON, octet by octet what the leaf's commitment is of.
        text: Cow<'a, str>,
    },
    /// It was erased, or its days were over.
    Erased,
    /// It is kept, but was not put into this file.
    Withheld,
}

impl<'a> Line<'a> {
    /// Reads a line with its line feed.
    ///
    /// # Errors
    /// When it is not octet for octet as `print` writes it.
    pub fn parse(octets: &'a [u8]) -> Result<Self, LineError> {
        let text = octets.strip_suffix(b"\n").ok_or(LineError::Short)?;
        let text = std::str::from_utf8(text).map_err(|_| LineError::Form)?;
        // The order of keys is fixed: the first one says what the line is.
        let first = text.split_once(':').map(|(key, _)| key).ok_or(LineError::Form)?;
        match first {
            "{\"idx\"" => exactly(text).and_then(LeafLine::of).map(Self::Leaf),
            "{\"checkpoint\"" => exactly(text).map(|wire: CheckpointWire| Self::Checkpoint(wire.checkpoint)),
            "{\"closing\"" => exactly(text).map(|wire: ClosingWire| Self::Closing(wire.closing)),
            "{\"v\"" => exactly(text).map(Self::Header),
            "{\"sink\"" => exactly(text).map(|SinkWire { sink: v, origin, key, from, continues }| {
                Self::Sink(Header { v, origin, key, from, continues })
            }),
            _ => Err(LineError::Form),
        }
    }

    /// Writes the line with its line feed at the end of `out`.
    pub fn print(&self, out: &mut Vec<u8>) {
        match self {
            Self::Header(header) => write(out, header),
            Self::Sink(Header { v, origin, key, from, continues }) => write(
                out,
                &SinkWire {
                    sink: *v,
                    origin: origin.clone(),
                    key: key.clone(),
                    from: *from,
                    continues: continues.clone(),
                },
            ),
            Self::Leaf(leaf) => write(out, &leaf.wire()),
            Self::Checkpoint(note) => write(out, &CheckpointWire { checkpoint: Cow::Borrowed(note) }),
            Self::Closing(note) => write(out, &ClosingWire { closing: Cow::Borrowed(note) }),
        }
        out.push(b'\n');
    }
}

impl<'a> LeafLine<'a> {
    fn of(wire: LeafWire<'a>) -> Result<Self, LineError> {
        let payload = match wire.payload {
            PayloadWire::Erased => Payload::Erased,
            PayloadWire::Withheld => Payload::Withheld,
            PayloadWire::Opened { salt, text } => {
                Payload::Opened { salt: parse_hash(&salt).ok_or(LineError::Form)?, text }
            }
        };
        // A leaf as base64 has no bits left over, and the decoder allows no other text for the same octets.
        let mut leaf = [0; Leaf::LENGTH];
        let mut room = [0; Leaf::LENGTH + 2];
        let read = STANDARD.decode_slice(wire.leaf.as_bytes(), &mut room).map_err(|_| LineError::Leaf)?;
        let octets = room.get(..read).filter(|octets| octets.len() == leaf.len()).ok_or(LineError::Leaf)?;
        leaf.copy_from_slice(octets);
        let hash = parse_hash(&wire.hash).ok_or(LineError::Form)?;
        Ok(Self { index: wire.idx, hash, leaf, payload })
    }

    fn wire(&self) -> LeafWire<'_> {
        let payload = match &self.payload {
            Payload::Erased => PayloadWire::Erased,
            Payload::Withheld => PayloadWire::Withheld,
            Payload::Opened { salt, text } => {
                PayloadWire::Opened { salt: Cow::Owned(STANDARD.encode(salt)), text: Cow::Borrowed(text) }
            }
        };
        let (hash, leaf) = (STANDARD.encode(self.hash), STANDARD.encode(self.leaf));
        LeafWire { idx: self.index, hash: Cow::Owned(hash), leaf: Cow::Owned(leaf), payload }
    }
}

/// Reads JSON, writes it again and compares: other spaces, another order of keys, a key that comes twice, other
/// escapes or another form of a number are another text.
fn exactly<'a, T: Deserialize<'a> + Serialize>(text: &'a str) -> Result<T, LineError> {
    let value = serde_json::from_str::<T>(text).map_err(|_| LineError::Form)?;
    let mut again = Vec::with_capacity(text.len());
    write(&mut again, &value);
    match again == text.as_bytes() {
        true => Ok(value),
        false => Err(LineError::Other),
    }
}

fn write(out: &mut Vec<u8>, value: &impl Serialize) {
    // Into memory, and of these types, writing JSON has no way to fail; nothing written reads back as nothing.
    if serde_json::to_writer(&mut *out, value).is_err() {
        out.clear();
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LeafWire<'a> {
    idx: u64,
    #[serde(borrow)]
    hash: Cow<'a, str>,
    #[serde(borrow)]
    leaf: Cow<'a, str>,
    #[serde(borrow)]
    payload: PayloadWire<'a>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
enum PayloadWire<'a> {
    Opened {
        #[serde(borrow)]
        salt: Cow<'a, str>,
        #[serde(borrow)]
        text: Cow<'a, str>,
    },
    Erased,
    Withheld,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CheckpointWire<'a> {
    #[serde(borrow)]
    checkpoint: Cow<'a, str>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClosingWire<'a> {
    #[serde(borrow)]
    closing: Cow<'a, str>,
}

/// A header whose first key says that it is of a second sink.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SinkWire {
    sink: u8,
    origin: String,
    key: String,
    from: u64,
    continues: Option<Continued>,
}

/// Why octets are no line of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// It does not end in a line feed.
    #[error("it is cut short: a line ends in a line feed")]
    Short,
    /// It is none of the lines of an export.
    #[error("it is no line of an export")]
    Form,
    /// It says what a line says, in another form.
    #[error("it is not in the one form that a line has")]
    Other,
    /// Its leaf is none.
    #[error("its leaf is not 163 octets as base64")]
    Leaf,
}
