use proptest::prelude::*;

use super::*;
use crate::ledger::{Algorithm, KeyName};

/// The example of tlog-checkpoint.
const EXAMPLE: &str = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";

fn signer(name: &str) -> Signer {
    Signer::of(KeyName::parse(name).unwrap(), Algorithm::Ed25519, &[7; 32]).unwrap()
}

#[test]
fn tlog_checkpoint_the_example_is_read_and_printed() {
    let read = Checkpoint::parse(EXAMPLE).unwrap();
    assert_eq!((read.origin.as_str(), read.size), ("example.com/behind-the-sofa", 20_852_163));
    assert!(read.extensions.is_empty());
    assert_eq!(read.to_string(), EXAMPLE);
}

#[test]
fn what_is_no_checkpoint_is_refused() {
    const ROOT: &str = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=";
    for text in [
        String::new(),
        "\n".into(),
        "log\n".into(),
        "log\n1\n".into(),
        format!("log\n1\n{ROOT}"),
        format!("\n1\n{ROOT}\n"),
        format!("log\n\n{ROOT}\n"),
        format!("log\n01\n{ROOT}\n"),
        format!("log\n00\n{ROOT}\n"),
        format!("log\n+1\n{ROOT}\n"),
        format!("log\n-1\n{ROOT}\n"),
        format!("log\n1 \n{ROOT}\n"),
        format!("log\n0x1\n{ROOT}\n"),
        format!("log\n\u{661}\n{ROOT}\n"),
        format!("log\n9223372036854775808\n{ROOT}\n"),
        format!("log\n1\n{ROOT}\n\n"),
        format!("log\n1\n{ROOT}\nmore\n\n"),
        format!("log\r\n1\n{ROOT}\n"),
        format!("log\n1\n{ROOT} \n"),
        "log\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2J=\n".into(),
        "log\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I\n".into(),
        "log\n1\nCsUYapGGPo4dkMgIAUqom_Xajj7h2fB2MPA3j2jxq2I=\n".into(),
        "log\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxqw==\n".into(),
    ] {
        assert!(Checkpoint::parse(&text).is_err(), "{}", text.escape_debug());
    }
    assert!(Checkpoint::parse(&format!("log\n9223372036854775807\n{ROOT}\nmore\n")).is_ok());
}

#[test]
fn only_the_log_itself_signs_for_it() {
    let log = signer("log.example/1");
    let head = Checkpoint { origin: "log.example/1".into(), size: 3, root: [1; 32], extensions: Vec::new() };
    let note = head.signed(&log).unwrap().to_string();
    assert_eq!(Checkpoint::open(&note, log.verifier()).unwrap().0, head);
    let other = signer("log.example/2");
    assert!(Checkpoint::open(&note, other.verifier()).is_err());
    let foreign = head.signed(&other).unwrap().to_string();
    assert!(matches!(Checkpoint::open(&foreign, other.verifier()), Err(CheckpointError::Origin { .. })));
}

#[test]
fn what_could_not_be_read_again_is_not_signed() {
    let log = signer("log.example/1");
    let head = |origin: &str, extension: &str| Checkpoint {
        origin: origin.into(),
        size: 3,
        root: [1; 32],
        extensions: vec![extension.into()],
    };
    assert!(head("log.example/1", "x").signed(&log).is_ok());
    for (origin, extension) in [("", "x"), ("a\tb", "x"), ("log", ""), ("log", "a\u{0}")] {
        assert!(head(origin, extension).signed(&log).is_err(), "{origin} {extension}");
    }
}

proptest! {
    #[test]
    fn what_is_read_prints_the_same(text in "(.|\n){0,6}\n[0-9]{0,5}\n[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=\n(\\PC*\n){0,2}") {
        if let Ok(read) = Checkpoint::parse(&text) {
            prop_assert_eq!(read.to_string(), text);
        }
    }

    #[test]
    fn what_is_printed_is_read_again(size in 0..=i64::MAX as u64, root: Hash, origin in "[^\\p{C}]{1,30}") {
        let head = Checkpoint { origin, size, root, extensions: Vec::new() };
        prop_assert_eq!(Checkpoint::parse(&head.to_string()), Ok(head));
    }
}
