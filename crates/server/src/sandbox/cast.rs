//! The cast of `try`: made-up customers, their DNS, and the letters they send.
//! `stage` puts them on; what is expected of each letter is said here.

use countersign_core::policy::Decision;

use super::dns::ZoneMap;

/// A letter of the play, and what must become of it.
pub struct Scene {
    /// What happens, in a few words.
    pub name: &'static str,
    /// Who signs in.
    pub account: &'static str,
    pub mail_from: &'static str,
    pub message: String,
    pub expected: Decision,
    /// A reason that must be among those given; none for what passes quietly.
    pub reason: Option<&'static str>,
    /// What happens to the world before the letter is sent.
    pub before: Before,
}

impl Scene {
    /// What the first From field says.
    #[must_use]
    pub fn author(&self) -> &str {
        self.message.lines().find_map(|line| line.strip_prefix("From: ")).unwrap_or_default()
    }
}

/// What happens before a scene.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Before {
    Nothing,
    /// The operator blocks the scene's account.
    Block,
    /// The domain's owner takes us out of its SPF record.
    DropSpf(&'static str),
}

/// The accounts file of the play. Proofs are trusted: the play is its own world.
pub const ACCOUNTS: &str = r#"# The made-up customers of `countersign try`.

[[account]]
id = "bakery"
name = "The Bakery"
[[account.domain]]
name = "bakery.example"
proved = true
[[account.credential]]
login = "bakery"
secret_file = "secrets/bakery"

[[account]]
id = "museum"
name = "The Museum"
[[account.domain]]
name = "museum.example"
scope = "subdomains"
proved = true
[[account.credential]]
login = "museum"
secret_file = "secrets/museum"

[[account]]
id = "orchard"
name = "The Orchard"
[[account.domain]]
name = "orchard.example"
proved = true
[[account.domain]]
name = "cider.example"
proved = true
[[account.domain]]
name = "slow.example"
proved = true
[[account.domain]]
name = "gone.example"
proved = true
[[account.credential]]
login = "orchard"
secret_file = "secrets/orchard"

[[account]]
id = "harbour"
name = "The Harbour, from its own network only"
networks = ["198.51.100.0/24"]
[[account.domain]]
name = "harbour.example"
proved = true
[[account.credential]]
login = "harbour"
secret_file = "secrets/harbour"

[[account]]
id = "newcomer"
name = "The Newcomer, still observed"
mode = "observe"
[[account.domain]]
name = "newcomer.example"
proved = true
[[account.credential]]
login = "newcomer"
secret_file = "secrets/newcomer"
"#;

/// The logins of the play.
pub const LOGINS: [&str; 5] = ["bakery", "museum", "orchard", "harbour", "newcomer"];

/// The DNS of the play. Mail leaves from 192.0.2.0/28.
#[must_use]
pub fn zones() -> ZoneMap {
    let ours = "v=spf1 include:spf.esp.example -all";
    let mut zones = ZoneMap::new().ttl(300).txt("spf.esp.example", "v=spf1 ip4:192.0.2.0/28 -all");
    for domain in
        ["bakery.example", "news.museum.example", "museum.example", "harbour.example", "newcomer.example"]
    {
        zones = zones.mx(domain, 10, "mx.esp.example").txt(domain, ours);
    }
    zones
        .mx("cider.example", 10, "mx.esp.example")
        .txt("cider.example", "v=spf1 ip4:203.0.113.7 -all")
        .silent("slow.example")
        // Answers that are good for no time: the play changes this record.
        .ttl(0)
        .mx("orchard.example", 10, "mx.esp.example")
        .txt("orchard.example", ours)
}

/// The letters, in order.
#[must_use]
pub fn scenes() -> Vec<Scene> {
    let mut scenes = passing();
    scenes.extend(authors());
    scenes.extend(domains());
    scenes.extend(wire());
    scenes
}

