use axum::body::Body;
use axum::http::Request as HttpRequest;
use countersign_core::ledger::{Algorithm, Checkpoint, Frontier, Hash, KeyName, leaf_hash};
use jiff::Timestamp;

use super::*;
use crate::store::fresh::Fresh;

// A witness keeps its memory in a file, whatever store the suite runs on.

const ORIGIN: &str = "gate.example/1";

fn signer(name: &str, algorithm: Algorithm, seed: u8) -> Signer {
    Signer::of(KeyName::parse(name).unwrap(), algorithm, &[seed; 32]).unwrap()
}

fn log() -> Signer {
    signer(ORIGIN, Algorithm::Ed25519, 7)
}

async fn witness(fresh: &Fresh) -> Arc<Witness> {
    let signer = signer("witness.example", Algorithm::Cosignature, 3);
    let logs = BTreeMap::from([(ORIGIN.to_owned(), vec![log().verifier().clone()])]);
    let clock = Clock::fixed(Timestamp::from_second(1_795_000_000).unwrap());
    Arc::new(Witness { store: fresh.again().await, signer, logs, clock })
}

/// The checkpoint of a log whose leaves are of one history, with the proof from no leaves.
fn first(history: u8, size: u64) -> Request {
    let mut tree = Frontier::default();
    (0..size).for_each(|n| tree.push(leaf_hash(&[history, u8::try_from(n).unwrap()])));
    of(0, vec![], size, tree.root())
}

fn of(old: u64, proof: Vec<Hash>, size: u64, root: Hash) -> Request {
    let checkpoint = Checkpoint { origin: ORIGIN.to_owned(), size, root, extensions: vec![] };
    Request::of(old, proof, checkpoint.signed(&log()).unwrap()).unwrap()
}

async fn ask(witness: &Arc<Witness>, body: impl Into<Body>) -> (u16, String, String) {
    let body = HttpRequest::new(body.into());
    let response = add_checkpoint(State(Arc::clone(witness)), HeaderMap::new(), body.into_body()).await;
    let kind = response.headers()[header::CONTENT_TYPE].to_str().unwrap().to_owned();
    let status = response.status().as_u16();
    let octets = to_bytes(response.into_body(), LARGEST).await.unwrap();
    (status, kind, String::from_utf8(octets.to_vec()).unwrap())
}

#[tokio::test]
async fn what_was_cosigned_is_remembered_and_nothing_else_is_cosigned() {
    let fresh = Fresh::in_sqlite().await;
    let one = witness(&fresh).await;
    let request = first(1, 8);
    let (status, _, body) = ask(&one, request.to_string()).await;
    assert_eq!(status, 200, "{body}");
    let mut note = request.note.clone();
    note.put(countersign_core::ledger::NoteSignature::parse(body.trim_end()).unwrap());
    assert_eq!(note.verify(one.signer.verifier()).unwrap().time, Some(1_795_000_000));
    // Another process on the same memory.
    let other = witness(&fresh).await;
    let same = of(8, vec![], 8, request.checkpoint.root);
    assert_eq!(ask(&other, same.to_string()).await.0, 200, "the same once more");
    let again = ask(&other, request.to_string()).await;
    assert_eq!(again, (409, "text/x.tlog.size".to_owned(), "8\n".to_owned()));
    let fork = of(8, vec![], 8, first(2, 8).checkpoint.root);
    assert_eq!(ask(&other, fork.to_string()).await.0, 409);
    let onward = of(8, vec![[0; 32]], 9, [1; 32]);
    assert_eq!(ask(&other, onward.to_string()).await.0, 422);
}

#[tokio::test]
async fn of_many_first_checkpoints_at_once_one_is_cosigned() {
    let fresh = Fresh::in_sqlite().await;
    let witness = witness(&fresh).await;
    let all = (1..=16).map(|history| {
        let (witness, body) = (Arc::clone(&witness), first(history, 5).to_string());
        tokio::spawn(async move { ask(&witness, body).await.0 })
    });
    let mut statuses: Vec<u16> =
        futures_util::future::join_all(all).await.into_iter().map(Result::unwrap).collect();
    statuses.sort_unstable();
    assert_eq!((statuses[0], statuses[1], statuses[15]), (200, 409, 409));
}

#[tokio::test]
async fn bad_input_has_the_status_that_says_so() {
    let fresh = Fresh::in_sqlite().await;
    let witness = witness(&fresh).await;
    let good = first(1, 3);
    let text = good.to_string();
    let unknown = text.replace(ORIGIN, "gate.example/2");
    let unsigned = text.replace("\u{2014} gate.example/1", "\u{2014} gate.example/x");
    let wrong = text.replacen("\n3\n", "\n4\n", 1);
    for (body, status) in [
        (unknown, 404),
        (unsigned, 403),
        (wrong, 403),
        (text.replace("old 0", "old 9"), 400),
        (text.replace("old 0", "older"), 400),
        (String::new(), 400),
        ("\n\n\n".to_owned(), 400),
        ("x".repeat(LARGEST + 1), 413),
    ] {
        let (found, _, says) = ask(&witness, body).await;
        assert_eq!(found, status, "{says}");
    }
    assert_eq!(ask(&witness, vec![0xff; 20]).await.0, 400);
    assert_eq!(ask(&witness, text).await.0, 200, "none of it was kept");
}
