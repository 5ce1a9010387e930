//! What it costs to look: the quick probes, and those that ask DNS, with facts that are known and with none.
//! `just bench evidence`

use std::sync::Arc;
use std::time::Duration;

use countersign::probes::spf::{self, Checked, Spf};
use countersign::probes::{self, QUICK, Slow};
use divan::{Bencher, black_box};

use crate::material::{SIZES, Stage, case};

/// All probes that need only the request and the account.
#[divan::bench(args = SIZES)]
fn quick(bencher: Bencher, size: usize) {
    let case = case(size);
    bencher.bench_local(|| QUICK.iter().filter_map(|probe| probe(black_box(&case))).collect::<Vec<_>>());
}

/// All probes that ask DNS or the store, when what they want is known.
#[divan::bench]
fn slow_known(bencher: Bencher) {
    let (stage, case) = (Stage::new(), case(4_000));
    let slow: &[Arc<dyn Slow>] = &stage.house.gate.judge.slow;
    let gather = || stage.runtime.block_on(probes::gather(slow, &case, Duration::from_secs(5)));
    assert!(gather().iter().all(|evidence| evidence.source == "dns" || evidence.why.is_some()));
    bencher.bench_local(gather);
}

/// SPF with one include, over real packets on loopback: two lookups.
#[divan::bench]
fn spf_asked(bencher: Bencher) {
    let (stage, case) = (Stage::new(), case(4_000));
    let resolver = countersign::boot::resolver(&stage.house.config).unwrap();
    let check = || {
        let sender = "postmaster@shop.example";
        let checked = spf::evaluate(&resolver, sender, &case.way.helo, &case.way.egress, case.request.at);
        stage.runtime.block_on(checked)
    };
    assert!(matches!(check(), Checked::Known(_)));
    bencher.bench_local(check);
}

/// SPF when it is known.
#[divan::bench]
fn spf_known(bencher: Bencher) {
    let (stage, case) = (Stage::new(), case(4_000));
    let resolver = Arc::new(countersign::boot::resolver(&stage.house.config).unwrap());
    let spf = Spf::new(resolver, Duration::from_secs(5));
    bencher.bench_local(|| stage.runtime.block_on(spf.look(&case)));
}
