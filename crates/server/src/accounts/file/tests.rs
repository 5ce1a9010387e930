//! The accounts file from the outside: each rule with its message, and arbitrary texts.

use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> Result<AccountsFile, String> {
    AccountsFile::parse(text, Path::new("/etc/a.toml"), false).map_err(|error| error.to_string())
}

fn wrong(text: &str) -> String {
    parse(text).unwrap_err()
}

const WHOLE: &str = r#"
[[account]]
id = "acme"
name = "Acme Ltd"
tier = "T2"
mode = "enforce"
created = 2026-01-02T03:04:05Z
phone_verified_at = "2026-01-03T00:00:00+01:00"
upstream = "eu"
link_domains = ["acme.example"]
networks = ["192.0.2.7", "2001:db8::/64"]
owner_email = "owner@acme.example"

  [[account.domain]]
  name = "acme.example"
  scope = "subdomains"
  from_local = "news|offers"
  from_name = "Acme( News)?"
  proved = true
  dkim = { selector = "s1", key_file = "keys/s1.pem" }

  [[account.domain]]
  name = "acme-mail.example"

  [[account.credential]]
  login = "acme-smtp"
  secret_file = "secrets/acme"
  networks = ["192.0.2.0/28"]
  scopes = ["send"]
  daily_cap = 500
  expires = "2027-01-01T00:00:00Z"

  [[account.credential]]
  login = "acme-api"
  kind = "api"
  scopes = ["evaluate", "rulings:read"]

  [[account.protected]]
  domain = "acme.example"
  people = [{ name = "Ann Boss", addresses = ["ann@acme.example"] }]
  next_hop = "smtp://127.0.0.1:25"

[[account]]
id = "globex"

[[brand]]
name = "Globex"
domains = ["globex.example"]

[[staff]]
email = "desk@esp.example"
roles = ["desk", "auditor"]
api_secret_file = "secrets/desk"
scopes = ["held:read", "held:write"]
"#;

#[test]
fn a_whole_file_is_typed_as_it_is_read() {
    let file = AccountsFile::parse(WHOLE, Path::new("/etc/a.toml"), true).unwrap();
    let [acme, globex] = &file.accounts[..] else { panic!("two accounts") };
    assert_eq!((acme.id.as_str(), acme.name.as_str()), ("acme", "Acme Ltd"));
    assert_eq!((acme.tier.unwrap().to_string(), acme.mode), ("T2".to_owned(), Some(Mode::Enforce)));
    assert_eq!(acme.created.unwrap().to_string(), "2026-01-02T03:04:05Z");
    assert_eq!(acme.phone_verified_at.unwrap().to_string(), "2026-01-02T23:00:00Z");
    assert_eq!(acme.upstream.as_deref(), Some("eu"));
    let networks: Vec<String> = acme.networks.iter().map(ToString::to_string).collect();
    assert_eq!(networks, ["192.0.2.7/32", "2001:db8::/64"]);
    assert_eq!(acme.owner_email.as_ref().unwrap().to_string(), "owner@acme.example");
    let [first, second] = &acme.domains[..] else { panic!("two domains") };
    assert_eq!((first.name.as_str(), first.scope, first.proved), ("acme.example", Scope::Subdomains, true));
    assert!(first.from_local.as_ref().unwrap().matches("offers"));
    assert!(!first.from_name.as_ref().unwrap().matches("The Acme News"));
    assert_eq!(first.dkim.as_ref().unwrap().key_file, Path::new("/etc/keys/s1.pem"));
    assert_eq!((second.scope, second.proved), (Scope::Exact, false));
    let [smtp, api] = &acme.credentials[..] else { panic!("two credentials") };
    assert_eq!((smtp.kind, smtp.daily_cap), (CredentialKind::Smtp, Some(500)));
    assert_eq!(smtp.secret_file.as_deref(), Some(Path::new("/etc/secrets/acme")));
    assert_eq!((api.kind, &api.secret_file), (CredentialKind::Api, &None));
    assert_eq!(api.scopes, [KeyScope::Evaluate, KeyScope::RulingsRead]);
    assert_eq!(smtp.scopes, [], "of the API only");
    assert_eq!(acme.protected[0].people[0].addresses[0].to_string(), "ann@acme.example");
    assert_eq!((globex.name.as_str(), globex.tier), ("globex", None));
    assert_eq!(file.brands[0].domains[0].as_str(), "globex.example");
    assert_eq!(file.staff[0].roles, [Role::Desk, Role::Auditor]);
    assert_eq!(
        file.warnings,
        [
            "/etc/a.toml: [account.domain.dkim] is known but not built yet: it is accepted and has no effect",
            "/etc/a.toml: [[account.protected]] is known but its gate is not built yet: it is accepted and has no \
         effect",
            "/etc/a.toml: [[brand]] is known but not built yet: it is accepted and has no effect",
            "/etc/a.toml: `roles` in [staff] is known but not built yet: it is accepted and has no effect",
        ]
    );
}

