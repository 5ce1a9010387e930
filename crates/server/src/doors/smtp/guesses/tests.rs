//! Guesses in memory: who is stopped, who is not, and that nobody can tell why.

use super::*;

const MOST: MostGuesses = MostGuesses { login: 2, net: 4, all: 7, window: Duration::from_secs(600) };

fn guesses() -> (Guesses, Instant) {
    (Guesses::new(MOST, Shared::memory()), Instant::now())
}

fn stranger<'a>(login: &'a str, from: &str) -> Attempt<'a> {
    Attempt { login, ip: from.parse().unwrap(), meant: false }
}

#[tokio::test]
async fn a_login_a_network_and_everybody_have_so_many_guesses() {
    let (guesses, now) = guesses();
    let count = async |login: &str, from: &str| guesses.failed(stranger(login, from), now).await;
    let may_try =
        async |login: &str, from: &str| guesses.open(stranger(login, from), now).await == Open::Everybody;
    count("acme", "192.0.2.1").await;
    assert!(may_try("acme", "192.0.2.1").await);
    count("acme", "192.0.2.1").await;
    assert!(!may_try("acme", "198.51.100.1").await, "the login is shut from everywhere");
    assert!(may_try("globex", "192.0.2.99").await, "another is not");
    count("a", "192.0.2.99").await;
    count("b", "192.0.2.99").await;
    assert!(!may_try("globex", "192.0.2.1").await, "the network is shut");
    assert!(may_try("globex", "198.51.100.1").await);
    for n in 0..3 {
        count(&format!("c{n}"), &format!("203.0.{n}.1")).await;
    }
    assert!(!may_try("globex", "198.51.100.1").await, "everybody is shut out");
}

#[tokio::test]
async fn who_is_at_home_is_stopped_by_no_others_and_has_as_many_guesses_of_its_own() {
    let (guesses, now) = guesses();
    let home = stranger("acme", "192.0.2.1");
    guesses.remember(home, now);
    for n in 0..2 {
        guesses.failed(stranger("acme", &format!("203.0.{n}.1")), now).await;
    }
    assert_eq!(guesses.open(home, now).await, Open::AtHome, "the login is shut to strangers");
    assert_eq!(guesses.open(stranger("acme", "198.51.100.1"), now).await, Open::Nobody);
    for n in 0..5 {
        guesses.failed(stranger(&format!("no{n}"), &format!("203.0.{n}.1")), now).await;
    }
    assert_eq!(guesses.open(home, now).await, Open::AtHome, "everybody else is shut out");
    assert_eq!(guesses.open(stranger("globex", "192.0.2.1"), now).await, Open::Nobody);
    let neighbour = stranger("acme", "192.0.2.200");
    for _ in 0..2 {
        assert_eq!(guesses.failed(neighbour, now).await, Open::AtHome);
    }
    assert_eq!(guesses.open(home, now).await, Open::Nobody, "there too are only so many guesses");
    assert_eq!(guesses.failed(neighbour, now).await, Open::Nobody);
}

#[tokio::test]
async fn a_login_is_at_home_where_it_signed_in_for_thirty_days() {
    let (guesses, now) = guesses();
    let home = stranger("acme", "192.0.2.1");
    guesses.remember(home, now);
    let at = |days: u64| now + Duration::from_secs(days * 24 * 3600);
    for (days, open) in [(0, Open::AtHome), (29, Open::AtHome), (30, Open::Nobody)] {
        for n in 0..2 {
            guesses.failed(stranger("acme", &format!("203.0.{n}.1")), at(days)).await;
        }
        assert_eq!(guesses.open(home, at(days)).await, open, "after {days} days");
    }
    guesses.remember(home, at(30));
    assert_eq!(guesses.open(home, at(30)).await, Open::AtHome);
}

