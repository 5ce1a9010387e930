//! Verifying: every leaf, chain, root and commitment computed anew and held against the store.
//! `ledger verify` calls it; it reads one snapshot in pages and keeps only the ends of the chains.

use std::collections::HashMap;
use std::fmt;

use countersign_core::ids::AccountId;
use countersign_core::ledger::{Frontier, Hash, Kind, Leaf, leaf_hash};

use super::draft::pseudonym;
use super::payload;
use super::tip::Link;
use crate::seal::SealError;
use crate::store::Keys;
use crate::store::{Column, Row, Store, StoreError, Transaction, Value};

#[cfg(test)]
mod tests;

/// What was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// How many leaves there are; all of them are as they were recorded.
    pub leaves: u64,
    /// The root over them. Only against one that was kept elsewhere is a ledger seen to be cut short.
    pub root: Hash,
    /// How many stored roots were computed anew.
    pub heads_checked: u64,
    /// How many payloads were opened and held against their leaf.
    pub payloads_checked: u64,
    /// How many payloads were erased.
    pub payloads_erased: u64,
}

/// Verifies the whole ledger; without keys, all but the payloads and what only they tell. `progress` is
/// told how many leaves of how many are done.
pub async fn verify(
    store: &Store,
    keys: Option<&Keys>,
    mut progress: impl FnMut(u64, u64),
) -> Result<Report, VerifyError> {
    if let Some(keys) = keys {
        keys.check().await?;
    }
    let mut snapshot = store.snapshot().await?;
    let total = count(&mut snapshot, "SELECT COUNT(*) AS n FROM leaves").await?;
    let mut walk = Walk::default();
    loop {
        let from = i64::try_from(walk.frontier.size()).unwrap_or(i64::MAX);
        let leaves = if keys.is_some() { WITH_PAYLOADS } else { WITHOUT_PAYLOADS };
        let leaves = snapshot.rows(leaves, vec![Value::Int(from)]).await?;
        let heads = snapshot.rows(HEADS, [from, from.saturating_add(PAGE)].map(Value::Int).to_vec()).await?;
        if leaves.is_empty() {
            break;
        }
        walk.page(&leaves, &heads, keys).await?;
        progress(walk.frontier.size(), total);
    }
    walk.end(&mut snapshot, total, keys.is_some()).await?;
    Ok(walk.report())
}

/// The way through the leaves, and what has been seen on it.
#[derive(Default)]
struct Walk {
    frontier: Frontier,
    time_us: i64,
    head: u64,
    heads: u64,
    checked: u64,
    erased: u64,
    /// Payloads whose key is gone.
    closed: u64,
    accounts: HashMap<AccountId, Account>,
}

/// The end of an account's chain, and the account's name in leaves.
struct Account {
    link: Link,
    last: u64,
    pseudonym: [u8; 16],
}

impl Walk {
    async fn page(&mut self, leaves: &[Row], heads: &[Row], keys: Option<&Keys>) -> Result<(), VerifyError> {
        let mut heads = heads.iter().peekable();
        for row in leaves {
            let index = self.frontier.size();
            let broken = |what| Broken::at(index, what);
            let leaf = self.leaf(row, index).map_err(broken)?;
            let account = self.entry(row, &leaf, index).map_err(broken)?;
            if let Some(keys) = keys {
                self.payload(row, &leaf, &account, index, keys).await?;
            }
            if let Some(head) = heads.next_if(|row| integer(row, "size") == Some(index + 1)) {
                self.head(head).map_err(broken)?;
            }
        }
        match heads.next() {
            Some(_) => Err(Broken::at(self.frontier.size(), "it is missing, but a head counts it").into()),
            None => Ok(()),
        }
    }

