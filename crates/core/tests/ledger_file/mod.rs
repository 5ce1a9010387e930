//! A made-up ledger as an export, and what somebody might do to the file.
//! Called by the test of exports and by the example that `tools/ledger-mutations` drives.

use std::borrow::Cow;

use countersign_core::ledger::export::{Broken, Expected, Header, Payload, Place, Report, Verifier, Writer};
use countersign_core::ledger::{
    Algorithm, Checkpoint, Frontier, Hash, KeyName, Kind, Leaf, Signer, leaf_hash,
};

pub(crate) mod mutations;

pub(crate) const ORIGIN: &str = "gate.example/1";
/// Leaves from one signed checkpoint to the next.
pub(crate) const INTERVAL: u64 = 32;

/// What is recorded, before it has a place.
#[derive(Clone)]
pub(crate) struct Draft {
    pub(crate) kind: Kind,
    pub(crate) account: u8,
    pub(crate) decision: u8,
    pub(crate) salt: [u8; 32],
    pub(crate) text: String,
    pub(crate) shown: Shown,
}

/// What a file says of a payload.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shown {
    Opened,
    Erased,
    Withheld,
}

/// A log: its drafts in order.
#[derive(Clone)]
pub(crate) struct History(pub(crate) Vec<Draft>);

impl History {
    /// Some accounts, all kinds, some payloads that are not in the file.
    pub(crate) fn new(leaves: u64) -> Self {
        Self((0..leaves).map(draft).collect())
    }

    /// The file that `signer` writes of it.
    pub(crate) fn file(&self, signer: &Signer) -> Vec<u8> {
        let key = signer.verifier().to_string();
        let origin = signer.verifier().name().to_string();
        let mut out = Vec::new();
        let mut writer = Writer::begin(Header { v: 1, origin, key, from: 0, continues: None }, &mut out);
        for (leaf, draft) in self.leaves().iter().zip(&self.0) {
            let payload = match draft.shown {
                Shown::Opened => Payload::Opened { salt: draft.salt, text: Cow::Borrowed(&draft.text) },
                Shown::Erased => Payload::Erased,
                Shown::Withheld => Payload::Withheld,
            };
            writer.leaf(leaf, payload, &mut out);
            let (size, root) = writer.head();
            if size.is_multiple_of(INTERVAL) {
                writer.checkpoint(&head(signer, size, root).signed(signer).unwrap(), &mut out);
            }
        }
        writer.close(signer, &mut out).unwrap();
        out
    }

    /// The checkpoint over the first `size` leaves, as a note.
    pub(crate) fn checkpoint(&self, signer: &Signer, size: u64) -> String {
        let mut frontier = Frontier::default();
        self.leaves().iter().take(size as usize).for_each(|leaf| frontier.push(leaf_hash(leaf)));
        head(signer, size, frontier.root()).signed(signer).unwrap().to_string()
    }

    pub(crate) fn leaves(&self) -> Vec<[u8; Leaf::LENGTH]> {
        let mut ends = [(0, [0; 32]); 256];
        let encode = |(index, draft): (usize, &Draft)| {
            let (seq, previous): (u64, Hash) = ends[usize::from(draft.account)];
            let commitment = [draft.salt.as_slice(), draft.text.as_bytes()].concat();
            let leaf = Leaf {
                kind: draft.kind,
                time_us: 1_795_500_000_000_000 + index as i64 / 3,
                account: [draft.account; 16],
                account_seq: seq + 1,
                previous,
                actor: [0; 16],
                decision: draft.decision,
                policy: [5; 32],
                commitment: sha256(&commitment),
                key_id: [7; 16],
            };
            let octets: [u8; Leaf::LENGTH] = leaf.encode().try_into().unwrap();
            ends[usize::from(draft.account)] = (seq + 1, leaf_hash(&octets));
            octets
        };
        self.0.iter().enumerate().map(encode).collect()
    }
}

pub(crate) fn signer(name: &str, seed: u8) -> Signer {
    Signer::of(KeyName::parse(name).unwrap(), Algorithm::Ed25519, &[seed; 32]).unwrap()
}

/// What our verifier says of a file.
pub(crate) fn verify(file: &[u8], expected: Expected) -> Result<Report, Broken> {
    let mut verifier = Verifier::new(expected);
    for line in file.split_inclusive(|octet| *octet == b'\n') {
        verifier.line(line)?;
    }
    verifier.end()
}

/// A place as `verify.py` prints it.
pub(crate) fn place(broken: &Broken) -> String {
    match broken.place {
        Place::Leaf(index) => format!("leaf {index}"),
        Place::Leaves { from, to } => format!("leaves {from} to {to}"),
        Place::File => "file".to_owned(),
    }
}

pub(crate) fn sha256(octets: &[u8]) -> Hash {
    aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, octets).as_ref().try_into().unwrap()
}

fn head(signer: &Signer, size: u64, root: Hash) -> Checkpoint {
    Checkpoint { origin: signer.verifier().name().to_string(), size, root, extensions: Vec::new() }
}

fn draft(number: u64) -> Draft {
    let kind = [Kind::Ruling, Kind::Outcome, Kind::Command][(number % 5 / 2) as usize];
    let shown = match number % 11 {
        3 => Shown::Erased,
        7 => Shown::Withheld,
        _ => Shown::Opened,
    };
    Draft {
        kind,
        account: (number * 7 % 5) as u8,
        decision: if kind == Kind::Outcome { 0 } else { 1 + (number % 4) as u8 },
        salt: sha256(&number.to_be_bytes()),
        text: format!(
            "{{\"ref\":\"R{number:09}\",\"said\":\"250 2.0.0 \\\"queued\\\" \u{fc}ber \\u0007 /\",\"n\":{number}.5}}"
        ),
        shown,
    }
}
