//! The directory: accounts and logins, read through from the store and kept until something changes.
//! Doors ask it who signs in; the gate asks it about the account.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use countersign_core::address::Domain;
use countersign_core::ids::AccountId;
use countersign_core::request::{Gate, Mode};

use super::account::{Account, Credential};
use super::key::ApiKey;
use super::target::{Blocked, Target};
use super::{key_rows, rows};
use crate::store::shared::Word;
use crate::store::{Shared, Store, StoreError};

/// Accounts by id, credentials by login.
#[derive(Clone)]
pub struct Directory {
    store: Option<Store>,
    /// Who else reads this store, and wants to hear that something changed.
    shared: Shared,
    cache: Arc<Mutex<Cache>>,
    /// Blocks that the store could not write yet. Once it has them, it alone says when they end: that may
    /// happen on another node.
    stopped: Arc<Mutex<Vec<(Target, Blocked)>>>,
    /// Logins of this process alone, until they expire.
    lent: Arc<Mutex<Vec<Credential>>>,
}

#[derive(Default)]
struct Cache {
    accounts: HashMap<AccountId, Arc<Account>>,
    logins: HashMap<String, Credential>,
    /// By the digest of their secrets.
    keys: HashMap<[u8; 32], Vec<ApiKey>>,
    modes: HashMap<Gate, Option<Mode>>,
    /// Who has proved a domain, if anybody has.
    owners: HashMap<Domain, Vec<AccountId>>,
    /// How often all was forgotten.
    forgotten: u64,
}

impl Directory {
    /// The accounts of a store.
    #[must_use]
    pub fn of_store(store: Store) -> Self {
        let shared = Shared::memory();
        Self {
            store: Some(store),
            shared,
            cache: Arc::default(),
            stopped: Arc::default(),
            lent: Arc::default(),
        }
    }

    /// Whose changes other nodes hear of at once.
    #[must_use]
    pub fn shared(self, shared: Shared) -> Self {
        Self { shared, ..self }
    }

    /// These accounts and no others: `check` without a store.
    #[must_use]
    pub fn fixed(accounts: Vec<Account>) -> Self {
        let accounts = accounts.into_iter().map(|account| (account.id.clone(), Arc::new(account))).collect();
        let cache = Arc::new(Mutex::new(Cache { accounts, ..Cache::default() }));
        let shared = Shared::memory();
        Self { store: None, shared, cache, stopped: Arc::default(), lent: Arc::default() }
    }

    /// An account.
    ///
    /// # Errors
    /// When there is none of this id, or the store cannot be read.
    pub async fn account(&self, id: &AccountId) -> Result<Arc<Account>, DirectoryError> {
        if let Some(known) = self.cache().accounts.get(id) {
            return Ok(Arc::clone(known));
        }
        let found = match &self.store {
            Some(store) => {
                let before = self.cache().forgotten;
                rows::load(store, id).await?.map(|account| (account, before))
            }
            None => None,
        };
        let (mut account, before) = found.ok_or_else(|| DirectoryError::Unknown(id.to_string()))?;
        self.stopped().retain(|(target, _)| !account.has_block(target));
        self.lay_over(&mut account);
        let account = Arc::new(account);
        let mut cache = self.cache();
        // What was read before something changed is good for this once.
        if cache.forgotten == before {
            cache.accounts.insert(id.clone(), Arc::clone(&account));
        }
        Ok(account)
    }

    /// The account as it is now, if it has changed since.
    ///
    /// # Errors
    /// As [`Directory::account`].
    pub async fn newer(&self, known: &Arc<Account>) -> Result<Option<Arc<Account>>, DirectoryError> {
        let now = self.account(&known.id).await?;
        Ok(Some(now).filter(|now| !Arc::ptr_eq(now, known)))
    }

    /// A target is stopped: its rows are in the store.
    pub fn stopped_in_store(&self, target: &Target) {
        self.forget();
        self.shared.tell(&Word::Blocked(target.account.clone()));
    }

    /// Stops a target at once, in this process, although the store does not have its rows yet.
    pub fn stop(&self, target: Target, blocked: Blocked) {
        let word = Word::Blocked(target.account.clone());
        let mut stopped = self.stopped();
        stopped.retain(|(known, _)| *known != target);
        stopped.push((target, blocked));
        drop(stopped);
        self.forget();
        self.shared.tell(&word);
    }

    /// Lets a target act again.
    pub fn resume(&self, target: &Target) {
        self.stopped().retain(|(stopped, _)| stopped != target);
        self.changed();
    }

    /// Rows of accounts were written here: what was kept is forgotten, here and elsewhere.
    pub fn changed(&self) {
        self.forget();
        self.shared.tell(&Word::Changed);
    }

    fn lay_over(&self, account: &mut Account) {
        self.stopped().iter().for_each(|(target, blocked)| account.lay_over(target, blocked));
    }

