use proptest::prelude::*;

use super::*;
use crate::ledger::{Algorithm, KeyName, Signer, proof, root};

fn signer(seed: u8) -> Signer {
    Signer::of(KeyName::parse("gate.example/1").unwrap(), Algorithm::Ed25519, &[seed; 32]).unwrap()
}

fn proof_of(index: u64, size: u64) -> TlogProof {
    let leaf = |n: u64| n.to_be_bytes().to_vec();
    let hashes: Vec<Hash> = (0..size).map(|n| leaf_hash(&leaf(n))).collect();
    let node = |node: proof::Node| {
        let leaves = 1 << node.level;
        let from = node.index as usize * leaves;
        Some(root(hashes.get(from..from + leaves)?.iter().copied()))
    };
    let path = proof::inclusion(index, size, node).unwrap();
    let head = Checkpoint {
        origin: "gate.example/1".into(),
        size,
        root: root(hashes.iter().copied()),
        extensions: Vec::new(),
    };
    TlogProof { leaf: leaf(index), index, path, checkpoint: head.signed(&signer(7)).unwrap() }
}

#[test]
fn tlog_proof_proves_with_the_key_of_the_log_only() {
    let proof = proof_of(5, 9);
    assert_eq!(proof.verify(signer(7).verifier()).unwrap().size, 9);
    assert!(proof.verify(signer(8).verifier()).is_err());
    assert!(TlogProof { index: 4, ..proof.clone() }.verify(signer(7).verifier()).is_err());
    assert!(TlogProof { leaf: vec![0], ..proof }.verify(signer(7).verifier()).is_err());
}

#[test]
fn what_is_no_proof_is_refused() {
    let good = proof_of(5, 9).to_string();
    assert!(TlogProof::parse(&good).is_ok());
    for bad in [
        String::new(),
        good.replacen("@v1", "@v2", 1),
        good.replacen("index 5", "index 05", 1),
        good.replacen("index 5\n", "", 1),
        good.replacen("extra ", "Extra ", 1),
        good.replacen("\n\n", "\n", 1),
        good.replace('\n', "\r\n"),
        format!("{good}\n"),
    ] {
        assert!(TlogProof::parse(&bad).is_err(), "{bad}");
    }
}

proptest! {
    #[test]
    fn a_changed_octet_is_found(place: prop::sample::Index, flip in 1_u8..) {
        let good = proof_of(5, 9);
        let mut octets = good.to_string().into_bytes();
        prop_assert_eq!(&TlogProof::parse(std::str::from_utf8(&octets).unwrap()).unwrap(), &good);
        let place = place.index(octets.len());
        octets[place] ^= flip;
        if let Some(read) = String::from_utf8(octets.clone()).ok().and_then(|text| TlogProof::parse(&text).ok()) {
            prop_assert_eq!(read.to_string().into_bytes(), octets);
            prop_assert!(read.verify(signer(7).verifier()).is_err());
        }
    }
}
