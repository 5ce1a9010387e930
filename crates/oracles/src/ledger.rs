//! What strangers send or keep of a ledger: notes, checkpoints, paths of tiles, lines of exports, requests to a
//! witness. Each has one form, so what is read prints back to the same octets; and nothing verifies that the key of
//! this file did not sign.
//! The fuzz targets `signed_note`, `checkpoint`, `tile_path`, `export_line` and `witness_request`.

use std::borrow::Cow;

use countersign_core::ledger::export::{Expected, Header, Line, Payload, Verifier, Writer};
use countersign_core::ledger::tile::Resource;
use countersign_core::ledger::witness::{Known, Request, judge};
use countersign_core::ledger::{Algorithm, Checkpoint, KeyName, Kind, Leaf, Note, Signer, VerifierKey};

/// A note and, should it be one, a verifier key.
pub(crate) fn signed_note(octets: &[u8]) {
    let Ok(text) = std::str::from_utf8(octets) else { return };
    if let Ok(key) = VerifierKey::parse(text) {
        assert_eq!(key.to_string(), text);
    }
    let (Ok(note), Some(key)) = (Note::parse(text), signer(ORIGIN)) else { return };
    assert_eq!(note.to_string(), text);
    let signed = note.verify(key.verifier()).is_ok();
    assert!(!signed || note.text() == SIGNED, "nobody signed this: {text}");
    // Signed by us too it verifies, unless a signature was there that says to be ours and is not.
    let mut again = note.clone();
    again.sign(&key, 0);
    let claimed = note.signatures().iter().any(|signature| key.verifier().claims(signature));
    assert!(again.verify(key.verifier()).is_ok() == (signed || !claimed), "{text}");
}

/// The text of a checkpoint, and the same as a note that a log signs.
pub(crate) fn checkpoint(octets: &[u8]) {
    let Ok(text) = std::str::from_utf8(octets) else { return };
    let Ok(read) = Checkpoint::parse(text) else { return };
    assert_eq!(read.to_string(), text);
    let Some(key) = signer(&read.origin) else { return };
    let note = read.signed(&key).map(|note| note.to_string());
    let opened = Checkpoint::open(&note.unwrap_or_default(), key.verifier());
    assert_eq!(opened.map(|(checkpoint, _)| checkpoint), Ok(read));
}

/// The path of a tile or of entries.
pub(crate) fn tile_path(octets: &[u8]) {
    let Ok(text) = std::str::from_utf8(octets) else { return };
    let Ok(resource) = Resource::parse(text) else { return };
    assert_eq!(resource.to_string(), text);
    let width = match resource {
        Resource::Hashes(tile) => tile.width,
        Resource::Entries { width, .. } => width,
    };
    assert!((1..=256).contains(&width) && text.is_ascii(), "{text}");
}

/// A line; and the octets as a whole file.
pub(crate) fn export_line(octets: &[u8]) {
    if let Ok(line) = Line::parse(octets) {
        let mut again = Vec::new();
        line.print(&mut again);
        assert_eq!(again, octets, "it prints otherwise: {}", again.escape_ascii());
    }
    let Some(key) = signer(ORIGIN) else { return };
    let expected = Expected { key: Some(key.verifier().clone()), head: None };
    let mut verifier = Verifier::new(expected);
    if octets.split_inclusive(|octet| *octet == b'\n').all(|line| verifier.line(line).is_ok())
        && let Ok(report) = verifier.end()
    {
        assert_eq!(octets, file(&key, report.leaves), "nobody signed this: {}", octets.escape_ascii());
    }
}

/// A request, judged by a witness that knows nothing and by some that know the log.
pub(crate) fn witness_request(octets: &[u8]) {
    let Ok(text) = std::str::from_utf8(octets) else { return };
    let (Ok(request), Some(key)) = (Request::parse(text), signer(ORIGIN)) else { return };
    assert_eq!(request.to_string(), text);
    assert_eq!(judge(&request, None).map_err(|refusal| refusal.status()), Err(404));
    let signed = request.note.verify(key.verifier()).is_ok();
    assert!(!signed || request.note.text() == SIGNED, "nobody signed this: {text}");
    for latest in [None, Some((request.old, request.checkpoint.root)), Some((1, [0; 32]))] {
        let known = Known { keys: vec![key.verifier().clone()], latest };
        match judge(&request, Some(&known)) {
            Ok(()) => assert!(signed && request.old == latest.map_or(0, |(size, _)| size), "{text}"),
            Err(refusal) => assert!([400, 403, 409, 422].contains(&refusal.status()), "{refusal}: {text}"),
        }
    }
}

/// The key of a log with this name; no name, no key.
fn signer(name: &str) -> Option<Signer> {
    Signer::of(KeyName::parse(name).ok()?, Algorithm::Ed25519, &[7; 32]).ok()
}

/// The one export of so many leaves that the key has signed.
fn file(key: &Signer, leaves: u64) -> Vec<u8> {
    let header =
        Header { v: 1, origin: ORIGIN.to_owned(), key: key.verifier().to_string(), from: 0, continues: None };
    let mut out = Vec::new();
    let mut writer = Writer::begin(header, &mut out);
    for account in (1..=leaves).filter_map(|number| u8::try_from(number).ok()) {
        let leaf = Leaf {
            kind: Kind::Ruling,
            time_us: i64::from(account),
            account: [account; 16],
            account_seq: 1,
            previous: [0; 32],
            actor: [0; 16],
            decision: 1,
            policy: [5; 32],
            commitment: COMMITMENT,
            key_id: [6; 16],
        };
        let payload = match account % 2 {
            1 => Payload::Opened { salt: [9; 32], text: Cow::Borrowed("{}") },
            _ => Payload::Erased,
        };
        if let Ok(leaf) = leaf.encode().try_into() {
            writer.leaf(&leaf, payload, &mut out);
        }
    }
    assert!(writer.close(key, &mut out).is_ok());
    out
}

const ORIGIN: &str = "log.example/1";
/// The one checkpoint that the key has signed.
const SIGNED: &str = "log.example/1\n3\nAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=\n";
/// SHA-256 of 32 octets of 9 and `{}`.
const COMMITMENT: [u8; 32] = [
    0xcc, 0xff, 0xfb, 0xed, 0xe1, 0x28, 0x8e, 0xf7, 0xad, 0xd7, 0xa6, 0x68, 0xb9, 0xb2, 0xd6, 0x8d, 0xbd,
    0xf3, 0x00, 0x79, 0x3b, 0x88, 0xfa, 0xf4, 0xf6, 0x1c, 0x8b, 0x61, 0xd9, 0x17, 0xe4, 0x85,
];

#[cfg(test)]
mod tests {
    use super::*;

    /// Else the targets would look for what can never be found.
    #[test]
    fn the_seeds_hold_what_was_signed() {
        let seed =
            |name| std::fs::read(format!("{}/../../fuzz/seeds/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap();
        let key = signer(ORIGIN).unwrap();
        assert_eq!(String::from_utf8(seed("export_line/file")), String::from_utf8(file(&key, 3)));
        let note = Note::parse(std::str::from_utf8(&seed("signed_note/checkpoint")).unwrap()).unwrap();
        assert!(note.verify(key.verifier()).is_ok());
        let request = Request::parse(std::str::from_utf8(&seed("witness_request/first")).unwrap()).unwrap();
        let known = Known { keys: vec![key.verifier().clone()], latest: None };
        assert_eq!(judge(&request, Some(&known)), Ok(()));
    }
}