    /// Lends a login that is kept nowhere. Of more than a few the oldest ends.
    pub fn lend(&self, credential: Credential) {
        let mut lent = self.lent.lock().unwrap_or_else(PoisonError::into_inner);
        if lent.len() >= MOST_LENT {
            lent.remove(0);
        }
        lent.push(credential);
    }

    fn borrowed(&self, login: &str) -> Option<Credential> {
        let lent = self.lent.lock().unwrap_or_else(PoisonError::into_inner);
        lent.iter().find(|credential| credential.login == login).cloned()
    }

    /// The credential of a login, if there is one.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn login(&self, login: &str) -> Result<Option<Credential>, DirectoryError> {
        if let Some(known) = self.cache().logins.get(login) {
            return Ok(Some(known.clone()));
        }
        if let Some(lent) = self.borrowed(login) {
            return Ok(Some(lent));
        }
        let Some(store) = &self.store else { return Ok(None) };
        let before = self.cache().forgotten;
        let found = rows::credential(store, login).await?;
        let mut cache = self.cache();
        if let Some(credential) = found.as_ref().filter(|_| cache.forgotten == before) {
            cache.logins.insert(login.to_owned(), credential.clone());
        }
        Ok(found)
    }

    /// Whose login it is, of whatever kind; read anew each time.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn owner(&self, login: &str) -> Result<Option<AccountId>, DirectoryError> {
        match &self.store {
            Some(store) => Ok(rows::owner(store, login).await?),
            None => Ok(None),
        }
    }

    /// The API keys that have this digest: none or one, unless two have the same secret.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn keys(&self, tag: &[u8; 32]) -> Result<Vec<ApiKey>, DirectoryError> {
        if let Some(known) = self.cache().keys.get(tag) {
            return Ok(known.clone());
        }
        let Some(store) = &self.store else { return Ok(vec![]) };
        let before = self.cache().forgotten;
        let found = key_rows::keys(store, tag).await?;
        let mut cache = self.cache();
        // Wrong ones are as many as somebody likes: they are not kept.
        if cache.forgotten == before && !found.is_empty() {
            cache.keys.insert(*tag, found.clone());
        }
        Ok(found)
    }

    /// The accounts that have proved a domain: it itself, else the nearest one above it whose proof reaches down.
    /// More than one is no answer.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn proved_by(&self, domain: &Domain) -> Result<Vec<AccountId>, DirectoryError> {
        if let Some(known) = self.cache().owners.get(domain) {
            return Ok(known.clone());
        }
        // Without a store there is no door that asks.
        let Some(store) = &self.store else { return Ok(vec![]) };
        let before = self.cache().forgotten;
        let owners = rows::proved_by(store, domain).await?;
        let mut cache = self.cache();
        if cache.forgotten == before && !owners.is_empty() {
            cache.owners.insert(domain.clone(), owners.clone());
        }
        Ok(owners)
    }

    /// The upstreams that accounts name, each with one of these accounts and how many there are.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn upstreams(&self) -> Result<Vec<NamedUpstream>, DirectoryError> {
        match &self.store {
            Some(store) => Ok(rows::upstreams(store).await?),
            None => Ok(vec![]),
        }
    }

    /// The mode that `observe` or `enforce` gave a gate.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn gate_mode(&self, gate: Gate) -> Result<Option<Mode>, DirectoryError> {
        if let Some(known) = self.cache().modes.get(&gate) {
            return Ok(*known);
        }
        let Some(store) = &self.store else { return Ok(None) };
        let before = self.cache().forgotten;
        let mode = rows::gate_mode(store, gate).await?;
        let mut cache = self.cache();
        if cache.forgotten == before {
            cache.modes.insert(gate, mode);
        }
        Ok(mode)
    }

    /// All account ids, in order.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn ids(&self) -> Result<Vec<AccountId>, DirectoryError> {
        match &self.store {
            Some(store) => Ok(rows::ids(store).await?),
            None => {
                let mut ids: Vec<_> = self.cache().accounts.keys().cloned().collect();
                ids.sort();
                Ok(ids)
            }
        }
    }

    /// Forgets what it has kept: something changed.
    pub fn forget(&self) {
        if self.store.is_some() {
            let mut cache = self.cache();
            *cache = Cache { forgotten: cache.forgotten + 1, ..Cache::default() };
        }
    }

    /// A number that changes with every change of an account.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn version(&self) -> Result<i64, DirectoryError> {
        match &self.store {
            Some(store) => Ok(rows::version(store).await?),
            None => Ok(0),
        }
    }

    fn stopped(&self) -> MutexGuard<'_, Vec<(Target, Blocked)>> {
        self.stopped.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An upstream that accounts name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedUpstream {
    pub name: String,
    /// One of the accounts.
    pub account: String,
    pub accounts: i64,
}

/// Why an account cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// No account of this id.
    #[error("there is no account `{0}`")]
    Unknown(String),
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

const MOST_LENT: usize = 16;
