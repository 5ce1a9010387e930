//! The stage of the ledger's tests: a store in a directory of its own, keys, a clock that is told the time.
//! The tests of the ledger and of verify stand on it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use countersign_core::about::About;
use countersign_core::address::EmailAddress;
use countersign_core::dossier::Dossier;
use countersign_core::ids::{AccountId, Ref};
use countersign_core::message::Message;
use countersign_core::policy::{HoldAs, How, Rules, Ruling};
use countersign_core::request::{Actor, Ask, Client, Command, Envelope, Mode, Request, Submission, Verb};
use countersign_wire::limits::Limits;
use jiff::Timestamp;

use super::super::{Clock, Ledger, Log, Node};
use crate::seal::RootKey;
use crate::store::Keys;
use crate::store::fresh::Fresh;
use crate::store::{Store, StoreError, Transaction, Write};

pub(in crate::store) struct Stage {
    pub(in crate::store) fresh: Fresh,
    pub(in crate::store) store: Store,
    pub(in crate::store) keys: Keys,
    pub(in crate::store) now: Arc<AtomicI64>,
}

impl Stage {
    pub(in crate::store) async fn new() -> Self {
        Self::on(Fresh::new().await).await
    }

    /// In a file, for tests that look at the file or write in words of SQLite's own.
    pub(in crate::store) async fn in_sqlite() -> Self {
        Self::on(Fresh::in_sqlite().await).await
    }

    pub(crate) async fn on(fresh: Fresh) -> Self {
        let root = RootKey::create(&fresh.path("root.key")).unwrap();
        let store = fresh.store.clone();
        let now = Arc::new(AtomicI64::new(NOW));
        let keys = Keys::open(&root, store.clone(), clock(&now)).await.unwrap();
        Self { fresh, store, keys, now }
    }

    pub(in crate::store) fn path(&self) -> PathBuf {
        self.fresh.path("countersign.db")
    }

    pub(in crate::store) async fn ledger(&self) -> Result<Ledger, StoreError> {
        let log = self.log().await?;
        Ledger::start(self.store.clone(), self.keys.clone(), clock(&self.now), &log).await
    }

    pub(in crate::store) async fn log(&self) -> Result<Log, StoreError> {
        self.log_with(None).await
    }

    /// The log with a second sink.
    pub(in crate::store) async fn log_with(&self, sink: Option<&Path>) -> Result<Log, StoreError> {
        let now = Timestamp::from_microsecond(NOW).unwrap();
        let node = Node { hostname: "gate.example", dir: self.fresh.dir.path(), sink };
        Log::of_node(&self.store, &self.keys, node, now).await
    }

    /// Keeps every committer waiting until it is dropped.
    pub(in crate::store) async fn busy(&self) -> Transaction {
        let mut transaction = self.store.begin().await.unwrap();
        if self.store.is_shared() {
            transaction.rows("LOCK TABLE leaves IN EXCLUSIVE MODE", vec![]).await.unwrap();
        }
        transaction
    }

    /// Changes the store behind everybody's back.
    pub(in crate::store) async fn sql(&self, statement: &'static str) {
        self.store.change(&[Write::new(statement, vec![])]).await.unwrap();
    }

    pub(in crate::store) async fn number(&self, statement: &'static str) -> i64 {
        self.store.row(statement, vec![]).await.unwrap().unwrap().get("n").unwrap()
    }
}

fn clock(now: &Arc<AtomicI64>) -> Clock {
    let now = Arc::clone(now);
    Arc::new(move || Timestamp::from_microsecond(now.load(Ordering::SeqCst)).unwrap())
}

pub(in crate::store) fn account(name: &str) -> AccountId {
    AccountId::parse(name).unwrap()
}

pub(in crate::store) fn envelope(recipients: &[&str]) -> Envelope {
    let address = |text: &&str| EmailAddress::parse(text).unwrap();
    Envelope { mail_from: None, recipients: recipients.iter().map(address).collect() }
}

/// The About of the message that `ruling` rules on.
pub(in crate::store) fn about() -> About {
    About::message(&envelope(&["a@x.example"]), MESSAGE)
}

/// A ruling on one message; `word` is what the one policy says: `allow`, `ask`, `hold`, `refuse`.
pub(in crate::store) fn ruling(number: u64, name: &str, word: &str, mode: Mode) -> Ruling {
    let message = Message::read(bytes::Bytes::from_static(MESSAGE), &Limits::default());
    let submission = Submission {
        credential: "key-1".to_owned(),
        client: Client::default(),
        envelope: envelope(&["a@x.example"]),
        message: Arc::new(message),
    };
    rule(number, name, Ask::Send(Box::new(submission)), word, mode)
}

/// A ruling on a command about the account itself.
pub(in crate::store) fn command(number: u64, name: &str, verb: Verb, word: &str, mode: Mode) -> Ruling {
    let command = Command {
        verb,
        actor: Actor::Local(0),
        object: name.to_owned(),
        arguments: String::new(),
        message: None,
    };
    rule(number, name, Ask::Command(command), word, mode)
}

fn rule(number: u64, name: &str, ask: Ask, word: &str, mode: Mode) -> Ruling {
    let at = Timestamp::from_microsecond(NOW).unwrap();
    let request = Request { reference: Ref::from_random(number), at, mode, account: account(name), ask };
    rules(word).rule(&Dossier::open(request), HoldAs(How::Custody))
}

/// Everything is permitted, but for what the one policy of our own says.
fn rules(word: &str) -> Arc<Rules> {
    static READ: Mutex<BTreeMap<String, Arc<Rules>>> = Mutex::new(BTreeMap::new());
    let read = || {
        let permit = "@id(\"all\") permit(principal, action, resource);".to_owned();
        let own = match word {
            "allow" => String::new(),
            effect => format!("@id(\"own\") @effect(\"{effect}\") forbid(principal, action, resource);"),
        };
        let files = [("send", permit), ("desk", String::new()), ("own", own)];
        Arc::new(Rules::with_own(files.map(|(name, text)| (name.to_owned(), text)).to_vec()).unwrap())
    };
    Arc::clone(READ.lock().unwrap().entry(word.to_owned()).or_insert_with(read))
}

pub(in crate::store) const NOW: i64 = 1_795_500_000_000_000;
const MESSAGE: &[u8] = b"From: a@x.example\r\n\r\nHello\r\n";
