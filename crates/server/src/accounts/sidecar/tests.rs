//! Sidecars from the outside.

use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> Result<Sidecar, String> {
    Sidecar::parse(text, Path::new("mail/x.toml")).map_err(|error| error.to_string())
}

#[test]
fn a_sidecar_is_typed_as_it_is_read() {
    let sidecar = parse(
        r#"
account = "acme"
credential = "acme-smtp"
ip = "::ffff:192.0.2.7"
helo = "mx.acme.example"
mail_from = "bounce@acme.example"
rcpt = ["ann@globex.example", "bob@globex.example"]
tls = true
auth_results = "topmost"
assume = { spf = "pass", domain.exists = "fail" }
now = 2026-11-24T06:00:00Z
[expect]
decision = "refuse"
reasons = ["spf-fail"]
nested = { deep = [1, 2.5] }
"#,
    )
    .unwrap();
    assert_eq!(sidecar.account, Some(AccountId::parse("acme").unwrap()));
    assert_eq!(sidecar.credential.as_deref(), Some("acme-smtp"));
    assert_eq!(sidecar.ip, Some("192.0.2.7".parse().unwrap()));
    assert_eq!(sidecar.helo.as_deref(), Some("mx.acme.example"));
    let Some(ReversePath::Mailbox(from)) = &sidecar.mail_from else { panic!("a mailbox was given") };
    assert_eq!(from.to_string(), "bounce@acme.example");
    assert_eq!(sidecar.rcpt.len(), 2);
    assert_eq!((sidecar.tls, &sidecar.auth_results), (Some(true), &Some(AuthResults::Topmost)));
    let assumed = [(Evidence::DomainExists, Finding::Fail), (Evidence::Spf, Finding::Pass)];
    assert_eq!(sidecar.assume, assumed);
    assert_eq!(sidecar.now.unwrap().to_string(), "2026-11-24T06:00:00Z");
    assert!(sidecar.accounts.is_empty() && sidecar.warnings.is_empty());
}

#[test]
fn nothing_is_assumed_of_an_empty_sidecar() {
    assert_eq!(parse("").unwrap(), Sidecar::default());
    assert_eq!(parse("mail_from = \"\"\nhelo = \"\"").unwrap().mail_from, Some(ReversePath::Null));
    assert_eq!(parse("mail_from = \"<>\"").unwrap().mail_from, Some(ReversePath::Null));
}

const TWO: &str = r#"
[[account]]
id = "acme"
[[account.domain]]
name = "acme.example"
proved = true
[[account]]
id = "globex"
[[account.credential]]
login = "globex-smtp"
"#;

#[test]
fn inline_accounts_say_whose_message_it_is() {
    let sidecar = parse(TWO).unwrap();
    assert_eq!(sidecar.accounts.len(), 2);
    assert!(sidecar.accounts[0].domains[0].proved);
    assert_eq!(sidecar.account.unwrap().as_str(), "acme");
    let sidecar = parse(&format!("credential = \"globex-smtp\"\n{TWO}")).unwrap();
    assert_eq!(sidecar.account.unwrap().as_str(), "globex");
}

#[test]
fn wrong_keys_and_values_are_all_named() {
    let text = "acount = \"acme\"\nip = \"here\"\nmail_from = \"nobody\"\nassume = {sfp = \"pass\", spf = \"softfail\"}\n";
    let message = parse(text).unwrap_err();
    let lines: Vec<&str> = message.lines().collect();
    assert_eq!(lines[0], "mail/x.toml:1: unknown key `acount` at the top: did you mean `account`?");
    assert_eq!(lines[1], "mail/x.toml:2: `ip` is `here`: an address is allowed, as in `192.0.2.7`");
    assert!(lines[2].starts_with("mail/x.toml:3: `mail_from` is `nobody`: "), "{message}");
    assert_eq!(
        lines[3],
        "mail/x.toml:4: `assume` has an unknown kind of evidence `sfp`: did you mean `spf`?"
    );
    assert_eq!(
        lines[4],
        "mail/x.toml:4: `assume` has `softfail` as the finding of `spf`: allowed are `pass`, `fail`, `warn`, \
         `unknown`"
    );
    assert_eq!(lines.len(), 5);
}

#[test]
fn evidence_without_a_probe_yet_is_said_to_have_no_effect() {
    let sidecar = parse("assume = {dkim = \"pass\"}").unwrap();
    assert!(sidecar.assume.is_empty());
    assert_eq!(
        sidecar.warnings,
        ["mail/x.toml:1: no probe for `dkim` is built yet: assuming it has no effect"]
    );
}

#[test]
fn a_sidecar_stands_beside_its_message() {
    let dir = tempfile::tempdir().unwrap();
    let message = dir.path().join("x.eml");
    assert_eq!(Sidecar::beside(&message).unwrap(), None);
    std::fs::write(dir.path().join("x.toml"), "helo = \"mx.example\"").unwrap();
    assert_eq!(Sidecar::beside(&message).unwrap().unwrap().helo.as_deref(), Some("mx.example"));
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(noise in "(?s).{0,200}", name in ".{0,20}", word in ".{0,8}") {
        let _ = parse(&noise);
        let _ = assumption(&name, &word);
        let _ = ReversePath::parse(&name);
        let _ = AuthResults::parse(&name);
    }
}

#[test]
fn every_sidecar_of_our_test_mail_is_one() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/mail");
    let mut read = 0;
    for folder in ["hostile", "legal"] {
        for entry in std::fs::read_dir(root.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "toml") {
                match Sidecar::parse(&std::fs::read_to_string(&path).unwrap(), &path) {
                    Ok(sidecar) => assert!(sidecar.account.is_some(), "{}", path.display()),
                    // A reverse path that no door lets in cannot be judged either.
                    Err(error) => assert!(error.to_string().contains("`mail_from` is "), "{error}"),
                }
                read += 1;
            }
        }
    }
    assert!(read > 50, "{read} sidecars");
}
