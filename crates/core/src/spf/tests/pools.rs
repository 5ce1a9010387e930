//! All addresses of a pool.

use super::*;

fn addresses(list: &[&str]) -> Vec<IpAddr> {
    list.iter().map(|ip| ip.parse().unwrap()).collect()
}

fn outcome(lines: &str, list: &[&str]) -> PoolOutcome {
    match Zone::new(lines).pool(&addresses(list), &identity("ann@acme.example")).0 {
        PoolStep::Done(outcome) => outcome,
        step => panic!("{step:?}"),
    }
}

#[test]
fn the_worst_result_counts_and_the_first_address_is_named() {
    let record = "acme.example TXT v=spf1 ip4:192.0.2.1 ~ip4:192.0.2.2 ?ip4:192.0.2.3 a:x.example -all
        x.example FAIL";
    let cases = [
        (&["192.0.2.1", "192.0.2.1"][..], "192.0.2.1", SpfResult::Pass),
        (&["192.0.2.1", "192.0.2.3"], "192.0.2.3", SpfResult::Neutral),
        (&["192.0.2.3", "192.0.2.2", "192.0.2.1"], "192.0.2.2", SpfResult::SoftFail),
        (&["192.0.2.2", "192.0.2.9", "192.0.2.8"], "192.0.2.9", SpfResult::TempError),
    ];
    for (list, address, result) in cases {
        let pool = outcome(record, list);
        assert_eq!((pool.address.to_string().as_str(), pool.outcome.result), (address, result));
    }
}

#[test]
fn the_order_of_results_is_the_one_agreed() {
    let order = [
        SpfResult::TempError,
        SpfResult::PermError,
        SpfResult::Fail,
        SpfResult::SoftFail,
        SpfResult::Neutral,
        SpfResult::None,
        SpfResult::Pass,
    ];
    assert!(order.is_sorted_by(|worse, better| worse > better));
}

#[test]
fn records_are_fetched_once_for_all_addresses() {
    let zone = Zone::new(
        "acme.example TXT v=spf1 include:x.example -all
         x.example TXT v=spf1 a ip4:192.0.2.0/24 -all
         x.example AAAA 2001:db8::1",
    );
    let list: Vec<IpAddr> =
        (0..200).map(|n| IpAddr::from([192, 0, 2, n])).chain(addresses(&["2001:db8::1"])).collect();
    let (step, answers) = zone.pool(&list, &identity("ann@acme.example"));
    assert!(matches!(step, PoolStep::Done(pool) if pool.outcome.result == SpfResult::Pass));
    // Two records and the addresses of one name in both families.
    assert_eq!(answers.len(), 4);
}

#[test]
fn only_the_named_address_is_explained() {
    let zone =
        Zone::new("acme.example TXT v=spf1 -all exp=%{ir}.why.example\n9.2.0.192.why.example TXT no to 9");
    let (step, answers) =
        zone.pool(&addresses(&["192.0.2.9", "192.0.2.8", "192.0.2.7"]), &identity("ann@acme.example"));
    assert!(matches!(step, PoolStep::Done(pool) if pool.outcome.explanation.as_deref() == Some("no to 9")));
    assert_eq!(answers.len(), 2);
}

#[test]
fn a_large_pool_and_a_record_per_address_is_beyond_the_budget() {
    let list = |count: u8| -> Vec<IpAddr> { (0..count).map(|n| IpAddr::from([192, 0, 2, n])).collect() };
    let zone =
        Zone::new("acme.example TXT v=spf1 exists:%{i}.x.example -all\n192.0.2.0.x.example A 127.0.0.2");
    let (step, answers) = zone.pool(&list(33), &identity("ann@acme.example"));
    assert_eq!((step, answers.len()), (PoolStep::Budget, 1));
    let (step, answers) = zone.pool(&list(32), &identity("ann@acme.example"));
    assert!(matches!(step, PoolStep::Done(pool) if pool.address == IpAddr::from([192, 0, 2, 1])));
    assert_eq!(answers.len(), 33);
}

#[test]
fn an_empty_pool_has_no_result() {
    assert_eq!(Zone::default().pool(&[], &identity("ann@acme.example")).0, PoolStep::NoAddress);
}

#[test]
fn flags_and_life_are_those_of_all_addresses() {
    let lines = "acme.example TXT v=spf1 ~ip4:192.0.2.1 a:x.%{o} +all\nx.acme.example 30 A 192.0.2.2";
    let pool = outcome(lines, &["192.0.2.1", "192.0.2.9"]);
    assert_eq!((pool.address.to_string().as_str(), pool.outcome.result), ("192.0.2.1", SpfResult::SoftFail));
    assert!(pool.outcome.authorises_everyone && pool.outcome.per_sender);
    assert_eq!(pool.outcome.good_for, 30);
}
