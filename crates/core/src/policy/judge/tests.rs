//! What is remembered is what Cedar says: random dossiers, policies that look at little and at much.

use std::sync::LazyLock;

use bytes::Bytes;
use countersign_wire::limits::Limits;
use jiff::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::address::EmailAddress;
use crate::evidence::{Evidence, Strength, Why};
use crate::ids::{AccountId, Ref};
use crate::message::Message;
use crate::request::{Ask, Client, Envelope, Mode, Submission};

/// Findings of some kinds, then: the author's domain, recipients, account.
type Draw = (Vec<(usize, usize, usize, bool)>, usize, usize, usize);

fn draws() -> impl Strategy<Value = Vec<Draw>> {
    let finding = (0..Kind::ALL.len(), 0..5_usize, 0..4_usize, any::<bool>());
    let draw = (prop::collection::vec(finding, 0..14), 0..3_usize, 0..4_usize, 0..2_usize);
    prop::collection::vec(draw, 1..12)
}

fn dossier((findings, author, recipients, account): &Draw) -> Dossier {
    let author = ["a.example", "b.example", "c.example"][*author];
    let text = format!("From: x@{author}\r\n\r\n{}", "x".repeat(*recipients));
    let to = EmailAddress::parse("bo@reader.example").unwrap();
    let submission = Submission {
        credential: "key-1".to_owned(),
        client: Client::default(),
        envelope: Envelope { mail_from: None, recipients: vec![to; *recipients] },
        message: Arc::new(Message::read(Bytes::from(text), &Limits::default())),
    };
    let mut dossier = Dossier::open(Request {
        reference: Ref::from_random(7),
        at: Timestamp::UNIX_EPOCH,
        mode: Mode::Enforce,
        account: AccountId::parse(["acme", "globex"][*account]).unwrap(),
        ask: Ask::Send(Box::new(submission)),
    });
    for (kind, finding, detail, proved) in findings {
        let finding = [
            Finding::Pass,
            Finding::Fail,
            Finding::Warn,
            Finding::Unknown(Why::Timeout),
            Finding::Unknown(Why::NotConfigured),
        ][*finding];
        let strength = if *proved { Strength::Proved } else { Strength::Observed };
        let evidence = Evidence::new(Kind::ALL[*kind], finding, "message", Timestamp::UNIX_EPOCH);
        let detail = ["foreign", "lost", "", "duplicate"][*detail];
        dossier.add(evidence.detail(detail).strength(strength));
    }
    dossier
}

fn own(condition: &str) -> Rules {
    let text = format!(
        "@id(\"own\") @effect(\"refuse\") forbid(principal, action == Action::\"send\", resource) when {{ {condition} }};"
    );
    Rules::with_own(vec![("own".to_owned(), text)]).unwrap()
}

fn agree(rules: &Rules, draws: &[Draw]) -> Result<(), TestCaseError> {
    for dossier in draws.iter().map(dossier) {
        let slice = rules.slice(dossier.request().action()).unwrap();
        prop_assert_eq!(sorted(&rules.said(&dossier)), sorted(&rules.ask(slice, &dossier)));
        let refused = rules.rule(&dossier, HoldAs(How::Custody)).decision() == Decision::Refuse;
        prop_assert_eq!(rules.refuses(&dossier), refused);
    }
    Ok(())
}

/// Cedar names policies in any order; `weigh` sorts them.
fn sorted(said: &Said) -> Said {
    let mut said = said.clone();
    said.voices.sort_by(|a, b| a.policy.cmp(&b.policy));
    said
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn what_is_remembered_is_what_the_policies_say(draws in draws()) {
        for rules in ALL.iter() {
            agree(rules, &draws)?;
        }
    }
}

/// Those that ship, and beside them one that looks at something else.
static ALL: LazyLock<Vec<Rules>> = LazyLock::new(|| {
    let conditions = [
        "context.bytes > 22",
        "context.recipients == 2 && context.spf.strength == \"proved\"",
        "context.author_domain == \"b.example\"",
        "context.account == \"acme\"",
        "principal == Account::\"acme\"",
        // It errs for some.
        "context.recipients * 4611686018427387904 > 0",
    ];
    std::iter::once(Rules::built_in().unwrap()).chain(conditions.map(own)).collect()
});

#[test]
fn of_two_that_differ_in_what_is_looked_at_each_hears_its_own() {
    let rules = own("context.account == \"acme\"");
    let rule = |account| rules.refuses(&dossier(&(vec![], 0, 1, account)));
    assert!(rule(0) && !rule(1) && rule(0));
}
