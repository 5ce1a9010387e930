//! What a judgement costs: when the policies have seen the like before, when they have not, and with all evidence.
//! `just bench policy`

use countersign_core::about::About;
use countersign_core::dossier::Dossier;
use countersign_core::evidence::{Evidence, Finding, Kind};
use countersign_core::policy::{HoldAs, How, Rules};
use divan::counter::BytesCount;
use divan::{Bencher, black_box};

use crate::material::{SIZES, Stage, case, letter, request};

fn dossier() -> Dossier {
    let mut dossier = Dossier::open(request(1, 4_000));
    for kind in Kind::ALL {
        dossier.add(Evidence::new(kind, Finding::Pass, "message", dossier.request().at));
    }
    dossier
}

/// The policies that ship, on evidence of which they have seen the like.
#[divan::bench]
fn remembered(bencher: Bencher) {
    let (rules, dossier) = (Rules::built_in().unwrap(), dossier());
    bencher.bench_local(|| rules.rule(black_box(&dossier), HoldAs(How::Custody)));
}

/// With one beside them that looks at the principal: then nothing is remembered, and Cedar is asked.
#[divan::bench]
fn asked(bencher: Bencher) {
    let own = "@id(\"own\") forbid(principal == Account::\"globex\", action == Action::\"send\", resource);";
    let rules = Rules::with_own(vec![("own".to_owned(), own.to_owned())]).unwrap();
    let dossier = dossier();
    bencher.bench_local(|| rules.rule(black_box(&dossier), HoldAs(How::Custody)));
}

/// Evidence and ruling: everything between request and ledger, with DNS known.
#[divan::bench(args = SIZES)]
fn judge(bencher: Bencher, size: usize) {
    let (stage, case) = (Stage::new(), case(size));
    let judge = &stage.house.gate.judge;
    bencher.bench_local(|| stage.runtime.block_on(judge.rule(&case, vec![])));
}

/// The digest that ties a ruling to its message.
#[divan::bench(args = SIZES)]
fn about(bencher: Bencher, size: usize) {
    let (octets, request) = (letter(size), request(1, size));
    let envelope = &request.submission().unwrap().envelope;
    bencher
        .counter(BytesCount::new(octets.len()))
        .bench_local(|| About::message(envelope, black_box(&octets)));
}

/// Reading and validating the policies that ship.
#[divan::bench(sample_count = 20)]
fn read() -> Rules {
    Rules::built_in().unwrap()
}