fn passing() -> Vec<Scene> {
    let marked = Scene {
        message: letter(
            "The Museum <tours@news.museum.example>",
            "Reply-To: desk@partner.example\r\n",
            "Open late.",
        ),
        reason: Some("reply-to-elsewhere"),
        ..scene("replies go elsewhere: marked", "museum", "tours@news.museum.example", Decision::Allow)
    };
    vec![
        scene("a newsletter", "bakery", "news@bakery.example", Decision::Allow),
        Scene {
            message: letter(
                "\"Bäckerei\" <news+autumn@bakery.example>",
                "",
                ".Two dots, and a line that begins with one.",
            ),
            ..scene("a plus address, a name in UTF-8", "bakery", "bounce@bakery.example", Decision::Allow)
        },
        marked,
        Scene {
            message: letter("ceo@bank.example", "", "Observed, not stopped."),
            reason: Some("from-not-yours"),
            ..scene("observed: recorded, but it passes", "newcomer", "a@newcomer.example", Decision::Refuse)
        },
    ]
}

fn authors() -> Vec<Scene> {
    let refused = |name, from: &str, extra: &str, reason| Scene {
        message: letter(from, extra, "Please pay."),
        reason: Some(reason),
        ..scene(name, "bakery", "news@bakery.example", Decision::Refuse)
    };
    vec![
        refused("writes as a bank", "Your Bank <service@bank.example>", "", "from-not-yours"),
        refused("two From fields", "news@bakery.example", "From: service@bank.example\r\n", "from-ambiguous"),
        refused("an author in a comment", "(service@bank.example) news@bakery.example", "", "from-ambiguous"),
        refused(
            "a foreign Sender",
            "news@bakery.example",
            "Sender: service@bank.example\r\n",
            "sender-not-yours",
        ),
        Scene {
            message: letter("news@bakery.example", "", "Where would it bounce to?"),
            reason: Some("mail-from-not-yours"),
            ..scene("a foreign MAIL FROM", "bakery", "bounce@bank.example", Decision::Refuse)
        },
    ]
}

fn domains() -> Vec<Scene> {
    let orchard = |name, from: &str, expected, reason| Scene {
        message: letter(from, "", "Apples."),
        reason,
        ..scene(name, "orchard", "farm@orchard.example", expected)
    };
    vec![
        orchard("SPF does not name us", "a@cider.example", Decision::Refuse, Some("spf-fail")),
        orchard("a domain that does not exist", "a@gone.example", Decision::Refuse, Some("domain-not-found")),
        orchard("DNS is silent", "a@slow.example", Decision::Hold, Some("domain-unavailable")),
        orchard("SPF names us today", "farm@orchard.example", Decision::Allow, None),
        Scene {
            before: Before::DropSpf("orchard.example"),
            ..orchard(
                "and tomorrow no longer: held",
                "farm@orchard.example",
                Decision::Hold,
                Some("spf-lost"),
            )
        },
        Scene {
            reason: Some("network-not-yours"),
            ..scene("from another network", "harbour", "a@harbour.example", Decision::Refuse)
        },
    ]
}

fn wire() -> Vec<Scene> {
    let raw = |name, message: String, reason| Scene {
        message,
        reason: Some(reason),
        ..scene(name, "museum", "tours@museum.example", Decision::Refuse)
    };
    let smuggled = letter("tours@museum.example", "", "Hello\n.\r\nMAIL FROM:<a@bank.example>");
    vec![
        raw("a second letter smuggled in", smuggled, "bare-line-ending"),
        raw("22,000 letters inside each other", nested(22_000), "limit-mime-depth"),
        Scene {
            before: Before::Block,
            reason: Some("account-blocked"),
            ..scene("the account was blocked", "museum", "tours@museum.example", Decision::Refuse)
        },
    ]
}

fn scene(name: &'static str, account: &'static str, mail_from: &'static str, expected: Decision) -> Scene {
    let message = letter(mail_from, "", "Fresh bread, from six o'clock.");
    Scene { name, account, mail_from, message, expected, reason: None, before: Before::Nothing }
}

fn letter(from: &str, extra: &str, text: &str) -> String {
    format!(
        "From: {from}\r\n{extra}To: Bo Reader <bo@reader.example>\r\nSubject: News\r\n\
         Message-ID: <1@play.example>\r\nDate: Tue, 24 Nov 2026 08:00:00 +0000\r\nMIME-Version: 1.0\r\n\
         Content-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n"
    )
}

/// Letters attached to letters: one of 22,000 ends programs that read them without a limit.
fn nested(depth: usize) -> String {
    let head = "From: tours@museum.example\r\nTo: bo@reader.example\r\n".to_owned();
    head + &"Content-Type: message/rfc822\r\n\r\n".repeat(depth) + "\r\nHello\r\n"
}
