//! The walk over one log: each leaf, entry and payload in order, and every head, tile and checkpoint on the way.
//! `verify` takes it for each log.

use std::collections::HashMap;

use countersign_core::ids::AccountId;
use countersign_core::ledger::tile::Tile;
use countersign_core::ledger::{Checkpoint, Hash, Kind, Leaf, VerifierKey, leaf_hash};

use super::super::draft::pseudonym;
use super::super::edge::{Edge, Grown};
use super::super::insert::part_of_outcome;
use super::super::log::signer_of;
use super::super::payload;
use super::super::tip::Link;
use super::opening::{Opening, Sealed};
use super::{Broken, LogReport, VerifyError};
use crate::store::{Column, Keys, Row, StoreError, Transaction, Value};

/// The way through the leaves of a log, and what has been seen on it.
pub(super) struct Walk<'k> {
    log: i64,
    origin: String,
    verifier: VerifierKey,
    keys: Option<&'k Keys>,
    edge: Edge,
    /// The tiles above level 0, as they stand.
    above: Grown,
    time_us: i64,
    head: u64,
    heads: u64,
    checkpoints: u64,
    pub(super) checked: u64,
    pub(super) erased: u64,
    /// Payloads whose key is gone.
    closed: u64,
    /// By their names as rows have them.
    accounts: HashMap<String, Account>,
}

/// The end of an account's chain, and the account's name in leaves.
struct Account {
    id: AccountId,
    link: Link,
    last: u64,
    pseudonym: [u8; 16],
}

impl<'k> Walk<'k> {
    /// The walk over the log of a row.
    pub(super) fn of(row: &Row, keys: Option<&'k Keys>) -> Result<Self, VerifyError> {
        let wrong = || Broken::whole("a log has no number, origin or key");
        let origin: String = column(row, "origin").ok_or_else(wrong)?;
        let verifier = column::<String>(row, "verifier").and_then(|key| VerifierKey::parse(&key).ok());
        let verifier = verifier.ok_or_else(wrong)?;
        if let Some(keys) = keys
            && signer_of(&origin, keys)?.verifier() != &verifier
        {
            return Err(
                Broken::whole(format!("the key of log `{origin}` is not the one of the root key")).into()
            );
        }
        Ok(Self {
            log: column(row, "log").ok_or_else(wrong)?,
            origin,
            verifier,
            keys,
            edge: Edge::default(),
            above: Grown::new(),
            time_us: 0,
            head: 0,
            heads: 0,
            checkpoints: 0,
            checked: 0,
            erased: 0,
            closed: 0,
            accounts: HashMap::new(),
        })
    }

    /// Walks from the first leaf to the last.
    pub(super) async fn all(
        &mut self,
        snapshot: &mut Transaction,
        mut progress: impl FnMut(u64),
    ) -> Result<(), VerifyError> {
        let entries = if self.keys.is_some() { WITH_PAYLOADS } else { WITHOUT_PAYLOADS };
        // Payloads of a page are opened while the next one is read.
        let mut opening = Opening::default();
        loop {
            let from = i64::try_from(self.edge.size()).unwrap_or(i64::MAX);
            let between = [self.log, from, from.saturating_add(PAGE)];
            let leaves = snapshot.rows(LEAVES, between.map(Value::Int).to_vec()).await?;
            let entries = snapshot.rows(entries, between.map(Value::Int).to_vec()).await?;
            let heads = snapshot.rows(HEADS, between.map(Value::Int).to_vec()).await?;
            let signed = snapshot.rows(CHECKPOINTS, between.map(Value::Int).to_vec()).await?;
            let tiles = snapshot
                .rows(TILES, [self.log, from / 256, (from + PAGE) / 256].map(Value::Int).to_vec())
                .await?;
            // What is wrong before this page is said first.
            self.opened(opening).await?;
            if leaves.is_empty() {
                break;
            }
            let mut sealed = Vec::new();
            let walked = self.page((&leaves, &entries), &heads, &signed, &tiles, &mut sealed).await;
            opening = Opening::of(sealed);
            if let Err(error) = walked {
                self.opened(opening).await?;
                return Err(error);
            }
            progress(self.edge.size());
        }
        self.end(snapshot).await
    }

