//! What the loader says of a file that is wrong.

use super::*;

#[test]
fn a_wrong_key_names_its_line_and_the_nearest() {
    assert_eq!(
        wrong("[send]\n\n[[send.listener]]\n\n\n\nlisen = \"127.0.0.1:25\"\nlisten = \"127.0.0.1:25\""),
        "/etc/x.toml:7: unknown key `lisen` in [[send.listener]]: did you mean `listen`?"
    );
    assert_eq!(wrong("[sned]\n"), "/etc/x.toml:1: unknown table [sned]: did you mean [send]?");
    assert_eq!(wrong("sned = 1\n"), "/etc/x.toml:1: unknown key `sned` at the top: did you mean `send`?");
    assert_eq!(
        wrong("[limits.auth_failures]\nwindow = 3\n"),
        "/etc/x.toml:2: unknown key `window` in [limits.auth_failures]: did you mean `window_s`?"
    );
    assert_eq!(
        wrong("[policy]\nquarantine = 3\n"),
        "/etc/x.toml:2: unknown key `quarantine` in [policy]: allowed are `dir`"
    );
}

#[test]
fn everything_wrong_is_said_at_once_in_the_order_of_the_file() {
    let text = r#"
[server]
hostnam = "a"
data_dir = 7
[dns]
timeout_ms = 0
resolvers = ["one", "192.0.2.1", "two"]
[send]
mode = "enforced"
[[send.listener]]
tls = "starttls"
[[send.listener]]
listen = "2525"
[[send.upstream]]
url = "http://mx.example"
egress = ["192.0.0.0/16"]
[metrics]
listen = true
"#;
    let expected = "\
/etc/x.toml:3: unknown key `hostnam` in [server]: did you mean `hostname`?
/etc/x.toml:4: `data_dir` in [server] is `7`: the name of a file in quotes is allowed
/etc/x.toml:6: `timeout_ms` in [dns] is `0`: a whole number from 1 to 60000 is allowed
/etc/x.toml:7: `resolvers` in [dns] is `one`: `\"system\"` or a list of addresses is allowed, as in `[\"127.0.0.1:5300\"]`
/etc/x.toml:7: `resolvers` in [dns] is `two`: `\"system\"` or a list of addresses is allowed, as in `[\"127.0.0.1:5300\"]`
/etc/x.toml:9: `mode` in [send] is `enforced`: allowed are `observe`, `enforce`; did you mean `enforce`?
/etc/x.toml:10: [[send.listener]] has no `listen`
/etc/x.toml:13: `listen` in [[send.listener]] is `2525`: an address with a port is allowed, as in `127.0.0.1:2525`
/etc/x.toml:15: `url` in [[send.upstream]] is `http://mx.example`: `smtp://`, `smtps://` or `lmtp://` with a host and a port is allowed, as in `smtp://127.0.0.1:10026`
/etc/x.toml:16: `egress` in [[send.upstream]] is `192.0.0.0/16`: a network of IPv4 no wider than /24 is allowed, because SPF is checked for each address
/etc/x.toml:18: `listen` in [metrics] is `true`: a text in quotes is allowed";
    assert_eq!(wrong(text), expected);
}

#[test]
fn broken_toml_names_its_line() {
    assert_eq!(
        wrong("[server]\nhostname = \n"),
        "/etc/x.toml:2: not TOML: string values must be quoted, expected literal string"
    );
    assert_eq!(wrong("[server]\n[server]\n"), "/etc/x.toml:2: not TOML: duplicate key");
    let deep = format!("a = {}{}", "[".repeat(5000), "]".repeat(5000));
    assert!(wrong(&deep).starts_with("/etc/x.toml:1: not TOML: "));
}

#[test]
fn a_table_of_the_wrong_shape_says_how_it_is_written() {
    assert_eq!(
        wrong("[send.listener]\nlisten = \"127.0.0.1:25\""),
        "/etc/x.toml:1: `listener` in [send] is one table: write it as [[send.listener]]"
    );
    assert_eq!(wrong("[[server]]"), "/etc/x.toml:1: `server` is a list: write it as [server]");
    assert_eq!(wrong("tls = true"), "/etc/x.toml:1: `tls` is no table: write it as [tls]");
    assert_eq!(
        wrong("[send]\nlistener = [1]"),
        "/etc/x.toml:2: `listener` in [send] is no table: write it as [[send.listener]]"
    );
    assert_eq!(wrong("[tiers]\nT1 = 5"), "/etc/x.toml:2: `T1` in [tiers] is no table: a table is allowed");
}

#[test]
fn half_a_certificate_is_refused() {
    assert_eq!(
        wrong("[tls]\ncert_file = \"a.pem\""),
        "/etc/x.toml:1: [tls] has `cert_file` but no `key_file`: give both, or neither"
    );
    assert_eq!(
        wrong("[[send.listener]]\nlisten = \"127.0.0.1:25\"\nkey_file = \"a.key\""),
        "/etc/x.toml:1: [[send.listener]] has `key_file` but no `cert_file`: give both, or neither"
    );
}