#[tokio::test]
async fn who_is_named_by_the_networks_of_the_login_is_at_home_from_the_first() {
    let (guesses, now) = guesses();
    let meant = Attempt { meant: true, ..stranger("acme", "192.0.2.1") };
    for n in 0..2 {
        guesses.failed(stranger("acme", &format!("203.0.{n}.1")), now).await;
    }
    assert_eq!(guesses.open(meant, now).await, Open::AtHome);
    for _ in 0..2 {
        guesses.failed(meant, now).await;
    }
    assert_eq!(guesses.open(meant, now).await, Open::Nobody);
}

#[tokio::test]
async fn networks_that_are_meant_share_their_failures_until_somebody_signs_in() {
    let (guesses, now) = guesses();
    let meant = |from| Attempt { meant: true, ..stranger("acme", from) };
    for n in 0..2 {
        guesses.failed(stranger("acme", &format!("203.0.{n}.1")), now).await;
    }
    guesses.failed(meant("192.0.2.1"), now).await;
    guesses.failed(meant("198.51.100.1"), now).await;
    assert_eq!(guesses.open(meant("192.0.2.1"), now).await, Open::Nobody);
    guesses.remember(meant("198.51.100.1"), now);
    assert_eq!(guesses.open(meant("198.51.100.1"), now).await, Open::AtHome);
    assert_eq!(guesses.open(meant("192.0.2.1"), now).await, Open::Nobody);
}

#[tokio::test]
async fn a_network_that_is_shut_is_shut_to_who_is_at_home_there() {
    let (guesses, now) = guesses();
    let home = stranger("acme", "192.0.2.1");
    guesses.remember(home, now);
    for n in 0..4 {
        guesses.failed(stranger(&format!("no{n}"), "192.0.2.9"), now).await;
    }
    assert_eq!(guesses.open(home, now).await, Open::Nobody);
}

/// What strangers see of `acme`, which is at home in two ways, they see of a login that does not exist.
#[tokio::test]
async fn home_changes_nothing_that_a_wrong_secret_can_see() {
    let ((real, now), (none, _)) = (guesses(), guesses());
    real.remember(stranger("acme", "192.0.2.1"), now);
    let from = ["203.0.1.1", "192.0.2.7", "192.0.2.8", "198.51.100.1", "192.0.2.9"];
    for (n, from) in from.iter().cycle().take(15).enumerate() {
        let login = if n % 3 == 0 { format!("other{n}") } else { "acme".to_owned() };
        let attempt = stranger(&login, from);
        let meant = Attempt { meant: login == "acme" && from.starts_with("198"), ..attempt };
        let shut = |open: Open| open != Open::Everybody;
        assert_eq!(shut(real.open(meant, now).await), shut(none.open(attempt, now).await), "guess {n}");
        assert_eq!(shut(real.failed(meant, now).await), shut(none.failed(attempt, now).await), "guess {n}");
    }
}

#[tokio::test]
async fn failures_are_forgotten_when_the_window_has_passed_them() {
    let (guesses, began) = guesses();
    let at = |seconds| began + Duration::from_secs(seconds);
    let here = stranger("acme", "2001:db8::1");
    let may_try = async |seconds| guesses.open(here, at(seconds)).await == Open::Everybody;
    guesses.failed(here, at(0)).await;
    guesses.failed(stranger("acme", "2001:db8:0:ffff::2"), at(300)).await;
    assert!(!may_try(300).await);
    assert!(may_try(661).await, "the first is over, the second is not");
    guesses.failed(here, at(661)).await;
    assert!(!may_try(661).await);
    assert!(may_try(6000).await);
}

/// Over several sessions at once nobody learns more than over one.
#[tokio::test]
async fn of_many_that_fail_at_once_only_so_many_count() {
    let (guesses, now) = guesses();
    let attempts = (0..20).map(|_| guesses.failed(stranger("acme", "192.0.2.1"), now));
    let open = futures_util::future::join_all(attempts).await;
    assert_eq!(open.iter().filter(|open| **open == Open::Everybody).count(), 2);
}
