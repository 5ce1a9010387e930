use proptest::prelude::*;

use super::*;
use crate::ledger::{Algorithm, KeyName, Signer, leaf_hash, proof};

const ORIGIN: &str = "gate.example/1";

fn signer(seed: u8) -> Signer {
    Signer::of(KeyName::parse(ORIGIN).unwrap(), Algorithm::Ed25519, &[seed; 32]).unwrap()
}

/// A log of leaves that differ from those of another `history`.
struct Log(Vec<Hash>);

impl Log {
    fn of(history: u8, size: u64) -> Self {
        Self((0..size).map(|n| leaf_hash(&[&[history][..], &n.to_be_bytes()].concat())).collect())
    }

    fn head(&self, size: u64) -> Checkpoint {
        let root = crate::ledger::root(self.0.iter().take(size as usize).copied());
        Checkpoint { origin: ORIGIN.to_owned(), size, root, extensions: Vec::new() }
    }

    fn request(&self, old: u64, new: u64) -> Request {
        let node = |node: proof::Node| {
            let leaves = 1 << node.level;
            let from = node.index as usize * leaves;
            Some(crate::ledger::root(self.0.get(from..from + leaves)?.iter().copied()))
        };
        let proof = proof::consistency(old.min(new), new, node).unwrap();
        let checkpoint = self.head(new);
        Request { old, proof, note: checkpoint.signed(&signer(7)).unwrap(), checkpoint }
    }
}

fn known(latest: Option<Checkpoint>) -> Known {
    Known { keys: vec![signer(7).verifier().clone()], latest: latest.map(|head| (head.size, head.root)) }
}

fn status(request: &Request, known: &Known) -> u16 {
    judge(request, Some(known)).map_or_else(Refusal::status, |()| 200)
}

#[test]
fn a_log_that_grows_is_cosigned() {
    let log = Log::of(1, 20);
    assert_eq!(judge(&log.request(0, 8), Some(&known(None))), Ok(()));
    assert_eq!(judge(&log.request(8, 20), Some(&known(Some(log.head(8))))), Ok(()));
    assert_eq!(judge(&log.request(20, 20), Some(&known(Some(log.head(20))))), Ok(()), "once more");
    assert_eq!(judge(&log.request(0, 0), Some(&known(None))), Ok(()), "an empty log");
}

#[test]
fn tlog_witness_404_a_log_that_is_not_watched() {
    assert_eq!(judge(&Log::of(1, 8).request(0, 8), None), Err(Refusal::UnknownLog));
    assert_eq!(Refusal::UnknownLog.status(), 404);
}

#[test]
fn tlog_witness_403_a_key_that_is_not_trusted() {
    let stranger = Known { keys: vec![signer(8).verifier().clone()], latest: None };
    assert_eq!(status(&Log::of(1, 8).request(0, 8), &stranger), 403);
    assert_eq!(status(&Log::of(1, 8).request(0, 8), &Known { keys: Vec::new(), latest: None }), 403);
}

#[test]
fn tlog_witness_400_an_old_size_above_the_checkpoint() {
    let log = Log::of(1, 20);
    assert_eq!(status(&log.request(9, 8), &known(Some(log.head(9)))), 400);
}

#[test]
fn tlog_witness_409_an_old_size_that_is_not_the_last_cosigned() {
    let log = Log::of(1, 20);
    assert_eq!(
        judge(&log.request(0, 20), Some(&known(Some(log.head(8))))),
        Err(Refusal::Conflict { size: 8 })
    );
    assert_eq!(
        judge(&log.request(7, 20), Some(&known(Some(log.head(8))))),
        Err(Refusal::Conflict { size: 8 })
    );
    assert_eq!(judge(&log.request(8, 20), Some(&known(None))), Err(Refusal::Conflict { size: 0 }));
}

#[test]
fn tlog_witness_409_another_root_at_the_same_size() {
    assert_eq!(status(&Log::of(2, 8).request(8, 8), &known(Some(Log::of(1, 8).head(8)))), 409);
    let mut empty = Log::of(1, 0).request(0, 0);
    empty.checkpoint.root = [1; 32];
    empty.note = empty.checkpoint.signed(&signer(7)).unwrap();
    assert_eq!(status(&empty, &known(None)), 409, "an empty log has one root");
}

#[test]
fn tlog_witness_422_a_fork_and_a_proof_that_does_not_prove() {
    let (log, fork) = (Log::of(1, 20), Log::of(2, 20));
    assert_eq!(status(&fork.request(8, 20), &known(Some(log.head(8)))), 422);
    let mut short = log.request(8, 20);
    short.proof.pop();
    assert_eq!(status(&short, &known(Some(log.head(8)))), 422);
    // "The proof MUST be empty if the old size is zero."
    let mut needless = log.request(0, 20);
    needless.proof.push([0; 32]);
    assert_eq!(status(&needless, &known(None)), 422);
}

#[test]
fn what_is_no_request_is_refused() {
    let good = Log::of(1, 20).request(7, 20).to_string();
    assert!(Request::parse(&good).is_ok());
    for bad in [
        String::new(),
        "old 0\n".into(),
        good.replacen("old 7", "old 07", 1),
        good.replacen("old 7", "old  7", 1),
        good.replacen("old 7", "Old 7", 1),
        good.replacen("old 7", "old -7", 1),
        good.replacen("old 7\n", "", 1),
        good.replacen("\n\n", "\n", 1),
        good.replacen("old 7\n", "old 7\r\n", 1),
        good.replacen("old 7\n", "old 7\nAAAA\n", 1),
        good.replacen(
            "old 7\n",
            &format!("old 7\n{}", format!("{}\n", STANDARD.encode([0; 32])).repeat(60)),
            1,
        ),
        format!("{good}\n"),
        good.trim_end().to_owned(),
    ] {
        assert!(Request::parse(&bad).is_err(), "{bad}");
    }
}