    async fn page(
        &mut self,
        (leaves, entries): (&[Row], &[Row]),
        heads: &[Row],
        signed: &[Row],
        tiles: &[Row],
        sealed: &mut Vec<Sealed>,
    ) -> Result<(), VerifyError> {
        let (mut heads, mut signed) = (heads.iter().peekable(), signed.iter().peekable());
        let mut entries = entries.iter().peekable();
        let mut grown = Grown::new();
        for row in leaves {
            let index = self.edge.size();
            let broken = |what| self.broken(index, what);
            let (leaf, hash) = self.leaf(row, index).map_err(broken)?;
            self.time_us = leaf.time_us;
            self.edge.push(hash, &mut grown);
            let of_leaf = |entry: &&Row| integer(entry, "idx") == Some(index);
            let entry = entries.next_if(of_leaf).ok_or_else(|| self.broken(index, "it has no entry"))?;
            if entries.next_if(of_leaf).is_some() {
                return Err(self.broken(index, "it has several entries").into());
            }
            let name = self.entry(entry, &leaf, hash, index).map_err(|what| self.broken(index, what))?;
            if let Some(keys) = self.keys {
                sealed.extend(self.payload(entry, leaf, &name, index, keys).await?);
            }
            let ends_here = |row: &&Row| integer(row, "size") == Some(index + 1);
            if let Some(head) = heads.next_if(ends_here) {
                self.head(head).map_err(|what| self.broken(index, what))?;
                if let Some(checkpoint) = signed.next_if(ends_here) {
                    self.checkpoint(checkpoint).map_err(|what| self.broken(index, what))?;
                }
            }
        }
        if heads.next().is_some() {
            return Err(self.broken(self.edge.size(), "it is missing, but a head counts it").into());
        }
        if signed.next().is_some() {
            return Err(self.whole("a checkpoint is of no head").into());
        }
        self.tiles(grown, tiles)
    }

