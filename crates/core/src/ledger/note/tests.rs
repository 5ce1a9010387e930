use proptest::prelude::*;

use super::*;
use crate::ledger::{Algorithm, KeyError};

/// The first known answer: the key of Go's checksum database and the note of its documentation.
const GO_KEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const GO_NOTE: &str = "If you think cryptography is the answer to your problem,\n\
    then you don't know what your problem is.\n\n\
    \u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

fn signer(name: &str, algorithm: Algorithm) -> Signer {
    Signer::of(KeyName::parse(name).unwrap(), algorithm, &[7; 32]).unwrap()
}

fn note(text: &str) -> Note {
    Note::unsigned(text.to_owned()).unwrap()
}

#[test]
fn signed_note_the_known_note_verifies_with_its_key() {
    let key = VerifierKey::parse(GO_KEY).unwrap();
    let note = Note::parse(GO_NOTE).unwrap();
    assert_eq!(note.verify(&key), Ok(Signed { time: None }));
    assert_eq!((note.to_string().as_str(), key.to_string().as_str()), (GO_NOTE, GO_KEY));
}

#[test]
fn rfc8032_7_1_the_known_seed_has_its_public_key() {
    let seed = [
        0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60, 0xba, 0x84, 0x4a, 0xf4, 0x92, 0xec, 0x2c, 0xc4, 0x44,
        0x49, 0xc5, 0x69, 0x7b, 0x32, 0x69, 0x19, 0x70, 0x3b, 0xac, 0x03, 0x1c, 0xae, 0x7f, 0x60,
    ];
    let signer = Signer::of(KeyName::parse("log.example").unwrap(), Algorithm::Ed25519, &seed).unwrap();
    let written = signer.verifier().to_string();
    // 01, then d75a9801 82b10ab7 d54bfed3 c964073a 0ee172f3 daa62325 af021a68 f707511a.
    assert!(written.ends_with("+AddamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea"), "{written}");
    assert_eq!(VerifierKey::parse(&written).unwrap(), *signer.verifier());
}

#[test]
fn what_was_signed_verifies_and_nothing_else() {
    let (log, other) =
        (signer("log.example/1", Algorithm::Ed25519), signer("log.example/2", Algorithm::Ed25519));
    let mut signed = note("text\n\nmore text\n");
    assert_eq!(signed.verify(log.verifier()), Err(NoteError::Unsigned("log.example/1".into())));
    signed.sign(&log, 0);
    assert_eq!(signed.verify(log.verifier()), Ok(Signed { time: None }));
    assert!(matches!(signed.verify(other.verifier()), Err(NoteError::Unsigned(_))), "the name is another");
    let moved = signed.to_string().replace("more", "less");
    assert!(matches!(Note::parse(&moved).unwrap().verify(log.verifier()), Err(NoteError::Bad(_))));
}

#[test]
fn signed_note_one_bad_signature_of_a_known_key_spoils_the_note() {
    let log = signer("log.example/1", Algorithm::Ed25519);
    let mut signed = note("text\n");
    signed.sign(&log, 0);
    let mut bad = log.sign("other text\n", 0);
    signed.add(bad.clone());
    assert!(matches!(signed.verify(log.verifier()), Err(NoteError::Bad(_))));
    bad.key_id = [0; 4];
    let mut signed = note("text\n");
    signed.sign(&log, 0);
    signed.add(bad);
    assert!(signed.verify(log.verifier()).is_ok(), "a signature of an unknown key says nothing");
}

#[test]
fn tlog_cosignature_says_its_time() {
    let witness = signer("witness.example/w1", Algorithm::Cosignature);
    let mut signed = note("log.example/1\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n");
    signed.sign(&witness, 1_679_315_147);
    assert_eq!(signed.verify(witness.verifier()), Ok(Signed { time: Some(1_679_315_147) }));
    // The same octets under another time are another statement.
    let mut later = signed.signatures()[0].clone();
    later.octets[7] ^= 1;
    let mut moved = note(signed.text());
    moved.add(later);
    assert!(matches!(moved.verify(witness.verifier()), Err(NoteError::Bad(_))));
    // A key for cosignatures has another id than the same key for notes.
    let plain = signer("witness.example/w1", Algorithm::Ed25519);
    assert!(matches!(signed.verify(plain.verifier()), Err(NoteError::Unsigned(_))));
}