#[test]
fn scopes_of_a_key_are_a_closed_list() {
    let refused = |text: &str| {
        AccountsFile::parse(text, Path::new("/etc/a.toml"), true).map(|_| ()).unwrap_err().to_string()
    };
    let key = "[[account]]\nid = \"acme\"\n[[account.credential]]\nlogin = \"k\"\nkind = \"api\"\n";
    let wrong = refused(&format!("{key}scopes = [\"evaluat\"]"));
    assert!(wrong.contains("`evaluat`: did you mean `evaluate`?"), "{wrong}");
    let wrong = refused("[[staff]]\nemail = \"a@esp.example\"\nscopes = [\"root\"]");
    assert!(wrong.contains("`root`: allowed are `evaluate`, `rulings:read`"), "{wrong}");
    let empty = AccountsFile::parse(key, Path::new("/etc/a.toml"), true).unwrap();
    assert!(empty.warnings[0].contains("without `scopes` opens nothing"), "{:?}", empty.warnings);
}

#[test]
fn a_proof_is_trusted_only_when_asked() {
    assert_eq!(
        wrong("[[account]]\nid = \"a\"\n[[account.domain]]\nname = \"acme.example\"\nproved = true"),
        "/etc/a.toml:5: `proved` in [[account.domain]] is `true` for `acme.example`: it says that you vouch \
         for the proof, which needs --trust-proof"
    );
    assert!(
        parse("[[account]]\nid = \"a\"\n[[account.domain]]\nname = \"acme.example\"\nproved = false").is_ok()
    );
}

#[test]
fn what_is_there_twice_names_the_first() {
    assert_eq!(
        wrong("[[account]]\nid = \"a\"\n[[account]]\nid = \"b\"\n[[account]]\nid = \"a\""),
        "/etc/a.toml:6: `id` in [[account]] is `a`: that account is already there, at /etc/a.toml:2"
    );
    assert_eq!(
        wrong(
            "[[account]]\nid = \"a\"\n[[account.credential]]\nlogin = \"x\"\n[[account]]\nid = \"b\"\n\
             [[account.credential]]\nlogin = \"x\""
        ),
        "/etc/a.toml:8: `login` in [[account.credential]] is `x`: that login is already there, at /etc/a.toml:4"
    );
    let domains = "[[account.domain]]\nname = \"acme.example\"\n[[account.domain]]\nname = \"ACME.example\"";
    assert_eq!(
        wrong(&format!("[[account]]\nid = \"a\"\n{domains}")),
        "/etc/a.toml:6: `name` in [[account.domain]] is `acme.example`: the account has that domain already, \
         at /etc/a.toml:4"
    );
    let one = |id: &str| format!("[[account]]\nid = \"{id}\"\n[[account.domain]]\nname = \"acme.example\"\n");
    assert!(parse(&(one("a") + &one("b"))).is_ok(), "two accounts may claim a domain; the proof decides");
}

#[test]
fn wrong_keys_and_values_are_all_named() {
    let text = r#"
[[account]]
id = "Acme"
teir = "T1"
[[account]]
name = "nameless"
tier = "gold"
created = "yesterday"
networks = ["192.0.2.0/28", "here"]
[[account.domain]]
name = "acme.example"
scope = "all"
from_local = "a("
[[account.credential]]
login = "x"
kind = "ftp"
daily_cap = -1
expires = 2026-01-01
[[acount]]
"#;
    let expected = "\
/etc/a.toml:3: `id` in [[account]] is `Acme`: `Acme` is not an account id: use 1 to 63 of a-z, 0-9, `-`, `_` and `.`, beginning with a letter or digit
/etc/a.toml:4: unknown key `teir` in [[account]]: did you mean `tier`?
/etc/a.toml:5: [[account]] has no `id`
/etc/a.toml:7: `tier` in [[account]] is `gold`: `T0` to `T9` are allowed
/etc/a.toml:8: `created` in [[account]] is `yesterday`: a time with its zone is allowed, as in `2026-11-24T06:00:00Z`
/etc/a.toml:9: `networks` in [[account]] is `here`: a network is allowed, as in `192.0.2.0/28`, or an address
/etc/a.toml:12: `scope` in [[account.domain]] is `all`: allowed are `exact`, `subdomains`
/etc/a.toml:13: `from_local` in [[account.domain]] is `a(`: no regular expression: unclosed group
/etc/a.toml:16: `kind` in [[account.credential]] is `ftp`: allowed are `smtp`, `api`
/etc/a.toml:17: `daily_cap` in [[account.credential]] is `-1`: a whole number from 0 to 1000000000 is allowed
/etc/a.toml:18: `expires` in [[account.credential]] is `2026-01-01`: a time with its zone is allowed, as in `2026-11-24T06:00:00Z`
/etc/a.toml:19: unknown key `acount` at the top: did you mean `account`?";
    assert_eq!(wrong(text), expected);
}