    fn leaf(&mut self, row: &Row, index: u64) -> Result<Leaf, &'static str> {
        if integer(row, "idx") != Some(index) {
            return Err("it is missing");
        }
        let octets = column::<Vec<u8>>(row, "leaf").ok_or("it is no leaf")?;
        let leaf = Leaf::decode(&octets).map_err(|_| "it is no leaf")?;
        let hash = leaf_hash(&octets);
        if column::<Vec<u8>>(row, "hash").is_none_or(|stored| stored != hash) {
            return Err("its hash is not the stored one");
        }
        if leaf.time_us < self.time_us {
            return Err("its time is before that of the leaf before it");
        }
        self.time_us = leaf.time_us;
        self.frontier.push(hash);
        Ok(leaf)
    }

    /// The entry's columns against its leaf, and the leaf against its account's chain.
    fn entry(&mut self, row: &Row, leaf: &Leaf, index: u64) -> Result<AccountId, &'static str> {
        let account = column::<String>(row, "account_id").ok_or("it has no entry")?;
        let account = AccountId::parse(&account).map_err(|_| "its entry names no account")?;
        let part = match leaf.kind {
            Kind::Ruling | Kind::Command => 0,
            Kind::Outcome => index,
        };
        let kind = column::<String>(row, "kind");
        if kind.as_deref() != Some(payload::word(leaf.kind)) || integer(row, "part") != Some(part) {
            return Err("its entry is of another kind");
        }
        if column(row, "at_us") != Some(leaf.time_us) {
            return Err("its entry has another time");
        }
        let hash = column::<Vec<u8>>(row, "hash").and_then(|hash| Hash::try_from(hash).ok());
        let known = self.accounts.entry(account.clone()).or_insert_with(|| Account {
            link: Link::default(),
            last: index,
            pseudonym: leaf.account,
        });
        if known.pseudonym != leaf.account {
            return Err("its entry names another account");
        }
        if (leaf.account_seq, leaf.previous) != (known.link.seq + 1, known.link.hash) {
            return Err("it does not follow the leaf before it in the chain of its account");
        }
        known.link = Link { seq: leaf.account_seq, hash: hash.unwrap_or_default() };
        known.last = index;
        Ok(account)
    }

    async fn payload(
        &mut self,
        row: &Row,
        leaf: &Leaf,
        account: &AccountId,
        index: u64,
        keys: &Keys,
    ) -> Result<(), VerifyError> {
        let broken = |what| Broken::at(index, what);
        if pseudonym(keys, account) != leaf.account {
            return Err(broken("its entry names another account").into());
        }
        let key = keys.by_id(account, &leaf.key_id).await?;
        let sealed = (column::<Vec<u8>>(row, "salt"), column::<Vec<u8>>(row, "sealed"));
        let (key, salt, sealed) = match (key, sealed) {
            (Some(key), (Some(salt), Some(sealed))) => (key, salt, sealed),
            (_, (None, None)) => {
                self.erased += 1;
                return Ok(());
            }
            (None, _) => {
                self.erased += 1;
                self.closed += 1;
                return Ok(());
            }
            (Some(_), _) => return Err(broken("its payload cannot be read").into()),
        };
        let value = payload::open(&key, account, leaf, &salt, &sealed).map_err(broken)?;
        if column::<String>(row, "ref").as_deref() != value.get("ref").and_then(serde_json::Value::as_str) {
            return Err(broken("its entry has another ref").into());
        }
        self.checked += 1;
        Ok(())
    }

    fn head(&mut self, row: &Row) -> Result<(), &'static str> {
        let size = self.frontier.size();
        if column::<Vec<u8>>(row, "root").is_none_or(|root| root != self.frontier.root()) {
            return Err("the root over the leaves up to it is not that of the head");
        }
        if integer(row, "leaves") != Some(size - self.head) {
            return Err("the head before the one after it is missing");
        }
        if column(row, "at_us") != Some(self.time_us) {
            return Err("the head after it has another time");
        }
        self.head = size;
        self.heads += 1;
        Ok(())
    }

    /// What only the whole can tell: nothing is left over, and everything ends where it should.
    async fn end(&self, snapshot: &mut Transaction, total: u64, payloads: bool) -> Result<(), VerifyError> {
        if self.frontier.size() != total {
            return Err(Broken::whole("leaves stand outside the order").into());
        }
        if self.head != total {
            return Err(Broken::at(self.head, "no head covers it").into());
        }
        if count(snapshot, "SELECT COUNT(*) AS n FROM heads").await? != self.heads {
            return Err(Broken::whole("a head counts leaves that are not there").into());
        }
        if count(snapshot, "SELECT COUNT(*) AS n FROM entries").await? != total {
            return Err(Broken::whole("an entry has no leaf").into());
        }
        let opened = self.checked + self.closed;
        if payloads && count(snapshot, "SELECT COUNT(*) AS n FROM payloads").await? != opened {
            return Err(Broken::whole("a payload has no entry").into());
        }
        self.chains(snapshot).await
    }

    async fn chains(&self, snapshot: &mut Transaction) -> Result<(), VerifyError> {
        let mut last = String::new();
        let mut seen = 0;
        loop {
            let rows = snapshot.rows(CHAINS, vec![Value::text(&last)]).await?;
            for row in &rows {
                let stray = || Broken::whole("a chain has no leaves");
                last = column::<String>(row, "account_id").ok_or_else(stray)?;
                let account = AccountId::parse(&last).ok().and_then(|id| self.accounts.get(&id));
                let account = account.ok_or_else(stray)?;
                let same = integer(row, "seq") == Some(account.link.seq)
                    && column::<Vec<u8>>(row, "hash").is_some_and(|hash| hash == account.link.hash);
                if !same {
                    return Err(
                        Broken::at(account.last, "the chain of its account does not end with it").into()
                    );
                }
                seen += 1;
            }
            if rows.is_empty() {
                break;
            }
        }
        match seen == self.accounts.len() {
            true => Ok(()),
            false => Err(Broken::whole("the end of an account's chain is missing").into()),
        }
    }

    fn report(&self) -> Report {
        Report {
            leaves: self.frontier.size(),
            root: self.frontier.root(),
            heads_checked: self.heads,
            payloads_checked: self.checked,
            payloads_erased: self.erased,
        }
    }
}