    fn leaf(&self, row: &Row, index: u64) -> Result<(Leaf, Hash), &'static str> {
        if integer(row, "idx") != Some(index) {
            return Err("it is missing");
        }
        let octets = column::<Vec<u8>>(row, "leaf").ok_or("it is no leaf")?;
        let leaf = Leaf::decode(&octets).map_err(|_| "it is no leaf")?;
        let hash = leaf_hash(&octets);
        if column::<Vec<u8>>(row, "hash").is_none_or(|stored| stored != hash) {
            return Err("its hash is not the stored one");
        }
        match leaf.time_us < self.time_us {
            true => Err("its time is before that of the leaf before it"),
            false => Ok((leaf, hash)),
        }
    }

    /// The entry's columns against its leaf, and the leaf against its account's chain.
    fn entry(&mut self, row: &Row, leaf: &Leaf, hash: Hash, index: u64) -> Result<String, &'static str> {
        let name = column::<String>(row, "account_id").ok_or("its entry names no account")?;
        let part = match leaf.kind {
            Kind::Ruling | Kind::Command => 0,
            Kind::Outcome => part_of_outcome(self.log, i64::try_from(index).unwrap_or(i64::MAX)),
        };
        let kind = column::<String>(row, "kind");
        if kind.as_deref() != Some(payload::word(leaf.kind)) || column(row, "part") != Some(part) {
            return Err("its entry is of another kind");
        }
        if column(row, "at_us") != Some(leaf.time_us) {
            return Err("its entry has another time");
        }
        if !self.accounts.contains_key(&name) {
            let id = AccountId::parse(&name).map_err(|_| "its entry names no account")?;
            // Without keys, the account is whom its first leaf says.
            let pseudonym = self.keys.map_or(leaf.account, |keys| pseudonym(keys, &id));
            self.accounts.insert(name.clone(), Account { id, link: Link::default(), last: index, pseudonym });
        }
        let known = self.accounts.get_mut(&name).ok_or("its entry names no account")?;
        if known.pseudonym != leaf.account {
            return Err("its entry names another account");
        }
        if (leaf.account_seq, leaf.previous) != (known.link.seq + 1, known.link.hash) {
            return Err("it does not follow the leaf before it in the chain of its account");
        }
        known.link = Link { seq: leaf.account_seq, hash };
        known.last = index;
        Ok(name)
    }

    /// What is to be opened of a row.
    async fn payload(
        &mut self,
        row: &Row,
        leaf: Leaf,
        name: &str,
        index: u64,
        keys: &Keys,
    ) -> Result<Option<Sealed>, VerifyError> {
        let Some(account) = self.accounts.get(name).map(|account| &account.id) else { return Ok(None) };
        let key = keys.by_id(account, &leaf.key_id).await?;
        let sealed = (column::<Vec<u8>>(row, "salt"), column::<Vec<u8>>(row, "sealed"));
        match (key, sealed) {
            (Some(key), (Some(salt), Some(octets))) => {
                self.checked += 1;
                let (account, reference) = (account.clone(), column(row, "ref"));
                Ok(Some(Sealed { index, key, account, leaf, salt, octets, reference }))
            }
            (_, (None, None)) => {
                self.erased += 1;
                Ok(None)
            }
            (None, _) => {
                self.erased += 1;
                self.closed += 1;
                Ok(None)
            }
            (Some(_), _) => Err(self.broken(index, "its payload cannot be read").into()),
        }
    }

    async fn opened(&self, opening: Opening) -> Result<(), VerifyError> {
        match opening.end().await? {
            None => Ok(()),
            Some((index, what)) => Err(self.broken(index, what).into()),
        }
    }

    fn head(&mut self, row: &Row) -> Result<(), &'static str> {
        let size = self.edge.size();
        if column::<Vec<u8>>(row, "root").is_none_or(|root| root != self.edge.root()) {
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

    fn checkpoint(&mut self, row: &Row) -> Result<(), &'static str> {
        let note = column::<String>(row, "note").ok_or("the checkpoint after it cannot be read")?;
        let (checkpoint, _) = Checkpoint::open(&note, &self.verifier)
            .map_err(|_| "the checkpoint after it is not signed by the log")?;
        if (checkpoint.size, checkpoint.root) != (self.edge.size(), self.edge.root()) {
            return Err("the checkpoint after it is of another tree");
        }
        self.checkpoints += 1;
        Ok(())
    }

    /// The full tiles of level 0 that a page filled, against those that are kept; those above are kept in mind.
    fn tiles(&mut self, grown: Grown, kept: &[Row]) -> Result<(), VerifyError> {
        let mut kept = kept.iter();
        for ((level, number), hashes) in grown {
            if level > 0 {
                self.above.insert((level, number), hashes);
                continue;
            }
            let row = kept.next().filter(|row| integer(row, "number") == Some(number));
            if row.and_then(|row| column::<Vec<u8>>(row, "hashes")) != Some(hashes) {
                let first = number * u64::from(Tile::FULL);
                return Err(self
                    .broken(first, "the tile that begins with it is not that of the leaves")
                    .into());
            }
        }
        match kept.next() {
            Some(_) => Err(self.whole("a tile is of leaves that are not there").into()),
            None => Ok(()),
        }
    }

    /// What only the whole can tell: nothing is left over, and everything ends where it should.
    async fn end(&self, snapshot: &mut Transaction) -> Result<(), VerifyError> {
        let size = self.edge.size();
        // Every index from 0 to the last leaf has been seen once, with one entry: only outside of them is more.
        if self.outside(snapshot, LEAVES_OUTSIDE).await? {
            return Err(self.whole("leaves stand outside the order").into());
        }
        if self.head != size {
            return Err(self.broken(self.head, "no head covers it").into());
        }
        if self.count(snapshot, "SELECT COUNT(*) AS n FROM heads WHERE log = $1").await? != self.heads {
            return Err(self.whole("a head counts leaves that are not there").into());
        }
        let signed =
            self.count(snapshot, "SELECT COUNT(*) AS n FROM checkpoints WHERE log = $1 AND size > 0").await?;
        if signed != self.checkpoints {
            return Err(self.whole("a checkpoint counts leaves that are not there").into());
        }
        if self.outside(snapshot, ENTRIES_OUTSIDE).await? {
            return Err(self.whole("an entry has no leaf").into());
        }
        let opened = self.checked + self.closed;
        let payloads = "SELECT COUNT(*) AS n FROM payloads WHERE log = $1";
        if self.keys.is_some() && self.count(snapshot, payloads).await? != opened {
            return Err(self.whole("a payload has no entry").into());
        }
        self.tiles_above(snapshot).await?;
        self.chains(snapshot).await
    }

    async fn tiles_above(&self, snapshot: &mut Transaction) -> Result<(), VerifyError> {
        let mut above = self.above.iter();
        for row in snapshot.rows(ABOVE, vec![Value::Int(self.log)]).await? {
            let place = integer(&row, "level").zip(integer(&row, "number"));
            let same = above.next().is_some_and(|((level, number), hashes)| {
                place == Some((u64::from(*level), *number))
                    && column::<Vec<u8>>(&row, "hashes").is_some_and(|kept| kept == *hashes)
            });
            if !same {
                return Err(self.whole("a tile above the leaves is not that of the leaves").into());
            }
        }
        match above.next() {
            Some(_) => Err(self.whole("a tile above the leaves is missing").into()),
            None => Ok(()),
        }
    }

    async fn chains(&self, snapshot: &mut Transaction) -> Result<(), VerifyError> {
        let mut last = String::new();
        let mut seen = 0;
        loop {
            let rows = snapshot.rows(CHAINS, vec![Value::Int(self.log), Value::text(&last)]).await?;
            for row in &rows {
                let stray = || self.whole("a chain has no leaves");
                last = column::<String>(row, "account_id").ok_or_else(stray)?;
                let account = self.accounts.get(&last).ok_or_else(stray)?;
                let same = integer(row, "seq") == Some(account.link.seq)
                    && column::<Vec<u8>>(row, "hash").is_some_and(|hash| hash == account.link.hash);
                if !same {
                    let what = "the chain of its account does not end with it";
                    return Err(self.broken(account.last, what).into());
                }
                seen += 1;
            }
            if rows.is_empty() {
                break;
            }
        }
        match seen == self.accounts.len() {
            true => Ok(()),
            false => Err(self.whole("the end of an account's chain is missing").into()),
        }
    }

    async fn outside(&self, snapshot: &mut Transaction, statement: &'static str) -> Result<bool, StoreError> {
        let size = i64::try_from(self.edge.size()).unwrap_or(i64::MAX);
        Ok(snapshot.row(statement, vec![Value::Int(self.log), Value::Int(size)]).await?.is_some())
    }

    async fn count(&self, snapshot: &mut Transaction, statement: &'static str) -> Result<u64, StoreError> {
        count(snapshot, statement, vec![Value::Int(self.log)]).await
    }

    pub(super) fn report(self) -> LogReport {
        LogReport {
            origin: self.origin,
            leaves: self.edge.size(),
            root: self.edge.root(),
            heads: self.heads,
            checkpoints: self.checkpoints,
        }
    }

    fn broken(&self, index: u64, what: &str) -> Broken {
        Broken { log: Some(self.origin.clone()), index: Some(index), what: what.to_owned() }
    }

    fn whole(&self, what: &str) -> Broken {
        Broken { log: Some(self.origin.clone()), index: None, what: what.to_owned() }
    }
}