#[test]
fn names_and_logins_cannot_end_a_line() {
    let message = wrong("[[account]]\nid = \"a\"\n[[account.credential]]\nlogin = \"x\\r\\ny\"");
    assert_eq!(
        message,
        "/etc/a.toml:4: `login` in [[account.credential]] is `x\\r\\ny`: at most 255 characters and no control \
         characters are allowed"
    );
}

#[test]
fn a_file_that_is_not_there_says_so() {
    let error = AccountsFile::load(Path::new("/nowhere/a.toml"), false).unwrap_err().to_string();
    assert_eq!(error, "cannot read `/nowhere/a.toml`: No such file or directory (os error 2)");
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(noise in "(?s).{0,200}") {
        let _ = parse(&noise);
    }

    #[test]
    fn a_broken_file_is_read_or_refused(cut in 0usize..1400, noise in "[\\[\\]{}=\"a-z.\\n]{0,6}") {
        let mut text: String = WHOLE.chars().take(cut).collect();
        text.push_str(&noise);
        text.extend(WHOLE.chars().skip(cut));
        if let Err(message) = parse(&text) {
            prop_assert!(message.lines().all(|line| line.starts_with("/etc/a.toml:")), "{}", message);
        }
    }
    #[test]
    fn a_file_without_some_lines_is_read_alike_or_refused_by_line(
        left_out in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let lines: Vec<&str> = WHOLE.lines().collect();
        let left_out: Vec<usize> = left_out.iter().map(|index| index.index(lines.len())).collect();
        let kept = lines.iter().enumerate().filter(|(at, _)| !left_out.contains(at)).map(|(_, line)| *line);
        let kept: Vec<&str> = kept.collect();
        let file = AccountsFile::parse(&kept.join("\n"), Path::new("/etc/a.toml"), true);
        match file {
            Ok(file) => {
                let accounts = kept.iter().filter(|line| **line == "[[account]]").count();
                prop_assert_eq!(file.accounts.len(), accounts);
                let names = kept.iter().filter(|line| line.trim() == "[[account.domain]]").count();
                prop_assert_eq!(file.accounts.iter().map(|account| account.domains.len()).sum::<usize>(), names);
            }
            Err(error) => {
                let message = error.to_string();
                prop_assert!(message.lines().all(|line| line.starts_with("/etc/a.toml:")), "{}", message);
            }
        }
    }

    #[test]
    fn a_misspelt_key_is_refused_by_its_line(
        at in any::<prop::sample::Index>(),
        cut in any::<prop::sample::Index>(),
        letter in "[a-z]",
    ) {
        let keys: Vec<(usize, &str)> = WHOLE
            .lines()
            .enumerate()
            .filter_map(|(at, line)| Some((at, line.trim().split_once(" = ")?.0)))
            .collect();
        let (line, key) = at.get(&keys);
        let cut = cut.index(key.len());
        let misspelt = format!("{}{letter}{}", &key[..cut], &key[cut + 1..]);
        prop_assume!(misspelt != *key);
        let texts = WHOLE.lines().enumerate().map(|(at, text)| {
            if at == *line { text.replacen(key, &misspelt, 1) } else { text.to_owned() }
        });
        let text = texts.collect::<Vec<_>>().join("\n");
        let error = AccountsFile::parse(&text, Path::new("/etc/a.toml"), true).unwrap_err().to_string();
        let start = format!("/etc/a.toml:{}: unknown key `{misspelt}` in [[", line + 1);
        let named = error.lines().any(|said| said.starts_with(&start) && said.ends_with(&format!("did you mean `{key}`?")));
        prop_assert!(named, "{}\n{}", start, error);
    }
}