/// A column as it should be; `None` when it is NULL or of another type.
fn column<T: Column>(row: &Row, name: &str) -> Option<T> {
    row.get(name).ok()
}

fn integer(row: &Row, name: &str) -> Option<u64> {
    column::<i64>(row, name).and_then(|value| u64::try_from(value).ok())
}

async fn count(snapshot: &mut Transaction, statement: &'static str) -> Result<u64, StoreError> {
    let count: i64 = snapshot.row(statement, vec![]).await?.map_or(Ok(0), |row| row.get("n"))?;
    Ok(u64::try_from(count).unwrap_or(0))
}

/// Why a ledger does not verify.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// It is not what was recorded.
    #[error(transparent)]
    Broken(#[from] Broken),
    /// It cannot be read, so nothing is said about it.
    #[error(transparent)]
    Unreadable(#[from] StoreError),
    /// A key is not to be had, so nothing is said about it.
    #[error(transparent)]
    Key(SealError),
}

/// What is wrong with a ledger, and where first.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Broken {
    /// The first bad leaf; `None` when it is no leaf that is bad.
    pub index: Option<u64>,
    /// What is wrong with it.
    pub what: String,
}

impl Broken {
    fn at(index: u64, what: &str) -> Self {
        Self { index: Some(index), what: what.to_owned() }
    }

    fn whole(what: impl Into<String>) -> Self {
        Self { index: None, what: what.into() }
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.index {
            Some(index) => write!(f, "the ledger is broken at leaf {index}: {}", self.what),
            None => write!(f, "the ledger is broken: {}", self.what),
        }
    }
}

impl From<SealError> for VerifyError {
    fn from(error: SealError) -> Self {
        match error {
            SealError::Store { .. } | SealError::Random => Self::Key(error),
            SealError::Broken | SealError::Root { .. } => Self::Broken(Broken::whole(error.to_string())),
        }
    }
}

const WITH_PAYLOADS: &str = "SELECT l.idx, l.leaf, l.hash, e.account_id, e.ref, e.part, e.kind, e.at_us, \
    p.salt, p.sealed FROM leaves l \
    LEFT JOIN entries e ON e.idx = l.idx \
    LEFT JOIN payloads p ON p.account_id = e.account_id AND p.idx = e.idx \
    WHERE l.idx >= $1 ORDER BY l.idx LIMIT 4096";
const WITHOUT_PAYLOADS: &str = "SELECT l.idx, l.leaf, l.hash, e.account_id, e.part, e.kind, e.at_us \
    FROM leaves l LEFT JOIN entries e ON e.idx = l.idx WHERE l.idx >= $1 ORDER BY l.idx LIMIT 4096";
const HEADS: &str =
    "SELECT size, leaves, root, at_us FROM heads WHERE size > $1 AND size <= $2 ORDER BY size";
const CHAINS: &str =
    "SELECT account_id, seq, hash FROM chains WHERE account_id > $1 ORDER BY account_id LIMIT 4096";
/// As in the statements.
const PAGE: i64 = 4096;
