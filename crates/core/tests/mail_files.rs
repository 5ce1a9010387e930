//! Every file of `tests/mail`, at the level of the message: hostile ones are seen through, legal ones pass.
//! The same files run through the whole gate elsewhere; their sidecars say what is expected there.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that panics has found something"
)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use countersign_core::address::{Domain, EmailAddress};
use countersign_core::message::{Message, Sender};
use countersign_wire::header::HeaderError;
use countersign_wire::limits::Limits;
use countersign_wire::mime::MimeFault;
use countersign_wire::smtp::data::{DataFault, dot_stuff};

#[test]
fn hostile_mail_is_seen_through() {
    let cases = cases("hostile");
    assert!(cases.len() >= 240, "only {} hostile files", cases.len());
    let mut wrong = Vec::new();
    for case in &cases {
        let found = reasons(case);
        let expected = (case.text("reason").expect("a reason"), case.text("detail"));
        let met = found
            .iter()
            .any(|(code, detail)| *code == expected.0 && expected.1.as_ref().is_none_or(|d| d == detail));
        if !met || case.text("decision").as_deref() != Some("refuse") {
            wrong.push(format!("{}: expected {expected:?}, found {found:?}", case.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn legal_mail_passes() {
    let cases = cases("legal");
    assert!(cases.len() >= 165, "only {} legal files", cases.len());
    let mut wrong = Vec::new();
    for case in &cases {
        let found = reasons(case);
        if !found.is_empty() || case.text("decision").as_deref() != Some("allow") {
            wrong.push(format!("{}: {found:?}", case.name));
        }
        if case.message.from().is_ok_and(|mailbox| mailbox.display_address.is_some()) {
            wrong.push(format!("{}: its display name poses as an address", case.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A checkout that turned line ends around would test something else.
#[test]
fn files_kept_their_line_ends() {
    for case in cases("legal") {
        let bytes = case.message.bytes();
        let bare = (0..bytes.len()).any(|at| bytes[at] == b'\n' && (at == 0 || bytes[at - 1] != b'\r'));
        assert!(!bare, "{}: a bare line feed (see .gitattributes)", case.name);
    }
}

#[test]
fn every_file_has_a_sidecar() {
    for folder in ["hostile", "legal"] {
        let names = |extension: &str| -> BTreeSet<PathBuf> {
            let files = files(folder).into_iter().filter(|p| p.extension().is_some_and(|e| e == extension));
            files.map(|p| p.with_extension("")).collect()
        };
        assert_eq!(names("eml"), names("toml"));
    }
}

struct Case {
    name: String,
    message: Message,
    sidecar: toml::Table,
}

impl Case {
    /// A key of `[expect]`.
    fn text(&self, key: &str) -> Option<String> {
        self.sidecar.get("expect")?.get(key)?.as_str().map(str::to_owned)
    }

    fn own_domain(&self) -> Domain {
        let name = self.sidecar["account"][0]["domain"][0]["name"].as_str();
        Domain::parse(name.expect("a domain")).expect("a valid domain")
    }

    fn mail_from_is_an_address(&self) -> bool {
        let mail_from = self.sidecar["mail_from"].as_str().expect("MAIL FROM");
        EmailAddress::parse(mail_from).is_ok()
    }

    fn mail_from_is_own(&self) -> bool {
        let mail_from = self.sidecar["mail_from"].as_str().expect("MAIL FROM");
        EmailAddress::parse(mail_from).is_ok_and(|address| *address.domain() == self.own_domain())
    }
}

/// What the message alone can be refused for, as reason and detail.
fn reasons(case: &Case) -> Vec<(String, String)> {
    let (message, own) = (&case.message, case.own_domain());
    let mut found: Vec<(&str, String)> = Vec::new();
    match message.from() {
        Ok(mailbox) if *mailbox.address.domain() != own => {
            found.push(("from-not-yours", mailbox.address.to_string()));
        }
        Ok(_) => {}
        Err(ambiguity) => found.push(("from-ambiguous", ambiguity.code().to_owned())),
    }
    match message.sender() {
        Sender::One(mailbox) if *mailbox.address.domain() != own => {
            found.push(("sender-not-yours", mailbox.address.to_string()));
        }
        Sender::Ambiguous(ambiguity) => found.push(("sender-ambiguous", ambiguity.code().to_owned())),
        Sender::Absent | Sender::One(_) => {}
    }
    if let Err(ambiguity) = message.reply_to() {
        found.push(("reply-to-ambiguous", ambiguity.code().to_owned()));
    }
    match message.header_fault() {
        Some(HeaderError::BareCr { .. } | HeaderError::BareLf { .. } | HeaderError::Nul { .. }) => {
            found.push(("bare-line-ending", String::new()));
        }
        Some(HeaderError::TooBig { .. } | HeaderError::TooManyFields { .. }) => {
            found.push(("limit-headers", String::new()));
        }
        Some(_) => found.push(("header-malformed", "header".to_owned())),
        None if is_faulty(message.bytes()) => found.push(("bare-line-ending", String::new())),
        None => {}
    }
    found.extend(message.duplicates().iter().map(|name| ("duplicate-header", (*name).to_owned())));
    found.extend(message.resent().map(|name| ("resent-header", name.into_owned())));
    found.extend(structure(message));
    if !case.mail_from_is_an_address() {
        found.push(("mail-from-malformed", String::new()));
    } else if !case.mail_from_is_own() {
        found.push(("mail-from-not-yours", String::new()));
    }
    found.into_iter().map(|(code, detail)| (code.to_owned(), detail)).collect()
}

/// What the door refuses while the octets arrive.
fn is_faulty(octets: &[u8]) -> bool {
    let fault = dot_stuff(octets, &mut Vec::new());
    matches!(fault, Err(DataFault::BareCr | DataFault::BareLf | DataFault::Nul))
}

fn structure(message: &Message) -> Vec<(&'static str, String)> {
    match message.structure() {
        Ok(structure) => {
            let long = structure.longest_line > Limits::default().line_hard;
            let ambiguities = structure.ambiguities.iter().map(|a| ("mime-ambiguous", a.code().to_owned()));
            ambiguities.chain(long.then(|| ("line-too-long", String::new()))).collect()
        }
        Err(MimeFault::Depth { .. }) => vec![("limit-mime-depth", String::new())],
        Err(MimeFault::Parts { .. }) => vec![("limit-mime-parts", String::new())],
        Err(MimeFault::Parameters { .. }) => vec![("limit-mime-parameters", String::new())],
        Err(MimeFault::HeaderFields { .. } | MimeFault::HeaderBytes { .. }) => {
            vec![("limit-headers", String::new())]
        }
    }
}

fn cases(folder: &str) -> Vec<Case> {
    let emls = files(folder).into_iter().filter(|path| path.extension().is_some_and(|e| e == "eml"));
    emls.map(|path| {
        let bytes = std::fs::read(&path).expect("the file can be read");
        let sidecar = std::fs::read_to_string(path.with_extension("toml")).expect("a sidecar");
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let sidecar = sidecar.parse().unwrap_or_else(|error| panic!("{name}: {error}"));
        Case { name, message: Message::read(Bytes::from(bytes), &Limits::default()), sidecar }
    })
    .collect()
}

fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/mail").join(folder);
    let entries = std::fs::read_dir(folder).expect("tests/mail can be read");
    entries.map(|entry| entry.expect("an entry").path()).collect()
}