proptest! {
    #[test]
    fn what_is_printed_is_read_again(old in 0_u64..20, more in 0_u64..20) {
        let request = Log::of(1, 40).request(old, old + more);
        prop_assert_eq!(Request::parse(&request.to_string()), Ok(request));
    }

    #[test]
    fn what_is_read_prints_the_same(place: prop::sample::Index, octet: u8) {
        let mut octets = Log::of(1, 20).request(7, 20).to_string().into_bytes();
        let place = place.index(octets.len());
        octets[place] = octet;
        if let Some(read) = String::from_utf8(octets.clone()).ok().and_then(|text| Request::parse(&text).ok()) {
            prop_assert_eq!(read.to_string().into_bytes(), octets);
        }
    }

    /// Whatever two histories a log shows, and in whatever order: a witness cosigns one of them.
    #[test]
    fn two_histories_are_never_both_cosigned(steps in proptest::collection::vec((1_u8..3, 1_u64..30), 1..12)) {
        let logs = [Log::of(1, 30), Log::of(2, 30)];
        let mut latest: Option<Checkpoint> = None;
        let mut cosigned: Vec<u8> = Vec::new();
        for (history, size) in steps {
            let log = &logs[usize::from(history) - 1];
            let old = latest.as_ref().map_or(0, |head| head.size);
            if old <= size && judge(&log.request(old, size), Some(&known(latest.clone()))).is_ok() {
                latest = Some(log.head(size));
                cosigned.push(history);
            }
        }
        cosigned.dedup();
        prop_assert_eq!(cosigned.len(), 1);
    }
}

fn witness(seed: u8) -> Signer {
    Signer::of(KeyName::parse("witness.example").unwrap(), Algorithm::Cosignature, &[seed; 32]).unwrap()
}

#[test]
fn a_cosignature_counts_when_it_is_of_this_witness_over_this_checkpoint() {
    let log = Log::of(1, 20);
    let (request, key) = (log.request(8, 20), witness(3).verifier().clone());
    let good = witness(3).sign(request.note.text(), 1_795_000_000);
    let other = witness(4).sign(request.note.text(), 1_795_000_000);
    let body = format!("{other}{good}");
    assert_eq!(Answer::read(&request, 200, &body, &key), Ok(Answer::Cosigned(good.clone())));
    for (body, over) in [
        (String::new(), &request),
        (other.to_string(), &request),
        ("\u{2014} witness.example".to_owned(), &request),
        (good.to_string(), &log.request(8, 19)),
    ] {
        assert!(Answer::read(over, 200, &body, &key).is_err(), "{body}");
    }
}

#[test]
fn a_refusal_says_what_the_log_has_to_do() {
    let (request, key) = (Log::of(1, 20).request(8, 20), witness(3).verifier().clone());
    let read = |status, body| Answer::read(&request, status, body, &key);
    assert_eq!(read(409, "0\n"), Ok(Answer::From(0)));
    assert_eq!(read(409, "20\n"), Ok(Answer::From(20)), "it may be the same tree: that is asked next");
    assert_eq!(read(409, "21\n"), Ok(Answer::Ahead(21)));
    assert_eq!(read(409, "8\n"), Err(AnswerError::Contradiction(8)));
    for none in ["", "eight\n", "08\n", "-1\n"] {
        assert_eq!(read(409, none), Err(AnswerError::Size), "{none}");
    }
    assert_eq!(read(422, ""), Ok(Answer::Forked));
    assert_eq!((read(404, ""), read(403, "")), (Ok(Answer::UnknownLog), Ok(Answer::Unsigned)));
    assert_eq!(read(500, ""), Err(AnswerError::Status(500)));
    let same = Log::of(1, 20).request(20, 20);
    assert_eq!(Answer::read(&same, 409, "20\n", &key), Ok(Answer::Forked));
    assert_eq!(Answer::read(&same, 409, "another root\n", &key), Ok(Answer::Forked));
}

#[test]
fn a_log_and_its_witness_agree_on_what_was_refused() {
    let (log, fork, key) = (Log::of(1, 20), Log::of(2, 20), witness(3).verifier().clone());
    let known = known(Some(log.head(8)));
    for (request, answer) in [
        (fork.request(8, 20), Answer::Forked),
        (fork.request(8, 8), Answer::Forked),
        (fork.request(0, 20), Answer::From(8)),
        (log.request(0, 5), Answer::Ahead(8)),
    ] {
        let refusal = judge(&request, Some(&known)).unwrap_err();
        assert_eq!(Answer::read(&request, refusal.status(), "8\n", &key), Ok(answer), "{refusal}");
    }
}

#[test]
fn a_private_key_is_read_as_it_was_written() {
    let signer = witness(3);
    let text = signer.text(&[3; 32]);
    assert_eq!(Signer::parse(&text).unwrap().verifier(), signer.verifier());
    let other = witness(4).text(&[4; 32]);
    let (ours, theirs) = (text.rsplit_once('+').unwrap(), other.rsplit_once('+').unwrap());
    for bad in ["", "PRIVATE+KEY", &text[8..], &text[..text.len() - 4], &format!("{}+{}", ours.0, theirs.1)] {
        let error = Signer::parse(bad).unwrap_err().to_string();
        assert!(!error.contains(ours.1) && !error.contains(theirs.1), "{error}");
    }
}
