//! What a server needs beyond a right configuration.

use countersign_core::ids::AccountId;

use super::*;

fn unfit(text: &str) -> String {
    config(text).fit_to_serve().unwrap_err().to_string()
}

#[test]
fn a_listener_and_an_upstream_with_egress_are_enough() {
    assert!(config(MAIL).fit_to_serve().is_ok());
    assert!(config(&format!("[send]\nmode = \"enforce\"\n{MAIL}")).fit_to_serve().is_ok());
    assert!(config("").fit_to_serve().is_ok(), "a server without doors for mail is allowed");
}

#[test]
fn enforce_needs_egress_for_serve_only() {
    let text = "[send]\nmode = \"enforce\"\n[[send.upstream]]\nurl = \"smtp://mx.example\"";
    assert_eq!(
        unfit(text),
        "upstream `default`: it has no `egress`, so SPF cannot be checked and mode enforce would hold \
         everything: name the networks from which mail leaves, or use mode observe"
    );
    let mut observed = loaded("[[send.upstream]]\nurl = \"smtp://mx.example\"").unwrap();
    assert!(observed.config.fit_to_serve().is_ok());
    observed.mode_from_store(Mode::Enforce);
    assert!(observed.config.fit_to_serve().is_err(), "the store's mode counts too");
}

#[test]
fn a_listener_needs_an_upstream() {
    assert_eq!(
        unfit("[[send.listener]]\nlisten = \"127.0.0.1:25\""),
        "there is no [[send.upstream]]: mail that may pass has nowhere to go"
    );
}

#[test]
fn passwords_never_cross_the_network_in_the_clear() {
    let listener =
        |listen: &str, more: &str| format!("{MAIL}\n[[send.listener]]\nlisten = \"{listen}\"\n{more}");
    for listen in ["0.0.0.0:587", "192.0.2.1:587", "[::]:587", "[2001:db8::1]:587"] {
        assert_eq!(
            unfit(&listener(listen, "tls = \"off\"\nplaintext = \"loopback\"")),
            format!(
                "listener `{listen}`: `tls = \"off\"` is allowed on loopback only: passwords would cross the \
                 network in the clear"
            )
        );
    }
    assert_eq!(
        unfit(&listener("127.0.0.1:587", "tls = \"off\"")),
        "listener `127.0.0.1:587`: nobody could sign in with `tls = \"off\"` and without `plaintext = \
         \"loopback\"`"
    );
    for listen in ["127.0.0.1:587", "[::1]:587", "[::ffff:127.0.0.1]:587"] {
        assert!(config(&listener(listen, "tls = \"off\"\nplaintext = \"loopback\"")).fit_to_serve().is_ok());
    }
    assert!(config(&listener("0.0.0.0:587", "plaintext = \"loopback\"")).fit_to_serve().is_ok());
}

#[test]
fn keys_never_cross_the_network_in_the_clear() {
    for listen in ["0.0.0.0:8025", "192.0.2.1:8025", "[::]:8025"] {
        let open = format!("[api]\nlisten = \"{listen}\"\n");
        assert!(
            unfit(&open).starts_with(&format!("[api] listens on `{listen}`: `tls = \"off\"` is allowed"))
        );
        assert!(config(&format!("{open}tls = \"implicit\"")).fit_to_serve().is_ok());
    }
    assert!(config("[api]\nlisten = \"[::1]:8025\"").fit_to_serve().is_ok());
}

#[test]
fn what_is_there_twice_is_refused() {
    let text = format!("{MAIL}{MAIL}");
    assert_eq!(
        unfit(&text),
        "listener `127.0.0.1:2525`: listens twice: give each its own port\n\
         upstream `default`: is there twice: give each its own `name`"
    );
    let any = MAIL.replace("2525", "0");
    let two = format!("{any}[[send.listener]]\nlisten = \"127.0.0.1:0\"");
    assert!(config(&two).fit_to_serve().is_ok(), "port 0 is another one each time");
}

#[test]
fn an_upstream_is_told_who_the_client_is_or_who_we_are() {
    let both = "[[send.upstream]]\nurl = \"smtp://mx.example\"\nxclient = true\nauth_file = \"a\"";
    assert_eq!(
        unfit(both),
        "upstream `default`: `xclient` and `auth_file` do not go together: whoever is named with XCLIENT is taken \
         for who has signed in; let the upstream trust our address"
    );
    for one in ["xclient = true", "auth_file = \"a\"", "ca_file = \"ca.pem\""] {
        let text = format!("[[send.upstream]]\nurl = \"lmtp://mx.example:24\"\n{one}");
        let loaded = loaded(&text).unwrap();
        assert!(loaded.config.fit_to_serve().is_ok() && loaded.warnings.is_empty(), "{one}");
    }
    let idle = "[[send.upstream]]\nurl = \"smtp://mx.example\"\nca_file = \"ca.pem\"\ntls_verify = false";
    let expected = "upstream `default`: `ca_file` has no effect with `tls_verify = false`";
    assert_eq!(loaded(idle).unwrap().warnings, [expected]);
}