#[test]
fn stores_that_are_not_built_say_so() {
    assert_eq!(
        wrong("[store]\nshared = \"rediss://cs:s3cret@db.example\""),
        "/etc/x.toml:2: `shared` in [store] is `rediss://cs:***@db.example`: TLS to Redis is not built: `redis://` \
         over a network of your own, or through a tunnel, is allowed"
    );
    assert_eq!(
        wrong("[store]\nshared = \"redis:\""),
        "/etc/x.toml:2: `shared` in [store] is `redis:`: `memory:` or an address is allowed, as in \
         `redis://127.0.0.1:6379/0`"
    );
    assert_eq!(
        wrong("[store]\nurl = \"mysql:\""),
        "/etc/x.toml:2: `url` in [store] is `mysql:`: `sqlite:`, which is `countersign.db` in `data_dir`, or \
         `postgres://...` is allowed"
    );
    assert_eq!(
        wrong("[store]\nurl = \"postgres://db.example\""),
        "/etc/x.toml:2: `url` in [store] is `postgres://db.example`: an address with a database is allowed, as in \
         `postgres://user@db.example/countersign`"
    );
}

#[test]
fn values_that_contradict_each_other_are_refused() {
    assert_eq!(
        wrong("[limits]\nbytes_in_flight = 2000\nmessage_bytes = 4000"),
        "/etc/x.toml:2: `bytes_in_flight` in [limits] is `2000`, less than `message_bytes` (`4000`): a message \
         of that size could never arrive"
    );
    assert_eq!(
        wrong("[dns]\nresolvers = []"),
        "/etc/x.toml:2: `resolvers` in [dns] is an empty list: name one, or write `\"system\"`"
    );
}

#[test]
fn wrong_words_name_those_that_are_allowed() {
    let listener = |line: &str| wrong(&format!("[[send.listener]]\nlisten = \"127.0.0.1:25\"\n{line}"));
    assert_eq!(
        listener("tls = \"none\""),
        "/etc/x.toml:3: `tls` in [[send.listener]] is `none`: allowed are `starttls`, `implicit`, `off`"
    );
    assert_eq!(
        listener("plaintext = \"always\""),
        "/etc/x.toml:3: `plaintext` in [[send.listener]] is `always`: allowed are `loopback`"
    );
    assert_eq!(
        listener("account_from = \"header:\""),
        "/etc/x.toml:3: `account_from` in [[send.listener]] is `header:`: allowed are `auth`, `xclient`, \
         `header:X-Account`, `mail-from-map`, `account:ID`"
    );
    for name in ["From", "reply-to", "MESSAGE-ID", "Received", "MIME-Version", "Content-Type"] {
        assert_eq!(
            listener(&format!("account_from = \"header:{name}\"")),
            format!(
                "/etc/x.toml:3: `account_from` in [[send.listener]] is `header:{name}`: authors and MTAs \
                 write fields of that name: take one of your own, as in `header:X-Account`"
            )
        );
    }
    assert_eq!(
        wrong("[server]\npublic_url = \"gate.example\"\nhostname = \"a b\""),
        "/etc/x.toml:2: `public_url` in [server] is `gate.example`: an address is allowed, as in \
         `https://gate.example`\n\
         /etc/x.toml:3: `hostname` in [server] is `a b`: a host name is allowed, as in `gate.example`: domain \
         `a b` has a character that no mail domain may have, or is no valid IDNA name"
    );
}

#[test]
fn what_is_not_built_is_accepted_with_one_warning() {
    let loaded = loaded(
        "[receive]\nmode = \"enforce\"\ntrust_authserv_id = [\"a\"]\n[[receive.listener]]\nlisten = \"x\"\n\
         [console]\nlisten = \"127.0.0.1:1\"\n[tiers]\nT1 = {day = 5}\n[ledger]\nsecond_sink = \"x\"\n",
    )
    .unwrap();
    assert_eq!(
        loaded.warnings,
        [
            "/etc/x.toml: [console] is known but not built yet: it is accepted and has no effect",
            "/etc/x.toml: [receive] is known but its gate is not built yet: it is accepted and has no effect",
            "/etc/x.toml: [tiers] is known but not built yet: it is accepted and has no effect",
        ]
    );
}

#[test]
fn what_is_not_built_is_still_checked() {
    assert_eq!(
        wrong("[desk]\naddresses = \"abuse@esp.example\"\nfirst_replay = \"4h\""),
        "/etc/x.toml:2: `addresses` in [desk] is `abuse@esp.example`: a list of texts is allowed, as in \
         `[\"one\", \"two\"]`\n\
         /etc/x.toml:3: unknown key `first_replay` in [desk]: did you mean `first_reply`?"
    );
}

#[test]
fn no_message_has_a_name_of_the_implementation() {
    let words = ["struct", "enum", "serde", "u64", "usize", "i64", "Option", "invalid type", "::"];
    for text in
        ["a", "[dns]\ntimeout_ms = 99999999999999999999", "[dns]\ntimeout_ms = 1.5", "[limits]\nrcpts = []"]
    {
        let message = wrong(text);
        assert!(words.iter().all(|word| !message.contains(word)), "{message}");
    }
}
