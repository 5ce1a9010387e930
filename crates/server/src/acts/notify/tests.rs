//! Whom is told what. The texts are complete: no word is missing.

use super::*;

#[test]
fn networks_are_those_that_people_register() {
    for (ip, network) in [("192.0.2.77", "192.0.2.0/24"), ("2001:db8:1:2::5", "2001:db8:1::/48")] {
        assert_eq!(network_of(ip.parse().unwrap()), network);
    }
}

#[test]
fn every_reason_is_explained_to_whoever_gets_a_report() {
    assert!(because("spf-lost").starts_with("spf-lost: Put this platform back"));
    assert_eq!(because("operators-own"), "operators-own: ask the operator");
}

#[test]
fn every_word_of_every_text_is_one_that_is_filled_in() {
    let known = [
        "what",
        "account",
        "at",
        "hostname",
        "ref",
        "reason",
        "ip",
        "login",
        "outcome",
        "delivered",
        "sent",
        "held",
        "held_at",
        "recipients",
        "reasons",
        "diagnostic",
    ];
    for template in [
        include_str!("../notices/blocked.txt"),
        include_str!("../notices/unblocked.txt"),
        include_str!("../notices/network.txt"),
        include_str!("../notices/refused.txt"),
        include_str!("../notices/expired.txt"),
        include_str!("../notices/undeliverable.txt"),
    ] {
        let words = template.split('{').skip(1).map(|rest| rest.split('}').next().unwrap());
        words.for_each(|word| assert!(known.contains(&word), "{word}"));
        assert!(template.starts_with("Subject: ") && template.contains("\n\n"), "{template}");
        assert!(template.lines().all(|line| line.len() <= 80), "{template}");
    }
}