#[test]
fn a_relay_believes_named_networks_and_knows_the_account() {
    let relay = |lines: &str| format!("{MAIL}[[send.listener]]\nlisten = \"127.0.0.1:25\"\n{lines}\n");
    let both = relay("kind = \"relay\"\ntrusted = [\"192.0.2.0/28\"]\naccount_from = \"account:acme\"");
    let acme = AccountId::parse("acme").unwrap();
    assert_eq!(config(&both).send.listeners[1].account_from, AccountFrom::Account(acme));
    let header = both.replace("account:acme", "header:X-Account");
    assert_eq!(config(&header).send.listeners[1].account_from, AccountFrom::Header("X-Account".to_owned()));
    let off = both.replace("kind", "tls = \"off\"\nkind");
    let [xclient, map] = ["xclient", "mail-from-map"].map(|from| both.replace("account:acme", from));
    for right in [&both, &header, &off, &xclient, &map] {
        assert!(config(right).fit_to_serve().is_ok(), "{right}");
    }
    for (lines, why) in [
        ("kind = \"relay\"\naccount_from = \"account:acme\"", "a relay needs `trusted`"),
        ("kind = \"relay\"\ntrusted = [\"192.0.2.1\"]", "a relay needs `account_from`"),
        ("account_from = \"account:acme\"", "`account_from` other than `auth` is for `kind = \"relay\"`"),
        ("trusted = [\"192.0.2.1\"]", "`trusted` is for `kind = \"relay\"`"),
    ] {
        assert!(unfit(&relay(lines)).contains(why), "{lines}");
    }
}

#[test]
fn a_relay_that_believes_too_many_is_said() {
    let trusting = |trusted: &str| {
        let relay = "listen = \"127.0.0.1:25\"\nkind = \"relay\"\naccount_from = \"account:acme\"";
        loaded(&format!("{MAIL}[[send.listener]]\n{relay}\ntrusted = [{trusted}]\n")).unwrap().warnings
    };
    for wide in ["0.0.0.0/0", "::/0", "::ffff:0.0.0.0/96"] {
        let warnings = trusting(&format!("\"{wide}\", \"192.0.2.1\""));
        let [warning] = warnings.as_slice() else { panic!("{wide}: {warnings:?}") };
        assert!(warning.contains("whoever connects from there sends without signing in"), "{warning}");
    }
    let warnings = trusting("\"127.0.0.1/8\"");
    let [warning] = warnings.as_slice() else { panic!("{warnings:?}") };
    assert!(warning.ends_with(
        "`127.0.0.1/8` in `trusted` is read as `127.0.0.0/8`, all of it; for one address leave the `/8` away"
    ));
    assert_eq!(trusting("\"127.0.0.0/8\", \"127.0.0.1/32\", \"2001:db8::/32\""), Vec::<String>::new());
}

#[test]
fn a_listener_that_believes_everybody_to_be_a_balancer_is_said() {
    let warnings = |nets: &str| {
        let listener = format!("listen = \"127.0.0.1:26\"\nproxy_protocol = [{nets}]");
        loaded(&format!("{MAIL}[[send.listener]]\n{listener}\n")).unwrap().warnings
    };
    let [warning] = &warnings("\"0.0.0.0/0\"")[..] else { panic!() };
    assert_eq!(
        warning,
        "listener `127.0.0.1:26`: `proxy_protocol` has `0.0.0.0/0`: whoever connects from there is whoever it \
         says; name the addresses of your balancers"
    );
    let [warning] = &warnings("\"192.0.2.64/24\"")[..] else { panic!() };
    assert!(warning.contains("`192.0.2.64/24` in `proxy_protocol` is read as `192.0.2.0/24`"), "{warning}");
    assert!(warnings("\"192.0.2.64\", \"2001:db8::/32\"").is_empty());
}

#[test]
fn plaintext_without_effect_is_said() {
    let text = format!(
        "{MAIL}\n[[send.listener]]\nlisten = \"127.0.0.1:465\"\ntls = \"implicit\"\nplaintext = \"loopback\""
    );
    assert_eq!(
        loaded(&text).unwrap().warnings,
        ["listener `127.0.0.1:465`: `plaintext = \"loopback\"` has no effect with `tls = \"implicit\"`"]
    );
}