#[test]
fn what_is_no_note_is_refused() {
    let line = "\u{2014} log.example AAAAAAAA\n";
    for text in [
        String::new(),
        "text\n".into(),
        "text\n\n".into(),
        format!("text\n{line}"),
        format!("text\n\n{}", line.trim_end()),
        format!("text\n\n{line}\n"),
        format!("text\r\n\r\n{line}"),
        format!("te\u{0}xt\n\n{line}"),
        format!("te\txt\n\n{line}"),
        format!("text\n\n{line}other\n"),
        format!("text\n\n {line}"),
        "text\n\n- log.example AAAAAAAA\n".into(),
        "text\n\n\u{2014}log.example AAAAAAAA\n".into(),
        "text\n\n\u{2014} log.example  AAAAAAAA\n".into(),
        "text\n\n\u{2014} log.example AAAAAAAA \n".into(),
        "text\n\n\u{2014}  AAAAAAAA\n".into(),
        "text\n\n\u{2014} log+example AAAAAAAA\n".into(),
        "text\n\n\u{2014} log\u{a0}example AAAAAAAA\n".into(),
        "text\n\n\u{2014} log.example AAAAAA\n".into(),
        "text\n\n\u{2014} log.example AAAAAAA=\n".into(),
        "text\n\n\u{2014} log.example AAAAAAB=\n".into(),
        "text\n\n\u{2014} log.example AAAA_AAA\n".into(),
        "text\n\n\u{2014} log.example AAAAAA==\n".into(),
        "text\n\n\u{2014} log.example \n".into(),
        format!("text\n\n{}", line.repeat(101)),
        format!("{}\n\n{line}", "x".repeat(1 << 20)),
    ] {
        // `AAAAAAA=` is four octets of id and one of signature: the shortest line that may stand.
        let shortest = text.ends_with("AAAAAAA=\n");
        assert_eq!(Note::parse(&text).is_ok(), shortest, "{}", &text[..text.len().min(80)]);
    }
    assert!(Note::parse(&format!("text\n\n{}", line.repeat(100))).is_ok());
}

#[test]
fn what_is_no_verifier_key_is_refused() {
    let good = signer("log.example/1", Algorithm::Ed25519).verifier().to_string();
    let parts: Vec<&str> = good.split('+').collect();
    assert!(VerifierKey::parse(&good).is_ok());
    let upper = format!("{}+{}+{}", parts[0], parts[1].to_uppercase(), parts[2]);
    for bad in [
        "",
        "log.example/1",
        "log.example/1+00000000",
        &good.replacen("log", "lag", 1),
        &good.replacen("log", "lo g", 1),
        &format!("+{}+{}", parts[1], parts[2]),
        &format!("{}+{}+{}", parts[0], parts[1], &parts[2][..40]),
        &format!("{good} "),
        &format!("{good}\n"),
    ] {
        assert!(VerifierKey::parse(bad).is_err(), "{bad}");
    }
    assert_eq!(VerifierKey::parse(&upper).is_ok(), upper == good);
    let ecdsa = format!("log.example/1+00000000+{}", STANDARD.encode([2; 33]));
    assert_eq!(VerifierKey::parse(&ecdsa), Err(KeyError::Algorithm(2)));
}

#[test]
fn a_signer_does_not_print_its_seed() {
    let shown = format!("{:?}", signer("log.example/1", Algorithm::Ed25519));
    assert_eq!(shown, format!("Signer({})", signer("log.example/1", Algorithm::Ed25519).verifier()));
}

proptest! {
    #[test]
    fn what_is_read_prints_the_same(text in "(\\PC|\n|\u{2014} | ){0,40}\n\n(\u{2014} [a-z/.]{1,9} [A-Za-z0-9+/]{8}(AA==|AAA=|AAAA)?\n){1,3}") {
        if let Ok(note) = Note::parse(&text) {
            prop_assert_eq!(note.to_string(), text);
        }
    }

    #[test]
    fn what_was_signed_is_read_again_and_a_changed_octet_is_found(
        text in "(\\PC|\n){0,60}\n", place: prop::sample::Index, flip in 1_u8..,
    ) {
        let log = signer("log.example/1", Algorithm::Ed25519);
        let mut signed = note(&text);
        signed.sign(&log, 0);
        let printed = signed.to_string();
        prop_assert_eq!(Note::parse(&printed).unwrap(), signed);
        let mut octets = printed.into_bytes();
        let place = place.index(octets.len());
        octets[place] ^= flip;
        let changed = String::from_utf8(octets).ok().and_then(|text| Note::parse(&text).ok());
        prop_assert!(changed.is_none_or(|note| note.verify(log.verifier()).is_err()));
    }

    #[test]
    fn any_text_is_a_note_or_not(text in "\\PC*|(.|\n)*") {
        let _ = Note::parse(&text);
        let _ = VerifierKey::parse(&text);
    }
}
