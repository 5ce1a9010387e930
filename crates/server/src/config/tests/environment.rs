//! Variables over the file.

use super::*;

fn refused(name: &str, value: &str) -> String {
    with("", &[(name, value)]).unwrap_err()
}

#[test]
fn a_variable_wins_over_the_file() {
    let text = "[dns]\ntimeout_ms = 100\n[send]\nmode = \"observe\"\n";
    let loaded = with(
        text,
        &[
            ("COUNTERSIGN_DNS__TIMEOUT_MS", "300"),
            ("COUNTERSIGN_SEND__MODE", "enforce"),
            ("COUNTERSIGN_SERVER__HOSTNAME", "\"quoted.example\""),
            ("COUNTERSIGN_SERVER__DATA_DIR", "kept"),
            ("COUNTERSIGN_LIMITS__AUTH_FAILURES__ACCOUNT", "5"),
            ("COUNTERSIGN_DNS__RESOLVERS", "[\"127.0.0.1:5300\"]"),
        ],
    );
    let config = loaded.unwrap().config;
    assert_eq!(config.dns.timeout.as_millis(), 300);
    assert_eq!(config.send.mode, Mode::Enforce);
    assert_eq!(config.server.hostname, "quoted.example");
    assert_eq!(config.server.data_dir, PathBuf::from("kept"), "not relative to the file");
    assert_eq!(config.limits.auth_failures.account, 5);
    assert_eq!(config.limits.auth_failures.net, 50);
    assert_eq!(config.dns.authoritative, Authoritative::ViaResolver);
}

#[test]
fn a_text_need_not_be_quoted_even_when_it_looks_like_something_else() {
    let loaded =
        with("", &[("COUNTERSIGN_SERVER__HOSTNAME", "123"), ("COUNTERSIGN_DNS__RESOLVERS", "192.0.2.1")]);
    let config = loaded.unwrap().config;
    assert_eq!(config.server.hostname, "123");
    assert_eq!(config.dns.resolvers, Resolvers::List(vec!["192.0.2.1:53".parse().unwrap()]));
}

#[test]
fn variables_that_are_no_settings_are_left_alone() {
    assert!(
        with("", &[("COUNTERSIGN_BLESS", "1"), ("COUNTERSIGN_CORPORA", "/x"), ("DNS__TIMEOUT_MS", "x")])
            .is_ok()
    );
}

#[test]
fn an_unknown_variable_names_the_nearest() {
    assert_eq!(
        refused("COUNTERSIGN_DNS__TIMEOUT", "300"),
        "environment `COUNTERSIGN_DNS__TIMEOUT`: names no setting: did you mean `COUNTERSIGN_DNS__TIMEOUT_MS`?"
    );
    assert_eq!(
        refused("COUNTERSIGN_X__Y", "1"),
        "environment `COUNTERSIGN_X__Y`: names no setting: it is `COUNTERSIGN_` and section and key with `__` between them"
    );
    assert!(refused("COUNTERSIGN_DNS__", "1").contains("names no setting"));
    assert!(refused("COUNTERSIGN___", "1").contains("names no setting"));
    assert!(refused("COUNTERSIGN_DNS__TIMEOUT_MS__X", "1").contains("names no setting"));
}

#[test]
fn a_wrong_value_says_what_is_allowed() {
    assert_eq!(
        refused("COUNTERSIGN_DNS__TIMEOUT_MS", "soon"),
        "environment `COUNTERSIGN_DNS__TIMEOUT_MS`: `timeout_ms` in [dns] is `soon`: a whole number from 1 to \
         60000 is allowed"
    );
    assert_eq!(
        refused("COUNTERSIGN_SEND__MODE", "strict"),
        "environment `COUNTERSIGN_SEND__MODE`: `mode` in [send] is `strict`: allowed are `observe`, `enforce`"
    );
    assert_eq!(
        refused("COUNTERSIGN_SEND__MODE", ""),
        "environment `COUNTERSIGN_SEND__MODE`: `mode` in [send] is empty: leave it out instead"
    );
}

#[test]
fn tables_in_lists_stand_in_the_file_only() {
    let expected = "[[send.listener]] cannot come from the environment: write it in the file";
    for name in ["COUNTERSIGN_SEND__LISTENER", "COUNTERSIGN_SEND__LISTENER__0__LISTEN"] {
        assert_eq!(refused(name, "[]"), format!("environment `{name}`: {expected}"));
    }
    assert_eq!(
        refused("COUNTERSIGN_LIMITS__AUTH_FAILURES", "{account = 5}"),
        "environment `COUNTERSIGN_LIMITS__AUTH_FAILURES`: [limits.auth_failures] is a table: set its keys one \
         by one, as in `COUNTERSIGN_LIMITS__AUTH_FAILURES__ACCOUNT`"
    );
}

#[test]
fn a_variable_cannot_smuggle_a_second_setting() {
    let message = refused("COUNTERSIGN_DNS__TIMEOUT_MS", "300\nbudget_ms = 1");
    assert!(
        message.starts_with("environment `COUNTERSIGN_DNS__TIMEOUT_MS`: `timeout_ms` in [dns] is "),
        "{message}"
    );
}

#[test]
fn tiers_keep_the_name_of_the_file_and_warn_once() {
    let loaded = with(
        "[tiers.t1]\nday = 1",
        &[("COUNTERSIGN_TIERS__T1__DAY", "5"), ("COUNTERSIGN_CONSOLE__LISTEN", "x")],
    );
    let loaded = loaded.unwrap();
    assert!(show(&loaded, false).contains("[tiers.t1]\nday = 5\n"));
    assert_eq!(
        loaded.warnings,
        [
            "/etc/x.toml: [tiers] is known but not built yet: it is accepted and has no effect",
            "environment `COUNTERSIGN_CONSOLE__LISTEN`: [console] is known but not built yet: it is accepted and \
         has no effect",
            "environment `COUNTERSIGN_TIERS__T1__DAY`: [tiers] is known but not built yet: it is accepted and has \
         no effect",
        ]
    );
}

#[test]
fn a_wrong_section_in_the_file_is_not_hidden_by_a_variable() {
    let message = with("dns = 5", &[("COUNTERSIGN_DNS__TIMEOUT_MS", "300")]).unwrap_err();
    assert_eq!(message, "/etc/x.toml:1: `dns` is no table: write it as [dns]");
}