/// A column as it should be; `None` when it is NULL or of another type.
fn column<T: Column>(row: &Row, name: &str) -> Option<T> {
    row.get(name).ok()
}

fn integer(row: &Row, name: &str) -> Option<u64> {
    column::<i64>(row, name).and_then(|value| u64::try_from(value).ok())
}

pub(super) async fn count(
    snapshot: &mut Transaction,
    statement: &'static str,
    values: Vec<Value>,
) -> Result<u64, StoreError> {
    let count: i64 = snapshot.row(statement, values).await?.map_or(Ok(0), |row| row.get("n"))?;
    Ok(u64::try_from(count).unwrap_or(0))
}

/// Each table is asked by itself between what, and payloads by their whole key: whatever a planner believes about the
/// tables, a page reads no more than a page.
const LEAVES: &str =
    "SELECT idx, leaf, hash FROM leaves WHERE log = $1 AND idx >= $2 AND idx < $3 ORDER BY idx";
const WITH_PAYLOADS: &str = "SELECT e.idx, e.account_id, e.ref, e.part, e.kind, e.at_us, \
    (SELECT p.salt FROM payloads p WHERE p.account_id = e.account_id AND p.log = e.log AND p.idx = e.idx) AS salt, \
    (SELECT p.sealed FROM payloads p WHERE p.account_id = e.account_id AND p.log = e.log AND p.idx = e.idx) AS sealed \
    FROM entries e WHERE e.log = $1 AND e.idx >= $2 AND e.idx < $3 ORDER BY e.idx";
const WITHOUT_PAYLOADS: &str = "SELECT idx, account_id, part, kind, at_us FROM entries \
    WHERE log = $1 AND idx >= $2 AND idx < $3 ORDER BY idx";
const LEAVES_OUTSIDE: &str = "SELECT idx FROM leaves WHERE log = $1 AND idx < 0 \
    UNION ALL SELECT idx FROM leaves WHERE log = $1 AND idx >= $2 LIMIT 1";
const ENTRIES_OUTSIDE: &str = "SELECT idx FROM entries WHERE log = $1 AND idx < 0 \
    UNION ALL SELECT idx FROM entries WHERE log = $1 AND idx >= $2 LIMIT 1";
const HEADS: &str = "SELECT size, leaves, root, at_us FROM heads WHERE log = $1 AND size > $2 AND size <= $3 \
    ORDER BY size";
const CHECKPOINTS: &str = "SELECT size, note FROM checkpoints WHERE log = $1 AND size > $2 AND size <= $3 \
    ORDER BY size";
const TILES: &str = "SELECT number, hashes FROM tiles WHERE log = $1 AND level = 0 AND number >= $2 AND number < $3 \
    ORDER BY number";
const ABOVE: &str =
    "SELECT level, number, hashes FROM tiles WHERE log = $1 AND level > 0 ORDER BY level, number";
const CHAINS: &str = "SELECT account_id, seq, hash FROM chains WHERE log = $1 AND account_id > $2 \
    ORDER BY account_id LIMIT 4096";
/// As many leaves as 16 tiles have.
const PAGE: i64 = 4096;
